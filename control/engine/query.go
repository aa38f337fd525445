package engine

import (
	"cmp"
	"context"
	"net/netip"
	"slices"

	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// chunk is how many sessions or leases are looked at in one go: a shard that
// lists must not keep its peers waiting.
const chunk = 512

// on runs f in a shard and waits for it.
func (e *Engine) on(ctx context.Context, shard int, f func(*Shard)) error {
	done := make(chan struct{})
	e.in.call(shard, func(s *Shard) {
		f(s)
		close(done)
	})
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-e.stopped:
		return ErrStopped
	}
}

func (e *Engine) shardOf(tunnelID uint16) int { return int(tunnelID & e.in.mask) }

// listed is a session before it is looked at.
type listed struct {
	slot uint32
	ref  session.Ref
}

// Sessions calls yield with all sessions in the order of their slots, some hundreds
// at a time; the slice is the callee's. It ends with yield's first error. Sessions
// that come or go meanwhile may be missing.
func (e *Engine) Sessions(ctx context.Context, yield func([]session.View) error) error {
	var all []listed
	for i := range e.shards {
		var part []listed
		if err := e.on(ctx, i, func(s *Shard) { part = s.list() }); err != nil {
			return err
		}
		all = append(all, part...)
	}
	slices.SortFunc(all, func(a, b listed) int { return cmp.Compare(a.slot, b.slot) })
	for some := range slices.Chunk(all, chunk) {
		views, err := e.look(ctx, some)
		if err != nil {
			return err
		}
		if err := yield(views); err != nil {
			return err
		}
	}
	return nil
}

func (s *Shard) list() []listed {
	list := make([]listed, 0, len(s.calls))
	for _, c := range s.calls {
		list = append(list, listed{c.s.Slot(), c.s.Ref()})
	}
	return list
}

// look shows those of some that still live, in the order of their slots.
func (e *Engine) look(ctx context.Context, some []listed) ([]session.View, error) {
	byShard := make([][]session.Ref, len(e.shards))
	for _, l := range some {
		i := e.shardOf(l.ref.TunnelID)
		byShard[i] = append(byShard[i], l.ref)
	}
	views := make([]session.View, 0, len(some))
	for i, refs := range byShard {
		if len(refs) == 0 {
			continue
		}
		part, err := e.views(ctx, i, refs)
		if err != nil {
			return nil, err
		}
		views = append(views, part...)
	}
	slices.SortFunc(views, func(a, b session.View) int { return cmp.Compare(a.Slot, b.Slot) })
	return views, nil
}

// views shows those of refs that still live in a shard.
func (e *Engine) views(ctx context.Context, shard int, refs []session.Ref) ([]session.View, error) {
	views := make([]session.View, 0, len(refs))
	err := e.on(ctx, shard, func(s *Shard) {
		for _, r := range refs {
			if c := s.live(r); c != nil {
				views = append(views, c.s.View(s.e.ports.Forwarder))
			}
		}
	})
	if err != nil {
		return nil, err // views may still be written to
	}
	return views, nil
}

// Session finds a session by its slot.
func (e *Engine) Session(ctx context.Context, slot uint32) (session.View, error) {
	ref, ok := e.dir.find(slot)
	if !ok {
		return session.View{}, ErrNotFound
	}
	views, err := e.views(ctx, e.shardOf(ref.TunnelID), []session.Ref{ref})
	if err != nil {
		return session.View{}, err
	}
	if len(views) == 0 {
		return session.View{}, ErrNotFound
	}
	return views[0], nil
}

// UserSessions finds the sessions of a user.
func (e *Engine) UserSessions(ctx context.Context, user string) ([]session.View, error) {
	var all []session.View
	for _, ref := range e.dir.ofUser(user) {
		views, err := e.views(ctx, e.shardOf(ref.TunnelID), []session.Ref{ref})
		if err != nil {
			return nil, err
		}
		all = append(all, views...)
	}
	return all, nil
}

// Tunnels returns all tunnels by their ids, also those that are only waiting for the
// last acknowledgement.
func (e *Engine) Tunnels(ctx context.Context) ([]session.TunnelView, error) {
	var all []session.TunnelView
	for i := range e.shards {
		var part []session.TunnelView
		err := e.on(ctx, i, func(s *Shard) {
			for _, t := range s.tunnels {
				part = append(part, t.view())
			}
		})
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	slices.SortFunc(all, func(a, b session.TunnelView) int { return cmp.Compare(a.TunnelID, b.TunnelID) })
	return all, nil
}

// Tunnel finds a tunnel by our id.
func (e *Engine) Tunnel(ctx context.Context, id uint16) (session.TunnelView, error) {
	var v session.TunnelView
	found := false
	err := e.on(ctx, e.shardOf(id), func(s *Shard) {
		if t := s.tunnels[id]; t != nil {
			v, found = t.view(), true
		}
	})
	if err != nil {
		return session.TunnelView{}, err
	}
	if !found {
		return session.TunnelView{}, ErrNotFound
	}
	return v, nil
}

func (t *tunnel) view() session.TunnelView {
	st := t.t.Stats()
	v := session.TunnelView{
		TunnelID: t.id(), PeerTunnelID: t.t.PeerID(), State: t.t.State().String(),
		Local: t.local, Peer: t.peer, HostName: t.name, Name: t.outgoing(), Sessions: t.sessions, Created: t.created,
		Transport: session.TransportView{
			Ns: st.Ns, Nr: st.Nr, PeerNs: st.PeerNs, PeerNr: st.PeerNr,
			Window: st.Window, PeerWindow: st.PeerWindow, Cwnd: st.Cwnd, Ssthresh: st.Ssthresh,
			Queued: st.Queued, Unacked: st.Unacked, Sent: st.Sent, Received: st.Received,
			ZLBSent: st.ZLBSent, ZLBReceived: st.ZLBReceived,
			HelloSent: st.HelloSent, HelloRecv: st.HelloReceived,
			Retransmits: st.Retransmits, Duplicates: st.Duplicates,
			OutOfOrderHeld: st.HeldOutOfOrder, OutOfWindow: st.OutOfWindow,
		},
	}
	if p := t.t.Peer(); p != nil {
		v.VendorName, v.Firmware = p.VendorName, p.Firmware
	}
	return v
}

// Pools shows the address pools.
func (e *Engine) Pools() []session.PoolView {
	e.dir.mu.Lock()
	defer e.dir.mu.Unlock()
	var out []session.PoolView
	for _, p := range e.dir.order {
		out = append(out, session.PoolView{
			Name: p.Name(), Prefixes: p.Prefixes(), Size: p.Size(), Used: p.Used(), Reserved: p.Reserved(),
		})
	}
	for _, p := range e.dir.order6 {
		out = append(out, session.PoolView{
			Name: p.Name(), Prefixes: p.Prefixes(), Length: p.Length(),
			Size: int(p.Size()), Used: p.Used(), Reserved: int(p.Reserved()),
		})
	}
	return out
}

// Leases calls yield with the leases of a pool, some hundreds at a time; the
// slice is the callee's.
func (e *Engine) Leases(ctx context.Context, name string, yield func([]session.LeaseView) error) error {
	p, six := e.dir.pools[name], e.dir.pools6[name]
	if p == nil && six == nil {
		return ErrNotFound
	}
	if six != nil {
		for some := range slices.Chunk(e.dir.leases6(six), chunk) {
			if err := yield(some); err != nil {
				return err
			}
		}
	}
	if p == nil {
		return nil
	}
	for next := 0; ; {
		if err := ctx.Err(); err != nil {
			return err
		}
		var views []session.LeaseView
		views, next = e.dir.leases(p, next)
		if len(views) > 0 {
			if err := yield(views); err != nil {
				return err
			}
		}
		if next == 0 {
			return nil
		}
	}
}

// leases shows a part of a pool, from one index to the index returned.
func (d *directory) leases(p *pool.Pool, from int) ([]session.LeaseView, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	leases, next := p.Leases(nil, from, chunk)
	views := make([]session.LeaseView, 0, len(leases))
	for _, l := range leases {
		v := session.LeaseView{Pool: p.Name(), Address: l.Address, InUse: l.InUse, User: l.User, Since: l.Since}
		if l.InUse {
			v.Ref = d.table[d.holder(l.Address)].ref
		}
		views = append(views, v)
	}
	return views, next
}

// holder finds the slot that holds a pool's address in whatever routing table;
// slot 0, which is nobody's, when none does.
func (d *directory) holder(a netip.Addr) uint32 {
	if slot := d.addrs[place{0, a}]; slot != 0 {
		return slot
	}
	for at, slot := range d.addrs {
		if at.addr == a {
			return slot
		}
	}
	return 0
}
