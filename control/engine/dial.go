package engine

import (
	"maps"
	"net/netip"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// dial is a tunnel that the operator wants, with what has become of it. It has a timer
// for the next attempt, and all attempts are made from there: never while another
// tunnel's events are acted on.
type dial struct {
	timer
	cfg *Outgoing
	t   *tunnel // the attempt, or what is up; nil between
	attempts
	calls []*placement
	since time.Time // when it came to be
}

// reconcile brings what the shard does for the operator in line with what is wanted.
func (s *Shard) reconcile(w *wishes) {
	wanted := w.of(s.index)
	for _, d := range slices.SortedFunc(maps.Values(s.dials), byName) {
		if o := wanted[d.cfg.Name]; o == nil || !o.same(d.cfg) {
			s.undial(d)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(wanted)) {
		d := s.dialOf(wanted[name])
		if d.cfg.Said != wanted[name].Said && d.over {
			d.again(s.now)
		}
		d.cfg = wanted[name]
		if d.t != nil {
			d.t.lac, d.t.trace = d.cfg.lac(), d.cfg.Trace
			s.watchIdle(d.t)
		}
		if d.t == nil && !d.over && d.next.IsZero() {
			d.next = s.now
		}
		s.reconcileCalls(d)
		s.wake(d)
	}
}

// dialOf finds or makes the shard's dial for o.
func (s *Shard) dialOf(o *Outgoing) *dial {
	d := s.dials[o.Name]
	if d == nil {
		d = &dial{cfg: o, since: s.now}
		s.dials[o.Name] = d
	}
	return d
}

// undial forgets what the operator does not want any more. A tunnel that is up goes on
// until it is dropped, as those of LACs do that are not let in any more.
func (s *Shard) undial(d *dial) {
	delete(s.dials, d.cfg.Name)
	s.timers.remove(d)
	d.over = true
	for _, p := range d.calls {
		p.over = true
	}
	if t := d.t; t != nil && t.facts == nil && t.closedAt.IsZero() {
		t.t.Close(s.now, l2tp.Result{Code: l2tp.StopClear, Message: "deleted by operator"}, &s.tout)
		s.pump(t)
	}
}

// wake sets the timer for whatever is next.
func (s *Shard) wake(d *dial) {
	if s.dials[d.cfg.Name] == d {
		s.timers.set(d, d.deadline())
	}
}

// deadline is when attend is to be called; the zero time is never.
func (d *dial) deadline() time.Time {
	if d.t == nil {
		if d.over {
			return time.Time{}
		}
		return d.next
	}
	var at time.Time
	if d.t.facts != nil {
		for _, p := range d.calls {
			if p.c == nil && !p.over {
				at = sooner(at, p.next)
			}
		}
	}
	return at
}

// attend does what is due.
func (s *Shard) attend(d *dial) {
	switch {
	case d.t == nil && d.due(s.now):
		s.dialNow(d)
	case d.t != nil && d.t.facts != nil:
		s.placeCalls(d)
	}
	s.wake(d)
}

// barred says why the operator's tunnels and calls may not be attempted now.
func (s *Shard) barred() string {
	switch {
	case s.shutdown:
		return "server is shutting down"
	case s.e.drain.Load():
		return "server is draining"
	case s.e.policy.Load().DenyLocal:
		return "refused by deny_local_tunnel_creates"
	}
	return ""
}

// dialNow makes an attempt: an SCCRQ is sent.
func (s *Shard) dialNow(d *dial) {
	if reason := s.barred(); reason != "" {
		d.pause(s.now, reason)
		return
	}
	policy := s.e.policy.Load()
	peer := d.cfg.Peer
	// The limits on what strangers may do to us do not hold here.
	if r := s.dir.admit(peer.Addr(), "", &Policy{Limits: Limits{Tunnels: policy.Limits.Tunnels}}, &LAC{}); r != admitted {
		d.pause(s.now, refusals[r].Message)
		return
	}
	id, ok := s.ids.Take(s.now)
	if !ok {
		s.counts.add(noTunnelID)
		s.dir.left(peer.Addr(), "", true)
		d.pause(s.now, "no tunnel id left")
		return
	}
	d.next, d.total = time.Time{}, d.total+1
	t := &tunnel{
		t:     l2tp.NewTunnel(d.cfg.L2TP, id, s.read),
		local: d.cfg.Local, peer: peer, created: s.now, dial: d, ours: true,
		policy: policy, lac: d.cfg.lac(), halfOpen: true, trace: d.cfg.Trace,
	}
	d.t = t
	s.tunnels[id] = t
	s.e.ports.Gate.TunnelUp(id, t.peer)
	s.counts.add(tunnelsOpened)
	s.counts.add(tunnelsDialed)
	s.tellTunnel(t, session.TunnelCreated, "")
	s.log.Info("opening tunnel", zap.String("name", d.cfg.Name), zap.Stringer("peer", peer), zap.Uint16("tunnel", id),
		zap.String("role", d.cfg.Role()), zap.Int("attempt", d.total))
	t.t.Open(s.now, &s.tout)
	s.pump(t)
}

// dialLost notes that the tunnel of a dial is closing, or gone.
func (s *Shard) dialLost(t *tunnel, reason string) {
	d := t.dial
	if d == nil || d.t != t {
		return
	}
	d.t = nil
	if s.dials[d.cfg.Name] != d {
		return // not wanted any more
	}
	wasUp := t.facts != nil
	if !wasUp {
		s.counts.add(dialsFailed)
	}
	d.lost(s.now, reason, wasUp, d.cfg.Persist, d.cfg.Retry, s.random16())
	if d.cfg.Persist {
		s.log.Info("tunnel to be opened again", zap.String("name", d.cfg.Name), zap.Stringer("peer", d.cfg.Peer),
			zap.String("reason", reason), zap.Duration("in", d.next.Sub(s.now)))
	}
	s.wake(d)
}

// dialUp goes on with the calls.
func (s *Shard) dialUp(t *tunnel) {
	if d := t.dial; d != nil && d.t == t {
		d.failed, d.reason = 0, ""
		for _, p := range d.calls {
			if p.c == nil && !p.over {
				p.next = s.now
			}
		}
		s.wake(d)
	}
}

// crossing returns the dial that has an SCCRQ on its way to a peer, nil for none.
func (s *Shard) crossing(peer netip.Addr) *dial {
	for _, d := range slices.SortedFunc(maps.Values(s.dials), byName) {
		if d.t != nil && d.t.ours && d.t.peer.Addr() == peer && d.t.t.State() == l2tp.WaitCtlReply {
			return d
		}
	}
	return nil
}

// tie decides between our SCCRQ and one that has just come from the same peer
// (RFC 2661 section 4.4.3, Tie Breaker). heed is false when the peer's is to be left
// without an answer; d is the dial whose place the peer's tunnel takes.
func (s *Shard) tie(p *packet, body []byte) (d *dial, heed bool) {
	if d = s.crossing(p.peer.Addr()); d == nil {
		return nil, true
	}
	var theirs *[8]byte
	if b, ok := l2tp.PeekTieBreaker(body); ok {
		theirs = &b
	}
	switch l2tp.CompareTieBreakers(d.t.t.TieBreaker(), theirs) {
	case l2tp.TieWon:
		s.counts.add(tiesWon)
		return nil, false
	case l2tp.TieLost:
		s.counts.add(tiesLost)
		s.discardDial(d)
		return d, true
	case l2tp.TieEqual:
		// "both sides MUST discard their tunnels": the next attempt draws anew.
		s.counts.add(tiesLost)
		t := d.t
		t.t.Discard(&s.tout)
		s.pump(t)
		return nil, false
	}
	return nil, true // "two separate tunnels are opened"
}

// takenOver looks whether the peer's tunnel has taken the place of the dial's own
// attempt, or was refused.
func (s *Shard) takenOver(d *dial) {
	if d == nil || d.t != nil || !d.next.IsZero() || d.over {
		return
	}
	d.lost(s.now, "the peer's attempt came first, and was refused", false, d.cfg.Persist, d.cfg.Retry, s.random16())
	s.wake(d)
}

// discardDial drops our attempt without a word to the peer, whose own takes its place.
func (s *Shard) discardDial(d *dial) {
	t := d.t
	d.t = nil
	t.t.Discard(&s.tout)
	s.pump(t)
}
