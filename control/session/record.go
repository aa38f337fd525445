// Package session holds the subscriber session: one L2TP call, the PPP link
// that runs in it, the outcome of its authentication and the policy that
// follows from both.
//
// The package has two halves. The values (this file, auth.go, account.go,
// view.go) are plain data that adapters store, send, program and show. The
// machine (session.go and its neighbours) is sans-I/O: it takes bytes, answers
// and a clock, and appends what must happen to an Out.
package session

import (
	"net/netip"
	"time"
)

// Ref names one session for the length of its life. TunnelID and SessionID are
// the local ids, those that the peer puts in the header of what it sends us
// (RFC 2661 section 3.1); they select the owning shard and the session in it.
// Serial tells this session from an earlier one that used the same ids, so that
// an answer which arrives late (RADIUS, map updates) never reaches a stranger.
type Ref struct {
	TunnelID  uint16
	SessionID uint16
	Serial    uint32
}

// Record is everything that the forwarding path needs to know of a session, and
// what must be known of it again after a restart. It is a plain value: adapters
// may copy and keep it.
type Record struct {
	Ref
	// Slot is the dense index of the session in the data plane's arrays,
	// 1..max sessions; 0 is never assigned.
	Slot uint32

	// Outer transport. Peer is the address and port that the LAC sends from
	// and receives on; Local is our address and port (RFC 2661 section 8.1).
	Local, Peer netip.AddrPort
	// Ids assigned by the peer: they go into the header of what we send.
	PeerTunnelID, PeerSessionID uint16

	// VRF is the routing table that the subscriber lives in; 0 is main.
	VRF uint32
	// Address is the subscriber's IPv4 address.
	Address netip.Addr
	// Routes are further prefixes routed to the subscriber (Framed-Route).
	Routes []netip.Prefix
	// OwnAddress is our own address on the link, where it is the peer that gives the
	// addresses; the host has it as long as the session is installed.
	OwnAddress netip.Addr
	// Prefixes6 are the IPv6 prefixes that are the subscriber's: that of its
	// link, those delegated to it, single addresses. What comes from other
	// sources is dropped, link-local and unspecified ones apart, which are never
	// forwarded. None: the session carries no IPv6.
	Prefixes6 []netip.Prefix

	Framing Framing
	// NextNs is the sequence number of the session's next data message at the
	// time of programming, with Framing.Sequence. From then on the forwarding
	// path numbers all of them, PPP's own included: a session has one sequence
	// (RFC 2661 section 5.4).
	NextNs uint16
	// MTU is the largest inner IP packet, in bytes, that may be sent to the
	// subscriber: the least of the peer's MRU and what the outer path carries.
	MTU uint16
	// ClampMSS is the largest TCP MSS, in bytes, allowed in SYN segments of
	// either direction of IPv4; 0 leaves them alone. In IPv6 it is 20 bytes less.
	ClampMSS uint16

	// LocalMagic is our LCP Magic-Number, which an Echo-Reply that the forwarding
	// path sends must carry (RFC 1661 section 5.8); 0 when none was agreed on.
	LocalMagic uint32

	// Services are what is done to the session's packets; nil: they are forwarded
	// and counted, no more.
	Services *Services

	// User is the authenticated name; AcctSessionID the accounting id.
	User          string
	AcctSessionID string
	// UpSince is when the network layer came up.
	UpSince time.Time
}

// Framing says how data packets to the peer are written. What is accepted from
// the peer does not depend on it: every legal variant is.
type Framing struct {
	// Length puts the optional Length field in the L2TP data header.
	Length bool
	// Sequence puts Ns and Nr in the L2TP data header (RFC 2661 section 5.4).
	Sequence bool
	// AddressControl writes FF 03 before the PPP protocol number, which is
	// left out when ACFC was negotiated (RFC 1661 section 6.6).
	AddressControl bool
	// CompressProtocol writes a one-byte PPP protocol number where it fits,
	// as negotiated by PFC (RFC 1661 section 6.5).
	CompressProtocol bool
	// DSCP is the code point of the outer header.
	DSCP DSCP
	// ECN copies the inner ECN field to the outer header, and combines the outer
	// one with the inner on the way in (RFC 6040, normal mode). The peer must do
	// the same.
	ECN bool
}

// TOS returns the byte for the outer header around the IP packet ip, of whose
// header the first two bytes must be there.
func (f Framing) TOS(ip []byte) byte {
	tos := f.DSCP.TOS(ip)
	if f.ECN {
		tos |= trafficClass(ip) & ecnMask
	}
	return tos
}

// ProgramOp asks the forwarding path to install or to remove a session.
type ProgramOp struct {
	// Remove is false to install or replace, true to remove.
	Remove bool
	Record Record
}

// Programmed is the forwarding path's answer to one ProgramOp.
type Programmed struct {
	Ref
	// Slot is that of the operation's record.
	Slot    uint32
	Removed bool
	// Err is nil when the operation took effect as a whole, in both
	// directions; otherwise nothing of it is installed.
	Err error
	// Final holds the counters read after the session was removed, so that no
	// packet is missing from the Accounting Stop. For an install they are zero,
	// unless it moved the session from one forwarding path to another that does not
	// go on with the count.
	Final Counters
}

// Counters are the subscriber's traffic as accounting means it: inner IP
// packets and their bytes. Up is from the subscriber (RADIUS input), Down is to
// the subscriber (RADIUS output).
type Counters struct {
	UpPackets, UpBytes     uint64
	DownPackets, DownBytes uint64
	UpDropped, DownDropped uint64
	// The part of the drops above that is beyond the session's rates.
	UpThrottled, DownThrottled uint64
	// The part of the packets and bytes above that is IPv6.
	UpPackets6, UpBytes6     uint64
	DownPackets6, DownBytes6 uint64
	// LastSeen is when the last user packet passed in either direction; the
	// zero time when none has.
	LastSeen time.Time
	// PeerSeen is when the forwarding path last answered an Echo-Request of the
	// peer, by a clock of its own: good only to be compared with an earlier
	// reading. 0 when it never did. It is no user traffic, and none of the above.
	PeerSeen time.Duration
}

// Add returns the sum of two counter sets, with the later LastSeen and PeerSeen.
func (c Counters) Add(o Counters) Counters {
	c.UpPackets += o.UpPackets
	c.UpBytes += o.UpBytes
	c.DownPackets += o.DownPackets
	c.DownBytes += o.DownBytes
	c.UpDropped += o.UpDropped
	c.DownDropped += o.DownDropped
	c.UpThrottled += o.UpThrottled
	c.DownThrottled += o.DownThrottled
	c.UpPackets6 += o.UpPackets6
	c.UpBytes6 += o.UpBytes6
	c.DownPackets6 += o.DownPackets6
	c.DownBytes6 += o.DownBytes6
	if o.LastSeen.After(c.LastSeen) {
		c.LastSeen = o.LastSeen
	}
	c.PeerSeen = max(c.PeerSeen, o.PeerSeen)
	return c
}

// Sub returns what was counted in c since o was read, with c's LastSeen and PeerSeen.
func (c Counters) Sub(o Counters) Counters {
	c.UpPackets -= o.UpPackets
	c.UpBytes -= o.UpBytes
	c.DownPackets -= o.DownPackets
	c.DownBytes -= o.DownBytes
	c.UpDropped -= o.UpDropped
	c.DownDropped -= o.DownDropped
	c.UpThrottled -= o.UpThrottled
	c.DownThrottled -= o.DownThrottled
	c.UpPackets6 -= o.UpPackets6
	c.UpBytes6 -= o.UpBytes6
	c.DownPackets6 -= o.DownPackets6
	c.DownBytes6 -= o.DownBytes6
	return c
}

// each calls f with every count of c and the same of o.
func (c *Counters) each(o *Counters, f func(a *uint64, b uint64)) {
	f(&c.UpPackets, o.UpPackets)
	f(&c.UpBytes, o.UpBytes)
	f(&c.DownPackets, o.DownPackets)
	f(&c.DownBytes, o.DownBytes)
	f(&c.UpDropped, o.UpDropped)
	f(&c.DownDropped, o.DownDropped)
	f(&c.UpThrottled, o.UpThrottled)
	f(&c.DownThrottled, o.DownThrottled)
	f(&c.UpPackets6, o.UpPackets6)
	f(&c.UpBytes6, o.UpBytes6)
	f(&c.DownPackets6, o.DownPackets6)
	f(&c.DownBytes6, o.DownBytes6)
}

// Beyond is as Sub for counts that need not have grown from each other: nothing is
// less than none.
func (c Counters) Beyond(o Counters) Counters {
	c.each(&o, func(a *uint64, b uint64) { *a -= min(*a, b) })
	return c
}

// Most returns the larger of each count of two readings that each miss something.
func (c Counters) Most(o Counters) Counters {
	c.each(&o, func(a *uint64, b uint64) { *a = max(*a, b) })
	if o.LastSeen.After(c.LastSeen) {
		c.LastSeen = o.LastSeen
	}
	return c
}
