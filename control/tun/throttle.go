package tun

import (
	"math/rand/v2"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/shape"
)

// setRate holds a direction of a session to a rate. What has passed is not forgotten
// when the rate changes.
func setRate(at *atomic.Pointer[shape.Shaper], r session.Rate) {
	s := at.Load()
	switch {
	case s != nil:
		s.SetRate(r)
	case r.Limited():
		at.Store(shape.New(r, rand.Uint64()))
	}
}

// throttles reports whether packets to the session are held to a rate, each by
// itself.
func (c *liveCounter) throttles() bool { return c.shapeDown.Load() != nil }

// admitsUp and admitsDown report whether a packet is within the session's rate, and
// count it if it is not. XDP
// counts what it forwards against the same rate by itself: what is punted to here is
// little, and what has to wait for nobody should not wait for two.
func (p *Path) admitsUp(c *liveCounter, packet []byte) bool {
	s := c.shapeUp.Load()
	if s == nil || s.Admit(packet, p.clock()) {
		return true
	}
	c.upThrottled.Add(1)
	return false
}

func (p *Path) admitsDown(c *liveCounter, packet []byte) bool {
	s := c.shapeDown.Load()
	if s == nil || s.Admit(packet, p.clock()) {
		return true
	}
	c.downThrottled.Add(1)
	return false
}
