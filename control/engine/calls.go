package engine

import (
	"cmp"
	"encoding/hex"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// call is a session with the call that carries it.
type call struct {
	timer
	s    *session.Session
	call *l2tp.Call
	tun  *tunnel
	// trace is what the LAC's policy wanted traced when the call came.
	trace session.TraceMask
	// saved is what the journal has; noted: it is to be looked at; over: forgotten.
	saved       saved
	noted, over bool
	counted     uint32 // by this process, when last looked at
	// placed says that the ids have their place in the data plane.
	placed bool
	// deal is the order that the session's change under way belongs to.
	deal *deal
	// wish is what the operator wants that the call fulfils; nil for calls of peers.
	wish *placement
	// mourners wait for the session's end.
	mourners []func()
}

func (s *Shard) callOf(t *tunnel, c *l2tp.Call) *call {
	x := s.calls[keyOf(t.id(), c.LocalID)]
	// A call that was refused has no session, and its id may be another's.
	if x == nil || x.call != c {
		return nil
	}
	return x
}

// sorted lists the sessions of a tunnel, or of all when t is nil, by slot: what
// is done to many must not depend on the order of a map. It looks at all of the
// shard's, which is good enough for what happens to a tunnel once.
func (s *Shard) sorted(t *tunnel) []*call {
	var cs []*call
	for _, c := range s.calls {
		if t == nil || c.tun == t {
			cs = append(cs, c)
		}
	}
	slices.SortFunc(cs, func(a, b *call) int { return cmp.Compare(a.s.Slot(), b.s.Slot()) })
	return cs
}

// callRequest accepts or rejects a call.
func (s *Shard) callRequest(t *tunnel, c *l2tp.Call) {
	policy := s.e.policy.Load()
	if t.policy != policy {
		t.policy = policy
		if t.dial != nil {
			t.lac = t.dial.cfg.lac()
		} else {
			t.lac = policy.match(t.peer.Addr(), t.name)
		}
	}
	cfg := t.lac.Session
	if !c.Incoming {
		// A LAC asks for incoming calls only; we do not dial out (RFC 2661
		// section 4.4.2, result 5).
		s.reject(t, c, l2tp.Result{Code: l2tp.CDNPermanent, Message: "no outgoing calls"})
		return
	}
	if s.e.drain.Load() || s.shutdown {
		s.reject(t, c, busy(cfg, "server is draining"))
		return
	}
	held, why := s.hold(t)
	if why != "" {
		s.reject(t, c, busy(cfg, why))
		return
	}
	s.enter(t, c, cfg, held)
	t.t.AcceptCall(s.now, c, held.ref.SessionID, &s.tout)
}

// held is what a call has before there is a session: its names, and its place.
type held struct {
	ref    session.Ref
	slot   uint32
	placed bool // the ids have their place in the data plane
}

// hold takes what a call needs; why says what is lacking.
func (s *Shard) hold(t *tunnel) (h held, why string) {
	if t.lac.MaxSessions > 0 && t.sessions >= t.lac.MaxSessions {
		return h, "too many sessions in this tunnel"
	}
	slot, serial, err := s.dir.open(s.e.policy.Load().Limits.Sessions)
	if err != nil {
		s.counts.add(noSlot)
		return h, "too many sessions"
	}
	if t.ids == nil {
		t.ids = pool.NewIDs(s.random16, 0, 0)
	}
	placed := false
	id, ok := t.ids.TakeWhere(s.now, func(id uint16) bool {
		placed = s.dir.places.Claim(t.id(), id)
		return placed
	})
	if !ok {
		s.dir.close(slot, s.now)
		s.counts.add(noSessionID)
		return h, "no session id left"
	}
	return held{session.Ref{TunnelID: t.id(), SessionID: id, Serial: serial}, slot, placed}, ""
}

// unhold gives it back.
func (s *Shard) unhold(t *tunnel, h held) {
	s.dir.close(h.slot, s.now)
	if h.placed {
		s.dir.places.Release(h.ref.TunnelID, h.ref.SessionID)
	}
	t.ids.Free(h.ref.SessionID, s.now)
}

// enter makes the session of a call.
func (s *Shard) enter(t *tunnel, c *l2tp.Call, cfg *session.Config, h held) *call {
	s.dir.enter(h.slot, h.ref)
	account := acctID(s.e.epoch, h.ref.Serial)
	x := &call{call: c, tun: t, placed: h.placed, trace: t.lac.Trace, s: session.New(cfg, session.Setup{
		Ref: h.ref, Slot: h.slot, AcctSessionID: account,
		PeerSessionID: c.PeerID, Tunnel: t.facts,
	}, s.read, s.now)}
	t.sessions++
	t.idleAt = time.Time{}
	s.calls[keyOf(h.ref.TunnelID, h.ref.SessionID)] = x
	s.counts.add(sessionsOpened)
	if s.tracing {
		verb := "accepted"
		if c.PeerID == 0 {
			verb = "placed" // the peer has yet to give it an id
		}
		s.traceFunc(nil, x, "call "+verb+": session id %d, slot %d, account %s", h.ref.SessionID, h.slot, account)
	}
	s.noteCall(x)
	s.tellCreated(x)
	s.timers.set(x, x.s.Deadline())
	return x
}

// busy is the CDN for a lack of something.
func busy(cfg *session.Config, reason string) l2tp.Result {
	r := cfg.BusyResult()
	if r.Message == "" {
		r.Message = reason
	}
	return r
}

func (s *Shard) reject(t *tunnel, c *l2tp.Call, r l2tp.Result) {
	s.counts.add(sessionsRefused)
	s.warn(gateCall, "call refused", zap.Uint16("tunnel", t.id()), zap.String("lac", t.name),
		zap.Uint16("result", r.Code), zap.Uint16("error", r.Error), zap.String("reason", r.Message))
	s.tellCall(t, r)
	t.t.RejectCall(s.now, c, r, &s.tout)
}

// acctID makes an Acct-Session-Id that no other session of this server has, also
// after a restart (RFC 2866 section 5.5): the start of the daemon and a counter.
func acctID(epoch, serial uint32) string {
	var b [8]byte
	b[0], b[1], b[2], b[3] = byte(epoch>>24), byte(epoch>>16), byte(epoch>>8), byte(epoch)
	b[4], b[5], b[6], b[7] = byte(serial>>24), byte(serial>>16), byte(serial>>8), byte(serial)
	return hex.EncodeToString(b[:])
}

// live finds the session that an answer is for. One that ended meanwhile, even if
// another has its ids now, is not it.
func (s *Shard) live(r session.Ref) *call {
	c := s.calls[keyOf(r.TunnelID, r.SessionID)]
	if c == nil || c.s.Ref() != r {
		return nil
	}
	return c
}

func (s *Shard) authDone(r *session.AuthResult) {
	c := s.live(r.Ref)
	if c == nil {
		s.counts.add(answersLate)
		return
	}
	if s.tracing {
		s.traceAnswer(c, "the authenticator says %s", verdictText(r))
	}
	c.s.Authenticated(s.now, r, &s.sout)
	s.carry(c)
	s.pump(c.tun)
}

func (s *Shard) programmed(p *session.Programmed) {
	c := s.live(p.Ref)
	if c == nil {
		s.counts.add(answersLate)
		return
	}
	if s.tracing {
		s.traceAnswer(c, "the forwarding path says %s", outcome(p.Err))
	}
	c.s.Programmed(s.now, p, &s.sout)
	// What is confirmed may want nothing more, and is to be gone on with all the same.
	s.noteCall(c)
	s.carry(c)
	s.pump(c.tun)
}

func (s *Shard) notice(n *notice) {
	c := s.live(n.ref)
	if c == nil {
		return // what it was granted went back with the session
	}
	switch n.kind {
	case noticeKick:
		s.counts.add(sessionsKicked)
		c.s.Drop(s.now, session.EndByDuplicate(), &s.sout)
	case noticeGranted:
		c.s.Claimed(s.now, session.ClaimResult{Address: n.address}, &s.sout)
	case noticeGranted6:
		c.s.Claimed6(s.now, n.six, &s.sout)
	}
	s.carry(c)
	s.pump(c.tun)
}

// forget releases all that a session held; nothing knows it afterwards.
func (s *Shard) forget(c *call) {
	ref := c.s.Ref()
	s.timers.remove(c)
	s.noteGone(c)
	delete(s.calls, keyOf(ref.TunnelID, ref.SessionID))
	s.dir.close(c.s.Slot(), s.now)
	if c.placed {
		s.dir.places.Release(ref.TunnelID, ref.SessionID)
	}
	c.tun.ids.Free(ref.SessionID, s.now)
	c.tun.sessions--
	s.placedOver(c)
	s.watchIdle(c.tun)
	s.accountTunnelDown(c.tun)
	s.e.ports.Tap.Over(ref, c.s.Slot())
	for _, f := range c.mourners {
		f()
	}
	s.closeIfEmpty(c.tun)
	s.bury(c.tun)
}
