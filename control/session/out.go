package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// Out collects what one session wants done. The owner carries it out in the
// order of the fields, and the elements of each field in their order, then
// resets it. An answer that is known at once (a claim, a full queue) is given to
// the session after the whole Out has been carried out, never in between.
type Out struct {
	// Send holds whole L2TP data messages for the tunnel's peer. They go first:
	// a Terminate-Request must leave before the CDN that follows it.
	Send [][]byte
	// LinkInfo are the ACCMs to tell the LAC in an SLI (RFC 2661 section 6.14).
	LinkInfo []l2tp.ACCM
	// Claim asks for the user's name and an address; answer with Claimed.
	Claim []Claim
	// Claim6 asks for IPv6 prefixes, of which there is one claim at most; answer
	// with Claimed6.
	Claim6 []Claim6
	// Authenticate goes to the authenticator; answer with Authenticated.
	Authenticate []*AuthRequest
	// Program goes to the forwarding path; answer with Programmed.
	Program []ProgramOp
	// Account goes to the accountant. A Start comes after the install was
	// confirmed, a Stop after the removal was.
	Account []*AcctRecord
	// Interceptions are for the audit.
	Interceptions []Interception
	// Changed answers Change and Settle.
	Changed []Changed
	// HangUp ends the call with a CDN. It comes after the Stop, so that a LAC
	// that calls again at once finds the account closed.
	HangUp []l2tp.Result
	// Events are for the log and the counters, and Stages for the times of set-up.
	Events []Event
	Stages []StageTime
	// Done is set when the session has ended: its claim, slot, session id and
	// accounting id are to be released, last, and the session forgotten.
	Done bool

	// Moves and Links, for traces, are transitions of the session and of its PPP
	// automata; noted only after Trace(true).
	Moves []Move
	Links []ppp.Step

	trace bool
	ppp   ppp.Out
	arena []byte // backs Send
}

// Any reports whether anything is wanted that may go with a change of the session.
func (o *Out) Any() bool {
	return len(o.Send)+len(o.Program)+len(o.Account)+len(o.Events)+len(o.Changed)+len(o.HangUp) > 0
}

// Trace says whether Moves and Links are wanted. It outlives a Reset.
func (o *Out) Trace(on bool) { o.trace, o.ppp.Trace = on, on }

// Move is a transition of a session.
type Move struct{ From, To string }

// Reset empties o and keeps its memory.
func (o *Out) Reset() {
	clear(o.Authenticate)
	clear(o.Account)
	clear(o.Program)
	clear(o.Changed)
	o.Send = o.Send[:0]
	o.LinkInfo = o.LinkInfo[:0]
	o.Claim = o.Claim[:0]
	clear(o.Claim6)
	o.Claim6 = o.Claim6[:0]
	o.Authenticate = o.Authenticate[:0]
	o.Program = o.Program[:0]
	o.Account = o.Account[:0]
	o.Interceptions = o.Interceptions[:0]
	o.Changed = o.Changed[:0]
	o.HangUp = o.HangUp[:0]
	o.Events = o.Events[:0]
	o.Stages = o.Stages[:0]
	o.Done = false
	o.Moves, o.Links = o.Moves[:0], o.Links[:0]
	o.arena = o.arena[:0]
}

// Claim asks for what the session shares with others: the right of a user to be
// logged in (once more), and an address.
type Claim struct {
	User string
	// Alias is the name that the authenticator gives to the user, if another.
	Alias      string
	Duplicates DuplicatePolicy
	// Unchecked: the name was only claimed. The address that is kept for it is not
	// for this session, and this session's will not be kept.
	Unchecked bool
	VRF       uint32
	// Address is the one address that will do; when it is not valid any
	// address of the named pool does, the user's last one if it is free.
	Address netip.Addr
	Pool    string
	// NoAddress registers the user alone; Optional is content with that where there
	// is no such pool.
	NoAddress, Optional bool
}

// Claim6 asks for the IPv6 prefixes of a session.
type Claim6 struct {
	User       string
	Duplicates DuplicatePolicy
	VRF        uint32
	// Prefixes and Delegated are wanted as they are; single addresses are among
	// Prefixes, with 128 bits.
	Prefixes, Delegated []netip.Prefix
	// Pool and PDPool give one more each, for the link and for delegation; "" none.
	// AddressPool gives a single address, its prefixes having 128 bits.
	Pool, PDPool, AddressPool string
}

// ClaimResult6 answers a Claim6. Network holds the prefixes that were granted, the
// session's until it is Done; Outcome is Granted when those are all, else why the
// first of the others was not.
type ClaimResult6 struct {
	Outcome ClaimOutcome
	Network *Network6
}

// ClaimResult answers a Claim.
type ClaimResult struct {
	Outcome ClaimOutcome
	Address netip.Addr // Granted
}

// ClaimOutcome says whether a claim was granted.
type ClaimOutcome uint8

// The outcomes.
const (
	// Granted: the address is the session's until it is Done.
	Granted ClaimOutcome = iota
	// DuplicateUser: the user is logged in and the policy refuses a second time.
	DuplicateUser
	// AddressInUse: another session has the very address that was asked for.
	AddressInUse
	// PoolEmpty: the pool has no free address.
	PoolEmpty
	// NoSuchPool: there is no pool of that name.
	NoSuchPool
	// BadAddress: what was asked for is no IPv4 host address.
	BadAddress
)

var claimOutcomes = [...]string{
	"granted", "duplicate user", "address in use", "pool exhausted", "no such pool", "address is not usable",
}

func (o ClaimOutcome) String() string { return claimOutcomes[o] }

// EventKind says what happened to a session.
type EventKind uint8

// The events.
const (
	// Up: the forwarding path confirmed the session.
	Up EventKind = iota + 1
	// AuthFailed: the authenticator said no; AuthUnavailable: it did not answer.
	AuthFailed
	AuthUnavailable
	// ClaimFailed: no address, or a duplicate login.
	ClaimFailed
	// ProgramFailed: the forwarding path did not take the session, or did not
	// let go of it.
	ProgramFailed
	// Down: the session has ended, for End's reason.
	Down
	// Altered: what the session was granted has changed; Detail names what.
	Altered
)

// Event is one line for the log.
type Event struct {
	Kind EventKind
	// Detail says why, in the words of whoever knew.
	Detail string
	Claim  ClaimOutcome // ClaimFailed
	Err    error        // ProgramFailed
	End    End          // Down
	// WasUp tells, with Down, a session that had been up from a failed set-up. Open is
	// how long it was, and Idle for how long nothing had passed when it ended.
	WasUp      bool
	Open, Idle time.Duration
	// Stage is where the set-up stood when it failed.
	Stage Stage
	// LeftGarden tells, with Altered, that normal service has begun.
	LeftGarden bool
	By         string // Altered
}
