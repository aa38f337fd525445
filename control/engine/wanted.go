package engine

import (
	"cmp"
	"context"
	"slices"

	"github.com/lnsd/lnsd/control/session"
)

// Outgoing shows the tunnels that the operator wants, by name, with their calls.
func (e *Engine) Outgoing(ctx context.Context) ([]session.OutgoingView, error) {
	var all []session.OutgoingView
	for i := range e.shards {
		var part []session.OutgoingView
		if err := e.on(ctx, i, func(s *Shard) { part = s.Outgoing() }); err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	slices.SortFunc(all, func(a, b session.OutgoingView) int { return cmp.Compare(a.Name, b.Name) })
	return all, nil
}

// Outgoing shows the shard's part, in no order.
func (s *Shard) Outgoing() []session.OutgoingView {
	var out []session.OutgoingView
	for _, d := range s.dials {
		out = append(out, s.viewDial(d))
	}
	return out
}

func (s *Shard) viewDial(d *dial) session.OutgoingView {
	v := session.OutgoingView{
		Name: d.cfg.Name, Role: d.cfg.Role(), Local: d.cfg.Local, Peer: d.cfg.Peer, Persist: d.cfg.Persist,
		Reason: d.reason, Attempts: d.total, Since: d.since, State: "waiting",
	}
	switch t := d.t; {
	case t != nil:
		v.Local, v.Peer, v.TunnelID, v.HostName, v.Sessions = t.local, t.peer, t.id(), t.name, t.sessions
		v.State = "opening"
		if t.facts != nil {
			v.State = "up"
		}
	case d.over:
		v.State = "over"
	default:
		v.RetryAt = d.next
	}
	for _, p := range d.calls {
		v.Calls = append(v.Calls, s.viewPlacement(d, p))
	}
	return v
}

func (s *Shard) viewPlacement(d *dial, p *placement) session.PlacedView {
	v := session.PlacedView{
		Name: p.cfg.Name, Tunnel: d.cfg.Name, Type: d.cfg.CallType(), Persist: p.cfg.Persist,
		Reason: p.reason, Attempts: p.total, User: p.cfg.Session.PPP.User,
	}
	switch {
	case p.c != nil:
		x := p.c.s.View(s.e.ports.Forwarder)
		v.State, v.Ref, v.Slot, v.Peer = x.State, x.Ref, x.Slot, x.Address
		v.Own = x.Own
		if x.User != "" {
			v.User = x.User
		}
		if !p.cfg.Session.PPP.Client && x.Address.IsValid() {
			v.Own = p.cfg.Session.LocalAddress
		}
	case p.over:
		v.State = "over"
	case d.t == nil || d.t.facts == nil:
		v.State = "tunnel"
	default:
		v.State, v.RetryAt = "waiting", p.next
	}
	return v
}

// Retry makes what is over, or waits, try at once: the tunnel of a name, and its calls.
func (e *Engine) Retry(ctx context.Context, name string) error {
	w := e.wishes.Load()
	home, ok := w.homes[name]
	if !ok {
		return ErrNotFound
	}
	return e.on(ctx, home, func(s *Shard) {
		d := s.dials[name]
		if d == nil {
			return
		}
		if d.t == nil {
			d.again(s.now)
		}
		for _, p := range d.calls {
			if p.c == nil {
				p.again(s.now)
			}
		}
		s.wake(d)
	})
}
