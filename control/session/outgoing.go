package session

import (
	"net/netip"
	"time"
)

// OutgoingView is a tunnel that the operator wants, as shown.
type OutgoingView struct {
	Name string
	// Role is which end we are: lac or lns.
	Role        string
	Local, Peer netip.AddrPort
	Persist     bool
	// State is one word: opening, up, closing, waiting for the next attempt, or over.
	State string
	// Reason is why it is not up, or why it was not before.
	Reason   string
	TunnelID uint16 // 0 while there is none
	HostName string // the peer's
	// Attempts counts since the daemon's start; RetryAt is when the next one is made, the
	// zero time if none is due.
	Attempts int
	RetryAt  time.Time
	Since    time.Time // when it was first wanted
	Sessions int       // of both ends
	Calls    []PlacedView
}

// PlacedView is a call that the operator wants, as shown.
type PlacedView struct {
	Name, Tunnel string
	// Type is laic for a LAC's incoming call, lnoc for an LNS's outgoing call.
	Type    string
	Persist bool
	// State is that of the session (call, lcp, auth, ncp, up, closing) or, without one,
	// tunnel while that is not up, waiting, or over.
	State  string
	Reason string
	Ref    // zero while there is no session
	Slot   uint32
	User   string
	// Own is our address on the link, Peer the peer's. Where the peer is the client they
	// are the gateway's and the subscriber's.
	Own, Peer netip.Addr
	Attempts  int
	RetryAt   time.Time
}
