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
)

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
	// Cause is set in a Stop only.
	Cause TerminateCause
}
