package maps

import (
	"encoding/binary"
	"slices"
	"testing"
)

// mssCases: options in, options out, with the session's limit of 1380.
func mssCases() []struct {
	name    string
	flags   byte
	frag    uint16
	in, out []byte
} {
	mss := func(v uint16) []byte { return []byte{2, 4, byte(v >> 8), byte(v)} }
	const SYN, ACK = 0x02, 0x10
	return []struct {
		name    string
		flags   byte
		frag    uint16
		in, out []byte
	}{
		{"a larger MSS in a SYN is lowered", SYN, 0, mss(1460), mss(1380)},
		{"a larger MSS in a SYN-ACK is lowered", SYN | ACK, 0, mss(9000), mss(1380)},
		{"the limit itself stays", SYN, 0, mss(1380), mss(1380)},
		{"a smaller MSS stays", SYN, 0, mss(536), mss(536)},
		{"without SYN it is not looked at", ACK, 0, mss(1460), mss(1460)},
		{"a SYN without options stays", SYN, 0, nil, nil},
		{"at an odd place it is lowered", SYN, 0, slices.Concat([]byte{1}, mss(1460)), slices.Concat([]byte{1}, mss(1380))},
		{"behind other options it is lowered", SYN, 0, slices.Concat([]byte{3, 3, 7, 4, 2}, mss(1460)), slices.Concat([]byte{3, 3, 7, 4, 2}, mss(1380))},
		{"as the last of forty bytes it is lowered", SYN, 0, slices.Concat(slices.Repeat([]byte{1}, 36), mss(1460)), slices.Concat(slices.Repeat([]byte{1}, 36), mss(1380))},
		{"behind the end of options it is not looked at", SYN, 0, slices.Concat([]byte{0, 0, 0, 0}, mss(1460)), slices.Concat([]byte{0, 0, 0, 0}, mss(1460))},
		{"an option of length 0 ends the search", SYN, 0, slices.Concat([]byte{3, 0}, mss(1460)), slices.Concat([]byte{3, 0}, mss(1460))},
		{"an option of length 1 ends the search", SYN, 0, slices.Concat([]byte{3, 1}, mss(1460)), slices.Concat([]byte{3, 1}, mss(1460))},
		{"an option that overruns ends the search", SYN, 0, slices.Concat([]byte{3, 200}, mss(1460)), slices.Concat([]byte{3, 200}, mss(1460))},
		{"an MSS of another length stays", SYN, 0, []byte{2, 3, 9, 9}, []byte{2, 3, 9, 9}},
		{"only the first MSS counts", SYN, 0, slices.Concat(mss(1300), mss(1460)), slices.Concat(mss(1300), mss(1460))},
		{"a first fragment is not looked at", SYN, 0x2000, mss(1460), mss(1460)},
		{"a later fragment is not looked at", SYN, 5, mss(1460), mss(1460)},
	}
}

// TestMSS: the same rules hold in both directions, and the TCP checksum stays right.
func TestMSS(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	policy := subscriberSession().Policy
	for _, c := range mssCases() {
		up := header{src: subscriber, dst: server, protocol: 6, frag: c.frag}
		down := header{src: server, dst: subscriber, protocol: 6, frag: c.frag}
		in, out := up.packet(syn(subscriber, server, c.flags, c.in)), up.packet(syn(subscriber, server, c.flags, c.out))
		testCase{in: uplinkFrame(in), reason: "sent_up", out: toCore(out), slot: counted(7, "up", len(in))}.check(t, w, reached{})
		in, out = down.packet(syn(server, subscriber, c.flags, c.in)), down.packet(syn(server, subscriber, c.flags, c.out))
		testCase{dev: "core0", in: downlinkFrame(in), reason: "sent_down", out: toPeer(policy, out), slot: counted(7, "down", len(in))}.check(t, w, reached{})
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
}

// TestMSSLengthLies: a data offset that contradicts the packet leaves it alone.
func TestMSSLengthLies(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	h := header{src: subscriber, dst: server, protocol: 6}
	good := syn(subscriber, server, 2, []byte{2, 4, 0x05, 0xB4})
	for offset := range 16 {
		segment := slices.Clone(good)
		segment[12] = byte(offset << 4)
		inner := h.packet(segment)
		out := slices.Clone(inner)
		if offset == 6 { // the right one
			out = clamped(inner, 1380)
		}
		testCase{in: uplinkFrame(inner), reason: "sent_up", out: toCore(out), slot: counted(7, "up", len(inner))}.check(t, w, reached{})
		if t.Failed() {
			t.Fatalf("data offset %d", offset)
		}
	}
}

// TestMSSAsAnyValue: every announced value gives min(value, limit) and a right
// checksum, also where the sum wraps.
func TestMSSAsAnyValue(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	for v := 1; v <= 0xFFFF; v += 251 {
		options := []byte{1, 2, 4, byte(v >> 8), byte(v)}
		_, out := w.run(t, "lac0", uplinkFrame(header{src: subscriber, dst: server, protocol: 6}.packet(syn(subscriber, server, 2, options))))
		tcp := out[34:]
		if l4Sum(subscriber, server, 6, tcp) != 0 {
			t.Fatalf("MSS %d: wrong checksum", v)
		}
		if got := int(binary.BigEndian.Uint16(tcp[23:])); got != min(v, 1380) {
			t.Fatalf("MSS %d: became %d", v, got)
		}
	}
}
