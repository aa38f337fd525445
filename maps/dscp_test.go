package maps

import "testing"

// TestOuterDSCP: the outer code point is none, a fixed one, or that of the inner
// packet, whose own TOS stays; the ECN bits outside are always 0.
func TestOuterDSCP(t *testing.T) {
	w := newWorld(t)
	w.install(t, session6())
	v4 := func(tos byte) []byte {
		return header{src: server, dst: subscriber, protocol: 17, tos: tos}.packet(data(20))
	}
	v6 := func(class byte) []byte {
		return header6{src: server6, dst: sub6, next: 17, class: class}.packet(data(20))
	}
	for _, c := range []struct {
		flag                kernelLnsFlag
		tos, inner, outside byte
	}{
		{0, 0, 0xBB, 0}, {0, 0xB8, 0, 0xB8}, {0, 0xB8, 0xFF, 0xB8},
		{FlagCopyDSCP, 0x20, 0xBB, 0xB8}, {FlagCopyDSCP, 0x20, 0xFF, 0xFC}, {FlagCopyDSCP, 0x20, 3, 0}, {FlagCopyDSCP, 0, 0x4A, 0x48},
	} {
		s := session6()
		s.Policy.Flags |= c.flag
		s.Policy.OuterTos = c.tos
		w.must(w.m.Install(s))
		for _, frame := range [][]byte{downlinkFrame(v4(c.inner)), downlink6Frame(v6(c.inner))} {
			verdict, out := w.run(t, "core0", frame)
			if verdict != xdpRedirect {
				t.Fatalf("verdict %s", xdpNames[verdict])
			}
			if out[15] != c.outside {
				t.Errorf("%+v: outer TOS %#x", c, out[15])
			}
			compare(t, out, toPeer(s.Policy, frame[14:]))
		}
	}
}
