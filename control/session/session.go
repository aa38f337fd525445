package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// Tunnel is what a session needs to know of the tunnel that it runs in. Sessions
// share it; it does not change.
type Tunnel struct {
	ID, PeerID       uint16
	Local, Peer      netip.AddrPort
	LACName, LNSName string
}

// Setup is what a session is made with when its call is accepted.
type Setup struct {
	Ref
	Slot          uint32
	AcctSessionID string
	PeerSessionID uint16
	Tunnel        *Tunnel
}

// state is where a session is on its way; the order matters.
type state uint8

const (
	stateCall    state = iota // accepted, not connected yet
	stateLCP                  // LCP is negotiated
	stateAuth                 // the peer proves its identity
	stateNCP                  // the NCPs are negotiated, then the forwarding path programmed
	stateUp                   // packets flow, accounting runs
	stateClosing              // the way out, see teardown.go
	stateDone
)

var stateNames = [...]string{"call", "lcp", "auth", "ncp", "up", "closing", "closing"}

// install is what the forwarding path knows of the session.
type install uint8

const (
	absent install = iota
	installing
	installed
	removing
)

// Reader reads the traffic counters of a slot. It is asked only when something
// that is due needs to know.
type Reader interface {
	Counters(slot uint32) Counters
}

// Session is one subscriber session. It is not safe for concurrent use: one
// goroutine owns it. Every method that may cause an effect takes the time and an
// Out, and appends to the Out; after any of them Deadline may have changed.
type Session struct {
	cfg    *Config
	setup  Setup
	random func([]byte)
	// link is nil before the call is up.
	link *ppp.Link
	held [][]byte // PPP frames that overtook the ICCN
	six  *six     // nil before IPV6CP has opened

	state   state
	install install
	ipv4    bool // IPCP is open
	// updating: a record for other families than before is being installed; stale:
	// one more is to follow.
	updating, stale bool
	told6           bool // the accountant knows of the prefixes
	callGone        bool
	pumping         bool
	started         bool // has been up
	// accounted is true between an Accounting Start and its Stop.
	accounted bool
	asking    bool // an AuthRequest or the Claim after it is out
	method    AuthMethod
	verified  bool
	ns        uint16 // of data messages, when they are sequenced
	framing   Framing
	mtu       uint16

	user    string // as the peer said it
	address netip.Addr
	client  *clientEnd   // nil unless ours is the client's end of the link, and open
	auth    *grant       // what was granted; nil before
	next    *AuthRequest // waits for the answer to an earlier one
	call    callParams

	opened  time.Time
	took    [StageAll]uint32 // in microseconds
	upSince moment
	stageAt moment // the state before stateUp was entered; none: opened
	// The session's own timers. setupBy serves until the session is up, retryAt
	// while a removal failed.
	setupBy, expireAt, idleAt, interimAt, retryAt moment
	hurryAt                                       moment // the end waits no longer

	// UpPackets and PeerSeen when last looked at.
	seenUp   uint64
	seenPeer time.Duration
	base     *Counters // of earlier installs of the same session; nil: nothing
	segment  *segment
	changing *changing // a change of what was granted, under way
	end      *ending   // set once the session is closing
}

// callParams are the parts of the call's set-up that outlive it.
type callParams struct {
	called, calling  string
	serial           uint32
	txSpeed, rxSpeed uint32
	physicalChannel  uint32
	line             *AccessLine
}

// New returns a session whose call was accepted just now. random reads
// unpredictable bytes.
func New(cfg *Config, s Setup, random func([]byte), now time.Time) *Session {
	return &Session{
		cfg: cfg, setup: s, random: random, opened: now,
		setupBy: moment(cfg.setupTimeout()) + 1,
		framing: Framing{Length: cfg.DataLength, Sequence: cfg.DataSequence, DSCP: cfg.OuterDSCP, ECN: cfg.ECN},
	}
}

// Ref names the session; Slot is its index in the data plane; Policy is what it
// was made with.
func (s *Session) Ref() Ref        { return s.setup.Ref }
func (s *Session) Slot() uint32    { return s.setup.Slot }
func (s *Session) Policy() *Config { return s.cfg }

// User is the name that the peer gave, or that the authenticator replaced it by.
func (s *Session) User() string { return s.accountingUser() }

// Calling is the caller's number as the LAC gave it, "" before the call is up.
func (s *Session) Calling() string { return s.call.calling }

// IsUp reports whether the forwarding path confirmed the session and it is not
// closing.
func (s *Session) IsUp() bool { return s.state == stateUp }

// IsChanging reports whether a change of what was granted is under way.
func (s *Session) IsChanging() bool { return s.changing != nil }

// IsEnding reports whether the session is on its way out.
func (s *Session) IsEnding() bool { return s.state >= stateClosing }

// CallUp tells the session that its call is connected; p holds the AVPs of the
// ICRQ and the ICCN and is not kept.
func (s *Session) CallUp(now time.Time, p *l2tp.CallParams, out *Out) {
	if s.state != stateCall {
		return
	}
	s.enter(now, stateLCP, out)
	if p != nil {
		s.call = callParams{
			called: p.CalledNumber, calling: p.CallingNumber, serial: p.Serial,
			txSpeed: p.TxSpeed, rxSpeed: p.RxSpeed, physicalChannel: p.PhysicalChannel,
			line: accessLine(&p.Line),
		}
		// A LAC that sends Sequencing Required must get sequence numbers
		// (RFC 2661 section 4.4.4).
		s.framing.Sequence = s.framing.Sequence || p.SequencingRequired
	}
	s.link = ppp.NewLink(s.cfg.PPP, s.random)
	var proxy *ppp.Proxy
	if !s.cfg.IgnoreProxy {
		proxy = proxyOf(p)
	}
	s.link.Start(now, proxy, &out.ppp)
	s.pump(now, out)
	held := s.held
	s.held = nil
	for _, f := range held {
		s.Frame(now, f, out)
	}
}

// proxyOf translates the proxy AVPs of an ICCN (RFC 2661 section 4.4.5); nil
// when the LAC sent none.
func proxyOf(p *l2tp.CallParams) *ppp.Proxy {
	if p == nil {
		return nil
	}
	x := &p.Proxy
	if x.LastSent == nil && x.LastReceived == nil && x.InitialReceived == nil && x.AuthType == 0 {
		return nil
	}
	r := &ppp.Proxy{
		InitialReceived: x.InitialReceived, LastSent: x.LastSent, LastReceived: x.LastReceived,
		AuthName: x.AuthName, AuthChallenge: x.AuthChallenge, AuthID: x.AuthID,
		AuthResponse: x.AuthResponse, HasAuth: true,
	}
	// Proxy Authen Type, section 4.4.5.
	switch x.AuthType {
	case 2:
		r.Auth = ppp.CHAPMD5
	case 3:
		r.Auth = ppp.PAP
	case 4:
		r.Auth = ppp.NoAuth
	default: // absent, a text exchange, MS-CHAPv1: nothing that we can check
		r.HasAuth = false
	}
	return r
}

// Frame takes a PPP frame from the peer, never an IP packet. frame is not kept.
func (s *Session) Frame(now time.Time, frame []byte, out *Out) {
	switch {
	case s.state == stateCall:
		// The LAC may send as soon as it has our ICRP, and UDP may let the data
		// overtake the ICCN: without these few frames set-up would wait for the
		// client's restart timer.
		if len(s.held) < maxHeld && len(frame) <= maxHeldBytes {
			s.held = append(s.held, append([]byte(nil), frame...))
		}
	case s.link != nil:
		s.link.Receive(now, frame, &out.ppp)
		s.pump(now, out)
	}
}

// pump sends the link's frames and acts on its events, also on those that acting
// brings about: called again meanwhile, it leaves them to the call at work.
func (s *Session) pump(now time.Time, out *Out) {
	if s.pumping {
		return
	}
	s.pumping = true
	p := &out.ppp
	for sent, seen := 0, 0; sent < len(p.Send) || seen < len(p.Events); {
		for ; sent < len(p.Send); sent++ {
			s.send(p.Send[sent], out)
		}
		if seen < len(p.Events) {
			e := p.Events[seen]
			seen++
			s.linkEvent(now, &e, out)
		}
	}
	out.Links = append(out.Links, p.Steps...)
	p.Reset()
	s.pumping = false
	s.noteEnd(now, out)
}

// noteEnd begins the way out as soon as the link knows that it ends: the account
// stops there, and a call that goes down meanwhile does not become the reason.
func (s *Session) noteEnd(now time.Time, out *Out) {
	if s.link == nil || s.state >= stateClosing {
		return
	}
	if c, text := s.link.Cause(); c != ppp.CauseNone {
		s.begin(now, endOfLink(c, text), out)
	}
}

// send puts a PPP frame behind an L2TP data header. After the call is gone
// nobody is there to read it.
func (s *Session) send(frame []byte, out *Out) {
	if s.callGone {
		return
	}
	from := len(out.arena)
	out.arena = l2tp.AppendDataHeader(out.arena, s.setup.Tunnel.PeerID, s.setup.PeerSessionID,
		s.framing.Length, s.framing.Sequence, s.ns, len(frame))
	out.arena = append(out.arena, frame...)
	out.Send = append(out.Send, out.arena[from:len(out.arena):len(out.arena)])
	if s.framing.Sequence {
		s.ns++
	}
}

func (s *Session) linkEvent(now time.Time, e *ppp.Event, out *Out) {
	switch e.Kind {
	case ppp.LinkUp:
		s.linkUp(now, out)
	case ppp.AuthRequested:
		s.askAuth(now, e.Auth, out)
	case ppp.IPv4Up:
		if s.isClient() {
			s.clientUp(now, e.IPv4, out)
			return
		}
		s.ipv4 = true
		s.refresh(now, out)
	case ppp.IPv4Down:
		s.ipv4 = false
		s.refresh(now, out)
	case ppp.IPv6Up:
		s.ipv6Up(now, e.IPv6, out)
	case ppp.IPv6Down:
		s.ipv6Down(now, out)
	case ppp.LinkDown:
		s.linkDown(now, e, out)
	}
}

// linkUp takes the outcome of LCP.
func (s *Session) linkUp(now time.Time, out *Out) {
	if s.state >= stateClosing {
		return
	}
	n := s.link.Negotiated()
	s.framing.AddressControl = !n.ACFC && !s.cfg.OmitAddressControl
	s.framing.CompressProtocol = n.PFC
	if s.state < stateAuth {
		s.enter(now, stateAuth, out)
	}
	// The LAC of an asynchronous line escapes characters for us, and assumes
	// all of them until it is told (RFC 2661 section 6.14).
	if n.SendACCM != defaultACCM || n.ReceiveACCM != defaultACCM {
		out.LinkInfo = append(out.LinkInfo, l2tp.ACCM{Send: n.SendACCM, Receive: n.ReceiveACCM})
	}
}

// defaultACCM is the async control character map before LCP (RFC 1662 section 7.1).
const defaultACCM = 0xFFFFFFFF

// program asks for the session to be installed in the forwarding path.
func (s *Session) program(now time.Time, out *Out) {
	if s.state >= stateClosing || s.install != absent {
		return // after a removal that is under way, Programmed comes back here
	}
	s.measure()
	if s.upSince == 0 {
		s.upSince = s.moment(now)
	}
	s.install = installing
	s.seenUp, s.seenPeer = 0, 0
	out.Program = append(out.Program, ProgramOp{Record: s.Record()})
}

// measure takes over what LCP has agreed on, which may be new since last time.
func (s *Session) measure() {
	s.mtu = s.cfg.innerMTU(s.setup.Tunnel.Peer.Addr(), s.framing, s.link.Negotiated().MRU)
}

// Record is what the forwarding path has to know.
func (s *Session) Record() Record {
	r := Record{
		Ref: s.setup.Ref, Slot: s.setup.Slot,
		Local: s.setup.Tunnel.Local, Peer: s.setup.Tunnel.Peer,
		PeerTunnelID: s.setup.Tunnel.PeerID, PeerSessionID: s.setup.PeerSessionID,
		VRF: s.cfg.VRF, Framing: s.framing, NextNs: s.ns, MTU: s.mtu,
		User: s.accountingUser(), AcctSessionID: s.acctSessionID(), UpSince: s.time(s.upSince),
	}
	if s.auth != nil {
		r.Services = s.auth.Profile.Services
	}
	if s.ipv4 {
		r.Address, r.Routes, r.OwnAddress = s.address, s.auth.Profile.Routes, s.OwnAddress()
	}
	if s.six.ready() {
		r.Prefixes6 = s.six.network.All()
	}
	if s.link != nil {
		r.LocalMagic = s.link.Negotiated().LocalMagic
	}
	if s.cfg.ClampMSS && s.link != nil {
		r.ClampMSS = clampMSS(s.mtu, s.link.Negotiated().LocalMRU)
	}
	return r
}

// Programmed takes the forwarding path's answer.
func (s *Session) Programmed(now time.Time, p *Programmed, out *Out) {
	if p.Removed {
		s.removed(now, p, out)
		return
	}
	// A path that gave the session up in favour of the other one says what it had
	// counted.
	s.count(p.Final)
	if s.state >= stateClosing {
		return // it is being removed again already
	}
	if s.install == installed && s.updating {
		s.updated(now, p, out)
		return
	}
	if s.install == installed && s.changing != nil && s.changing.phase != applied {
		s.reprogrammed(now, p, out)
		s.catchUp(now, out)
		return
	}
	if s.install != installing {
		return
	}
	if p.Err != nil {
		// It is removed all the same: of the paths and what goes with them only one
		// has refused it.
		out.Events = append(out.Events, Event{Kind: ProgramFailed, Err: p.Err})
		s.close(now, s.busyEnd(CauseNASError, "no room in the forwarding path"), out)
		return
	}
	s.install = installed
	s.enter(now, stateUp, out)
	if s.started {
		// The NCPs had been down for a while.
		s.joined(now, out)
		s.catchUp(now, out)
		return
	}
	s.started, s.told6 = true, s.six.ready()
	s.setupBy = 0
	s.startTimers(now)
	if s.mayAccount() {
		s.openAccount(now, out)
	}
	s.audit(netip.AddrPort{}, s.auth.Profile.Services.intercept(), "authentication", now, out)
	out.Events = append(out.Events, Event{Kind: Up})
	s.joined(now, out)
	s.catchUp(now, out)
}

// removed takes the answer to a removal.
func (s *Session) removed(now time.Time, p *Programmed, out *Out) {
	if s.install != removing {
		return
	}
	if p.Err != nil {
		// The slot and the address must not go to anybody else while the path
		// may still use them, so the removal is asked for until it works.
		s.retryAt = s.moment(now.Add(removeRetry))
		out.Events = append(out.Events, Event{Kind: ProgramFailed, Err: p.Err})
		return
	}
	s.install = absent
	s.count(p.Final)
	switch {
	case s.state >= stateClosing:
		if s.link == nil { // else LinkDown is still to come
			s.finish(out)
		}
	case s.served():
		s.program(now, out)
	}
}

func (s *Session) remove(out *Out) {
	s.interrupt(out)
	s.install, s.updating, s.stale = removing, false, false
	out.Program = append(out.Program, ProgramOp{Remove: true, Record: s.Record()})
}

// count adds what the session counted before the forwarding path was changed. It is
// kept apart, since most sessions have nothing of the kind until they end.
func (s *Session) count(c Counters) {
	if c == (Counters{}) {
		return
	}
	sum := s.counted().Add(c)
	s.base = &sum
}

// counted is the sum of what was given to count.
func (s *Session) counted() Counters {
	if s.base == nil {
		return Counters{}
	}
	return *s.base
}
