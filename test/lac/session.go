package lac

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// session is one call with its subscriber.
type session struct {
	t     *tunnel
	index int // from 0, over all tunnels
	id    uint16
	call  *l2tp.Call
	// peerID is the LNS's session id, kept beyond the call.
	peerID uint16
	link   *ppp.Link
	timer  timer

	state    sessionState
	placed   time.Duration // when the call was
	deadline time.Duration // of the set-up
	upAt     time.Duration // when the call was up
	linkUp   bool
	address  netip.Addr
	n        ppp.Negotiated

	// held are frames of the subscriber that wait for the call, after a local
	// negotiation.
	held [][]byte

	// sequence is whether we send data sequence numbers, ns the next one.
	sequence bool
	ns       uint16
	expect   uint16 // one above the highest number received

	flow flow
	// six and flow6 are the IPv6 of the subscriber; ipv4 is whether it has IPv4.
	six   subscriber6
	flow6 flow
	ipv4  bool
	turn  bool // of the two families

	// cut sessions were not up when the teardown began; inFlight ones are being
	// torn down.
	cut, inFlight bool
	left          time.Duration // when the teardown of the session began
}

type sessionState uint8

const (
	sessionWaiting sessionState = iota // for its turn
	sessionCalling                     // ICRQ is sent
	sessionLinking                     // the call is up, PPP is not
	sessionUp
	sessionLeaving // torn down by us
	sessionFailed  // never came up
	sessionLost    // was up and ended without our doing
	sessionEnded   // torn down
)

var sessionStateNames = [...]string{"waiting", "calling", "linking", "up", "leaving", "failed", "lost", "ended"}

func (s sessionState) String() string { return sessionStateNames[s] }

func newSession(t *tunnel, index int) *session {
	s := &session{t: t, index: index, sequence: t.w.cfg.Framing.Sequence}
	s.timer.owns = s
	return s
}

// number is the session's in patterns and reports.
func (s *session) number() int { return s.index + s.t.w.cfg.First }

// place starts the call.
func (s *session) place() {
	w, cfg := s.t.w, s.t.w.cfg
	s.placed = w.clock
	s.deadline = w.clock + cfg.Timeout
	s.state = sessionCalling
	s.link = ppp.NewLink(cfg.link(s.number()), w.random)
	params := &l2tp.CallParams{
		Serial:             uint32(s.number()),
		BearerType:         1, // digital
		FramingType:        1, // synchronous
		TxSpeed:            100_000_000,
		RxSpeed:            40_000_000,
		CallingNumber:      expand(cfg.CallingNumber, s.number()),
		CalledNumber:       expand(cfg.CalledNumber, s.number()),
		SequencingRequired: cfg.Framing.Sequence,
	}
	if cfg.ProxyAuth {
		proxy, ok := s.negotiate()
		if !ok {
			s.finish(Failure{Stage: stageLCP, Cause: causeProxy})
			return
		}
		params.Proxy = proxy
	}
	s.id = w.freeID(func(id uint16) bool { return s.t.sessions[id] != nil })
	s.t.sessions[s.id] = s
	var err error
	s.t.act(func(out *l2tp.Out) { s.call, err = s.t.l2tp.PlaceCall(w.now, s.id, params, out) })
	if err != nil {
		s.finish(Failure{Stage: stageCall, Cause: causeIDs, Message: err.Error()})
		return
	}
	s.arm()
}

// callUp is called when the LNS has accepted the call.
func (s *session) callUp() { s.peerID = s.call.PeerID }

// begin starts PPP, or goes on with it where the local negotiation ended.
func (s *session) begin() {
	if s.state != sessionCalling {
		return
	}
	w := s.t.w
	w.stats.call.Record(w.clock - s.placed)
	s.state = sessionLinking
	s.upAt = w.clock
	if !w.cfg.ProxyAuth {
		s.act(func(out *ppp.Out) { s.link.Start(w.now, nil, out) })
		return
	}
	for _, frame := range s.held {
		s.transmit(frame)
	}
	s.held = nil
	s.arm()
}

// data takes a data message.
func (s *session) data(h l2tp.Header, body []byte) {
	// We follow the LNS's choice, unless we demanded sequence numbers (RFC 2661
	// section 5.4), and take nothing that comes late or twice.
	numbered := h.Flags&l2tp.FlagSequence != 0
	s.sequence = numbered || s.t.w.cfg.Framing.Sequence
	if numbered {
		if int16(h.Ns-s.expect) < 0 {
			s.t.w.stats.strays++
			return
		}
		s.expect = h.Ns + 1
	}
	protocol, payload, ok := ppp.ParseFrame(body)
	switch {
	case !ok:
		s.t.w.stats.strays++
	case protocol == ppp.ProtoIPv4:
		s.link.Heard(s.t.w.now)
		s.ip(payload)
	case protocol == ppp.ProtoIPv6:
		s.link.Heard(s.t.w.now)
		s.ip6(payload)
	default:
		s.act(func(out *ppp.Out) { s.link.Receive(s.t.w.now, body, out) })
	}
}

// act calls the link's state machine and carries out what it wants.
func (s *session) act(call func(*ppp.Out)) {
	out := s.t.w.takePPP()
	call(out)
	for _, frame := range out.Send {
		s.transmit(frame)
	}
	for i := range out.Events {
		s.handle(&out.Events[i])
	}
	s.t.w.givePPP(out)
	s.arm()
}

// transmit sends a frame of PPP negotiation.
func (s *session) transmit(frame []byte) {
	if s.call == nil || s.call.PeerID == 0 {
		return
	}
	w := s.t.w
	w.frame = s.appendHeader(w.frame[:0], len(frame))
	w.frame = append(w.frame, frame...)
	w.send(s.t.socket, s.t.peer, w.frame)
}

// appendHeader appends the L2TP data header for payload bytes.
func (s *session) appendHeader(dst []byte, payload int) []byte {
	dst = s.t.w.cfg.Framing.appendHeader(dst, s.t.l2tp.PeerID(), s.call.PeerID, s.sequence, s.ns, payload)
	if s.sequence {
		s.ns++
	}
	return dst
}

func (s *session) handle(e *ppp.Event) {
	switch e.Kind {
	case ppp.LinkUp:
		s.linkUp = true
		s.n = s.link.Negotiated()
	case ppp.IPv4Up:
		s.ipUp(e.IPv4)
	case ppp.IPv6Up:
		s.n = s.link.Negotiated()
		s.ipv6Up(e.IPv6)
		s.comeUp()
	case ppp.LinkDown:
		s.linkDown(e)
	}
}

// ipUp is called when IPCP has opened, again after a renegotiation.
func (s *session) ipUp(v ppp.IPv4) {
	s.address = v.Local
	s.n = s.link.Negotiated()
	s.initFlow()
	s.ipv4 = true
	s.comeUp()
}

// comeUp counts the session as up once it has all that it needs.
func (s *session) comeUp() {
	w := s.t.w
	if s.state != sessionLinking || !s.ipv4 && !w.cfg.NoIPv4 || w.cfg.NoIPv4 && !s.six.open || !s.six.has(w.cfg.Need6) {
		return
	}
	s.state = sessionUp
	w.dial.pending--
	w.stats.sessionsUp++
	w.stats.sessionsNow++
	w.stats.lastUp = w.clock
	w.stats.ppp.Record(w.clock - s.upAt)
	w.stats.session.Record(w.clock - s.placed)
	w.traffic.join(s)
	if w.tun != nil && s.index == 0 {
		w.tun.attach(s)
	}
}

// linkDown hangs up: the subscriber has gone.
func (s *session) linkDown(e *ppp.Event) {
	failure := Failure{Stage: s.stage(), Cause: causeOfLink(e.Cause), Message: e.Message}
	s.finish(failure)
	if s.call != nil {
		s.t.act(func(out *l2tp.Out) {
			s.t.l2tp.HangUp(s.t.w.now, s.call, l2tp.Result{Code: l2tp.CDNLostCarrier, Message: "PPP ended"}, out)
		})
	}
}

// callDown is called when the call has ended, by whomever.
func (s *session) callDown(e *l2tp.Event) {
	failure := failureOf(s.stage(), e.Result, s.t.l2tp.State() == l2tp.Closing, e.Remote)
	if cause, _ := s.link.Cause(); cause != ppp.CauseNone && failure.Cause == causeCDN {
		// What ended PPP is the reason, the CDN its consequence.
		failure.Cause = causeOfLink(cause)
	}
	s.finish(failure)
	s.call = nil
}

// stage is how far the session has come.
func (s *session) stage() string {
	switch {
	case s.state == sessionUp:
		return stageUp
	case s.state <= sessionCalling:
		return stageCall
	case s.linkUp:
		return stageAuth
	}
	return stageLCP
}

// finish counts the session's end, the first time it is called, and forgets it. f
// is why, if that was not our wish.
func (s *session) finish(f Failure) {
	st := &s.t.w.stats
	switch s.state {
	case sessionWaiting:
		s.state = sessionFailed
		st.sessionsFailed++
		st.failures.add(f)
	case sessionCalling, sessionLinking:
		s.t.w.dial.pending--
		s.state = sessionFailed
		st.sessionsFailed++
		st.failures.add(f)
	case sessionUp:
		s.t.w.traffic.leave(s)
		st.sessionsNow--
		s.state = sessionLost
		st.sessionsLost++
		st.failures.add(f)
	case sessionLeaving:
		s.state = sessionEnded
		s.t.w.leave.ended(s)
	}
	s.t.w.timers.stop(&s.timer)
	delete(s.t.sessions, s.id)
}

// arm sets the timer for what is due next.
func (s *session) arm() {
	if s.state >= sessionFailed {
		return
	}
	w := s.t.w
	w.wakeBy(&s.timer, s.link.Deadline())
	if s.six.next > 0 {
		w.timers.wakeBy(&s.timer, s.six.next)
	}
	if s.state == sessionCalling || s.state == sessionLinking {
		w.timers.wakeBy(&s.timer, s.deadline)
	}
}

func (s *session) expire() {
	w := s.t.w
	settingUp := s.state == sessionCalling || s.state == sessionLinking
	if settingUp && w.clock >= s.deadline {
		s.giveUp()
		return
	}
	if s.six.next > 0 && w.clock >= s.six.next {
		s.solicit()
	}
	s.act(func(out *ppp.Out) { s.link.Timer(w.now, out) })
}

// giveUp ends a session that has not come up in time.
func (s *session) giveUp() {
	call := s.call
	s.finish(Failure{Stage: s.stage(), Cause: causeTimeout})
	if call != nil {
		s.t.act(func(out *l2tp.Out) {
			s.t.l2tp.HangUp(s.t.w.now, call, l2tp.Result{Code: l2tp.CDNTimeout, Message: "not up in time"}, out)
		})
	}
}

// drop ends a session that is up for a reason of our own.
func (s *session) drop(f Failure) {
	call := s.call
	s.finish(f)
	s.t.act(func(out *l2tp.Out) {
		s.t.l2tp.HangUp(s.t.w.now, call, l2tp.Result{Code: l2tp.CDNAdministrative, Message: f.Cause}, out)
	})
}
