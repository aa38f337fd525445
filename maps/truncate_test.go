package maps

import (
	"slices"
	"testing"
)

// TestTruncated: a valid frame cut at any length is never forwarded, and ends
// with a reason that says what is missing.
func TestTruncated(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	inner := fromSubscriber(20)
	up := fromPeer(l2tpData{length: true, sequence: true, offset: 3, ppp: longPPP}.message(inner))
	down := downlinkFrame(toSubscriber(20))
	for _, c := range []struct {
		dev   string
		frame []byte
	}{{"lac0", up}, {"core0", down}} {
		for n := 14; n < len(c.frame); n++ { // a test run takes no frame below 14
			before := w.snapshot(t)
			verdict, out := w.run(t, c.dev, c.frame[:n])
			if verdict != xdpPass {
				t.Fatalf("%s cut to %d bytes: %s", c.dev, n, xdpNames[verdict])
			}
			compare(t, out, c.frame[:n])
			want := []string{"pass_malformed +1 +" + itoa(n) + " bytes"}
			if got := w.snapshot(t).moved(before); !slices.Equal(got, want) {
				t.Fatalf("%s cut to %d bytes: moved %q, want %q", c.dev, n, got, want)
			}
		}
	}
}

// TestTruncatedMessage: the same for the L2TP message in a datagram whose own
// lengths are right: the L2TP and PPP headers are what is missing.
func TestTruncatedMessage(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	message := l2tpData{sequence: true, offset: 3, ppp: longPPP}.message(fromSubscriber(20))
	const header = 6 + 4 + 2 + 3
	for n := range message {
		frame := fromPeer(message[:n])
		want := testCase{in: frame, reason: "drop_l2tp"}
		switch {
		case n >= header+len(longPPP):
			want.reason, want.slot = "drop_malformed", dropped(7, "up", CauseMalformed)
		case n == header+1: // FF alone: the slow path reads it as a protocol
			want.reason = "punt_ppp_other"
		case n >= header: // of a session by then
			want.slot = dropped(7, "up", CauseMalformed)
		}
		want.check(t, w, reached{})
		if t.Failed() {
			t.Fatalf("message cut to %d bytes", n)
		}
	}
}

// TestEveryByte: no change of a header byte makes the program forward a packet
// that the Go model would not, nor forward it differently.
func TestEveryByte(t *testing.T) {
	w := newWorld(t)
	s := subscriberSession()
	w.install(t, s)
	frame := fromPeer(l2tpData{length: true, sequence: true, offset: 3, ppp: longPPP}.message(fromSubscriber(20)))
	for at := atOuterIP; at < len(frame)-20; at++ {
		was := frame[at]
		values := []byte{0, 0xFF, was + 1, was - 1}
		for bit := range 8 {
			values = append(values, was^1<<bit)
		}
		for _, v := range values {
			mutant := slices.Clone(frame)
			mutant[at] = v
			againstModel(t, w, "lac0", mutant, func() ([]byte, bool) { return modelUp(s.Policy, dress{}, mutant) })
			if t.Failed() {
				t.Fatalf("byte %d = %#x", at, v)
			}
		}
	}
}
