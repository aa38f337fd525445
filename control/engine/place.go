package engine

import (
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
)

// placement is a call that the operator wants in a tunnel.
type placement struct {
	cfg *OutgoingCall
	d   *dial
	c   *call // nil while there is none
	attempts
	wasUp bool // the session that ended last had been up
}

// reconcileCalls brings the calls of a tunnel in line with what is wanted.
func (s *Shard) reconcileCalls(d *dial) {
	d.calls = slices.DeleteFunc(d.calls, func(p *placement) bool {
		if d.cfg.call(p.cfg.Name) != nil {
			return false
		}
		p.over = true // what is up goes on until it is dropped
		return true
	})
	for i := range d.cfg.Calls {
		o := &d.cfg.Calls[i]
		p := d.placement(o.Name)
		if p == nil {
			p = &placement{d: d, attempts: attempts{next: s.now}}
			d.calls = append(d.calls, p)
		} else if p.over && p.cfg.Said != o.Said {
			p.again(s.now)
		}
		p.cfg = o
	}
}

func (d *dial) placement(name string) *placement {
	for _, p := range d.calls {
		if p.cfg.Name == name {
			return p
		}
	}
	return nil
}

// placeCalls places the calls that are due.
func (s *Shard) placeCalls(d *dial) {
	for _, p := range d.calls {
		if p.c == nil && p.due(s.now) {
			s.place(d.t, p)
		}
		if d.t == nil {
			return // it did not outlive that
		}
	}
}

// place sends an ICRQ or, of an LNS, an OCRQ.
func (s *Shard) place(t *tunnel, p *placement) {
	if reason := s.barred(); reason != "" {
		p.pause(s.now, reason)
		return
	}
	held, why := s.hold(t)
	if why != "" {
		p.pause(s.now, why)
		return
	}
	p.next, p.total, p.reason, p.wasUp = time.Time{}, p.total+1, "", false
	params := p.cfg.Params
	params.Serial = held.ref.Serial // RFC 2661 section 4.4.4: by which both ends log the call
	lc, err := t.t.PlaceCall(s.now, held.ref.SessionID, &params, &s.tout)
	if err != nil {
		s.unhold(t, held)
		s.placeLost(p, err.Error(), false)
		return
	}
	p.c = s.enter(t, lc, p.cfg.Session, held)
	p.c.wish = p
	s.counts.add(callsPlaced)
	s.log.Info("placing call", zap.String("name", p.cfg.Name), zap.String("tunnel_name", p.d.cfg.Name),
		zap.Uint16("tunnel", t.id()), zap.Uint16("session", held.ref.SessionID), zap.String("type", p.d.cfg.CallType()))
	s.pump(t)
}

// callAccepted takes the peer's id of a call that we have placed.
func (s *Shard) callAccepted(t *tunnel, lc *l2tp.Call) {
	if c := s.callOf(t, lc); c != nil && c.wish != nil {
		c.s.CallAccepted(lc.PeerID)
	}
}

// placedOver notes that the session of a placed call is forgotten.
func (s *Shard) placedOver(c *call) {
	p := c.wish
	if p == nil || p.c != c {
		return
	}
	p.c = nil
	s.placeLost(p, p.reason, p.wasUp)
}

func (s *Shard) placeLost(p *placement, reason string, wasUp bool) {
	if p.over {
		return
	}
	p.lost(s.now, reason, wasUp, p.cfg.Persist, p.cfg.Retry, s.random16())
	s.wake(p.d)
}
