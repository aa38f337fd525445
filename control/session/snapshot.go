package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// Snapshot is what must be known of a session that has been up so that another
// process goes on with it: nobody is asked or told anything again. It is a plain
// value; what it points to is not changed.
type Snapshot struct {
	Ref
	Slot          uint32
	AcctSessionID string
	PeerSessionID uint16
	Call          CallSnapshot

	Link ppp.Snapshot
	// Installed is false while no NCP is open.
	Installed, IPv4 bool
	IPv6            *IPv6Snapshot `cbor:",omitzero"`
	Method          AuthMethod
	User            string
	Address         netip.Addr
	// Own and Remote are set where ours is the client's end of the link, and Placed names
	// what the operator has asked for.
	Own, Remote netip.Addr `cbor:",omitzero"`
	Placed      string     `cbor:",omitzero"`
	Profile     Profile    // as far as it is kept
	NextNs      uint16
	Framing     Framing
	MTU         uint16
	VRF         uint32 `cbor:",omitzero"`

	Opened, UpSince   time.Time
	ExpireAt, Interim time.Time `cbor:",omitzero"` // zero: never
	Accounted         bool
	// Account, AccountSince and AccountBase describe the account that is open or
	// was last, in a session that had several; see segment.
	Account      int       `cbor:",omitzero"`
	AccountSince time.Time `cbor:",omitzero"`
	AccountBase  Counters  `cbor:",omitzero"`
	// Base is what was counted before the present install, and whatever the present
	// process counted itself: it ends with it.
	Base Counters `cbor:",omitzero"`
}

// CallSnapshot is what the call's set-up said.
type CallSnapshot struct {
	Called, Calling                           string
	Serial, TxSpeed, RxSpeed, PhysicalChannel uint32
	Line                                      *AccessLine `cbor:",omitzero"`
}

// IPv6Snapshot is a session's part of IPv6.
type IPv6Snapshot struct {
	Open, Asked, Refused bool
	Local, Peer          [8]byte
	Network              *Network6
}

// TunnelSnapshot is what must be known of an established tunnel.
type TunnelSnapshot struct {
	l2tp.Snapshot
	Local, PeerAddr netip.AddrPort
	HostName        string // the peer's
	// Outgoing names the tunnel of the operator's that it is; empty for others.
	Outgoing string `cbor:",omitzero"`
	// FirstID is what the peer's SCCRQ said of its id, 0 if it was hidden.
	FirstID          uint16
	Created, UpSince time.Time
	// Account is the tunnel's accounting id, Usage the traffic of the sessions that
	// have ended; empty without tunnel accounting.
	Account string
	Usage   Counters
}

// CallID names a call that is no session worth going on with: in set-up, or on its
// way out. Its peer has to be told when the process ends.
type CallID struct {
	TunnelID, SessionID, PeerSessionID uint16
}

// Durable is a set of changes to what the next process has to know. Of one thing a
// later change replaces the earlier; within one set the fields take effect in their
// order.
type Durable struct {
	Tunnels []TunnelSnapshot
	// Calls take the place of a session of the same ids, and the other way round.
	Calls    []CallID
	Sessions []*Snapshot
	// CallsGone ends sessions and calls alike.
	CallsGone   []CallID
	TunnelsGone []uint16
}

// Empty reports whether there is nothing in d; Reset makes it so and keeps memory.
func (d *Durable) Empty() bool {
	return len(d.Tunnels)+len(d.Calls)+len(d.Sessions)+len(d.CallsGone)+len(d.TunnelsGone) == 0
}

// Reset empties d.
func (d *Durable) Reset() {
	clear(d.Tunnels)
	clear(d.Sessions)
	d.Tunnels, d.Calls, d.Sessions = d.Tunnels[:0], d.Calls[:0], d.Sessions[:0]
	d.CallsGone, d.TunnelsGone = d.CallsGone[:0], d.TunnelsGone[:0]
}

// settled says that nothing is under way, so that a snapshot holds.
func (s *Session) settled() bool {
	switch {
	case s.state != stateUp && s.state != stateNCP || !s.started || s.link == nil:
		return false
	case s.install == installing || s.updating || s.stale || s.changing != nil:
		return false
	}
	return s.auth != nil
}

// Snapshot returns what another process needs; ok is false while the session is not
// worth going on with, or something is under way: then an earlier snapshot holds.
// volatile is what the present process alone has counted.
//
// A session that is being taken out of the forwarding path while its NCPs are
// negotiated anew goes on with what r has counted by now.
func (s *Session) Snapshot(r Reader, volatile Counters) (v *Snapshot, ok bool) {
	if !s.settled() {
		return nil, false
	}
	link, ok := s.link.Snapshot()
	if !ok {
		return nil, false
	}
	v = &Snapshot{
		Ref: s.setup.Ref, Slot: s.setup.Slot, AcctSessionID: s.setup.AcctSessionID, PeerSessionID: s.setup.PeerSessionID,
		Call: CallSnapshot{
			s.call.called, s.call.calling, s.call.serial, s.call.txSpeed, s.call.rxSpeed, s.call.physicalChannel, s.call.line},
		Link: link, Installed: s.install == installed, IPv4: s.ipv4,
		Method: s.method, User: s.user, Address: s.address, Profile: s.auth.profile(),
		NextNs: s.ns, Framing: s.framing, MTU: s.mtu, VRF: s.cfg.VRF,
		Opened: s.opened, UpSince: s.time(s.upSince), ExpireAt: s.time(s.expireAt), Interim: s.time(s.interimAt),
		Accounted: s.accounted,
	}
	if s.base != nil {
		v.Base = *s.base
	}
	if s.client != nil {
		v.Own, v.Remote = s.client.own, s.client.remote
	}
	switch s.install {
	case installed:
		v.Base = v.Base.Add(volatile)
	case removing:
		v.Base = v.Base.Add(r.Counters(s.setup.Slot))
	}
	v.Base.PeerSeen = 0 // by a clock of this process's
	if x := s.six; x != nil {
		v.IPv6 = &IPv6Snapshot{x.open, x.asked, x.refused, x.local, x.peer, x.network}
	}
	if g := s.segment; g != nil {
		v.Account, v.AccountSince, v.AccountBase = g.number, g.since, g.base
	}
	return v, true
}

// restoreSpread is over how long interim records that became due while no process
// was there are sent.
const restoreSpread = 30 * time.Second

// Restore makes a session that goes on from a snapshot, silently: it is installed
// where it was, its account is open, and its timers run on. It returns nil for what no
// Snapshot has returned.
func Restore(cfg *Config, v *Snapshot, tunnel *Tunnel, random func([]byte), now time.Time) *Session {
	link := ppp.Restore(cfg.PPP, &v.Link, random, now)
	if link == nil {
		return nil
	}
	s := &Session{
		cfg: cfg, random: random, link: link,
		setup: Setup{Ref: v.Ref, Slot: v.Slot, AcctSessionID: v.AcctSessionID, PeerSessionID: v.PeerSessionID, Tunnel: tunnel},
		call: callParams{called: v.Call.Called, calling: v.Call.Calling, serial: v.Call.Serial,
			txSpeed: v.Call.TxSpeed, rxSpeed: v.Call.RxSpeed, physicalChannel: v.Call.PhysicalChannel, line: v.Call.Line},
		state: stateNCP, ipv4: v.IPv4, started: true, accounted: v.Accounted, verified: true,
		method: v.Method, user: v.User, address: v.Address, auth: newGrant(&AuthResult{Profile: v.Profile}),
		ns: v.NextNs, framing: v.Framing, mtu: v.MTU,
		opened: v.Opened,
	}
	for _, t := range [...]struct {
		to *moment
		at time.Time
	}{{&s.upSince, v.UpSince}, {&s.expireAt, v.ExpireAt}, {&s.interimAt, v.Interim}} {
		if !t.at.IsZero() {
			*t.to = s.moment(t.at)
		}
	}
	if v.Base != (Counters{}) {
		base := v.Base
		s.base = &base
	}
	if v.Own.IsValid() {
		s.client = &clientEnd{v.Own, v.Remote}
	}
	if v.Installed {
		s.install, s.state = installed, stateUp
	}
	if v.Account != 0 || !v.AccountSince.IsZero() {
		s.segment = &segment{number: v.Account, since: v.AccountSince, base: v.AccountBase}
	}
	if x := v.IPv6; x != nil {
		s.six = &six{open: x.Open, asked: x.Asked, refused: x.Refused, local: x.Local, peer: x.Peer, network: x.Network}
		s.told6 = s.six.ready()
	}
	if d := s.idleTimeout(); d > 0 {
		s.idleAt = s.moment(now.Add(d))
	}
	if s.due(s.interimAt, now) {
		var b [1]byte
		random(b[:])
		s.interimAt = s.moment(now.Add(restoreSpread * time.Duration(b[0]) / 256))
	}
	return s
}

// Resume takes up what the restored session does of its own accord: it speaks on its
// link, or goes into the forwarding path where it had just been taken out of it.
func (s *Session) Resume(now time.Time, out *Out) {
	if s.install == absent {
		s.refresh(now, out)
		return
	}
	s.advertise(now, out)
}
