package sim

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Every way that a session can fail to come up: the message to the peer, a log
// line, a counter, no account, and nothing left.
func TestSetupFailures(t *testing.T) {
	static := netip.MustParseAddr("172.16.0.1")
	cases := []struct {
		name     string
		adjust   func(*engine.Config)
		before   func(w *World, tun *Tunnel)
		password string
		code     uint16 // CDN
		message  string
		cause46  uint16
		told     string // what the subscriber reads
		counter  string
		log      string
	}{
		{name: "wrong password", password: "wrong", code: l2tp.CDNAdministrative,
			message: "authentication failed", cause46: 16, told: "who are you?", counter: "auth_rejected", log: "authentication failed"},
		{name: "authenticator gives up", before: func(w *World, _ *Tunnel) { w.Auth.Unavailable = true },
			code: l2tp.CDNTemporary, message: "authentication is not available", told: "authentication is not available",
			counter: "auth_unavailable", log: "no answer to authentication"},
		{name: "authenticator is silent", before: func(w *World, _ *Tunnel) { w.Auth.Silent = true },
			code: l2tp.CDNAdministrative, message: "authentication timed out", cause46: 13, told: "authentication timed out",
			counter: "session_setup_failures", log: "session not established"},
		{name: "authenticator's queue is full", before: func(w *World, _ *Tunnel) { w.Auth.Full = true },
			code: l2tp.CDNTemporary, message: "authentication is not available", told: "authentication is not available",
			counter: "auth_queue_full", log: "no answer to authentication"},
		{name: "pool exhausted", before: func(w *World, tun *Tunnel) {
			for range 4 {
				w.up(tun, "other")
			}
		}, adjust: func(c *engine.Config) { c.Policy.Session.Duplicates = session.AllowDuplicates },
			code: l2tp.CDNTemporary, message: "pool exhausted", told: "pool exhausted", counter: "pool_exhausted", log: "no address for session"},
		{name: "no such pool", before: func(w *World, tun *Tunnel) {
			w.Auth.Profiles["alice"] = session.Profile{Pool: "nowhere"}
		}, code: l2tp.CDNTemporary, message: "no such pool", told: "no such pool", counter: "pool_exhausted", log: "no address for session"},
		{name: "address in use", before: func(w *World, tun *Tunnel) {
			w.Auth.Profiles["bob"] = session.Profile{Address: static}
			w.Auth.Profiles["alice"] = session.Profile{Address: static}
			w.up(tun, "bob")
		}, code: l2tp.CDNTemporary, message: "address in use", told: "address in use", counter: "address_in_use", log: "no address for session"},
		{name: "second login refused", before: func(w *World, tun *Tunnel) { w.up(tun, "alice") },
			adjust: func(c *engine.Config) { c.Policy.Session.Duplicates = session.RefuseNew },
			code:   l2tp.CDNAdministrative, message: "authentication failed", cause46: 16, told: "already logged in",
			counter: "duplicate_logins_refused", log: "no address for session"},
		{name: "map is full", before: func(w *World, tun *Tunnel) { w.up(tun, "bob"); w.Forward.Capacity = 1 },
			code: l2tp.CDNTemporary, message: "no room in the forwarding path", told: "no room in the forwarding path",
			counter: "program_failures", log: "forwarding path refused"},
		{name: "set-up takes too long", before: func(w *World, _ *Tunnel) { w.Auth.Silent = true },
			adjust: func(c *engine.Config) { c.Policy.Session.SetupTimeout = 10 * time.Second },
			code:   l2tp.CDNAdministrative, message: "set-up timed out", cause46: 1, told: "set-up timed out",
			counter: "session_setup_failures", log: "session not established"},
		{name: "busy code by configuration", before: func(w *World, _ *Tunnel) { w.Auth.Unavailable = true },
			adjust: func(c *engine.Config) {
				c.Policy.Session.Busy = l2tp.Result{Code: l2tp.CDNError, Error: l2tp.ErrorTryAnother}
			},
			code: l2tp.CDNError, message: "authentication is not available", told: "authentication is not available",
			counter: "auth_unavailable", log: "no answer to authentication"},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			w := New(t, SeedFromEnv(t, 1), Options{Network: quick, Pool: "10.0.0.0/30", Adjust: x.adjust})
			w.CheckEvery = 1
			tun := w.open("198.51.100.1:1701", "lac1")
			if x.before != nil {
				x.before(w, tun)
			}
			starts, sessions := w.Acct.Starts, w.Engine.Census().Sessions
			password := x.password
			if password == "" {
				password = "pw-alice"
			}
			c := tun.Dial("alice", password)
			w.down(c)
			if x.code == l2tp.CDNError {
				wantCDN(t, c, x.code, l2tp.ErrorTryAnother, x.message, x.cause46)
			} else {
				wantCDN(t, c, x.code, 0, x.message, x.cause46)
			}
			if _, told := c.Link.Cause(); !strings.Contains(told, x.told) {
				t.Errorf("the subscriber was told %q, want %q", told, x.told)
			}
			w.wantCount(x.counter, 1)
			w.wantLog(x.log)
			w.Run(time.Second)
			if w.Acct.Starts != starts || w.Engine.Census().Sessions != sessions {
				t.Errorf("%d new accounts, %d sessions left", w.Acct.Starts-starts, w.Engine.Census().Sessions-sessions)
			}
			w.end(tun)
		})
	}
}

// The pool's last address serves the next one as soon as it is free.
func TestPoolRecovers(t *testing.T) {
	w := New(t, 1, Options{Network: quick, Pool: "10.0.0.0/32"})
	tun := w.open("198.51.100.1:1701", "lac1")
	for _, user := range users(5) {
		c := w.up(tun, user)
		if c.Address != netip.MustParseAddr("10.0.0.0") {
			t.Fatalf("%s got %v", user, c.Address)
		}
		c.Quit()
		w.down(c)
		w.Run(time.Second)
	}
	w.end(tun)
}

// A map that was full takes sessions again after some have left, many times.
func TestMapFillsAndDrains(t *testing.T) {
	w, tun := begin(t, nil)
	w.Forward.Capacity = 3
	for range 20 {
		var cs []*Client
		for _, user := range users(6) {
			cs = append(cs, tun.Dial(user, "pw-"+user))
		}
		w.Run(20 * time.Second)
		up := 0
		for _, c := range cs {
			if c.Up {
				up++
				c.Quit()
			} else if !c.Down {
				t.Fatal("neither up nor down")
			}
		}
		if up != 3 {
			t.Fatalf("%d up, want 3", up)
		}
		w.Run(20 * time.Second)
	}
	w.end(tun)
}

func TestAddresses(t *testing.T) {
	w, tun := begin(t, nil)
	in, out := netip.MustParseAddr("10.0.0.77"), netip.MustParseAddr("203.0.113.9")
	w.Auth.Profiles["in"] = session.Profile{Address: in}
	w.Auth.Profiles["out"] = session.Profile{Address: out,
		Routes: []netip.Prefix{netip.MustParsePrefix("203.0.113.16/28")}}
	w.Auth.Profiles["dns"] = session.Profile{DNS: [2]netip.Addr{netip.MustParseAddr("192.0.2.99")}}
	if c := w.up(tun, "in"); c.Address != in {
		t.Errorf("in: %v", c.Address)
	}
	c := w.up(tun, "out")
	if c.Address != out {
		t.Errorf("out: %v", c.Address)
	}
	if r := w.Forward.records[w.Forward.byAddr[out]].Routes; len(r) != 1 {
		t.Errorf("routes %v", r)
	}
	first := w.up(tun, "sticky")
	first.Quit()
	w.down(first)
	w.up(tun, "another")
	w.Run(time.Minute)
	if again := w.up(tun, "sticky"); again.Address != first.Address {
		t.Errorf("sticky had %v and got %v", first.Address, again.Address)
	}
	w.end(tun)
}

func TestDuplicateLogins(t *testing.T) {
	static := netip.MustParseAddr("172.16.0.1")
	t.Run("kick old", func(t *testing.T) {
		w, tun := begin(t, nil)
		a := w.up(tun, "alice")
		b := w.up(tun, "alice")
		w.down(a)
		wantCDN(t, a, l2tp.CDNAdministrative, 0, "user logged in again", 1)
		if b.Down || w.lastStop().Cause != session.CauseNASRequest {
			t.Errorf("new one down: %v, cause %d", b.Down, w.lastStop().Cause)
		}
		w.wantCount("duplicate_logins_kicked", 1)
		w.end(tun)
	})
	// The modem was restarted: the old session's end cannot answer, and the new
	// one is to have the same address.
	t.Run("kick old for its address", func(t *testing.T) {
		w, tun := begin(t, nil)
		w.Auth.Profiles["alice"] = session.Profile{Address: static}
		a := w.up(tun, "alice")
		a.Mute = true
		other := w.open("198.51.100.2:1701", "lac2")
		b := w.up(other, "alice")
		if b.Address != static {
			t.Errorf("new one has %v", b.Address)
		}
		w.down(a)
		w.end(tun, other)
	})
	t.Run("several wait for an address", func(t *testing.T) {
		w, tun := begin(t, nil)
		w.Auth.Profiles["alice"] = session.Profile{Address: static}
		w.up(tun, "alice")
		w.Forward.Stalled = true
		cs := []*Client{tun.Dial("alice", "pw-alice"), tun.Dial("alice", "pw-alice"), tun.Dial("alice", "pw-alice")}
		w.Run(10 * time.Second)
		w.Forward.Resume()
		w.Run(10 * time.Second)
		up := 0
		for _, c := range cs {
			if c.Up {
				up++
			}
		}
		if up != 1 {
			t.Errorf("%d up, want 1", up)
		}
		w.end(tun)
	})
	t.Run("allow", func(t *testing.T) {
		w, tun := begin(t, func(c *engine.Config) { c.Policy.Session.Duplicates = session.AllowDuplicates })
		a, b := w.up(tun, "alice"), w.up(tun, "alice")
		w.Run(10 * time.Second)
		if a.Down || b.Down || a.Address == b.Address {
			t.Errorf("down %v %v, addresses %v %v", a.Down, b.Down, a.Address, b.Address)
		}
		w.end(tun)
	})
}

func TestInterimAccounting(t *testing.T) {
	w, tun := begin(t, nil)
	w.Auth.Profiles["short"] = session.Profile{InterimInterval: time.Second}
	w.up(tun, "alice") // ten minutes, from the configuration
	w.up(tun, "short") // raised to the least of one minute
	w.Run(10*time.Minute + time.Second)
	interims := map[string]int{}
	for _, a := range w.Acct.accounts {
		interims[a.start.User] = a.interims
	}
	if n := interims["alice"]; n != 1 {
		t.Errorf("%d interims of alice, want 1", n)
	}
	if n := interims["short"]; n < 10 || n > 11 {
		t.Errorf("%d interims of short, want 10 or 11", n)
	}
	w.end(tun)
}

// A rechallenge does not disturb a session whose authenticator is away, and ends
// one that is no longer welcome.
func TestRechallenge(t *testing.T) {
	w, tun := begin(t, func(c *engine.Config) {
		p := *c.Policy.Session.PPP
		p.Rechallenge = time.Minute
		c.Policy.Session.PPP = &p
	})
	c := w.up(tun, "alice")
	w.Auth.Unavailable = true
	w.Run(5 * time.Minute)
	if !c.Up || w.Auth.Requests < 5 {
		t.Fatalf("up %v after %d requests", c.Up, w.Auth.Requests)
	}
	w.Auth.Unavailable = false
	w.Run(2 * time.Minute)
	c.cfg.Password = "stolen"
	w.Run(2 * time.Minute)
	if c.Up || len(w.Acct.Stops) != 1 {
		t.Errorf("up %v with a wrong password, %d stops", c.Up, len(w.Acct.Stops))
	}
	w.end(tun)
}

// A client that negotiates LCP anew in the middle of a session is let in again,
// within the same account and with the same address.
func TestRenegotiation(t *testing.T) {
	w, tun := begin(t, nil)
	c := w.up(tun, "alice")
	before := c.Address
	w.Forward.Pass(c.Address, 5, 5)
	c.Link = ppp.NewLink(c.cfg, w.random)
	c.Link.Start(w.Now, nil, &c.out)
	c.Up = false
	c.pump()
	w.Until(10*time.Second, "up again", func() bool { return c.Up })
	w.Run(time.Second)
	if c.Address != before || w.Acct.Starts != 1 || len(w.Acct.Stops) != 0 {
		t.Errorf("address %v, was %v; %d Starts, %d Stops", c.Address, before, w.Acct.Starts, len(w.Acct.Stops))
	}
	w.Forward.Pass(c.Address, 2, 2)
	c.Quit()
	w.down(c)
	if n := w.lastStop().Counters.UpPackets; n != 7 {
		t.Errorf("%d packets in the Stop, want 7", n)
	}
	w.end(tun)
}
