// Package ppp is the subscriber's PPP link without any input or output: the
// RFC 1661 automaton, LCP, authentication, IPCP and IPV6CP, for the LNS side and
// for the client side.
package ppp

import (
	"net/netip"
	"time"
)

// Protocol is a PPP protocol number (RFC 1661 section 2).
type Protocol uint16

// Protocol numbers in use.
const (
	ProtoIPv4   Protocol = 0x0021
	ProtoIPv6   Protocol = 0x0057
	ProtoIPCP   Protocol = 0x8021
	ProtoIPV6CP Protocol = 0x8057
	ProtoCCP    Protocol = 0x80FD
	ProtoLCP    Protocol = 0xC021
	ProtoPAP    Protocol = 0xC023
	ProtoCHAP   Protocol = 0xC223
)

// ParseFrame splits a PPP frame as it arrives in an L2TP data message: address
// and control (FF 03) may be there or not, the protocol number may be compressed.
// payload aliases b. ok is false when b is too short or the protocol is not valid.
func ParseFrame(b []byte) (p Protocol, payload []byte, ok bool) { panic("skeleton") }

// Auth is an authentication method that can be negotiated.
type Auth uint8

// The methods.
const (
	NoAuth Auth = iota
	PAP
	CHAPMD5
	MSCHAPv2
)

// Renegotiate is the policy for a LAC's proxy LCP (FEATURES: never, on mismatch,
// always).
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

	// MRU is what we ask the peer to respect, in bytes. ACFC and PFC are what we
	// offer and accept.
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
	// Automaton timers and counters (RFC 1661 section 4.6).
	RestartTimer                           time.Duration
	MaxConfigure, MaxTerminate, MaxFailure int
	Renegotiate                            Renegotiate
	// AuthTimeout and NetworkTimeout bound the two phases.
	AuthTimeout, NetworkTimeout time.Duration
	// IPv6CP makes the link open IPV6CP beside IPCP (link-local only).
	IPv6CP bool
}

// Proxy is what a LAC's proxy AVPs say (RFC 2661 section 4.4.5).
type Proxy struct {
	InitialReceived, LastSent, LastReceived []byte
	Auth                                    Auth
	HasAuth                                 bool
	AuthName                                string
	AuthChallenge                           []byte
	AuthID                                  uint8
	AuthResponse                            []byte
}

// IPv4 is what IPCP offers to the peer (LNS end).
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
	// IPv4 is what IPCP is then to offer.
	IPv4 IPv4
}

// Cause is why a link went down.
type Cause uint8

// The causes. They decide the CDN, the disconnect cause and the accounting cause.
const (
	CauseNone        Cause = iota
	CauseClosed            // we closed it
	CausePeerClosed        // the peer sent LCP Terminate-Request
	CauseLCPTimeout        // LCP did not converge or the peer is silent
	CauseLoop              // our own magic number came back
	CauseEcho              // echo requests unanswered
	CauseAuthRefused       // the peer refused every method we allow
	CauseAuthFailed        // the verdict was no
	CauseAuthTimeout       // the peer or the authenticator did not answer
	CauseNCPTimeout        // no network protocol opened
	CauseNoAddress         // IPCP did not agree on the address
)

// EventKind says what happened to a link.
type EventKind uint8

// The events.
const (
	// LinkUp: LCP is opened (or taken from the proxy AVPs). Negotiated is final
	// until LinkUp comes again after a renegotiation.
	LinkUp EventKind = iota + 1
	// AuthRequested: the peer's credentials are in Auth; answer with
	// Link.Authenticated. It comes again with each rechallenge.
	AuthRequested
	// IPv4Up and IPv4Down: IPCP opened or closed; Address is the peer's address
	// (for a client: its own). IPv6Up and IPv6Down likewise for IPV6CP.
	IPv4Up
	IPv4Down
	IPv6Up
	IPv6Down
	// LinkDown: the link has ended; nothing more will come. Cause says why.
	LinkDown
)

// Event is one thing that happened to a link.
type Event struct {
	Kind    EventKind
	Auth    *Credentials // AuthRequested
	IPv4    IPv4         // IPv4Up
	IPv6    [2][8]byte   // IPv6Up: our and the peer's interface identifier
	Cause   Cause        // LinkDown
	Message string       // what the peer or the authenticator said, if anything
}

// Credentials are what the peer offers to prove its identity.
type Credentials struct {
	Method    Auth
	Name      string
	Password  []byte // PAP
	ID        uint8
	Challenge []byte
	Response  []byte
	// Proxied is true when they came from the LAC's proxy authentication AVPs.
	Proxied bool
	// Again is true for a rechallenge of a link that is already authenticated.
	Again bool
}

// Negotiated is the outcome of LCP.
type Negotiated struct {
	// MRU is the largest payload that the peer takes; LocalMRU what we take.
	MRU, LocalMRU uint16
	// ACFC and PFC: we may compress what we send.
	ACFC, PFC             bool
	LocalMagic, PeerMagic uint32
	Auth                  Auth
	// ACCM values for the SLI message.
	SendACCM, ReceiveACCM uint32
}

// Out collects what a link wants done: send the frames, in order, then act on the
// events, in order. Frames begin with the protocol field in full, after FF 03 when
// the link is to use it (LCP always does); they go behind an L2TP data header.
// Nothing in it may be kept past Reset.
type Out struct {
	Send   [][]byte
	Events []Event
	arena  []byte
}

// Reset empties o and keeps its memory.
func (o *Out) Reset() { o.Send, o.Events, o.arena = o.Send[:0], o.Events[:0], o.arena[:0] }

// Link is one PPP link. One goroutine owns it.
type Link struct{}

// NewLink returns a closed link. random reads unpredictable bytes (magic numbers,
// challenges).
func NewLink(cfg *Config, random func([]byte)) *Link { panic("skeleton") }

// Start opens the link. proxy is nil when the LAC sent no proxy AVPs.
func (l *Link) Start(now time.Time, proxy *Proxy, out *Out) { panic("skeleton") }

// Receive takes one PPP frame (never IPv4 or IPv6 packets).
func (l *Link) Receive(now time.Time, frame []byte, out *Out) { panic("skeleton") }

// Heard notes that user traffic came from the peer, which makes echoes needless.
func (l *Link) Heard(now time.Time) { panic("skeleton") }

// Authenticated answers an AuthRequested event.
func (l *Link) Authenticated(now time.Time, v AuthVerdict, out *Out) { panic("skeleton") }

// Close sends LCP Terminate-Request; LinkDown follows on its answer or time-out.
func (l *Link) Close(now time.Time, message string, out *Out) { panic("skeleton") }

// Timer does what is due; Deadline is when to call it next, zero for never.
func (l *Link) Timer(now time.Time, out *Out) { panic("skeleton") }
func (l *Link) Deadline() time.Time           { panic("skeleton") }

// Negotiated is the outcome of LCP; valid from LinkUp on.
func (l *Link) Negotiated() Negotiated { panic("skeleton") }

// Phase is the link's phase in one word: dead, establish, authenticate, network,
// terminate (RFC 1661 section 3).
func (l *Link) Phase() string { panic("skeleton") }

// VerifyCHAP reports whether response answers challenge with secret (RFC 1994
// section 4.1), in constant time.
func VerifyCHAP(id uint8, challenge, response, secret []byte) bool { panic("skeleton") }

// VerifyMSCHAPv2 reports whether the 49-byte response answers the 16-byte
// challenge, and returns the "S=..." authenticator response (RFC 2759 section 8.7).
func VerifyMSCHAPv2(user string, challenge, response []byte, password string) (success string, ok bool) {
	panic("skeleton")
}
