package session

import (
	"net/netip"
	"time"
)

// AcctKind is the kind of an accounting record (RFC 2866 section 5.1).
type AcctKind uint8

// The kinds; the values are those of Acct-Status-Type.
const (
	AcctStart   AcctKind = 1
	AcctStop    AcctKind = 2
	AcctInterim AcctKind = 3
	// Kinds of tunnels and of the calls in them, the links (RFC 2867 section 3).
	AcctTunnelStart  AcctKind = 9
	AcctTunnelStop   AcctKind = 10
	AcctTunnelReject AcctKind = 11
	AcctLinkStart    AcctKind = 12
	AcctLinkStop     AcctKind = 13
	AcctLinkReject   AcctKind = 14
)

// Begins and Ends report whether a record opens an account that a later one has to
// close, or closes it. A rejection does neither.
func (k AcctKind) Begins() bool {
	return k == AcctStart || k == AcctTunnelStart || k == AcctLinkStart
}
func (k AcctKind) Ends() bool { return k == AcctStop || k == AcctTunnelStop || k == AcctLinkStop }

// End is the kind that closes what k opened or reported on.
func (k AcctKind) End() AcctKind {
	switch k {
	case AcctTunnelStart:
		return AcctTunnelStop
	case AcctLinkStart:
		return AcctLinkStop
	}
	return AcctStop
}

// TerminateCause is why a session ended; the values are those of the RADIUS
// attribute Acct-Terminate-Cause (RFC 2866 section 5.10).
type TerminateCause uint8

// The causes in use.
const (
	CauseUserRequest        TerminateCause = 1
	CauseLostCarrier        TerminateCause = 2
	CauseLostService        TerminateCause = 3
	CauseIdleTimeout        TerminateCause = 4
	CauseSessionTimeout     TerminateCause = 5
	CauseAdminReset         TerminateCause = 6
	CauseAdminReboot        TerminateCause = 7
	CausePortError          TerminateCause = 8
	CauseNASError           TerminateCause = 9
	CauseNASRequest         TerminateCause = 10
	CauseNASReboot          TerminateCause = 11
	CauseServiceUnavailable TerminateCause = 15
	CauseUserError          TerminateCause = 17
	CauseHostRequest        TerminateCause = 18
)

// AcctRecord is one accounting event of one session. It is handed over by
// pointer and not changed afterwards.
type AcctRecord struct {
	Ref
	// Slot is the session's in the data plane, whose counters outlive the daemon; 0
	// in records of tunnels.
	Slot uint32
	Kind AcctKind
	// At is when the event happened, for Event-Timestamp: a record that is sent
	// late must not move.
	At   time.Time
	User string
	// Login is the name that the subscriber gave; User is another when the server
	// replaced it.
	Login   string
	Method  AuthMethod
	Address netip.Addr
	Routes  []netip.Prefix
	// IPv6 is nil for a session without.
	IPv6  *Network6
	Class [][]byte
	// CUI is the Chargeable-User-Identity; nil for none. Local tells a session that
	// no server granted.
	CUI   []byte
	Local bool
	Call  CallInfo
	// Duration is how long the session has been up. Stop and Interim only.
	Duration time.Duration
	Counters Counters
	// Base is what the session had counted when this account began, none of which
	// is in Counters; nil for nothing.
	Base *Counters
	// Cause is set in what ends or rejects only.
	Cause TerminateCause
	// Throttled tells a session with a limited rate.
	Throttled bool
	// Tunnel is the accounting id of the tunnel, in records of tunnels and links.
	Tunnel string
}
