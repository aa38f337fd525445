package sim

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// storm is a random life of many LACs and subscribers.
type storm struct {
	*World
	lacs    []*LAC
	tunnels []*Tunnel
	clients []*Client
	dialled int
	deals   deals
}

// TestStorm lets LACs and subscribers come and go at random over a bad network,
// with slow and failing servers, and looks at the invariants all the time. SEED
// replays one run.
func TestStorm(t *testing.T) {
	networks := map[string]Network{
		"good":    {Delay: 5 * time.Millisecond},
		"lossy":   {Loss: 0.05, Delay: 10 * time.Millisecond, Jitter: 5 * time.Millisecond},
		"repeats": {Repeat: 0.2, Delay: 10 * time.Millisecond, Jitter: 20 * time.Millisecond},
		"awful":   {Loss: 0.15, Repeat: 0.15, Delay: 50 * time.Millisecond, Jitter: 200 * time.Millisecond},
	}
	seeds := uint64(6)
	if testing.Short() {
		seeds = 2
	}
	first := SeedFromEnv(t, 1)
	if first != 1 {
		seeds = 1
	}
	for name, n := range networks {
		for seed := first; seed < first+seeds; seed++ {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				t.Parallel()
				runStorm(t, seed, n)
			})
		}
	}
}

func runStorm(t *testing.T, seed uint64, n Network) {
	adjust := func(c *engine.Config) {
		stormPolicy(c)
		c.Policy.Session.AccountGarden = seed%2 == 0
		c.Policy.Session.IPv6 = Config6()
		c.Policy.Session.PPP.IPv6CP, c.Policy.Session.PPP.IPv6CPPassive = true, true
		c.Prefixes = (&World{T: t}).Pools6(6)
	}
	s := &storm{World: New(t, seed, Options{Network: n, Pool: "10.0.0.0/25", Adjust: adjust})}
	s.deals.times = make(map[session.Ref]int)
	s.Auth.Delay, s.Auth.Jitter = 5*time.Millisecond, 200*time.Millisecond
	s.Forward.Delay = 3 * time.Millisecond
	for i := range 20 {
		s.Auth.Profiles[fmt.Sprintf("static%d", i)] = session.Profile{
			Address: netip.AddrFrom4([4]byte{172, 16, 0, byte(i)}), SessionTimeout: 90 * time.Second}
		// Some have prefixes of their own, also within the pools.
		base := [16]byte{0x20, 1, 0x0d, 0xb8, 0, 1, 0, byte(2 * i)}
		if i%3 == 0 {
			base[5] = 9
		}
		s.Auth.Profiles[fmt.Sprintf("six%d", i)] = session.Profile{IPv6: &session.Profile6{
			Only: i%2 == 0, Prefixes: []netip.Prefix{netip.PrefixFrom(netip.AddrFrom16(base), 64)}}}
	}
	for i := range 6 {
		l := s.LAC(fmt.Sprintf("198.51.100.%d:%d", i+1, 1701+i), fmt.Sprintf("lac%d", i), Secret)
		s.lacs = append(s.lacs, l)
	}
	for s.Now.Before(s.start.Add(6*time.Minute)) && !t.Failed() {
		s.act()
		s.Run(time.Duration(s.rng.IntN(150)) * time.Millisecond)
	}
	s.finish()
}

func stormPolicy(c *engine.Config) {
	c.Policy.Session.IdleTimeout = 2 * time.Minute
	c.Policy.Session.InterimInterval = time.Minute
	c.Policy.Limits.SessionsPerTunnel = 60
	c.Policy.Limits.TunnelsPerPeer = 5
}

// act does one random thing.
func (s *storm) act() {
	switch r := s.rng.IntN(100); {
	case r < 5:
		if l := pick(s, s.lacs); !l.Dead {
			s.tunnels = append(s.tunnels, l.Open())
		}
	case r < 55:
		s.dial()
	case r < 70:
		if c := pick(s, s.clients); c != nil {
			c.Quit()
		}
	case r < 76:
		if c := pick(s, s.clients); c != nil {
			c.HangUp(l2tp.Result{Code: l2tp.CDNLostCarrier})
		}
	case r < 79:
		if c := pick(s, s.clients); c != nil {
			c.Mute = true
		}
	case r < 80:
		if t := pick(s, s.tunnels); t != nil && !t.Closed && !t.lac.Dead {
			t.Close()
		}
	case r < 81:
		s.kill()
	case r < 84:
		s.flap()
	case r < 86:
		if c := pick(s, s.clients); c != nil {
			s.Forward.Pass(c.Address, 1+s.rng.Uint64N(10), s.rng.Uint64N(10))
		}
	case r < 92:
		s.change()
	case r < 94:
		s.Forward.Fail = []float64{0, 0.3}[s.rng.IntN(2)]
	case r < 95:
		s.Auth.Unavailable = !s.Auth.Unavailable && s.rng.IntN(3) == 0
	case r < 96:
		s.Auth.Silent = !s.Auth.Silent && s.rng.IntN(3) == 0
	case r < 97:
		s.Acct.Full = !s.Acct.Full
	default:
		s.Engine.Drain(s.rng.IntN(4) == 0)
	}
}

func (s *storm) dial() {
	t := pick(s, s.tunnels)
	if t == nil || !t.Up || t.lac.Dead {
		return
	}
	s.dialled++
	user := fmt.Sprintf("user%d", s.rng.IntN(150))
	if s.rng.IntN(4) == 0 {
		user = fmt.Sprintf("static%d", s.rng.IntN(20))
	}
	if s.rng.IntN(4) == 0 {
		user = fmt.Sprintf("six%d", s.rng.IntN(20))
	}
	password := "pw-" + user
	if s.rng.IntN(20) == 0 {
		password = "wrong"
	}
	dial := t.Dial
	if s.rng.IntN(2) == 0 {
		dial = t.DialDual
	}
	s.clients = append(s.clients, dial(user, password))
}

// flap ends one network protocol of a subscriber for a while.
func (s *storm) flap() {
	c := pick(s, s.clients)
	if c == nil || !c.Up && !c.Up6 {
		return
	}
	p := []ppp.Protocol{ppp.ProtoIPCP, ppp.ProtoIPV6CP}[s.rng.IntN(2)]
	c.CloseNCP(p)
	s.After(time.Duration(s.rng.IntN(5000))*time.Millisecond, func() {
		if p != ppp.ProtoIPCP || c.Address.Is4() {
			c.OpenNCP(p)
		}
	})
}

// kill takes a LAC's power away. Another one takes its place later, at the same
// address.
func (s *storm) kill() {
	i := s.rng.IntN(len(s.lacs))
	l := s.lacs[i]
	if l.Dead {
		return
	}
	l.Dead = true
	s.After(time.Duration(s.rng.IntN(90))*time.Second, func() {
		n := s.LAC(l.Addr.String(), l.cfg.HostName, Secret)
		s.lacs[i] = n
	})
}

// finish makes the world whole, ends everything and looks for what is left.
func (s *storm) finish() {
	s.Auth.Silent, s.Auth.Unavailable, s.Acct.Full, s.Forward.Fail = false, false, false, 0
	s.Run(time.Minute)
	s.checkDeals()
	for _, t := range s.tunnels {
		if !t.Closed && !t.lac.Dead {
			t.Close()
		}
	}
	s.Run(3 * settleTime)
	s.CheckEnd()
	if s.Acct.Starts == 0 {
		s.T.Error("nobody ever came up")
	}
	s.T.Logf("%d dialled, %d came up, %d interims, %d changes of %d made, %d steps",
		s.dialled, s.Acct.Starts, s.Acct.Interims, s.deals.made, s.deals.asked, s.Steps)
}

// pick is one of xs, the zero value when there is none.
func pick[T any](s *storm, xs []T) T {
	var zero T
	if len(xs) == 0 {
		return zero
	}
	return xs[s.rng.IntN(len(xs))]
}
