package session

import (
	"net/netip"
	"time"
)

// Selector names sessions by what identifies them. What is not zero must match, all
// of it; an empty selector names none. User and AcctSessionID are compared byte by
// byte.
type Selector struct {
	// User is the name that the peer gave, or that the authenticator replaced it by.
	User          string
	AcctSessionID string
	Address       netip.Addr
	// Prefix6 is one of the subscriber's IPv6 prefixes.
	Prefix6         netip.Prefix
	InterfaceID     [8]byte
	Calling, Called string
	// CUI is the Chargeable-User-Identity (RFC 4372).
	CUI  string
	Slot uint32
	// The local ids.
	TunnelID, SessionID uint16
	// The ids assigned by the peer.
	PeerTunnelID, PeerSessionID uint16
	// NASPort is what accounting sends as NAS-Port, see NASPort.
	NASPort uint32
}

// Empty reports whether x names nothing.
func (x *Selector) Empty() bool { return *x == Selector{} }

// Matches reports whether x names s.
func (x *Selector) Matches(s *Session) bool {
	if x.Empty() || x.User != "" && x.User != s.user && x.User != s.accountingUser() {
		return false
	}
	return x.matchesIDs(s) && x.matchesCall(s) && x.matchesNetwork(s)
}

func (x *Selector) matchesIDs(s *Session) bool {
	ref := s.setup.Ref
	switch {
	case x.AcctSessionID != "" && x.AcctSessionID != s.acctSessionID() && x.AcctSessionID != s.setup.AcctSessionID,
		x.Slot != 0 && x.Slot != s.setup.Slot,
		x.TunnelID != 0 && x.TunnelID != ref.TunnelID,
		x.SessionID != 0 && x.SessionID != ref.SessionID,
		x.PeerTunnelID != 0 && x.PeerTunnelID != s.setup.Tunnel.PeerID,
		x.PeerSessionID != 0 && x.PeerSessionID != s.setup.PeerSessionID,
		x.NASPort != 0 && x.NASPort != NASPort(ref, s.call.physicalChannel):
		return false
	}
	return true
}

func (x *Selector) matchesCall(s *Session) bool {
	if x.CUI != "" && (s.auth == nil || x.CUI != string(s.auth.Profile.CUI)) {
		return false
	}
	return (x.Calling == "" || x.Calling == s.call.calling) && (x.Called == "" || x.Called == s.call.called)
}

func (x *Selector) matchesNetwork(s *Session) bool {
	if x.Address.IsValid() && x.Address.Unmap() != s.address {
		return false
	}
	if x.Prefix6.IsValid() && !s.has6(x.Prefix6.Masked()) {
		return false
	}
	return x.InterfaceID == [8]byte{} || x.InterfaceID == s.interfaceID()
}

// has6 reports whether p is one of the subscriber's IPv6 prefixes.
func (s *Session) has6(p netip.Prefix) bool {
	r := s.Record()
	for _, q := range r.Prefixes6 {
		if q.Masked() == p {
			return true
		}
	}
	return false
}

func (s *Session) interfaceID() [8]byte {
	if s.six != nil && s.six.open {
		return s.six.peer
	}
	if s.auth == nil || s.auth.Profile.IPv6 == nil {
		return [8]byte{}
	}
	return s.auth.Profile.IPv6.InterfaceID
}

// NASPort is the number of a session's port as RADIUS servers see it: the LAC's
// physical channel, or else the local ids, which no other session has at the same
// time.
func NASPort(ref Ref, physicalChannel uint32) uint32 {
	if physicalChannel != 0 {
		return physicalChannel
	}
	return uint32(ref.TunnelID)<<16 | uint32(ref.SessionID)
}

// ChangeOptions say how several sessions are changed or ended together.
type ChangeOptions struct {
	// Several lets the order go to all sessions that match, all of them or none.
	// Without it, an order that matches more than one is refused.
	Several bool
	// By says who orders, for the audit: never a secret.
	By string
	// Cause is the reason of an order to end; zero means Admin-Reset.
	Cause TerminateCause
	// Message is for a subscriber that is ended, Class for the last record of its
	// account.
	Message string
	Class   [][]byte
}

// farewell is how long a subscriber has to acknowledge its end when somebody waits
// for it.
const farewell = time.Second

// End is what an order to end sessions means for each.
func (o *ChangeOptions) End() End {
	e := EndByOperator(o.Cause)
	e.Message, e.Class, e.Patience = o.Message, o.Class, farewell
	return e
}
