package shape

import (
	"fmt"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/tcpsim"
)

// gate lets simulated packets through s: flows of TCP, and a ping as flow -1.
func gate(s *Shaper) func(time.Duration, int, int) bool {
	buffer := make([]byte, tcpsim.Packet)
	return func(at time.Duration, flow, size int) bool {
		p := buffer[:size]
		p[0], p[9], p[20] = 0x45, protocolTCP, byte(flow)
		if flow < 0 {
			p[9] = 1
		}
		return s.Admit(p, at)
	}
}

// TestTCP: one flow and eight get what the rate leaves, share it fairly, and a ping
// beside them is not lost, over ways so short that TCP's least window is more than the
// rate and over such as subscribers have.
func TestTCP(t *testing.T) {
	const ping, every = 84, 50 * time.Millisecond
	for _, c := range []struct {
		rate  uint64
		lasts time.Duration
		rtts  []time.Duration
	}{
		{1e6, 10 * time.Second, []time.Duration{100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond, 40 * time.Millisecond}},
		{10e6, 10 * time.Second, []time.Duration{100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond}},
		{100e6, 8 * time.Second, []time.Duration{100 * time.Microsecond, time.Millisecond, 10 * time.Millisecond}},
		{1e9, 2 * time.Second, []time.Duration{time.Millisecond}},
	} {
		for _, rtt := range c.rtts {
			for _, flows := range []int{1, 8} {
				t.Run(fmt.Sprintf("%d/%v/%d", c.rate, rtt, flows), func(t *testing.T) {
					t.Parallel()
					r := tcpsim.Run(tcpsim.Setup{
						Flows: flows, RTT: rtt, Link: 2e9, Lasts: c.lasts, Pings: every, Start: time.Hour,
						Admit: gate(New(session.Rate{Bits: c.rate}, 1)),
					})
					pings := ping * 8 / every.Seconds()
					share := r.Goodput(c.lasts) / ((float64(c.rate) - pings) * tcpsim.Payload / tcpsim.Packet)
					t.Logf("%.1f %%, Jain %.3f, %d timeouts, %d of %d pings lost", 100*share, r.Jain(), r.Timeouts, r.PingsLost, r.Pings)
					if share < 0.97 {
						t.Errorf("goodput %.1f %% of what the rate leaves", 100*share)
					}
					if j := r.Jain(); j < 0.95 {
						t.Errorf("Jain index %.3f", j)
					}
					if r.PingsLost*50 > r.Pings {
						t.Errorf("%d of %d pings were lost", r.PingsLost, r.Pings)
					}
				})
			}
		}
	}
}

// TestUDP: a flood has the rate in each second, the first as well.
func TestUDP(t *testing.T) {
	p := packet(protocolUDP, 1)
	for _, rate := range []uint64{1e6, 10e6, 100e6, 1e9} {
		s, want := New(session.Rate{Bits: rate}, 1), float64(rate)/8
		for second := range 3 {
			passed, step := 0.0, time.Duration(float64(len(p))*8e9/float64(rate)/2) // twice the rate
			for at := time.Duration(0); at < time.Second; at += step {
				if s.Admit(p, time.Hour+time.Duration(second)*time.Second+at) {
					passed += float64(len(p))
				}
			}
			if slack := max(want/100, float64(len(p))); passed < want-slack || passed > want+slack {
				t.Errorf("%d bit/s, second %d: %.0f bytes, want %.0f", rate, second+1, passed, want)
			}
		}
	}
}
