package engine

import (
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// tunnel is an L2TP tunnel with what the engine knows of it.
type tunnel struct {
	timer
	t           *l2tp.Tunnel
	local, peer netip.AddrPort
	key         newcomer
	name        string // the peer's Host Name
	// trace is what its policy wants traced.
	trace   session.TraceMask
	created time.Time
	// facts is what the sessions know of the tunnel; nil until it is up.
	facts *session.Tunnel
	ids   *pool.IDs // of sessions; nil until the first
	// policy is what lac was chosen from, which is done again after a reload.
	policy *Policy
	lac    LAC

	sessions int // including those on their way out
	// idleAt is when the tunnel is closed unless a call comes; zero: never.
	idleAt time.Time
	// dial is the operator's wish that the tunnel fulfils, nil for none; ours: the SCCRQ
	// was ours.
	dial *dial
	ours bool
	// replaces is an older tunnel that this one shows to be dead.
	replaces *tunnel
	// dropped is set when an operator ends the tunnel.
	dropped  bool
	halfOpen bool
	allowed  allowance // while half open
	upSince  time.Time // zero before
	closedAt time.Time // zero before
	// account is nil while no accounting of the tunnel is open; cause is why it was
	// closed.
	account *tunnelAccount
	cause   session.TerminateCause
	// saved: the journal has the tunnel, as of mark; noted: it is to be looked at.
	saved, noted bool
	mark         l2tp.Mark
	gone         bool // no word is exchanged any more
}

// newcomer tells one peer's attempts to open tunnels apart before it knows our
// tunnel id (RFC 2661 section 5.8).
type newcomer struct {
	peer netip.AddrPort
	id   uint16 // the peer's Assigned Tunnel ID
}

func (t *tunnel) id() uint16 { return t.t.ID() }

// isPeer reports whether a packet's source is the tunnel's peer. Addresses and
// ports stay as they were in the first exchange (RFC 2661 section 8.1).
func (t *tunnel) isPeer(a netip.AddrPort) bool { return a == t.peer }

// deadline is when the tunnel's timer is to be served; the zero time is never.
func (t *tunnel) deadline() time.Time { return sooner(t.t.Deadline(), t.idleAt) }

// control takes a control message.
func (s *Shard) control(p *packet, h l2tp.Header, body []byte) {
	if h.TunnelID == 0 {
		s.unaddressed(p, h, body)
		return
	}
	t := s.tunnels[h.TunnelID]
	switch {
	case t == nil || t.gone:
		// No answer: it could be meant for somebody else by a forged source.
		s.counts.add(packetsNoTunnel)
	case !t.isPeer(p.peer):
		s.counts.add(packetsWrongPeer)
	default:
		s.receive(t, p, h, body)
	}
}

func (s *Shard) receive(t *tunnel, p *packet, h l2tp.Header, body []byte) {
	t.allowed.hear(p.n)
	if t.ours && t.local.Addr().IsUnspecified() {
		t.local = p.local // the kernel has chosen
	}
	if s.tracing {
		s.traceReceived(t, h, body)
	}
	s.tapControl(t, false, s.batch.arena[p.off:p.off+p.n])
	t.t.Receive(s.now, h, body, &s.tout)
	s.pump(t)
}

// unaddressed takes a control message to tunnel id 0: an SCCRQ, or a StopCCN of a
// peer that has not learnt our id.
func (s *Shard) unaddressed(p *packet, h l2tp.Header, body []byte) {
	name, id, ok := l2tp.PeekSCCRQ(body)
	if !ok {
		id, ok = l2tp.PeekStopCCN(body)
		t := s.newcomers[newcomer{p.peer, id}]
		if !ok || t == nil {
			s.counts.add(packetsNoTunnel)
			return
		}
		s.receive(t, p, h, body)
		return
	}
	key := newcomer{p.peer, id}
	old := s.newcomers[key]
	if old != nil && !s.stale(old) {
		s.receive(old, p, h, body) // a repeated SCCRQ
		return
	}
	d, heed := s.tie(p, body)
	if heed {
		s.newTunnel(p, key, string(name), old, d, h, body)
		s.takenOver(d)
	}
}

// Ages after which an SCCRQ with the ids of a known tunnel is no longer a repeat
// that was held up in the network.
const (
	staleEstablished = time.Minute
	staleClosing     = 3 * time.Second
)

// stale reports whether an SCCRQ with t's ids must come from a peer that was
// restarted and chose the same id again.
func (s *Shard) stale(t *tunnel) bool {
	switch t.t.State() {
	case l2tp.Established:
		return s.now.Sub(t.created) > staleEstablished
	case l2tp.Closing:
		return s.now.Sub(t.closedAt) > staleClosing
	}
	return false
}

// newTunnel admits or refuses a new tunnel. d is the operator's wish that it fulfils in
// place of our own attempt, nil for none.
func (s *Shard) newTunnel(p *packet, key newcomer, name string, old *tunnel, d *dial, h l2tp.Header, body []byte) {
	policy := s.e.policy.Load()
	lac := policy.match(p.peer.Addr(), name)
	if d != nil {
		lac = d.cfg.lac()
	}
	if lac.L2TP == nil {
		s.counts.add(lacUnknown)
		if s.tracing {
			s.traceStranger(p, h, body, "no policy for this LAC, host name %q: no answer", name)
		}
		s.tellStranger(p, name, session.TunnelRefused, "no policy for this LAC")
		s.warn(gateTunnel, "tunnel from unknown LAC ignored", zap.Stringer("peer", p.peer), zap.String("host", name))
		return
	}
	if s.e.drain.Load() || s.shutdown {
		s.refuse(p, key, name, l2tp.Result{Code: l2tp.StopShutdown, Message: "server is draining"})
		return
	}
	if policy.DenyRemote {
		s.refuse(p, key, name, l2tp.Result{Code: l2tp.StopUnauthorized, Message: "tunnels are opened from here"})
		return
	}
	if r := s.dir.admit(p.peer.Addr(), name, policy, &lac); r != admitted {
		s.refuse(p, key, name, refusals[r])
		return
	}
	id, ok := s.ids.Take(s.now)
	if !ok {
		s.counts.add(noTunnelID)
		s.dir.left(p.peer.Addr(), name, true)
		s.refuse(p, key, name, l2tp.Result{
			Code: l2tp.StopError, Error: l2tp.ErrorResources, Message: "no tunnel id left"})
		return
	}
	t := &tunnel{
		t:     l2tp.NewTunnel(lac.L2TP, id, s.read),
		local: p.local, peer: p.peer, key: key, name: name, created: s.now,
		policy: policy, lac: lac, halfOpen: true, trace: lac.Trace, dial: d,
	}
	if d != nil {
		d.t = t
	}
	if old != nil && old.t.State() == l2tp.Established {
		// Not before the new one is authenticated: anybody can send an SCCRQ.
		t.replaces = old
	}
	s.tunnels[id] = t
	s.newcomers[key] = t
	s.e.ports.Gate.TunnelUp(id, t.peer)
	s.counts.add(tunnelsOpened)
	s.tellTunnel(t, session.TunnelCreated, "")
	s.receive(t, p, h, body)
}

var refusals = [...]l2tp.Result{
	tooManyTunnels:  {Code: l2tp.StopError, Error: l2tp.ErrorResources, Message: "too many tunnels"},
	tooManyFromPeer: {Code: l2tp.StopError, Error: l2tp.ErrorResources, Message: "too many tunnels from this address"},
	tooManyHalfOpen: {Code: l2tp.StopError, Error: l2tp.ErrorResources, Message: "too many tunnels being set up"},
	secondTunnel:    {Code: l2tp.StopExists, Message: "a tunnel exists"},
}

// refuse answers an SCCRQ with a single StopCCN and keeps nothing: the answer is
// no longer than the question, and a repeated question gets it again.
func (s *Shard) refuse(p *packet, key newcomer, name string, r l2tp.Result) {
	s.counts.add(tunnelsRefused)
	s.warn(gateTunnel, "tunnel refused", zap.Stringer("peer", p.peer), zap.String("host", name),
		zap.Uint16("result", r.Code), zap.Uint16("error", r.Error), zap.String("reason", r.Message))
	if s.tracing {
		s.traceRefusal(p, name, r)
	}
	s.tellStranger(p, name, session.TunnelRefused, or(r.Message, l2tp.StopText(r.Code)))
	own := s.random16() | 1 // RFC 2661 section 4.4.3: never 0; nobody will use it
	var buf [256]byte
	s.send.Send(p.local, p.peer, l2tp.AppendRefusal(buf[:0], key.id, own, r))
}

// pump sends what a tunnel wants sent and acts on its events, also on those that
// acting brings about: s.tout belongs to t until it is empty. What event calls
// must not call pump again.
func (s *Shard) pump(t *tunnel) {
	o := &s.tout
	traced := 0
	for sent, seen := 0, 0; sent < len(o.Send) || seen < len(o.Events); {
		if s.tracing {
			traced = s.traceSteps(t, traced)
		}
		for ; sent < len(o.Send); sent++ {
			s.transmit(t, o.Send[sent])
		}
		if seen < len(o.Events) {
			e := o.Events[seen]
			seen++
			s.event(t, &e)
		}
	}
	if s.tracing {
		s.traceSteps(t, traced)
	}
	s.counts.messages(o)
	for _, d := range o.Discarded {
		if s.tracing {
			s.traceDiscarded(t, d)
		}
		if d.Reason == l2tp.Unauthenticated {
			s.counts.add(tunnelsAuthFailed)
			s.warn(gateTunnel, "tunnel authentication failed", s.tunnelFields(t)...)
		}
	}
	o.Reset()
	s.noteTunnel(t)
	if t.gone { // or was so already, and only its sessions had to end
		s.timers.remove(t)
		s.bury(t)
		return
	}
	s.timers.set(t, t.deadline())
}

func (s *Shard) transmit(t *tunnel, b []byte) {
	if t.halfOpen && !t.ours && !t.allowed.say(len(b)) {
		s.counts.add(packetsWithheld)
		return
	}
	if s.tracing {
		s.traceSent(t, b)
	}
	s.tapControl(t, true, b)
	s.send.Send(t.local, t.peer, b)
}

// event acts on what happened to a tunnel or to a call in it.
func (s *Shard) event(t *tunnel, e *l2tp.Event) {
	switch e.Kind {
	case l2tp.TunnelUp:
		s.tunnelUp(t)
	case l2tp.TunnelClosing:
		s.tunnelClosing(t, e)
	case l2tp.TunnelGone:
		t.gone = true
	case l2tp.CallRequest:
		s.callRequest(t, e.Call)
	case l2tp.CallAccepted:
		s.callAccepted(t, e.Call)
	case l2tp.CallUp:
		if c := s.callOf(t, e.Call); c != nil {
			c.s.CallUp(s.now, e.Call.Params, &s.sout)
			e.Call.Params = nil // the session has what it needs
			s.carry(c)
		}
	case l2tp.CallDown:
		if c := s.callOf(t, e.Call); c != nil {
			c.s.CallDown(s.now, c.endOf(e), &s.sout)
			s.carry(c)
		}
	}
}

// endOf says what the end of a call means for its session.
func (c *call) endOf(e *l2tp.Event) session.End {
	switch {
	case c.tun.dropped:
		return session.EndByOperator(0)
	case e.WithTunnel:
		return session.EndOfTunnel(e.Result)
	case c.wish != nil:
		return session.EndOfPlacedCall(e.Result)
	default:
		return session.EndOfCall(e.Result)
	}
}

func (s *Shard) tunnelUp(t *tunnel) {
	t.halfOpen = false
	s.dir.opened(t.peer.Addr())
	if t.ours {
		t.name = t.t.Peer().HostName
	}
	t.facts = &session.Tunnel{
		ID: t.id(), PeerID: t.t.PeerID(), Local: t.local, Peer: t.peer,
		LACName: t.name, LNSName: t.lac.L2TP.HostName,
	}
	if t.key.id == 0 {
		// The peer hid its id: from now on its next SCCRQ is a new tunnel's.
		s.forgetNewcomer(t)
	}
	if old := t.replaces; old != nil {
		t.replaces = nil
		s.abandonLater(old)
	}
	s.counts.add(tunnelsUp)
	t.upSince = s.now
	s.accountTunnelUp(t)
	s.log.Info("tunnel up", s.tunnelFields(t)...)
	s.tellTunnel(t, session.TunnelUp, "")
	s.watchIdle(t)
	s.dialUp(t)
}

// abandonLater ends a tunnel whose peer has forgotten it. No StopCCN: the peer
// would take it for the tunnel that it has opened since under the same id.
func (s *Shard) abandonLater(t *tunnel) {
	id := t.id()
	s.e.in.call(s.index, func(s *Shard) {
		if s.tunnels[id] == t && t.closedAt.IsZero() {
			s.abandon(t, "LAC was restarted")
		}
	})
}

// abandon ends a tunnel without a word to the peer.
func (s *Shard) abandon(t *tunnel, reason string) {
	for _, c := range s.sorted(t) {
		c.s.CallDown(s.now, session.EndOfTunnel(l2tp.Result{Message: reason}), &s.sout)
		s.carry(c)
	}
	s.tout.Reset()
	t.cause = session.CauseLostService
	s.closed(t)
	s.accountTunnelDown(t)
	t.gone = true
	s.timers.remove(t)
	s.log.Info("tunnel abandoned", append(s.tunnelFields(t), zap.String("reason", reason))...)
	s.tellTunnel(t, session.TunnelDown, reason)
	s.dialLost(t, reason)
	s.bury(t)
}

func (s *Shard) tunnelClosing(t *tunnel, e *l2tp.Event) {
	if !t.closedAt.IsZero() {
		return
	}
	t.cause = s.tunnelCause(t, e)
	if t.facts == nil {
		s.accountReject(t, session.CauseServiceUnavailable)
	}
	s.closed(t)
	s.accountTunnelDown(t)
	s.log.Info("tunnel down", append(s.tunnelFields(t), zap.Bool("remote", e.Remote),
		zap.Uint16("result", e.Result.Code), zap.Uint16("error", e.Result.Error),
		zap.String("meaning", l2tp.StopText(e.Result.Code)), zap.String("reason", e.Result.Message))...)
	reason := or(e.Result.Message, l2tp.StopText(e.Result.Code))
	s.tellTunnel(t, session.TunnelDown, reason)
	s.dialLost(t, reason)
}

// closed takes t out of the counts that limits look at.
func (s *Shard) closed(t *tunnel) {
	t.closedAt = s.now
	s.dir.left(t.peer.Addr(), t.counted(), t.halfOpen)
	s.counts.add(tunnelsClosed)
}

// counted is the name that the tunnel is counted by: one that we open does not count
// among those of a LAC.
func (t *tunnel) counted() string {
	if t.ours {
		return ""
	}
	return t.name
}

// bury forgets a tunnel that is gone, once its last session is: until then the
// forwarding path may still know its id.
func (s *Shard) bury(t *tunnel) {
	if !t.gone || t.sessions > 0 || s.tunnels[t.id()] != t {
		return
	}
	delete(s.tunnels, t.id())
	s.noteTunnelGone(t)
	s.e.ports.Gate.TunnelGone(t.id())
	s.forgetNewcomer(t)
	s.ids.Free(t.id(), s.now)
}

func (s *Shard) forgetNewcomer(t *tunnel) {
	if s.newcomers[t.key] == t {
		delete(s.newcomers, t.key)
	}
}

func (s *Shard) tunnelFields(t *tunnel) []zap.Field {
	return []zap.Field{
		zap.Uint16("tunnel", t.id()), zap.Uint16("peer_tunnel", t.t.PeerID()),
		zap.Stringer("peer", t.peer), zap.String("host", t.name),
	}
}
