package radius

import (
	"errors"
	"fmt"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// RequireMessageAuthenticator says whether a server's answers to an
// Access-Request must carry a Message-Authenticator. Requests always do, and one
// that is present in an answer is always checked.
type RequireMessageAuthenticator uint8

// The settings.
const (
	// RequireAuto requires it of a server from the first valid one on. Until
	// then answers without are taken, as many servers never send it.
	RequireAuto RequireMessageAuthenticator = iota
	// RequireYes takes no answer without.
	RequireYes
	// RequireNo never requires it.
	RequireNo
)

// Server is one RADIUS server.
type Server struct {
	Addr netip.Addr
	// Priority is its place: the servers of the lowest number with one that is up get
	// the requests, and share them in proportion to their Weights. A weight of 0 is 1.
	Priority, Weight int
	// StatusServer asks it by Status-Server packets once its dead time is over, and
	// uses it again when one is answered (RFC 5997). Without, a request of a
	// subscriber is the probe.
	StatusServer bool
	// AuthPort and AcctPort are UDP ports, by custom 1812 and 1813; 0 does not
	// use the server for that purpose.
	AuthPort, AcctPort uint16
	// Secret is shared with the server, never empty.
	Secret []byte
	// MessageAuthenticator is the rule for its answers.
	MessageAuthenticator RequireMessageAuthenticator
}

// Config is what a client is made with. Zero durations and sizes mean the default
// that stands beside them.
type Config struct {
	// Group is the name of the servers as a group, for those who look at them.
	Group   string
	Servers []Server

	// Source is the local address to send from; the zero value leaves it to the
	// kernel.
	Source netip.Addr
	// PortMin and PortMax bound the local UDP ports, inclusive; 0 leaves them to
	// the kernel. One port is used per socket, so the range bounds them too.
	PortMin, PortMax uint16
	// MaxSockets bounds the sockets per server and purpose, and with them the
	// requests in flight, 256 each. Default 16.
	MaxSockets int

	// NASIdentifier and NASAddress say who we are. At least one must be given
	// (RFC 2865 section 4.1).
	NASIdentifier string
	NASAddress    netip.Addr
	// NASPortType is the NAS-Port-Type of requests (RFC 2865 section 5.41).
	NASPortType uint32
	// RequestCUI asks for a Chargeable-User-Identity in each Access-Request.
	RequestCUI bool

	// InitialRetransmit and MaxRetransmit are IRT and MRT of RFC 5080 section
	// 2.2.1. Defaults 1 s and 16 s, the latter never below the former.
	InitialRetransmit, MaxRetransmit time.Duration
	// FailoverAfter is how long a request waits for one server before it goes
	// to the next. Default 2.5 s.
	FailoverAfter time.Duration
	// DeadTime is how long a server that did not answer is left alone while
	// another one is up. Default 30 s.
	DeadTime time.Duration
	// StatusInterval is the time between two Status-Server packets. Default 6 s, the
	// least that RFC 3539 section 3.4.1 allows a watchdog.
	StatusInterval time.Duration
	// AuthTimeout and AcctTimeout are MRD, the time after which a request is
	// given up, queueing included. Defaults 15 s and 1 h: a subscriber does not
	// wait longer, a bill does.
	AuthTimeout, AcctTimeout time.Duration
	// AuthQueue and AcctQueue bound the requests that wait to be sent. Defaults
	// 4096 and 131072. Interim records are refused when the accounting queue is
	// three quarters full, so that they never push out a Stop.
	AuthQueue, AcctQueue int
	// IdleSocket is how long a socket that the load no longer needs stays open.
	// Default 30 s.
	IdleSocket time.Duration

	// Policy is what the attributes of an Access-Accept mean.
	Policy policy.Config
	// LocalAuthentic says in accounting that subscribers were authenticated by
	// ourselves and not by RADIUS (Acct-Authentic, RFC 2866 section 5.6).
	LocalAuthentic bool

	// Accounted, if given, is told what became of each accounting record that Account
	// took, from a goroutine of the client's that must not be held up: nil when a
	// server has confirmed it. Whether a record that was not delivered is lost is
	// then the callee's to say. ErrUnsendable tells one that no repetition delivers.
	Accounted func(*session.AcctRecord, error)

	Log *zap.Logger
}

// withDefaults fills in what was left out.
func (c Config) withDefaults() Config {
	number := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	period := func(v *time.Duration, d time.Duration) {
		if *v == 0 {
			*v = d
		}
	}
	number(&c.MaxSockets, 16)
	number(&c.AuthQueue, 4096)
	number(&c.AcctQueue, 131072)
	period(&c.InitialRetransmit, time.Second)
	period(&c.MaxRetransmit, max(16*time.Second, c.InitialRetransmit))
	period(&c.FailoverAfter, 2500*time.Millisecond)
	period(&c.DeadTime, 30*time.Second)
	period(&c.StatusInterval, 6*time.Second)
	period(&c.AuthTimeout, 15*time.Second)
	period(&c.AcctTimeout, time.Hour)
	period(&c.IdleSocket, 30*time.Second)
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// validate checks a configuration with its defaults in place and returns all
// that is wrong with it.
func (c Config) validate() error {
	var errs []error
	bad := func(format string, args ...any) { errs = append(errs, fmt.Errorf("radius: "+format, args...)) }
	if len(c.Servers) == 0 {
		bad("no server")
	}
	for _, s := range c.Servers {
		switch {
		case !s.Addr.IsValid() || s.Addr.IsUnspecified():
			bad("server %v: not an address", s.Addr)
		case len(s.Secret) == 0:
			bad("server %v: no secret", s.Addr)
		case s.Weight < 0:
			bad("server %v: weight %d", s.Addr, s.Weight)
		case s.AuthPort == 0 && s.AcctPort == 0:
			bad("server %v: no port", s.Addr)
		case c.Source.IsValid() && c.Source.Unmap().Is4() != s.Addr.Unmap().Is4():
			bad("server %v cannot be reached from source %v", s.Addr, c.Source)
		}
	}
	if c.PortMin > c.PortMax {
		bad("source ports %d-%d: the first is above the last", c.PortMin, c.PortMax)
	}
	if c.PortMin == 0 && c.PortMax != 0 {
		bad("source ports 0-%d: the first is missing", c.PortMax)
	}
	if c.NASIdentifier == "" && !c.NASAddress.IsValid() {
		bad("neither NAS identifier nor NAS address")
	}
	if len(c.NASIdentifier) > maxValue {
		bad("NAS identifier of %d bytes: at most %d", len(c.NASIdentifier), maxValue)
	}
	if c.MaxSockets < 1 || c.AuthQueue < 1 || c.AcctQueue < 1 {
		bad("bounds must be at least 1")
	}
	if c.InitialRetransmit < 0 || c.MaxRetransmit < c.InitialRetransmit {
		bad("retransmission from %v to %v", c.InitialRetransmit, c.MaxRetransmit)
	}
	if c.FailoverAfter < 0 || c.DeadTime < 0 || c.AuthTimeout < 0 || c.AcctTimeout < 0 || c.IdleSocket < 0 || c.StatusInterval < 0 {
		bad("negative time")
	}
	return errors.Join(errs...)
}
