package tun

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// tcpPacket is a segment of a connection from src to dst with right checksums.
func tcpPacket(src, dst string, seq uint32, flags byte, options []byte, payload []byte) []byte {
	tcp := binary.BigEndian.AppendUint16(nil, 50000)
	tcp = binary.BigEndian.AppendUint16(tcp, 443)
	tcp = binary.BigEndian.AppendUint32(tcp, seq)
	tcp = binary.BigEndian.AppendUint32(tcp, 77)
	tcp = append(tcp, byte(5+len(options)/4)<<4, flags, 0x12, 0x34, 0, 0, 0, 0)
	p := ipv4(src, dst, protoTCP, flagDF, nil, append(append(tcp, options...), payload...))
	setTCPChecksum(p)
	return p
}

func setTCPChecksum(p []byte) {
	tcp := p[headerLen(p):]
	tcp[16], tcp[17] = 0, 0
	binary.BigEndian.PutUint16(tcp[16:], ^fold(pseudoSum(p)+uint32(len(tcp))+uint32(onesSum(tcp))))
}

// withID gives a packet another Identification.
func withID(p []byte, id uint16) []byte {
	binary.BigEndian.PutUint16(p[4:], id)
	setHeaderChecksum(p)
	return p
}

func counting(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*31 + i>>8)
	}
	return b
}

// uncut is what the kernel makes of segments that it leaves uncut: one packet with
// the sum of the pseudo header for a checksum.
func uncut(p []byte, segment int) []byte {
	o := offload{
		flags: offloadNeedsChecksum, kind: offloadTCP4, segment: uint16(segment),
		headers: uint16(len(p)), checksumStart: uint16(headerLen(p)), checksumAt: 16,
	}
	var head [offloadLen]byte
	o.put(&head)
	tcp := p[headerLen(p):]
	binary.BigEndian.PutUint16(tcp[16:], fold(pseudoSum(p)+uint32(len(tcp))))
	return append(head[:], p...)
}

var timestamps = []byte{1, 1, 8, 10, 0, 0, 0, 1, 0, 0, 0, 2}

// A packet that stands for many segments reaches the subscriber as these, each in a
// data message of its own, and each counted.
func TestUncutPacketIsCut(t *testing.T) {
	for _, c := range []struct {
		payload, segment int
		flags            byte
	}{{1, 1000, tcpFlagACK}, {1000, 1000, tcpFlagACK}, {1001, 1000, tcpFlagACK | tcpFlagPSH},
		{60000, 1408, tcpFlagACK | tcpFlagPSH | tcpFlagFIN}, {3000, 1000, tcpFlagACK | tcpFlagCWR}} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			p, m := newPath(t)
			install(p, record())
			payload := counting(c.payload)
			in := withID(tcpPacket("198.51.100.2", "10.64.0.7", 0xFFFFFF00, c.flags, timestamps, payload), 0xFFFE)
			p.down[0].frame(uncut(in, c.segment))
			count := (c.payload + c.segment - 1) / c.segment
			if len(m.sent) != count {
				t.Fatalf("%d data messages, want %d", len(m.sent), count)
			}
			total := 0
			for i, b := range m.sent {
				part := payload[i*c.segment : min((i+1)*c.segment, c.payload)]
				flags := c.flags
				if i > 0 {
					flags &^= tcpFlagCWR
				}
				if i < count-1 {
					flags &^= tcpFlagPSH | tcpFlagFIN
				}
				want := withID(tcpPacket("198.51.100.2", "10.64.0.7", 0xFFFFFF00+uint32(i*c.segment), flags, timestamps, part), 0xFFFE+uint16(i))
				if got := innerOf(t, b); !bytes.Equal(got, want) {
					t.Fatalf("segment %d:\n%x\nwant\n%x", i, got[:60], want[:60])
				}
				total += len(want)
			}
			onlyCounts(t, p, map[reason]uint64{downForwarded: uint64(count)})
			if got := p.Counters(3); got.DownPackets != uint64(count) || got.DownBytes != uint64(total) {
				t.Errorf("%+v, want %d packets and %d bytes", got, count, total)
			}
		})
	}
}

// Segments that can't be sent meet each its own end.
func TestUncutPacketRefused(t *testing.T) {
	in := tcpPacket("198.51.100.2", "10.64.0.7", 1, tcpFlagACK, nil, counting(4500))
	t.Run("too long", func(t *testing.T) {
		p, m := newPath(t)
		install(p, record())
		p.down[0].frame(uncut(bytes.Clone(in), 1460)) // 1500 bytes each, the last 160
		onlyCounts(t, p, map[reason]uint64{downTooBig: 3, downForwarded: 1, icmpSent: 3})
		if got := p.Counters(3); got.DownDropped != 3 || got.DownPackets != 1 || len(m.sent) != 1 {
			t.Errorf("%+v, %d sent", got, len(m.sent))
		}
	})
	t.Run("nobody there", func(t *testing.T) {
		p, _ := newPath(t)
		p.down[0].frame(uncut(bytes.Clone(in), 1460))
		onlyCounts(t, p, map[reason]uint64{downNoSession: 4, icmpSent: 4})
	})
	t.Run("contradictions", func(t *testing.T) {
		p, _ := newPath(t)
		install(p, record())
		for i, b := range [][]byte{
			uncut(bytes.Clone(in), 0),
			uncut(tcpPacket("198.51.100.2", "10.64.0.7", 1, tcpFlagACK, nil, nil), 1000),
			append(uncut(bytes.Clone(in), 1000)[:6], append([]byte{24, 0, 16, 0}, in...)...),
			append([]byte{1, 3, 0, 0, 1, 0, 20, 0, 6, 0}, in...),
			append([]byte{1, 0, 0, 0, 0, 0, 255, 255, 16, 0}, in...),
			in[:5],
		} {
			p.down[0].frame(b)
			if got := count(t, p, downReadError); got != uint64(i+1) {
				t.Errorf("case %d was taken", i)
			}
		}
	})
}

// The kernel leaves the checksums of the host's own packets to the device.
func TestChecksumIsCompleted(t *testing.T) {
	p, m := newPath(t)
	install(p, record())
	want := tcpPacket("198.51.100.2", "10.64.0.7", 1, tcpFlagACK, nil, counting(333))
	in := uncut(bytes.Clone(want), 0)
	in[1] = 0
	p.down[0].frame(in)
	if len(m.sent) != 1 || !bytes.Equal(innerOf(t, m.sent[0]), want) {
		t.Error("the checksum is wrong")
	}
	p.down[0].frame(append(make([]byte, offloadLen), want...))
	if len(m.sent) != 2 || !bytes.Equal(innerOf(t, m.sent[1]), want) {
		t.Error("a whole packet was changed")
	}
}

// What is joined on the way up and cut again is what came.
func FuzzJoinAndCut(f *testing.F) {
	f.Add(uint64(1))
	f.Add(uint64(time.Hour))
	f.Fuzz(func(t *testing.T, seed uint64) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		j := newJoiner(uplinkBatch, true)
		want, seqs := map[string][][]byte{}, map[string]uint32{}
		for range rnd.IntN(uplinkBatch) {
			src := fmt.Sprintf("10.64.0.%d", rnd.IntN(3))
			p := randomSegment(rnd, src, seqs)
			want[src] = append(want[src], bytes.Clone(p))
			at := rnd.IntN(2) * 12
			j.add(append(make([]byte, at), p...), at)
		}
		j.finish()
		got := map[string][][]byte{}
		m := &memory{}
		m.write(&j)
		for i, w := range m.written {
			for _, p := range cutAgain(t, m.headers[i], w) {
				src := fmt.Sprintf("%d.%d.%d.%d", p[12], p[13], p[14], p[15])
				got[src] = append(got[src], p)
			}
		}
		for src := range want {
			if len(got[src]) != len(want[src]) {
				t.Fatalf("%s: %d packets, want %d", src, len(got[src]), len(want[src]))
			}
			for i, p := range want[src] {
				// Identification has no meaning with DF.
				g := withID(bytes.Clone(got[src][i]), 0)
				if onesSum(p[:20]) == 0xFFFF {
					p = withID(p, 0)
				} else {
					g = got[src][i]
				}
				if !bytes.Equal(g, p) {
					t.Fatalf("%s, packet %d:\n%x\nwant\n%x", src, i, g, p)
				}
			}
		}
	})
}

// randomSegment is mostly the next one of the subscriber's connection.
func randomSegment(rnd *rand.Rand, src string, seqs map[string]uint32) []byte {
	if rnd.IntN(20) == 0 {
		return udpPacket(src, "198.51.100.2", flagDF, rnd.IntN(100))
	}
	n, flags := 100, byte(tcpFlagACK)
	var options []byte
	switch rnd.IntN(20) {
	case 0:
		n = rnd.IntN(200)
	case 1:
		flags |= tcpFlagPSH
	case 2:
		flags |= tcpFlagFIN
	case 3:
		options = timestamps
	case 4:
		seqs[src] += 5
	}
	p := tcpPacket(src, "198.51.100.2", seqs[src], flags, options, counting(n))
	seqs[src] += uint32(n)
	if rnd.IntN(20) == 0 {
		p[len(p)-1] ^= byte(1 + rnd.IntN(255)) // broken on the way
	}
	if rnd.IntN(40) == 0 {
		p[8]-- // header checksum wrong
	}
	return p
}

// cutAgain does what the kernel does with a packet from the device.
func cutAgain(t *testing.T, head [offloadLen]byte, p []byte) [][]byte {
	t.Helper()
	o := parseOffload(head[:])
	if o.kind == 0 {
		return [][]byte{p}
	}
	whole, ok := trimIPv4(p)
	s, fits := newSegmenter(&o, whole)
	if !ok || !fits || len(whole) != len(p) || onesSum(p[:20]) != 0xFFFF {
		t.Fatalf("the kernel would refuse %x", p[:40])
	}
	var out [][]byte
	for n := s.length(); n > 0; n = s.length() {
		b := make([]byte, n)
		s.next(b)
		out = append(out, b)
	}
	return out
}
