package session

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// DuplicatePolicy says what happens when a user logs in who already has a
// session.
type DuplicatePolicy uint8

// The policies.
const (
	// KickOld ends the older sessions: a subscriber whose modem rebooted must
	// not wait for a timeout to get back in.
	KickOld DuplicatePolicy = iota
	// RefuseNew turns the new login down.
	RefuseNew
	// AllowDuplicates lets both stand.
	AllowDuplicates
)

// Config is the policy that sessions are made with. It is shared by any number
// of sessions and not changed.
type Config struct {
	PPP *ppp.Config
	// Peer is what the configuration calls the LAC, and Values what it says for its
	// sessions; both are for operators alone.
	Peer   string
	Values []Value

	// LocalAddress is our own address, told to the peer in IPCP.
	LocalAddress netip.Addr
	// DNS and NBNS are offered in IPCP when the profile names none.
	DNS, NBNS [2]netip.Addr
	// Routes are what lies behind the peer, where ours is the client's end of the link.
	Routes []netip.Prefix
	// Pool is where an address comes from when the profile names neither an
	// address nor a pool.
	Pool string
	// IPv6 is what subscribers get of it; nil: link-local addresses and no more.
	IPv6 *Config6
	// VRF is the routing table that subscribers live in; 0 is main.
	VRF uint32

	// IgnoreProxy negotiates and authenticates anew whatever the LAC's proxy AVPs
	// say; it must be possible to configure that (RFC 2661 section 9.5).
	IgnoreProxy bool
	// OuterMTU is the largest IP packet, in bytes, that the path to the LAC
	// carries without fragments. 0 means 1500.
	OuterMTU uint16
	// DataLength and DataSequence put the optional fields into data headers
	// (RFC 2661 section 3.1). A LAC that requires sequencing gets it anyway.
	DataLength, DataSequence bool
	// OuterDSCP is the code point of data packets to the LAC.
	OuterDSCP DSCP
	// ECN carries congestion marks through the tunnel; only for LACs that do too.
	ECN bool
	// OmitAddressControl leaves FF 03 out of data packets even where ACFC was not
	// negotiated, for LACs that expect none.
	OmitAddressControl bool
	// ClampMSS limits the MSS of TCP SYN segments to what the tunnel carries.
	ClampMSS bool

	Duplicates DuplicatePolicy
	// SetupTimeout ends a session that is not up so long after its call was
	// accepted. 0 means a minute.
	SetupTimeout time.Duration
	// SessionTimeout and IdleTimeout hold when the profile gives none; both run
	// from the moment the network layer is up, and only user traffic counts
	// against idleness (RFC 2865 sections 5.27 and 5.28). 0 is no limit.
	SessionTimeout, IdleTimeout time.Duration
	// InterimInterval is the period of interim accounting when the profile
	// gives none; 0 sends none. A tenth of it is jitter.
	InterimInterval time.Duration
	// Throttle limits sessions that were granted no rate, each way.
	Throttle Rate
	// AccountGarden opens an account also for what a session does in a walled
	// garden. Without it a session that enters one has its account closed, and
	// opened anew when it leaves.
	AccountGarden bool
	// RejectGarden is the walled garden of those whom the authenticator refuses; ""
	// turns them away.
	RejectGarden string
	// Busy is the CDN that answers a lack of addresses, ids or map entries;
	// some LACs lock an LNS out on some codes, so it can be chosen. The zero
	// value means result 4, temporary lack of facilities.
	Busy l2tp.Result
}

// Value is a value of the configuration, and where it is from.
type Value struct{ Name, Value, Source string }

// Defaults and fixed choices that are ours, not the RFCs'.
const (
	defaultOuterMTU     = 1500
	defaultSetupTimeout = time.Minute
	// minInterim is the shortest interim interval taken from a profile
	// (RFC 2869 section 5.16).
	minInterim = time.Minute
	// maxHeld is the number of PPP frames kept that overtook the ICCN.
	maxHeld = 4
	// maxHeldBytes bounds one such frame: set-up frames are short.
	maxHeldBytes = 512
	// removeRetry is the pause before a failed removal is asked for again.
	removeRetry = 2 * time.Second
	// interimRetry is by how much an interim record waits for a change to finish.
	interimRetry = time.Second
)

// Validate reports what makes c unusable.
func (c *Config) Validate() error {
	if c.PPP == nil {
		return fmt.Errorf("session: no PPP configuration")
	}
	if c.PPP.Client {
		return fmt.Errorf("session: PPP configuration is for the client end")
	}
	return c.validate()
}

// ValidatePlaced is Validate for calls that we place, where ours may be either end.
func (c *Config) ValidatePlaced() error {
	if c.PPP == nil {
		return fmt.Errorf("session: no PPP configuration")
	}
	return c.validate()
}

func (c *Config) validate() error {
	if !c.PPP.Client && !c.LocalAddress.Is4() {
		return fmt.Errorf("session: local address %v is not IPv4", c.LocalAddress)
	}
	if c.OuterMTU != 0 && c.OuterMTU < 576 {
		return fmt.Errorf("session: outer MTU %d is below 576", c.OuterMTU)
	}
	return nil
}

func (c *Config) outerMTU() int {
	if c.OuterMTU == 0 {
		return defaultOuterMTU
	}
	return int(c.OuterMTU)
}

func (c *Config) setupTimeout() time.Duration {
	if c.SetupTimeout == 0 {
		return defaultSetupTimeout
	}
	return c.SetupTimeout
}

// BusyResult is the CDN that answers a lack of something.
func (c *Config) BusyResult() l2tp.Result {
	if c.Busy.Code == 0 {
		return l2tp.Result{Code: l2tp.CDNTemporary}
	}
	return c.Busy
}
