// Package dataplane keeps the XDP program and its maps as the daemon wants them:
// it chooses and watches the interfaces, attaches the program, turns session
// records into map entries, and reads the counters.
//
//	engine ─Apply─▶ queue ─▶ worker ─▶ maps ─▶ done ─▶ engine
//	kernel ─link and address changes─▶ watcher ─▶ attach, ports, local addresses
package dataplane

import (
	"math/rand/v2"
	"net/netip"

	"github.com/lnsd/lnsd/maps"
)

// Want is how the program is to be attached.
type Want uint8

// The wants.
const (
	// Auto takes native mode where the driver has it, else generic mode.
	Auto Want = iota
	// Native refuses interfaces whose driver has no XDP.
	Native
	// Generic takes generic mode everywhere.
	Generic
)

// Hairpin is a policy for packets from one subscriber to another.
type Hairpin uint8

// The policies.
const (
	// HairpinAllow forwards them without leaving XDP.
	HairpinAllow Hairpin = iota
	// HairpinDeny drops them.
	HairpinDeny
	// HairpinCore leaves them to the kernel, whose routes and rules decide.
	HairpinCore
)

// Rates bound, in messages a second, what XDP passes to the daemon; 0 is no limit,
// and a second's worth passes at once after a pause. HELLO, acknowledgements and
// StopCCN of live tunnels always pass.
type Rates struct {
	// SCCRQ bounds the tunnels that one source asks for, Call its calls.
	SCCRQ, Call int
	// PPP bounds the PPP frames of a session that is up, except for the Echo-Requests
	// that are answered in XDP.
	PPP int
}

// What a call needs besides its ICRQ until its session is installed: twice an
// uneventful set-up and its end.
const (
	controlPerCall = 8
	framesPerCall  = 32
)

func (r Rates) maps() maps.Rates {
	return maps.Rates{
		SCCRQ: uint32(r.SCCRQ), Call: uint32(r.Call), PPP: uint32(r.PPP),
		Control: uint32(r.Call * controlPerCall), Setup: uint32(r.Call * framesPerCall),
	}
}

// Config describes the fast path.
type Config struct {
	// PinPath is the folder of the pins in a BPF file system. One is mounted on
	// its parent folder when there is none.
	PinPath string
	// MaxSessions is the highest slot in use.
	MaxSessions uint32
	// MaxRoutes is how many prefixes can be routed to subscribers, besides their
	// addresses; 0 is a quarter of MaxSessions, and 1024 at least.
	MaxRoutes uint32
	// IPv6 makes room for the sessions' IPv6 prefixes. Without it sessions that
	// have some are left to the slow path.
	IPv6 bool
	// Outer6 serves LACs that speak IPv6.
	Outer6 bool
	// Locals are the addresses and ports of our UDP sockets. An unspecified address
	// stands for all addresses of the host that are of its version of IP, whichever
	// they are at the time.
	Locals []netip.AddrPort
	// Interfaces names the interfaces to attach to. When empty, those are chosen
	// that carry an address of Locals, a default route, or the route to a LAC.
	Interfaces []string
	// LACs are addresses of known LACs; their routes choose interfaces.
	LACs []netip.Addr
	// Ignore names interfaces that are never chosen (our TUN device).
	Ignore []string
	Want   Want
	// Spread is whether the data that LACs send is spread over the CPUs.
	Spread SpreadWant
	// UDPChecksum writes the outer UDP checksum, which is on by default for
	// L2TP (RFC 2661 section 8.1).
	UDPChecksum bool
	// DontFragment sets DF in the outer header.
	DontFragment bool
	// OuterTTL is the TTL of what is sent to the LACs; 0 is 64.
	OuterTTL uint8
	// Hairpin is what becomes of packets from one subscriber to another.
	Hairpin Hairpin
	// LACSources are the prefixes that tunnels may be asked for from; empty lets
	// every source in.
	LACSources []netip.Prefix
	// PacketLimit is the most packets to a session in a tenth of a second; 0 is no
	// limit.
	PacketLimit uint32
	// Rates bound what XDP passes to the daemon.
	Rates Rates
	// HookUp and HookDown are the operator's functions to begin with, nil for none.
	HookUp, HookDown *Hook
	// Persist goes on with what is pinned, and leaves it in place at Close.
	// Otherwise leftovers of an earlier process are removed at start and
	// everything is at the end.
	Persist bool
}

func (c Config) maps() maps.Config {
	routes := c.MaxRoutes
	if routes == 0 {
		routes = max(c.MaxSessions/4, 1024)
	}
	hairpin := [...]maps.Hairpin{HairpinAllow: maps.HairpinAllow, HairpinDeny: maps.HairpinDeny, HairpinCore: maps.HairpinCore}
	return maps.Config{
		PinPath: c.PinPath, Sessions: c.MaxSessions, Routes: routes, IPv6: c.IPv6, Outer6: c.Outer6,
		OuterTTL: c.OuterTTL, Hairpin: hairpin[c.Hairpin], Rates: c.Rates.maps(), PacketLimit: c.PacketLimit,
		FlowSeed: rand.Uint64(), Generic: c.Want == Generic,
	}
}

// Mode says how the program is attached to an interface.
type Mode struct {
	Interface string
	// Mode is native, generic or none.
	Mode string
	// Reason says why it is not native; empty when it is, or when native mode
	// was not asked for.
	Reason string
}
