package lac

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// What is sent comes back right through a reflector, whatever its size.
func TestProbeAndEcho(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := exampleEndpoint(rapid.IntRange(MinPacketSize, 3000).Draw(t, "size"))
		seq := rapid.Uint64().Draw(t, "seq")
		sent := time.Duration(rapid.Int64Range(0, 1<<40).Draw(t, "sent"))
		p := e.appendProbe(nil, seq, sent)
		if len(p) != e.size || ipChecksum(p[:ipv4HeaderLen]) != 0 || udpChecksum(p[12:20], p[20:]) != 0 {
			t.Fatalf("wrong probe: % x", p)
		}
		got, f := e.check(reflectPacket(p))
		if f != faultNone || got.seq != seq || got.sent != sent {
			t.Errorf("echo %+v, fault %v", got, f)
		}
	})
}

// goldenProbe is the FNV-1a hash of TestProbeFormat's packet.
const goldenProbe = 0xe060c596e2692816

// The bytes of a probe are the format that reflectors of other versions see.
func TestProbeFormat(t *testing.T) {
	e := exampleEndpoint(MinPacketSize + 8)
	got := e.appendProbe(nil, 3, 5*time.Nanosecond)
	want := []byte{
		0x45, 0, 0, 76, 0, 3, 0x40, 0, 64, 17, 0xac, 0x9d, 10, 64, 1, 2, 192, 0, 2, 7, // IPv4
		0x28, 0x00, 0x1b, 0x5f, 0, 56, 0, 0, // UDP, its checksum below
		'l', 'a', 'c', 's', 1, 0, 0, 48, // magic, version, TTL, length
		0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, // run
		0, 0, 0, 42, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, // session, sequence, time
	}
	copy(want[26:28], got[26:28])
	binary.BigEndian.PutUint16(want[10:], 0)
	binary.BigEndian.PutUint16(want[10:], ipChecksum(want[:20]))
	if !bytes.Equal(got[:len(want)], want) {
		t.Errorf("got\n% x\nwant\n% x", got[:len(want)], want)
	}
	sum := fnv.New64a()
	sum.Write(got)
	if sum.Sum64() != goldenProbe {
		t.Errorf("the packet's hash is %#x, want %#x: the pattern or a checksum has changed", sum.Sum64(), uint64(goldenProbe))
	}
}

// Any single changed bit in an echo is found.
func TestEveryBitCounts(t *testing.T) {
	e := exampleEndpoint(MinPacketSize + 21)
	echo := reflectPacket(e.appendProbe(nil, 9, time.Second))
	for bit := range len(echo) * 8 {
		p := slices.Clone(echo)
		p[bit/8] ^= 1 << (bit % 8)
		if _, f := e.check(p); f == faultNone {
			t.Errorf("byte %d bit %d: not found", bit/8, bit%8)
		}
	}
}

// Changes that keep the checksums right are found and named.
func TestFaultsAreNamed(t *testing.T) {
	other := exampleEndpoint(200)
	other.session++
	stale := exampleEndpoint(200)
	stale.run++
	long := exampleEndpoint(204)
	for _, c := range []struct {
		want  fault
		spoil func(p []byte) []byte
	}{
		{faultNone, func(p []byte) []byte { return append(p, 1, 2, 3) }}, // padding of a short frame
		{faultHeader, func(p []byte) []byte { return p[:len(p)-1] }},
		{faultHeader, func(p []byte) []byte { p[0] = 0x46; return p }},
		{faultIPChecksum, func(p []byte) []byte { p[11]++; return p }},
		{faultAddress, func(p []byte) []byte { p[12]++; reseal(p); return p }},
		{faultAddress, func(p []byte) []byte { p[19]++; reseal(p); return p }},
		{faultPort, func(p []byte) []byte { p[21]++; reseal(p); return p }},
		{faultPort, func(p []byte) []byte { p[23]++; reseal(p); return p }},
		{faultTTL, func(p []byte) []byte { p[8] = ttl; reseal(p); return p }},
		{faultTTL, func(p []byte) []byte { p[28+offSeenTTL] = ttl - 2; reseal(p); return p }},
		{faultLength, func(p []byte) []byte { p[25]--; return p }},
		{faultLength, func([]byte) []byte { return reflectPacket(long.appendProbe(nil, 1, 0)) }},
		{faultUDPChecksum, func(p []byte) []byte { p[26]++; return p }},
		{faultNone, func(p []byte) []byte { p[26], p[27] = 0, 0; return p }},
		{faultStale, func([]byte) []byte { return reflectPacket(stale.appendProbe(nil, 1, 0)) }},
		{faultMisdelivery, func([]byte) []byte { return reflectPacket(other.appendProbe(nil, 1, 0)) }},
		{faultChecksum, func(p []byte) []byte { p[100]++; reseal(p); return p }},
		{faultPattern, func(p []byte) []byte {
			body := p[28:]
			body[probeLen]++
			binary.BigEndian.PutUint32(body[offChecksum:], probeChecksum(body))
			reseal(p)
			return p
		}},
		{faultForeign, func(p []byte) []byte { p[28]++; reseal(p); return p }},
		{faultForeign, func(p []byte) []byte { p[9] = 6; reseal(p); return p }},
	} {
		e := exampleEndpoint(200)
		p := c.spoil(reflectPacket(e.appendProbe(nil, 1, 0)))
		if _, f := e.check(p); f != c.want {
			t.Errorf("got %v, want %v", f, c.want)
		}
	}
}

// Without verification only misdirected packets are told apart.
func TestUnverified(t *testing.T) {
	e := exampleEndpoint(200)
	e.verify = false
	p := reflectPacket(e.appendProbe(nil, 1, 0))
	p[150]++
	if _, f := e.check(p); f != faultNone {
		t.Errorf("fault %v", f)
	}
	e.session++
	if _, f := e.check(p); f != faultMisdelivery {
		t.Errorf("fault %v", f)
	}
}

func TestProbeAndCheckAllocateNothing(t *testing.T) {
	e := exampleEndpoint(1400)
	buf := make([]byte, 0, 2048)
	echo := reflectPacket(e.appendProbe(nil, 1, 0))
	if n := testing.AllocsPerRun(100, func() {
		e.appendProbe(buf, 1, 0)
		if _, f := e.check(echo); f != faultNone {
			t.Error(f)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzEcho: no packet makes the verifier panic, and it accepts nothing but the echo
// of what was sent.
func FuzzEcho(f *testing.F) {
	e := exampleEndpoint(MinPacketSize + 4)
	echo := reflectPacket(e.appendProbe(nil, 7, time.Second))
	f.Add(echo)
	f.Add(echo[:ipv4HeaderLen])
	f.Add(e.appendProbe(nil, 7, time.Second))
	f.Fuzz(func(t *testing.T, p []byte) {
		if len(p) < ipv4HeaderLen {
			return
		}
		got, fault := e.check(p)
		if fault != faultNone {
			return
		}
		want := reflectPacket(e.appendProbe(nil, got.seq, got.sent))
		// Left open: fields that routers may change, and the checksums over them.
		copy(want[1:2], p[1:2])
		copy(want[4:8], p[4:8])
		copy(want[10:12], p[10:12])
		copy(want[26:28], p[26:28])
		want[28+offSeenTTL] = p[28+offSeenTTL]
		if !bytes.Equal(p[:e.size], want) {
			t.Errorf("accepted\n% x\nwant\n% x", p[:e.size], want)
		}
	})
}

// FuzzFragments: no fragments make the reassembly panic or grow without bound.
func FuzzFragments(f *testing.F) {
	e := exampleEndpoint(600)
	appendFragments(nil, e.appendProbe(nil, 7, 0), 300, func(p []byte) { f.Add(slices.Clone(p), slices.Clone(p)) })
	f.Fuzz(func(t *testing.T, a, b []byte) {
		var r reassembly
		for _, p := range [][]byte{a, b, a} {
			if len(p) < ipv4HeaderLen {
				continue
			}
			if whole := r.add(p); whole != nil && (len(whole) > maxPacketSize || isFragment(whole)) {
				t.Errorf("made % x", whole)
			}
		}
		for _, q := range r.packets {
			if len(q.buf) > maxPacketSize {
				t.Errorf("%d bytes of memory", len(q.buf))
			}
		}
	})
}

func TestFragmentsAreReassembled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := exampleEndpoint(rapid.IntRange(100, 4000).Draw(t, "size"))
		e.fragmented = true
		most := rapid.IntRange(ipv4HeaderLen+8, 1500).Draw(t, "fragment")
		p := e.appendProbe(nil, 5, 0)
		var parts [][]byte
		appendFragments(nil, p, most, func(f []byte) {
			if len(f) > most || ipChecksum(f[:ipv4HeaderLen]) != 0 {
				t.Errorf("fragment of %d bytes: % x", len(f), f[:ipv4HeaderLen])
			}
			parts = append(parts, slices.Clone(f))
		})
		parts = rapid.Permutation(parts).Draw(t, "order")
		var r reassembly
		// The rest of an earlier packet must not get into this one.
		r.add([]byte{0x45, 0, 0, 28, 0, 4, 0x20, 0, 64, 17, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 1, 2, 3, 4, 5, 6, 7, 8})
		for i, part := range parts {
			whole := r.add(part)
			if last := i == len(parts)-1; (whole != nil) != last {
				t.Fatalf("after fragment %d of %d: %d bytes", i+1, len(parts), len(whole))
			}
			if whole != nil && !bytes.Equal(whole, p) {
				t.Errorf("got % x\nwant % x", whole, p)
			}
		}
	})
}

// Packets that were held up come together, and their fragments in any order.
func TestMixedFragmentsAreReassembled(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		e := exampleEndpoint(1000)
		e.fragmented = true
		want := map[string]bool{}
		var parts [][]byte
		for i := range rapid.IntRange(1, underWay).Draw(t, "packets") {
			p := e.appendProbe(nil, uint64(i), 0)
			want[string(p)] = true
			appendFragments(nil, p, 400, func(f []byte) { parts = append(parts, slices.Clone(f)) })
		}
		var r reassembly
		for _, part := range rapid.Permutation(parts).Draw(t, "order") {
			if whole := r.add(part); whole != nil {
				if !want[string(whole)] {
					t.Fatalf("made % x", whole)
				}
				delete(want, string(whole))
			}
		}
		if len(want) > 0 {
			t.Errorf("%d packets did not become whole", len(want))
		}
	})
}

func TestSeen(t *testing.T) {
	var s seen
	for _, c := range []struct {
		seq  uint64
		want arrival
	}{
		{0, inOrder}, {0, duplicate}, {3, inOrder}, {1, outOfOrder}, {1, duplicate}, {2, outOfOrder},
		{258, inOrder}, {3, duplicate}, {2, tooLate}, {257, outOfOrder}, {257, duplicate},
		{5000, inOrder}, {4999, outOfOrder}, {4743, tooLate}, {4745, outOfOrder},
	} {
		if got := s.mark(c.seq); got != c.want {
			t.Errorf("%d: %d, want %d", c.seq, got, c.want)
		}
	}
}

// The window agrees with a set that forgets nothing.
func TestSeenAgreesWithASet(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var s seen
		set := make(map[uint64]bool)
		next := uint64(0)
		for _, step := range rapid.SliceOf(rapid.IntRange(-300, 300)).Draw(t, "steps") {
			seq := uint64(max(int64(next)+int64(step), 0))
			want := inOrder
			switch {
			case seq < next && next-seq > seenWindow:
				want = tooLate
			case set[seq]:
				want = duplicate
			case seq < next:
				want = outOfOrder
			}
			if got := s.mark(seq); got != want {
				t.Fatalf("%d: %d, want %d", seq, got, want)
			}
			set[seq] = true
			next = max(next, seq+1)
		}
	})
}

func TestPong(t *testing.T) {
	request := []byte{
		0x45, 0, 0, 30, 0, 1, 0, 0, 5, 1, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2,
		icmpEcho, 0, 0, 0, 0, 7, 0, 1, 'h', 'i',
	}
	binary.BigEndian.PutUint16(request[22:], fold(sum(0, request[20:])))
	if !isPing(request) {
		t.Fatal("not recognised")
	}
	reply := pong(request)
	if reply[20] != icmpEchoReply || fold(sum(0, reply[20:])) != 0 || ipChecksum(reply[:20]) != 0 ||
		reply[12] != 2 || reply[16] != 1 || reply[8] != ttl || string(reply[28:]) != "hi" {
		t.Errorf("% x", reply)
	}
}
