package maps

import (
	"encoding/binary"
	"fmt"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/shape"
	"github.com/lnsd/lnsd/test/tcpsim"
)

// simulated is a packet of size bytes to the subscriber, or from it, of a flow of TCP;
// flow -1 is a ping, and -2 a flow of UDP.
func simulated(up bool, flow, size int) []byte {
	h := header{src: server, dst: subscriber, protocol: 6}
	if up {
		h.src, h.dst = h.dst, h.src
	}
	payload := make([]byte, size-20)
	switch flow {
	case -1:
		h.protocol = 1
	case -2:
		h.protocol = 17
		binary.BigEndian.PutUint16(payload[4:], uint16(len(payload)))
	default:
		binary.BigEndian.PutUint16(payload[2:], uint16(1000+flow))
		payload[12], payload[13] = 5<<4, 0x10 // five words of header, ACK
	}
	return h.packet(payload)
}

// TestThrottleIsTheModel: packet by packet, at the time of a simulation, the program
// says what control/shape says; so what that package's tests show of TCP, they show of
// the program. What is left out is that sessions within their rate pay ahead, which
// goes by the kernel's own clock.
func TestThrottleIsTheModel(t *testing.T) {
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, IPv6: true, Without: PartAdvance})
	start := 9000 * time.Hour // far from the time since boot, from which a session's credit begins
	for _, c := range []struct {
		rate, burst uint64 // bytes
		flows       int
		rtt, lasts  time.Duration
		up          bool
	}{
		{64e3, 0, 2, 20 * time.Millisecond, 20 * time.Second, false},
		{1e6, 0, 8, 100 * time.Microsecond, 10 * time.Second, true},
		{10e6, 0, 8, time.Millisecond, 6 * time.Second, false},
		{10e6, 50_000, 3, 10 * time.Millisecond, 3 * time.Second, true},
		{100e6, 0, 1, 10 * time.Millisecond, time.Second, false},
		{1e9, 1_000_000, 4, 100 * time.Microsecond, 150 * time.Millisecond, true},
	} {
		t.Run(fmt.Sprintf("%d_%d_%v", c.rate, c.burst, c.up), func(t *testing.T) {
			w.enter(t)
			burst := max(time.Second, time.Duration(24000*8e9/float64(c.rate)))
			if c.burst > 0 {
				burst = time.Duration(float64(c.burst) * 8 / float64(c.rate) * float64(time.Second))
			}
			limit := Limit{Bits: c.rate, Burst: burst}
			limited(limit, limit)(w, t)
			s := shape.New(session.Rate{Bits: c.rate, Burst: uint32(c.burst)}, 1)
			packets := 0
			admit := func(at time.Duration, flow, size int) bool {
				packet := simulated(c.up, flow, size)
				dev, frame := "core0", downlinkFrame(packet)
				if c.up {
					dev, frame = "lac0", uplinkFrame(packet)
				}
				w.clock(t, at)
				verdict, _ := w.run(t, dev, frame)
				passes := s.Admit(packet, at)
				if passes != (verdict == xdpRedirect) {
					t.Fatalf("packet %d, after %v, of flow %d: passes %v, and the program says %d", packets, at-start, flow, passes, verdict)
				}
				packets++
				return passes
			}
			next := start
			tcpsim.Run(tcpsim.Setup{
				Flows: c.flows, RTT: c.rtt, Link: 2e9, Lasts: c.lasts, Pings: 50 * time.Millisecond, Start: start,
				Admit: func(at time.Duration, flow, size int) bool {
					// A flood beside them that begins in the middle.
					for ; at > start+c.lasts/2 && next < at; next += time.Duration(700 * 8e9 / float64(c.rate)) {
						next = max(next, start+c.lasts/2)
						admit(next, -2, 1400)
					}
					return admit(at, flow, size)
				},
			})
			t.Logf("%d packets", packets)
		})
		start += 1000 * time.Second // flows of one run are forgotten in the next
	}
}
