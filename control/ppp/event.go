package ppp

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

// String names the cause as logs and tables show it.
func (c Cause) String() string {
	switch c {
	case CauseClosed:
		return "closed"
	case CausePeerClosed:
		return "peer closed"
	case CauseLCPTimeout:
		return "lcp timeout"
	case CauseLoop:
		return "loop"
	case CauseEcho:
		return "echo timeout"
	case CauseAuthRefused:
		return "auth refused"
	case CauseAuthFailed:
		return "auth failed"
	case CauseAuthTimeout:
		return "auth timeout"
	case CauseNCPTimeout:
		return "ncp timeout"
	case CauseNoAddress:
		return "no address"
	default:
		return "none"
	}
}

// EventKind says what happened to a link.
type EventKind uint8

// The events.
const (
	// LinkUp: LCP is opened (or taken from the proxy AVPs). Negotiated is final
	// until LinkUp comes again after a renegotiation.
	LinkUp EventKind = iota + 1
	// AuthRequested: the peer's credentials are in Auth; answer with
	// Link.Authenticated. It comes again with each rechallenge and after each
	// renegotiation, and with method NoAuth for a peer that need not
	// authenticate, so that the owner always says which address to offer.
	// A client never gets it.
	AuthRequested
	// IPv4Up and IPv4Down: IPCP opened or closed. In IPv4Up, IPv4.Peer is the
	// peer's address and IPv4.Local ours, at either end: the subscriber's own
	// address is Peer for the LNS and Local for the client.
	// IPv6Up and IPv6Down likewise for IPV6CP.
	IPv4Up
	IPv4Down
	IPv6Up
	IPv6Down
	// LinkDown: the link has ended; nothing more will come. Cause says why.
	LinkDown
)

// String names the event.
func (k EventKind) String() string {
	switch k {
	case LinkUp:
		return "LinkUp"
	case AuthRequested:
		return "AuthRequested"
	case IPv4Up:
		return "IPv4Up"
	case IPv4Down:
		return "IPv4Down"
	case IPv6Up:
		return "IPv6Up"
	case IPv6Down:
		return "IPv6Down"
	case LinkDown:
		return "LinkDown"
	default:
		return "unknown"
	}
}

// Event is one thing that happened to a link.
type Event struct {
	Kind    EventKind
	Auth    *Credentials // AuthRequested
	IPv4    IPv4         // IPv4Up
	IPv6    [2][8]byte   // IPv6Up: our and the peer's interface identifier
	Cause   Cause        // LinkDown
	Message string       // LinkDown: what the peer or the authenticator said, if anything
}

// Credentials are what the peer offers to prove its identity. The slices obey the
// rule of Out: copy what is to live longer than Out.Reset.
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
