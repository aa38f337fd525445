package ppp

import (
	"net/netip"
	"time"
)

// Auth is an authentication method that can be negotiated.
type Auth uint8

// The methods.
const (
	NoAuth Auth = iota
	PAP
	CHAPMD5
	MSCHAPv2
)

// String names the method as logs and tables show it.
func (a Auth) String() string {
	switch a {
	case PAP:
		return "pap"
	case CHAPMD5:
		return "chap"
	case MSCHAPv2:
		return "mschapv2"
	default:
		return "none"
	}
}

// Renegotiate is the policy for a LAC's proxy LCP: never negotiate again, on
// mismatch with our configuration, or always.
type Renegotiate uint8

// The policies.
const (
	OnMismatch Renegotiate = iota
	Never
	Always
)

// Config is what links are made with; it is shared and not changed.
type Config struct {
	// Client makes the link the subscriber's end: it authenticates itself with
	// User and Password and asks for its address. Otherwise it is the LNS end.
	Client         bool
	User, Password string
	// NoIPv4 leaves IPCP out, at the client end.
	NoIPv4 bool

	// MRU is what we ask the peer to respect, in bytes; 0 is the default of
	// RFC 1661, 1500. ACFC and PFC are what we offer and accept.
	MRU       uint16
	ACFC, PFC bool
	// Auth lists what we ask of the peer (LNS), in order of preference, or what
	// we are willing to do (client). AuthOptional lets a peer in that refuses all.
	Auth         []Auth
	AuthOptional bool
	// Name is what we call ourselves in CHAP.
	Name string
	// Rechallenge repeats the CHAP challenge at this period; 0 never.
	Rechallenge time.Duration
	// EchoInterval is the silence after which an LCP Echo-Request is sent; after
	// EchoFailures without answer the link is down. 0 sends none.
	EchoInterval time.Duration
	EchoFailures int
	// Automaton timers and counters (RFC 1661 section 4.6); zero values stand for
	// the defaults given there: 3 s, 10, 2 and 5.
	RestartTimer                           time.Duration
	MaxConfigure, MaxTerminate, MaxFailure int
	Renegotiate                            Renegotiate
	// AuthTimeout and NetworkTimeout bound the two phases; 0 sets no bound.
	AuthTimeout, NetworkTimeout time.Duration
	// IPv6CP makes the link open IPV6CP beside IPCP (link-local only). With
	// IPv6CPPassive it waits for the peer to begin: two frames less for each of
	// the many peers that would only reject it.
	IPv6CP, IPv6CPPassive bool
}

// Defaults of RFC 1661 sections 4.6 and 6.1.
const (
	defaultMRU          = 1500
	defaultRestart      = 3 * time.Second
	defaultMaxConfigure = 10
	defaultMaxTerminate = 2
	defaultMaxFailure   = 5
)

func (c *Config) mru() uint16 {
	if c.MRU == 0 {
		return defaultMRU
	}
	return c.MRU
}

func (c *Config) restartTimer() time.Duration {
	if c.RestartTimer <= 0 {
		return defaultRestart
	}
	return c.RestartTimer
}

// counter turns a configured count into what the automaton's fields hold.
func counter(configured, fallback int) uint8 {
	if configured <= 0 {
		configured = fallback
	}
	return uint8(min(configured, 255))
}

func (c *Config) maxConfigure() uint8 { return counter(c.MaxConfigure, defaultMaxConfigure) }
func (c *Config) maxTerminate() uint8 { return counter(c.MaxTerminate, defaultMaxTerminate) }
func (c *Config) maxFailure() uint8   { return counter(c.MaxFailure, defaultMaxFailure) }

// allows reports whether a is among the configured methods.
func (c *Config) allows(a Auth) bool {
	if a == NoAuth {
		return false
	}
	for _, m := range c.Auth {
		if m == a {
			return true
		}
	}
	return false
}

// open reports whether a peer may enter the network phase unauthenticated.
func (c *Config) open() bool { return c.AuthOptional || len(c.Auth) == 0 }

// Proxy is what a LAC's proxy AVPs say (RFC 2661 section 4.4.5).
type Proxy struct {
	// InitialReceived, LastSent and LastReceived are bodies of Configure-Requests
	// from the first option on. LastSent is the LAC's own, so it is what we seem
	// to have sent. InitialReceived is of no use here: it only says what the peer
	// wanted at first.
	InitialReceived, LastSent, LastReceived []byte
	// Auth is the Proxy Authen Type; HasAuth is false when there was none.
	Auth          Auth
	HasAuth       bool
	AuthName      string
	AuthChallenge []byte
	AuthID        uint8
	AuthResponse  []byte
}

// IPv4 is what IPCP offers to the peer (LNS end), or what it brought (events).
type IPv4 struct {
	Local, Peer netip.Addr
	DNS, NBNS   [2]netip.Addr
}

// AuthVerdict answers an AuthRequest event.
type AuthVerdict struct {
	OK bool
	// Message is shown to the peer. For MS-CHAPv2 success it must begin with the
	// "S=" authenticator response.
	Message string
	// IPv4 is what IPCP is then to offer. Without a valid Peer there is no IPCP.
	// The verdict on a rechallenge changes nothing here or in IPv6.
	IPv4 IPv4
	// IPv6 is how IPV6CP is to be negotiated, with Config.IPv6CP.
	IPv6 IPv6
}

// IPv6 is what the LNS end asks for in IPV6CP.
type IPv6 struct {
	// Open begins the negotiation whatever Config.IPv6CPPassive says: there is more
	// to be had than link-local addresses.
	Open bool
	// Peer is the interface identifier that the peer is to have; zero leaves it to
	// the peer.
	Peer [8]byte
}
