package engine

import (
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// Restored is what another process has left and this one goes on with.
type Restored struct {
	// Records are those of the sessions that are installed.
	Records []session.Record
	Tunnels map[uint16]netip.AddrPort
	// Accounts are the accounting ids of sessions and tunnels that go on.
	Accounts map[string]bool
	Sessions int
	// Lost is how many sessions and tunnels could not be gone on with, because the
	// configuration has no place for them any more.
	Lost int
}

// Restore goes on with the tunnels and sessions that another process has written
// down, once and before Run. Nobody is told: not the peers, not the accountant, and
// the forwarding path has the sessions already. Calls that were no sessions yet are
// cleared.
func (e *Engine) Restore(now time.Time, d *session.Durable) Restored {
	r := Restored{Tunnels: make(map[uint16]netip.AddrPort), Accounts: make(map[string]bool)}
	e.dir.restoreSlots(d.Sessions)
	homes := make(map[string]int)
	for i := range d.Tunnels {
		v := &d.Tunnels[i]
		if s := e.shards[e.shardOf(v.ID)]; !s.restoreTunnel(now, v) {
			r.Lost++
			s.log.Warn("tunnel of an earlier process has no place any more", zap.Uint16("tunnel", v.ID),
				zap.Stringer("peer", v.PeerAddr), zap.String("host", v.HostName))
			continue
		}
		r.Tunnels[v.ID] = v.PeerAddr
		if v.Outgoing != "" {
			homes[v.Outgoing] = e.shardOf(v.ID)
		}
		if v.Account != "" {
			r.Accounts[v.Account] = true
		}
	}
	if len(homes) > 0 {
		e.wish(e.policy.Load(), homes)
	}
	origins := make(map[string]*session.Origins)
	for _, v := range d.Sessions {
		s := e.shards[e.shardOf(v.TunnelID)]
		v.Profile.Origins = sharedOrigins(origins, v.Profile.Origins)
		c := s.restoreSession(now, v)
		if c == nil {
			r.Lost++
			continue
		}
		r.Sessions++
		r.Accounts[c.s.AccountID()] = true
		if v.Installed {
			r.Records = append(r.Records, c.s.Record())
		}
	}
	for _, id := range d.Calls {
		e.shards[e.shardOf(id.TunnelID)].clearCall(now, id)
	}
	return r
}

// sharedOrigins is one list for all that are equal: many sessions were granted the same
// by the same attributes.
func sharedOrigins(known map[string]*session.Origins, o *session.Origins) *session.Origins {
	if o == nil {
		return nil
	}
	key := o.Key()
	if known[key] == nil {
		known[key] = o
	}
	return known[key]
}

func (s *Shard) restoreTunnel(now time.Time, v *session.TunnelSnapshot) bool {
	s.now = now
	policy := s.e.policy.Load()
	lac, wish := policy.match(v.PeerAddr.Addr(), v.HostName), policy.find(v.Outgoing)
	switch {
	case wish != nil && wish.Peer == v.PeerAddr:
		lac = wish.lac()
	case v.Outgoing != "":
		lac, wish = LAC{}, nil // the operator does not want it any more
	}
	if lac.L2TP == nil || s.tunnels[v.ID] != nil || !s.ids.Restore(v.ID) {
		return false
	}
	x := l2tp.Restore(lac.L2TP, &v.Snapshot, s.read, now)
	if x == nil {
		s.ids.Free(v.ID, now)
		return false
	}
	t := &tunnel{
		t: x, local: v.Local, peer: v.PeerAddr, key: newcomer{v.PeerAddr, v.FirstID}, name: v.HostName,
		created: v.Created, upSince: v.UpSince, policy: policy, lac: lac, saved: true, trace: lac.Trace,
		facts: &session.Tunnel{ID: v.ID, PeerID: v.PeerID, Local: v.Local, Peer: v.PeerAddr,
			LACName: v.HostName, LNSName: lac.L2TP.HostName},
	}
	if wish != nil {
		t.dial = s.dialOf(wish)
		t.dial.t, t.dial.total = t, 1
		s.reconcileCalls(t.dial)
	}
	if v.Account != "" {
		t.account = &tunnelAccount{id: v.Account, usage: v.Usage}
	}
	// What is up stays up, whatever the limits are by now.
	s.dir.admit(t.peer.Addr(), t.name, &Policy{}, &LAC{})
	s.dir.opened(t.peer.Addr())
	s.tunnels[v.ID] = t
	if v.FirstID != 0 {
		s.newcomers[t.key] = t
	}
	s.e.ports.Gate.TunnelUp(v.ID, t.peer)
	s.counts.add(tunnelsOpened)
	s.counts.add(tunnelsUp)
	s.watchIdle(t)
	s.timers.set(t, t.deadline())
	return true
}

// restoreSession returns nil when the session can't go on; its peer is told then.
func (s *Shard) restoreSession(now time.Time, v *session.Snapshot) *call {
	s.now = now
	t := s.tunnels[v.TunnelID]
	if t == nil {
		s.dir.release(v.Slot)
		return nil
	}
	id := session.CallID{TunnelID: v.TunnelID, SessionID: v.SessionID, PeerSessionID: v.PeerSessionID}
	cfg, wish := t.lac.Session, t.placement(v.Placed)
	if v.Placed != "" {
		cfg = nil
		if wish != nil {
			cfg = wish.cfg.Session
		}
	}
	if cfg == nil {
		s.dir.release(v.Slot)
		s.clearCall(now, id)
		return nil
	}
	x := session.Restore(cfg, v, t.facts, s.read, now)
	if x == nil {
		s.dir.release(v.Slot)
		s.clearCall(now, id)
		return nil
	}
	if !s.dir.restore(v, now) {
		s.clearCall(now, id)
		return nil
	}
	lc := s.takeCall(t, id)
	if lc == nil {
		s.dir.close(v.Slot, now)
		return nil
	}
	c := &call{call: lc, tun: t, s: x, trace: t.trace, saved: savedSession, placed: s.dir.places.Claim(v.TunnelID, v.SessionID)}
	if c.wish = wish; wish != nil {
		wish.c, wish.total, wish.next = c, 1, time.Time{}
	}
	t.sessions++
	s.calls[keyOf(v.TunnelID, v.SessionID)] = c
	s.counts.add(sessionsOpened)
	s.counts.add(sessionsUp)
	c.s.Resume(now, &s.sout)
	s.carry(c)
	s.pump(t)
	return c
}

func (s *Shard) takeCall(t *tunnel, id session.CallID) *l2tp.Call {
	if t.ids == nil {
		t.ids = pool.NewIDs(s.random16, 0, 0)
	}
	if !t.ids.Restore(id.SessionID) {
		return nil
	}
	c := t.t.RestoreCall(id.SessionID, id.PeerSessionID)
	if c == nil {
		t.ids.Free(id.SessionID, s.now)
	}
	return c
}

// clearCall tells the peer that a call is over which no session goes on with.
func (s *Shard) clearCall(now time.Time, id session.CallID) {
	s.now = now
	t := s.tunnels[id.TunnelID]
	if t == nil {
		return
	}
	if c := s.takeCall(t, id); c != nil {
		t.t.HangUp(now, c, restarted, &s.tout)
		t.ids.Free(id.SessionID, now)
		s.pump(t)
	}
	s.journal.changes.CallsGone = append(s.journal.changes.CallsGone, id)
}

// restoreSlots takes the slots of sessions, and sees to it that no new session has
// the serial number of one.
func (d *directory) restoreSlots(list []*session.Snapshot) {
	d.mu.Lock()
	defer d.mu.Unlock()
	taken := make([]uint32, 0, len(list))
	seen := make(map[uint32]bool, len(list))
	high := uint32(0)
	for _, v := range list {
		d.acct = max(d.acct, v.Serial)
		if v.Slot != 0 && v.Slot <= uint32(d.slots.Max()) && !seen[v.Slot] {
			seen[v.Slot] = true
			taken = append(taken, v.Slot)
			high = max(high, v.Slot)
		}
	}
	for int(high) >= len(d.table) {
		d.table = append(d.table, holding{})
	}
	d.slots.Restore(taken)
}

// release gives back the slot of a session that does not go on.
func (d *directory) release(slot uint32) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slot != 0 && int(slot) < len(d.table) && d.table[slot].ref.TunnelID == 0 {
		d.slots.Free(slot)
	}
}

// restore gives a session back what it held. It is false, and nothing is held, not
// even the slot, when some of it is another's or is not to be had any more.
func (d *directory) restore(v *session.Snapshot, now time.Time) bool {
	d.mu.Lock()
	if v.Slot == 0 || int(v.Slot) >= len(d.table) || d.table[v.Slot].ref.TunnelID != 0 {
		d.mu.Unlock()
		return false
	}
	h := &d.table[v.Slot]
	*h = holding{ref: v.Ref}
	user := v.User
	if v.Own.IsValid() {
		user = "" // the peer's name for us, and none of a subscriber
	}
	d.register(v.Slot, user)
	ok := true
	if v.Address.IsValid() {
		at := place{v.VRF, v.Address}
		ok = d.addrs[at] == 0 && d.grant(v.Slot, at, now)
	}
	if x := v.IPv6; ok && x != nil && x.Network != nil {
		c := session.Claim6{User: v.User, Duplicates: session.AllowDuplicates, VRF: v.VRF,
			Prefixes: x.Network.Prefixes, Delegated: x.Network.Delegated}
		for _, a := range x.Network.Addresses {
			c.Prefixes = append(c.Prefixes[:len(c.Prefixes):len(c.Prefixes)], netip.PrefixFrom(a, a.BitLen()))
		}
		r, decided := d.tryClaim6(v.Slot, &c, now)
		ok = decided && r.Outcome == session.Granted
	}
	d.mu.Unlock()
	if !ok {
		d.close(v.Slot, now)
	}
	return ok
}
