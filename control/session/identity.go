package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// askAuth turns the peer's credentials into a request. Slices are copied: the
// link's are valid only for the moment.
func (s *Session) askAuth(now time.Time, c *ppp.Credentials, out *Out) {
	if s.state >= stateClosing {
		return
	}
	r := &AuthRequest{
		Ref: s.setup.Ref, User: c.Name, Method: AuthMethod(c.Method),
		Password: clone(c.Password), ID: c.ID, Challenge: clone(c.Challenge),
		Response: clone(c.Response), Call: s.callInfo(),
	}
	if s.asking {
		// LCP was negotiated anew while an answer is due. That answer will be to
		// a question nobody asks any more; this one takes its turn after it.
		s.next = r
		return
	}
	s.ask(now, r, out)
}

func (s *Session) ask(now time.Time, r *AuthRequest, out *Out) {
	if s.verified && r.User != s.user {
		// The name decides address, limits and bill; who changes it hangs up
		// and calls anew.
		out.Events = append(out.Events, Event{Kind: AuthFailed, Detail: "name changed"})
		s.link.Authenticated(now, ppp.AuthVerdict{Message: "name changed"}, &out.ppp)
		return
	}
	if s.state < stateAuth {
		s.enter(now, stateAuth, out)
	}
	s.asking = true
	s.user, s.method = r.User, r.Method
	if r.Method == AuthNone {
		// The configuration lets such a peer in; there is nothing to check.
		s.Authenticated(now, &AuthResult{Ref: r.Ref, Verdict: Accept}, out)
		return
	}
	out.Authenticate = append(out.Authenticate, r)
}

// askNext asks what had to wait, if anything; the answer at hand is out of date.
func (s *Session) askNext(now time.Time, out *Out) bool {
	r := s.next
	if r == nil {
		return false
	}
	s.next, s.asking = nil, false
	s.ask(now, r, out)
	s.pump(now, out)
	return true
}

func clone(b []byte) []byte {
	if b == nil {
		return nil
	}
	return append(make([]byte, 0, len(b)), b...)
}

// Authenticated takes the answer to an AuthRequest; r is kept.
func (s *Session) Authenticated(now time.Time, r *AuthResult, out *Out) {
	if !s.asking || s.state >= stateClosing || s.askNext(now, out) {
		return
	}
	s.asking = false
	switch {
	case r.Verdict == Accept && s.verified:
		s.admit(now, s.throttled(newGrant(r)), out)
	case r.Verdict == Accept:
		s.auth = s.throttled(newGrant(r))
		s.verified = true
		s.asking = true // until the claim is answered
		out.Claim = append(out.Claim, s.claim(&r.Profile))
	case r.Verdict == Unavailable && s.verified && s.method != AuthMSCHAPv2:
		// Who has been let in is not thrown out because a server is silent; the
		// next rechallenge will tell. With MS-CHAPv2 there is no way to say yes
		// without the server (RFC 2759 section 5).
		out.Events = append(out.Events, Event{Kind: AuthUnavailable, Detail: r.Cause})
		s.admit(now, s.auth, out)
	case r.Verdict == Unavailable:
		out.Events = append(out.Events, Event{Kind: AuthUnavailable, Detail: r.Cause})
		// Not a "no": a client that hears one may forget its password.
		s.close(now, s.busyEnd(CauseServiceUnavailable, "authentication is not available"), out)
	default:
		out.Events = append(out.Events, Event{Kind: AuthFailed, Detail: r.Cause})
		s.rejected(now, r, out)
	}
}

// throttled gives a grant that names no rate the configured one.
func (s *Session) throttled(g *grant) *grant {
	v := g.Profile.Services
	if !s.cfg.Throttle.Limited() || v != nil && !(v.Up.Open() && v.Down.Open()) {
		return g
	}
	g.Profile.Services = (&Change{Up: &s.cfg.Throttle, Down: &s.cfg.Throttle}).Services(v)
	return g
}

// rejected turns the peer away, or puts it where it can do no harm.
func (s *Session) rejected(now time.Time, r *AuthResult, out *Out) {
	in := s.instead(r)
	switch {
	case in == nil || s.verified && !s.refusedBefore():
		s.refuse(now, r.Message, out)
	case s.verified:
		s.admit(now, s.auth, out)
	default:
		s.auth, s.verified, s.asking = newGrant(in), true, true
		out.Claim = append(out.Claim, s.claim(&in.Profile))
	}
}

// admit tells the link that the peer is who it says, and what IPCP is to offer.
func (s *Session) admit(now time.Time, g *grant, out *Out) {
	v := ppp.AuthVerdict{OK: true, Message: g.takeMessage(s.method), IPv4: s.offer(), IPv6: s.offer6()}
	if s.state < stateNCP {
		s.enter(now, stateNCP, out)
	}
	s.link.Authenticated(now, v, &out.ppp)
	s.pump(now, out)
}

// refuse tells the link that the peer is not let in; LinkDown follows.
func (s *Session) refuse(now time.Time, message string, out *Out) {
	s.link.Authenticated(now, ppp.AuthVerdict{Message: message}, &out.ppp)
	s.pump(now, out)
}

// claim asks for what the profile grants, or for what the configuration says
// where the profile is silent.
func (s *Session) claim(p *Profile) Claim {
	c := Claim{User: s.user, Duplicates: s.cfg.Duplicates, VRF: s.cfg.VRF, Address: p.Address, Pool: p.Pool}
	if c.Pool == "" {
		c.Pool = s.cfg.Pool
	}
	if p.Local && p.Services != nil && p.Services.Garden != "" {
		// Nobody has checked who this is: it must not take the place of who is up.
		c.Duplicates, c.Unchecked = AllowDuplicates, true
	}
	c.NoAddress = p.IPv6 != nil && p.IPv6.Only
	c.Optional = p.Pool == "" && s.wants6()
	if p.User != s.user {
		c.Alias = p.User
	}
	return c
}

// Claimed takes the answer to a Claim.
func (s *Session) Claimed(now time.Time, c ClaimResult, out *Out) {
	if !s.asking || s.state >= stateClosing {
		return
	}
	s.asking = false
	if s.isClient() {
		s.clientClaimed(now, c, out)
		return
	}
	switch c.Outcome {
	case Granted:
		s.address = c.Address
		if !s.askNext(now, out) {
			s.admit(now, s.auth, out)
		}
	case DuplicateUser:
		s.claimFailed(c.Outcome, out)
		s.refuse(now, "already logged in", out)
	default:
		s.claimFailed(c.Outcome, out)
		s.close(now, s.busyEnd(CauseServiceUnavailable, c.Outcome.String()), out)
	}
}

func (s *Session) claimFailed(o ClaimOutcome, out *Out) {
	out.Events = append(out.Events, Event{Kind: ClaimFailed, Claim: o, Detail: o.String()})
}

// offer is what IPCP offers to the peer.
func (s *Session) offer() ppp.IPv4 {
	p := &s.auth.Profile
	return ppp.IPv4{
		Local: s.cfg.LocalAddress, Peer: s.address,
		DNS: either(p.names().DNS, s.cfg.DNS), NBNS: either(p.names().NBNS, s.cfg.NBNS),
	}
}

// either returns a unless it is empty.
func either(a, b [2]netip.Addr) [2]netip.Addr {
	if a[0].IsValid() || a[1].IsValid() {
		return a
	}
	return b
}

// accountingUser is the name for accounting: the server may replace it.
func (s *Session) accountingUser() string {
	if s.auth != nil && s.auth.Profile.User != "" {
		return s.auth.Profile.User
	}
	return s.user
}

// accessLine is what there is to keep of a LAC's description of the line.
func accessLine(l *l2tp.LineInfo) *AccessLine {
	a := AccessLine{
		CircuitID: l.CircuitID, RemoteID: l.RemoteID, Values: l.Values,
		Loop: string(l.Loop), Interworking: l.Interworking,
	}
	if a == (AccessLine{}) {
		return nil
	}
	return &a
}

func (s *Session) callInfo() CallInfo {
	t := s.setup.Tunnel
	return CallInfo{
		AcctSessionID: s.acctSessionID(),
		CalledNumber:  s.call.called, CallingNumber: s.call.calling, CallSerial: s.call.serial,
		TxSpeed: s.call.txSpeed, RxSpeed: s.call.rxSpeed, PhysicalChannel: s.call.physicalChannel,
		Line: s.call.line,
		LAC:  t.Peer, LNS: t.Local, LACName: t.LACName, LNSName: t.LNSName,
		PeerTunnelID: t.PeerID, PeerSessionID: s.setup.PeerSessionID,
	}
}

// account makes an accounting record without counters.
func (s *Session) account(kind AcctKind, at time.Time) *AcctRecord {
	r := &AcctRecord{
		Ref: s.setup.Ref, Slot: s.setup.Slot, Kind: kind, At: at, User: s.accountingUser(), Login: s.user, Method: s.method,
		Address: s.address, Call: s.callInfo(),
	}
	if s.auth != nil {
		p := &s.auth.Profile
		r.Routes, r.Class, r.CUI, r.Local = p.Routes, p.Class, p.CUI, p.Local
		if v := p.Services; v != nil {
			r.Throttled = v.Up.Limited() || v.Down.Limited()
		}
	}
	if s.segment != nil {
		base := s.segment.base
		r.Base = &base
	}
	if s.told6 {
		r.IPv6 = s.six.network
	}
	if kind != AcctStart {
		r.Duration = at.Sub(s.accountSince())
	}
	return r
}

// FailureRecord says that the session never came up (RFC 2867 section 3.6), for
// those who account for links.
func (s *Session) FailureRecord(at time.Time, cause TerminateCause) *AcctRecord {
	r := s.account(AcctLinkReject, at)
	r.Duration, r.Cause = 0, cause
	return r
}
