package maps

import (
	"slices"
	"testing"

	"github.com/lnsd/lnsd/control/session"
)

// marked is an uplink frame with a TOS outside.
func marked(frame []byte, tos byte) []byte {
	frame = slices.Clone(frame)
	frame[15] = tos
	putHeaderChecksum(frame[14:34])
	return frame
}

// ecnCases are packets marked outside that can't be inside.
func ecnCases() []testCase {
	with := replaceSession6(func(s *Session) { s.Policy.Flags |= FlagECN })
	v4, v6 := fromSubscriber(20), udp6(sub6, server6, 20)
	return []testCase{
		{name: "a mark that cannot go inside drops the packet", in: marked(uplinkFrame(v4), 3), reason: "drop_ecn", slot: badUp, with: with},
		{name: "a mark that cannot go inside IPv6 drops the packet", in: marked(uplink6Frame(v6), 3), reason: "drop_ecn", slot: badUp, with: with},
		{name: "without ECN the mark is nobody's", in: marked(uplinkFrame(v4), 3), reason: "sent_up", out: toCore(v4), slot: counted(7, "up", len(v4))},
	}
}

func TestECNDrops(t *testing.T) {
	w := newWorld(t)
	runCases6(t, w, ecnCases())
}

// TestECN: all of figure 4 of RFC 6040 on the way in, copies on the way out, in
// IPv4 and IPv6, with checksums right.
func TestECN(t *testing.T) {
	w := newWorld(t)
	s := session6()
	s.Policy.Flags |= FlagECN
	w.install(t, s)
	for inner := range byte(4) {
		v4 := header{src: subscriber, dst: server, protocol: 17, tos: 0xB8 | inner}.packet(data(20))
		v6 := header6{src: sub6, dst: server6, next: 17, class: 0xB8 | inner}.packet(data(20))
		for outer := range byte(4) {
			tos, ok := session.CombineECN(outer, 0xB8|inner)
			if !ok {
				continue
			}
			v4out := header{src: subscriber, dst: server, protocol: 17, tos: tos}.packet(data(20))
			testCase{in: marked(uplinkFrame(v4), 0x20|outer), reason: "sent_up", out: toCore(v4out), slot: counted(7, "up", 40)}.check(t, w, reached{})
			v6out := header6{src: sub6, dst: server6, next: 17, class: tos}.packet(data(20))
			testCase{in: marked(uplink6Frame(v6), 0x20|outer), reason: "sent_up", out: toCore6(v6out), slot: counted6(7, "up", 60)}.check(t, w, reached{})
			if t.Failed() {
				t.Fatalf("outer %d, inner %d", outer, inner)
			}
		}
		v4 = header{src: server, dst: subscriber, protocol: 17, tos: 0xB8 | inner}.packet(data(20))
		v6 = header6{src: server6, dst: sub6, next: 17, class: 0xB8 | inner}.packet(data(20))
		for _, frame := range [][]byte{downlinkFrame(v4), downlink6Frame(v6)} {
			_, out := w.run(t, "core0", frame)
			compare(t, out, toPeer(s.Policy, frame[14:]))
			if out[15] != inner {
				t.Errorf("outer TOS %#x, want %#x", out[15], inner)
			}
		}
	}
}

// TestECNHairpin: a mark outside on the way in is inside, and outside again, on the
// way to another subscriber.
func TestECNHairpin(t *testing.T) {
	w := newWorld(t)
	s := session6()
	s.Policy.Flags |= FlagECN
	w.install(t, s)
	other := anotherSession()
	other.Policy.Flags |= FlagECN | FlagUDPChecksum
	w.install(t, other)
	in, out := toAnother(header{tos: 0xB8 | 2}, 20), toAnother(header{tos: 0xB8 | 3}, 20)
	testCase{in: marked(uplinkFrame(in), 3), reason: "sent_hairpin", out: toPeer(other.Policy, out),
		slot: slices.Concat(counted(7, "up", len(in)), counted(8, "down", len(in)))}.check(t, w, reached{})
	lost := toAnother(header{tos: 0xB8}, 20)
	testCase{in: marked(uplinkFrame(lost), 3), reason: "drop_ecn", slot: badUp}.check(t, w, reached{})
}
