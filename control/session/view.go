package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/dhcp6"
)

// View is a session as shown to an operator.
type View struct {
	Ref
	Slot                        uint32
	PeerTunnelID, PeerSessionID uint16
	// State is one word: call, lcp, auth, ncp, up, closing.
	State string
	// User is the name; UserVerified is false until authentication succeeded.
	User         string
	UserVerified bool
	Method       AuthMethod
	Address      netip.Addr
	Routes       []netip.Prefix
	// Own is our address, where the peer gives the addresses.
	Own netip.Addr
	// IPv6 is nil for a session without.
	IPv6 *Network6
	// Leases6 is what a DHCPv6 client of the subscriber has.
	Leases6    []dhcp6.Lease
	DNS        [2]netip.Addr
	VRF        uint32
	LAC        netip.AddrPort
	LACName    string
	Calling    string
	Called     string
	CallSerial uint32
	TxSpeed    uint32
	RxSpeed    uint32

	AcctSessionID string
	// Opened is when the call came up; UpSince when the network layer did.
	Opened, UpSince time.Time
	Counters        Counters
	SessionTimeout  time.Duration
	IdleTimeout     time.Duration
	InterimInterval time.Duration
	// Services are what is done to the packets, nil for nothing. Who shows them
	// leaves the interception out for those who may not intercept.
	Services   *Services
	Framing    Framing
	MRU, MTU   uint16
	LocalMagic uint32
	PeerMagic  uint32
	// Peer and Values are what the configuration calls the LAC and says for the session;
	// Origins, what the authentication granted. Method and Local tell by whom.
	Peer    string
	Values  []Value
	Origins *Origins
	Local   bool
	// FastPath is true when the session is installed in the XDP maps.
	FastPath bool
}

// TunnelView is a tunnel as shown to an operator.
type TunnelView struct {
	TunnelID, PeerTunnelID uint16
	// State is the RFC 2661 section 7.2.1 state: idle, wait-ctl-reply,
	// wait-ctl-conn, established, or closing while a StopCCN is acknowledged.
	State       string
	Local, Peer netip.AddrPort
	HostName    string // the peer's Host Name AVP
	// Name is that of the operator's tunnel that it is; empty for others.
	Name       string
	VendorName string
	Firmware   uint16
	Sessions   int
	Created    time.Time
	Transport  TransportView
}

// TransportView is the state and the counts of a tunnel's reliable channel
// (RFC 2661 section 5.8).
type TransportView struct {
	Ns, Nr               uint16 // next to send, next expected
	PeerNs, PeerNr       uint16 // last seen from the peer
	Window, PeerWindow   uint16
	Cwnd, Ssthresh       uint16
	Queued, Unacked      int
	Sent, Received       uint64 // control messages without ZLBs
	ZLBSent, ZLBReceived uint64
	HelloSent, HelloRecv uint64
	Retransmits          uint64
	Duplicates           uint64
	OutOfOrderHeld       uint64
	OutOfWindow          uint64
}

// PoolView is one pool of addresses, or of IPv6 prefixes, as shown to an operator.
type PoolView struct {
	Name     string
	Prefixes []netip.Prefix
	// Length is that of the prefixes given out; 0 in a pool of IPv4 addresses.
	Length               int
	Size, Used, Reserved int
}

// LeaseView is one address, or one prefix, that is in use or reserved for a user.
type LeaseView struct {
	Pool    string
	Address netip.Addr
	Prefix  netip.Prefix // of a pool of prefixes, instead of Address
	InUse   bool
	Ref     Ref
	User    string
	// Since is when it was taken, or when it was freed if not in use.
	Since time.Time
}

// Count is one named counter. Names are lower case with underscores and never
// change their meaning.
type Count struct {
	Name  string
	Value uint64
}

// AuthServerView is one RADIUS server as shown to an operator.
type AuthServerView struct {
	Name    string // address and port
	Purpose string // auth or acct
	// State is up, suspect or dead; DeadUntil is set when it is dead.
	State     string
	DeadUntil time.Time
	InFlight  int
	Queued    int
	Sent      uint64
	Retries   uint64
	Accepts   uint64
	Rejects   uint64
	Responses uint64
	Timeouts  uint64
	// BadAnswers counts replies from strangers, with wrong authenticators or
	// without a required Message-Authenticator.
	BadAnswers uint64
	// RTT50 and RTT99 are percentiles of the last answers' round trips.
	RTT50, RTT99 time.Duration
	// RTT are all round trips since the start.
	RTT Histogram
	// MessageAuthenticator is true once the server has sent a valid one.
	MessageAuthenticator bool
	// Group is the server group that it serves; Priority and Weight are its place in
	// it: the lowest priority that is up is used, and shared by weight.
	Group            string
	Priority, Weight int
	// StatusSent and StatusAnswers count Status-Server packets (RFC 5997).
	StatusSent, StatusAnswers uint64
}
