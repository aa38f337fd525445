package lac

import (
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/udp"
)

// Forever as Config.Hold keeps the sessions up until the context ends.
const Forever time.Duration = -1

// Config describes a run. Fields whose zero value makes no sense have a default,
// which is named in the comment.
type Config struct {
	// LNS is the server's address; port 0 is 1701.
	LNS netip.AddrPort
	// Bind lists our own addresses. Each is a LAC of its own: tunnels are dealt
	// out over them in turn. None lets the kernel choose one.
	Bind []netip.Addr
	// SourcePort is our UDP port; 0 lets the kernel choose.
	SourcePort uint16
	// SocketPerTunnel gives each tunnel a UDP port of its own, as separate LACs
	// behind one address have. Otherwise the tunnels of a worker share one: their
	// ids tell them apart (RFC 2661 section 8.1 asks for no more).
	SocketPerTunnel bool
	// Workers is the number of goroutines that own tunnels; 0 is one for each
	// processor.
	Workers int

	// Tunnels and Sessions are totals (default 1 each); the sessions are dealt out
	// evenly over the tunnels.
	Tunnels, Sessions int
	// First numbers the first session in patterns; default 1.
	First int
	// Rate is how many calls are placed per second; 0 places them as fast as the
	// LNS's receive windows and Parallel allow.
	Rate float64
	// Parallel bounds the sessions that are being set up at one time, over all
	// tunnels; 0 is 1,000.
	Parallel int
	// Timeout bounds the set-up of a tunnel, and of a session from ICRQ to the
	// address; default 30 s.
	Timeout time.Duration

	// HostName is our Host Name AVP; a %d in it is the tunnel's number. Default
	// "lacsim".
	HostName string
	// Secret is the tunnel secret; empty sets up tunnels without authentication.
	// With one, the LNS is challenged too, unless NoChallenge is set.
	Secret      string
	NoChallenge bool
	HideAVPs    bool
	// ReceiveWindow is what we advertise, in messages; default 64.
	ReceiveWindow uint16
	// Hello is the silence after which HELLO is sent; default 60 s, negative
	// never.
	Hello time.Duration

	// Auth is how subscribers prove who they are; NoAuth refuses every method.
	Auth ppp.Auth
	// User, Password, CallingNumber and CalledNumber may hold one %d (or %05d
	// and the like), which is the session's number.
	User, Password              string
	CallingNumber, CalledNumber string
	// ProxyAuth makes us negotiate LCP and collect the credentials like a LAC
	// that authenticates, and hand them to the LNS in proxy AVPs (RFC 2661
	// section 4.4.5).
	ProxyAuth bool
	// MRU is what subscribers ask for; 0 is 1492.
	MRU uint16
	// ACFC and PFC offer the compressions in LCP.
	ACFC, PFC bool
	// IPv6 opens IPV6CP beside IPCP, listens to router advertisements, and is a
	// DHCPv6 client as far as Need6 asks for what it gives. Need6 is what a
	// subscriber must have got to be up. NoIPv4 leaves IPCP out.
	IPv6, NoIPv4 bool
	Need6        Need6
	// Echo is the silence after which a subscriber sends LCP Echo-Request; 0
	// sends none (the LNS's are always answered).
	Echo time.Duration

	Framing Framing
	Traffic Traffic
	Impair  Impair

	// Hold keeps the sessions up for this long once all are up or have failed.
	// Traffic runs meanwhile.
	Hold     time.Duration
	Teardown Teardown
	// PerSession puts every session into Report.Sessions.
	PerSession bool
	// TUN, when set, is the name of a TUN interface that is made in the network
	// namespace of the caller and carries the packets of the first session: any
	// program can then be its subscriber. The interface gets the session's
	// address; routes are the caller's affair.
	TUN string

	// Progress, when set, is called about five times a second, and Phase when
	// another part of the run begins, with the report so far. Both are called from
	// Run's goroutine, which waits for them.
	Progress func(Progress)
	Phase    func(Phase, *Report)
}

// Framing is how data messages are dressed. The zero value is the smallest header.
type Framing struct {
	Length   bool // L bit and Length field
	Sequence bool // S bit with Ns, and Sequencing Required AVP
	// HasOffset puts an Offset Size field with the value Offset in.
	HasOffset bool
	Offset    int
	// AddressControl puts FF 03 before IP packets: Auto does so unless ACFC was
	// negotiated.
	AddressControl AddressControl
}

// AddressControl is a policy for the HDLC address and control bytes.
type AddressControl uint8

// The policies.
const (
	Auto AddressControl = iota
	Always
	Never
)

// Teardown is how a run ends its sessions.
type Teardown uint8

// The ways.
const (
	// ByClient: each subscriber sends LCP Terminate-Request, then CDN, then
	// StopCCN for the tunnels.
	ByClient Teardown = iota
	// ByLAC: CDN for each session, then StopCCN.
	ByLAC
	// ByTunnel: StopCCN only.
	ByTunnel
	// ByNobody: we vanish without a word.
	ByNobody
)

var teardownNames = [...]string{"client", "lac", "tunnel", "none"}

func (t Teardown) String() string { return teardownNames[t] }

// ParseTeardown is the inverse of String.
func ParseTeardown(s string) (Teardown, error) {
	for i, name := range teardownNames {
		if s == name {
			return Teardown(i), nil
		}
	}
	return 0, fmt.Errorf("teardown %q is none of %s", s, strings.Join(teardownNames[:], ", "))
}

// Traffic describes the packets sent through the sessions that are up.
type Traffic struct {
	// Rate is packets/s over all sessions, PerSession packets/s for each; at most
	// one of them is set. Both 0 is no traffic.
	Rate, PerSession float64
	// Size is the length of the IPv4 packet in bytes, MinPacketSize to 65535;
	// default 256.
	Size int
	// Target is the reflector in the core (see Reflect).
	Target netip.AddrPort
	// Target6 is the reflector for IPv6, which is sent in turn with IPv4 by who has
	// both.
	Target6 netip.AddrPort
	// OneWay expects no echo.
	OneWay bool
	// Verify checks each byte of each echo and makes the run fail on wrong or
	// missing ones. Without it only what is needed for counting is read.
	Verify bool
	// MaxLoss is how much may be lost with Verify, as a fraction of what was sent.
	MaxLoss float64
	// Hops is by how much the TTL must have gone down in each direction; 0 and
	// below accept any number of routers.
	Hops int
	// Begin, when set, is closed when the traffic is to begin; otherwise it begins
	// as soon as the sessions are up.
	Begin <-chan struct{}
	// Duration ends the traffic before Hold is over; 0 does not.
	Duration time.Duration
	// Fragment clears DF, and sends packets longer than this in fragments of at
	// most this many bytes; 0 sends whole packets with DF.
	Fragment int
}

func (t *Traffic) enabled() bool { return t.Rate > 0 || t.PerSession > 0 }

// Impair damages the control channel and PPP negotiation on purpose: each is the
// probability for one datagram, in each direction.
type Impair struct {
	Loss, Duplicate, Reorder float64
	Seed                     uint64 // 0 takes a random one
}

func (c *Config) setDefaults() {
	if c.LNS.Port() == 0 {
		c.LNS = netip.AddrPortFrom(c.LNS.Addr(), udp.Port)
	}
	if len(c.Bind) == 0 {
		c.Bind = []netip.Addr{netip.IPv4Unspecified()}
		if c.LNS.Addr().Is6() {
			c.Bind[0] = netip.IPv6Unspecified()
		}
	}
	def(&c.Tunnels, 1)
	def(&c.Sessions, 1)
	def(&c.First, 1)
	def(&c.Parallel, 1000)
	def(&c.Timeout, 30*time.Second)
	def(&c.HostName, "lacsim")
	def(&c.ReceiveWindow, 64)
	def(&c.Hello, 60*time.Second)
	def(&c.MRU, 1492)
	def(&c.Traffic.Size, 256)
	def(&c.Workers, runtime.GOMAXPROCS(0))
	if c.SourcePort != 0 && !c.SocketPerTunnel {
		c.Workers = 1 // one port, one socket, one owner
	}
	c.Workers = min(c.Workers, c.Tunnels)
}

func def[T comparable](v *T, d T) {
	var zero T
	if *v == zero {
		*v = d
	}
}

// maxPerTunnel is how many session ids there are.
const maxPerTunnel = 65535

// Check reports everything that is wrong with a configuration.
func (c Config) Check() error {
	c.setDefaults()
	return c.check()
}

// check is Check for a configuration whose defaults are set.
func (c *Config) check() error {
	var errs []error
	bad := func(wrong bool, format string, args ...any) {
		if wrong {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	bad(!c.LNS.Addr().IsValid() || c.LNS.Addr().Is4In6(), "the LNS needs an address")
	for _, a := range c.Bind {
		bad(a.Is4() != c.LNS.Addr().Is4(), "bind address %s is not of the same IP version as the LNS's", a)
	}
	bad(c.Tunnels < 0 || c.Sessions < 0 || c.Workers < 0 || c.Parallel < 0, "numbers must not be negative")
	bad(c.Tunnels > maxPerTunnel, "%d tunnels: there are only %d tunnel ids", c.Tunnels, maxPerTunnel)
	bad(c.Tunnels > 0 && (c.Sessions+c.Tunnels-1)/c.Tunnels > maxPerTunnel,
		"%d sessions in %d tunnels: a tunnel has only %d session ids", c.Sessions, c.Tunnels, maxPerTunnel)
	bad(c.Rate < 0, "the rate must not be negative")
	bad(c.Timeout < 0, "the timeout must not be negative")
	bad(c.MRU < 64, "MRU %d is too small", c.MRU)
	bad((c.NoIPv4 || c.Need6 != 0) && !c.IPv6, "what is wanted of IPv6 needs IPv6")
	bad(c.SourcePort != 0 && c.SocketPerTunnel && int(c.SourcePort)+c.Tunnels > 65536, "not enough ports above %d", c.SourcePort)
	bad(c.Framing.Offset < 0 || c.Framing.Offset > 1024, "offset %d is not within 0 to 1024", c.Framing.Offset)
	for _, p := range []struct{ name, pattern string }{
		{"host name", c.HostName}, {"user", c.User}, {"password", c.Password},
		{"calling number", c.CallingNumber}, {"called number", c.CalledNumber},
	} {
		if err := checkPattern(p.pattern); err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", p.name, err))
		}
	}
	for _, p := range []float64{c.Impair.Loss, c.Impair.Duplicate, c.Impair.Reorder} {
		bad(p < 0 || p >= 1, "impairment %v is no probability below 1", p)
	}
	return errors.Join(append(errs, c.Traffic.check(c.Hold))...)
}

func (t *Traffic) check(hold time.Duration) error {
	switch {
	case t.Rate < 0 || t.PerSession < 0:
		return errors.New("the traffic rate must not be negative")
	case !t.enabled():
		return nil
	case t.Rate > 0 && t.PerSession > 0:
		return errors.New("give the traffic rate in total or per session, not both")
	case t.Target.IsValid() && (!t.Target.Addr().Is4() || t.Target.Port() == 0):
		return errors.New("the traffic's target must be an IPv4 address and port")
	case t.Target6.IsValid() && (t.Target6.Addr().Is4() || t.Target6.Port() == 0):
		return errors.New("the traffic's IPv6 target must be an IPv6 address and port")
	case !t.Target.IsValid() && !t.Target6.IsValid():
		return errors.New("traffic needs a target, IPv4 address and port")
	case t.Size < MinPacketSize || t.Size > maxPacketSize:
		return fmt.Errorf("packet size %d is not within %d to %d", t.Size, MinPacketSize, maxPacketSize)
	case t.MaxLoss < 0 || t.MaxLoss > 1:
		return fmt.Errorf("accepted loss %v is not within 0 to 1", t.MaxLoss)
	case t.Fragment != 0 && t.Fragment < ipv4HeaderLen+8:
		return fmt.Errorf("fragment size %d is below %d", t.Fragment, ipv4HeaderLen+8)
	case hold == 0 && t.Duration == 0:
		return errors.New("traffic needs a hold time or a duration")
	}
	return nil
}

// checkPattern accepts text with at most one verb, which must format an integer.
func checkPattern(p string) error {
	if s := expand(p, 1); strings.Contains(s, "%!") {
		return fmt.Errorf("pattern %q: use one %%d, or %%05d, and %%%% for a percent sign", p)
	}
	return nil
}

// expand fills number n into a pattern.
func expand(p string, n int) string {
	if !strings.Contains(p, "%") {
		return p
	}
	if !strings.Contains(strings.ReplaceAll(p, "%%", ""), "%") {
		return strings.ReplaceAll(p, "%%", "%")
	}
	return fmt.Sprintf(p, n)
}

func (c *Config) l2tp(tunnel int) *l2tp.Config {
	hello := max(c.Hello, 0)
	return &l2tp.Config{
		Role:             l2tp.LAC,
		HostName:         expand(c.HostName, tunnel+1),
		VendorName:       "lacsim",
		Firmware:         1,
		Secret:           []byte(c.Secret),
		Challenge:        c.Secret != "" && !c.NoChallenge,
		HideAVPs:         c.HideAVPs && c.Secret != "",
		ReceiveWindow:    c.ReceiveWindow,
		HelloInterval:    hello,
		RetryInterval:    time.Second,
		RetryCap:         8 * time.Second,
		MaxRetries:       5,
		EstablishTimeout: c.Timeout,
		FramingCaps:      3, // synchronous and asynchronous (RFC 2661 section 4.4.3)
		BearerCaps:       3, // digital and analog
	}
}

// The values of RFC 1661 section 4.6.
const (
	restartTimer = 3 * time.Second
	maxTerminate = 2
)

func (c *Config) link(number int) *ppp.Config {
	var methods []ppp.Auth
	if c.Auth != ppp.NoAuth {
		methods = []ppp.Auth{c.Auth}
	}
	return &ppp.Config{
		Client:         true,
		User:           expand(c.User, number),
		Password:       expand(c.Password, number),
		MRU:            c.MRU,
		ACFC:           c.ACFC,
		PFC:            c.PFC,
		Auth:           methods,
		AuthOptional:   true,
		EchoInterval:   c.Echo,
		EchoFailures:   3,
		RestartTimer:   restartTimer,
		MaxConfigure:   10,
		MaxTerminate:   maxTerminate,
		MaxFailure:     5,
		AuthTimeout:    c.Timeout,
		NetworkTimeout: c.Timeout,
		IPv6CP:         c.IPv6,
		NoIPv4:         c.NoIPv4,
	}
}
