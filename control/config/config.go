// Package config reads the startup-config: a list of commands in the form that
// l2tpns made known, checked strictly and turned into one immutable value.
//
// Two tables drive it. Settings lists every name that "set" takes, with its type,
// unit, default, range and whether a change takes effect at once; Commands lists
// the commands with their typed arguments. Parsing, error texts, suggestions,
// Running and Diff all come from these tables.
package config

import (
	"net/netip"
	"path"
	"time"

	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/control/session"
)

// Config is a checked configuration. It is made by Load or Parse and is not
// changed afterwards; slices in it are not to be written to. Optional addresses
// are the zero netip.Addr when they are not set.
type Config struct {
	// Hostname is our Host Name AVP, CHAP name and NAS-Identifier: the host's own
	// name unless set.
	Hostname string

	L2TP L2TP
	LACs []LAC // in the order of the file; the first match decides
	// DefaultPeer is the peer profile that others inherit from; nil where there is none.
	DefaultPeer *LAC
	Profiles    map[Layer][]Profile // but for those of peers, in the order of the file
	UnknownPeer *Effective          // for LACs that none of LACs matches
	PPP         PPP
	DNS         DNS
	RADIUS      RADIUS
	AAA         AAA
	DAE         DAE
	Accounting  Accounting
	Pools       []Pool
	// AccessLists are in the order of the file, those of either family.
	AccessLists []acl.List
	Gardens     Gardens
	IPv6        IPv6
	Pools6      []Pool6
	Sessions    Sessions
	Limits      Limits
	SlowPath    SlowPath
	XDP         XDP
	Management  Management
	Shell       Shell
	Intercept   Intercept
	Engine      Engine
	Log         Log
	Files       Files
	Hooks       Hooks
	Plugins     Plugins
	Outgoing    Outgoing
}

// L2TP holds what concerns control connections and L2TP data headers.
type L2TP struct {
	// BindAddress is where L2TP is received and sent from; zero listens on every
	// address and answers from the one that was asked.
	BindAddress netip.Addr
	// BindAddress6 is the same for LACs that speak IPv6, :: being every address;
	// the zero value does not listen there.
	BindAddress6 netip.Addr
	Port         uint16
	// Secret authenticates tunnels of LACs that have none of their own; empty
	// means none.
	Secret Secret
	// Challenge makes us challenge the LAC. Auto does so when there is a secret.
	Challenge Auto
	HideAVPs  bool
	// MTU is that of the outer path, in bytes with the outer IP header.
	MTU           uint16
	ReceiveWindow uint16 // control messages
	// HelloInterval is the silence after which HELLO is sent; 0 never sends.
	HelloInterval           time.Duration
	NoHello                 bool // HelloInterval does not count: never send
	RetryInterval, RetryCap time.Duration
	MaxRetries              int
	EstablishTimeout        time.Duration
	// OuterDF sets DF in the packets to the LACs.
	OuterDF bool
	// OuterDSCP is the code point of data packets to the LACs.
	OuterDSCP session.DSCP
	// ECN carries congestion marks through the tunnels.
	ECN bool
	// SendLength writes the Length field in data headers.
	SendLength bool
	// SendSequence writes Ns and Nr in data headers.
	SendSequence bool
	// ClampMSS limits the MSS of TCP connections to what the tunnel carries.
	ClampMSS bool
	// OneTunnelPerLAC refuses a further tunnel of the same Host Name and address.
	OneTunnelPerLAC bool
	// UDPChecksum computes the outer UDP checksum of data packets; control
	// packets always have one.
	UDPChecksum bool
	// AllowUnknown lets in LACs that no lac command matches. Auto does so while
	// there is no lac command at all.
	AllowUnknown Auto
}

// PPP holds what concerns subscribers' links.
type PPP struct {
	// PeerAddress is our address told in IPCP; see Config.Gateway.
	PeerAddress netip.Addr
	// AuthTypes are asked of the subscriber in this order of preference.
	AuthTypes []session.AuthMethod
	// Rechallenge repeats the CHAP challenge at this period; 0 never.
	Rechallenge time.Duration
	// RestartTimer, MaxConfigure and MaxFailure are those of RFC 1661 section 4.6.
	RestartTimer             time.Duration
	MaxConfigure, MaxFailure int
	// EchoTimeout is the silence after which an LCP Echo-Request is sent, 0 never;
	// a link that was silent for IdleEchoTimeout is down.
	EchoTimeout, IdleEchoTimeout time.Duration
	Renegotiate                  Renegotiate
	// Proxy takes LCP and authentication from the LAC's proxy AVPs.
	Proxy     bool
	ACFC, PFC bool
	// SendAddressControl writes FF 03 before data packets' protocol numbers
	// unless ACFC was negotiated.
	SendAddressControl bool
}

// DNS are the name servers told to subscribers, in order; zero is left out.
type DNS struct {
	Servers, NBNS [2]netip.Addr
}

// RADIUS holds the servers and how they are talked to. Without a server
// subscribers come from the chap-secrets file.
type RADIUS struct {
	Primary, Secondary         netip.Addr
	PrimaryPort, SecondaryPort uint16 // authentication; accounting is one more
	Secret                     Secret
	Accounting                 bool
	// TunnelAccounting sends records of tunnels and links too.
	TunnelAccounting bool
	// AccountingOn sends Accounting-On at start and Accounting-Off at shutdown.
	AccountingOn bool
	// Interim is the default period of interim records; 0 sends none.
	Interim time.Duration
	// Timeout is the wait for the first answer; Retries the repetitions after it,
	// per server; DeadTime how long a silent server is left alone.
	Timeout  time.Duration
	Retries  int
	DeadTime time.Duration
	// MessageAuthenticator says whether answers must carry one. Auto asks for it
	// once the server has sent a valid one.
	MessageAuthenticator Auto
	// BindMin and BindMax bound our source ports; both 0 leave it to the kernel.
	BindMin, BindMax uint16
}

// Accounting says where the subscribers' usage is kept besides RADIUS.
type Accounting struct {
	// Spool is the directory of records that are not confirmed, SpoolSize its bound
	// in MiB. Sync is how often it is brought to the disk; 0: before anything is sent.
	Spool     string
	SpoolSize int
	Sync      time.Duration
	// Dir is the directory of l2tpns' usage files, empty for none; Origin adds a
	// column to them.
	Dir    string
	Origin bool
	// DumpSpeed logs the traffic every second.
	DumpSpeed bool
}

// RADIUSServer is one server's pair of ports.
type RADIUSServer struct {
	Auth, Acct netip.AddrPort
}

// Servers returns the configured servers in order of preference.
func (r RADIUS) Servers() []RADIUSServer {
	var out []RADIUSServer
	add := func(a netip.Addr, port uint16) {
		if a.IsValid() {
			out = append(out, RADIUSServer{netip.AddrPortFrom(a, port), netip.AddrPortFrom(a, port+1)})
		}
	}
	add(r.Primary, r.PrimaryPort)
	add(r.Secondary, r.SecondaryPort)
	return out
}

// Pool is one named pool of IPv4 addresses, in the order of the file.
type Pool struct {
	Name     string
	Prefixes []netip.Prefix
}

// DefaultPool is the name of the pool that the ip_pool file fills.
const DefaultPool = "default"

// Sessions holds the policy for subscribers' sessions.
type Sessions struct {
	Duplicates session.DuplicatePolicy
	// KillTimedOut ends a session at once when RADIUS grants it no time
	// (Session-Timeout 0); otherwise 0 means no limit.
	KillTimedOut bool
	// ThrottleSpeed is the rate of sessions that were granted none, in kbit/s each
	// way, and of those throttled without a rate; 0 is no limit. ThrottleBurst is
	// what passes at once after a pause, in bytes; 0 is a second at the rate.
	// PacketLimit is the most packets to a session in a tenth of a second.
	ThrottleSpeed, ThrottleBurst, PacketLimit int
	// SessionTimeout and IdleTimeout hold where RADIUS gives none; 0 is no limit.
	SessionTimeout, IdleTimeout time.Duration
	// SetupTimeout bounds the time from the call to the network layer.
	SetupTimeout time.Duration
	// Hairpin is what becomes of packets from one subscriber to another.
	Hairpin Hairpin
	// UnknownFilter is what a login means that names an access list which is not
	// there.
	UnknownFilter UnknownFilter
}

// Intercept holds what concerns interceptions.
type Intercept struct {
	// Host and Port are where copies go when nothing else is said; zero is nowhere.
	Host netip.Addr
	Port uint16
	// Log is the file of the audit log, "" for none.
	Log string
	// Format is that of the copies: raw or header.
	Format InterceptFormat
}

// Target is where copies go when nothing else is said; the zero value is nowhere.
func (i Intercept) Target() netip.AddrPort {
	if !i.Host.IsValid() || i.Host.IsUnspecified() || i.Port == 0 {
		return netip.AddrPort{}
	}
	return netip.AddrPortFrom(i.Host, i.Port)
}

// InterceptFormat is the name of a format.
type InterceptFormat string

// Limits are ceilings; beyond them calls and tunnels are refused.
type Limits struct {
	Tunnels           int
	Sessions          int // also the size of the data plane's tables
	SessionsPerTunnel int
	// HalfOpen is the number of tunnels that may be in set-up at once.
	HalfOpen int
	// TunnelsPerLAC and HalfOpenPerLAC count by source address.
	TunnelsPerLAC, HalfOpenPerLAC int
}

// SlowPath holds what concerns the TUN device.
type SlowPath struct {
	Device string
	// Address is the device's own; zero takes BindAddress where there is one.
	Address netip.Addr
	// ICMPRate is the number of ICMP errors sent per second; 0 sends none.
	ICMPRate int
}

// XDP holds what concerns the fast path.
type XDP struct {
	// Interfaces are the devices to attach to; empty chooses those that carry the
	// bind address, the default route and the LACs' routes.
	Interfaces []string
	Mode       XDPMode
	PinPath    string
	// Spread is whether the data of LACs is spread over CPUs.
	Spread Spread
	// SCCRQRate and CallRate bound what one source may ask of the daemon, PPPRate
	// the PPP frames of one session, per second; 0 is no limit.
	SCCRQRate, CallRate, PPPRate int
}

// Management is how operators reach the daemon.
type Management struct {
	Socket string // path of the Unix socket
	// Remote is where daemons are managed from afar; the zero value is nowhere.
	Remote netip.AddrPort
	// The files by which both ends of a remote connection know each other.
	RemoteCertificate, RemoteKey, RemoteAuthority string
	// Archive is the directory of earlier configurations, ArchiveSize their number.
	Archive     string
	ArchiveSize int
	// Metrics is where Prometheus may ask; the zero value is nowhere.
	Metrics netip.AddrPort
	// StatusDir is where status files are kept, empty for none; StatusRate is how many
	// are written in a second at most.
	StatusDir  string
	StatusRate int
}

// Engine holds what concerns the daemon itself.
type Engine struct {
	// Shards is the number of goroutines that own tunnels; 0 is one per CPU.
	Shards int
	// SaveState keeps tunnels and sessions when the daemon stops; Journal is where,
	// see Config.JournalDir.
	SaveState bool
	Journal   string
	// Drain refuses new tunnels and calls while those that are up live on.
	Drain bool
}

// Log is where log lines go and how many.
type Log struct {
	Level LogLevel
	// File is a path, "syslog:FACILITY", "journal", or empty for standard error.
	File string
	// History is how many sessions, and failures, are remembered.
	History int
}

// Files are the files found beside the startup-config; empty where there is none.
type Files struct {
	StartupConfig, IPPool, ChapSecrets string
	// Users are the operators who may log in to the daemon's own shell.
	Users string
	// Text is the startup-config as it was read.
	Text Secret
	// BuildGarden is a script, or a file of nftables, that completes the rules of
	// walled gardens.
	BuildGarden string
}

// Gateway is our address as IPCP tells it to subscribers: peer_address, else
// bind_address, else iftun_address. The zero address leaves it to the caller, who
// knows where the LAC sends to.
func (c *Config) Gateway() netip.Addr {
	for _, a := range []netip.Addr{c.PPP.PeerAddress, c.L2TP.BindAddress, c.SlowPath.Address} {
		if a.IsValid() && a.Is4() {
			return a
		}
	}
	return netip.Addr{}
}

// JournalDir is the directory of what is kept over a restart, empty for nothing.
func (c *Config) JournalDir() string {
	switch {
	case !c.Engine.SaveState:
		return ""
	case c.Engine.Journal != "":
		return c.Engine.Journal
	default:
		return path.Join(path.Dir(c.Management.Socket), "journal")
	}
}

// maxMRU keeps the MRU below that of Ethernet with PPPoE (RFC 2516 section 7), as
// the subscriber's own access line mostly is.
const maxMRU = 1492

// MRU is the largest PPP payload, in bytes, that fits an outer packet of the given
// MTU: less 20 bytes of IPv4, 8 of UDP, 8 of L2TP with its Length field, and 4 of
// PPP with address and control.
func MRU(mtu uint16) uint16 { return min(mtu-40, maxMRU) }
