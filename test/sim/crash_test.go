package sim

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Who is up notices nothing of another engine: not the LAC, not the subscriber, not
// the accountant; and each can end what was begun before.
func TestCrashKeepsWhatIsUp(t *testing.T) {
	w := New(t, SeedFromEnv(t, 1), Options{Network: Network{Delay: 5 * time.Millisecond}})
	w.CheckEvery = 1
	tun := w.open("198.51.100.1:1701", "lac1")
	a, b := w.up(tun, "alice"), w.up(tun, "bob")
	w.Forward.Pass(a.Address, 3, 5)
	w.Run(time.Minute) // the tunnel's acknowledgements are through
	for range 3 {
		if r := w.Crash(); r.Sessions != 2 || len(r.Tunnels) != 1 || r.Lost != 0 {
			t.Fatalf("%+v", r)
		}
		w.Forward.Pass(a.Address, 1, 1)
		w.Run(3 * time.Minute) // HELLOs and echoes, both ways
		if a.Down || b.Down || tun.Closed {
			t.Fatal("somebody is gone")
		}
	}
	c := w.up(tun, "carol")
	if c.Address == a.Address || c.Address == b.Address {
		t.Errorf("carol got %v as well", c.Address)
	}
	a.Quit()
	w.down(a)
	stop := w.lastStop()
	if stop.Cause != session.CauseUserRequest || stop.Counters.UpPackets != 6 || stop.Counters.DownPackets != 8 {
		t.Errorf("stop %+v", stop)
	}
	if d := w.Now.Sub(w.start); stop.Duration < 9*time.Minute || stop.Duration > d {
		t.Errorf("alice was up for %v of %v", stop.Duration, d)
	}
	w.end(tun)
	if w.Acct.Starts != 3 || w.Recovered != 0 {
		t.Errorf("%d Starts, %d accounts were closed by a crash", w.Acct.Starts, w.Recovered)
	}
}

// A call in set-up is cleared, and the subscriber gets in at the next try.
// Which attribute has granted what outlives the process, and takes room once.
func TestCrashKeepsOrigins(t *testing.T) {
	w := New(t, SeedFromEnv(t, 1), Options{Network: Network{Delay: 5 * time.Millisecond}})
	list := func() *session.Origins {
		return &session.Origins{{Name: "session_timeout", Source: "Session-Timeout"}, {Name: "rate_up", Source: "Cisco-AVPair"}}
	}
	for _, user := range []string{"alice", "bob"} {
		w.Auth.Profiles[user] = session.Profile{SessionTimeout: time.Hour, Origins: list()}
	}
	tun := w.open("198.51.100.1:1701", "lac1")
	w.up(tun, "alice")
	w.up(tun, "bob")
	w.Run(time.Minute)
	for range 2 {
		w.Crash()
		a, b := w.view("alice").Origins, w.view("bob").Origins
		if a == nil || !slices.Equal(*a, *list()) {
			t.Fatalf("alice was granted what she has by %v", a)
		}
		if a != b {
			t.Error("equal lists are kept twice")
		}
	}
	w.end(tun)
}

func TestCrashInSetUp(t *testing.T) {
	w := New(t, SeedFromEnv(t, 1), Options{Network: Network{Delay: 5 * time.Millisecond}})
	w.CheckEvery = 1
	tun := w.open("198.51.100.1:1701", "lac1")
	w.Auth.Silent = true
	a := tun.Dial("alice", "pw-alice")
	w.Run(time.Second)
	if r := w.Crash(); r.Sessions != 0 || len(r.Tunnels) != 1 {
		t.Fatalf("%+v", r)
	}
	w.Auth.Silent = false
	w.Until(10*time.Second, "call cleared", func() bool { return a.Down })
	w.up(tun, "alice")
	w.end(tun)
}

// Sessions whose address has no place any more, and tunnels of LACs that are not let
// in, do not go on, and are accounted for.
func TestCrashWithAnotherConfiguration(t *testing.T) {
	full := false
	w := New(t, SeedFromEnv(t, 1), Options{Network: Network{Delay: 5 * time.Millisecond}, Adjust: func(c *engine.Config) {
		if full {
			c.Policy.Default = nil
		}
	}})
	tun := w.open("198.51.100.1:1701", "lac1")
	w.up(tun, "alice")
	full = true
	if r := w.Crash(); r.Lost != 2 || r.Sessions != 0 || w.Recovered != 1 {
		t.Errorf("%+v, %d recovered", r, w.Recovered)
	}
	w.Run(settleTime)
	w.CheckEnd()
}

// TestCrashStorm kills the engine again and again while LACs and subscribers come and
// go over a bad network. All invariants hold: no address twice, what is installed is up,
// sequence numbers go on, each Start has one Stop with every byte, and nothing leaks.
func TestCrashStorm(t *testing.T) {
	networks := map[string]Network{
		"good":  {Delay: 5 * time.Millisecond},
		"awful": {Loss: 0.1, Repeat: 0.1, Delay: 30 * time.Millisecond, Jitter: 100 * time.Millisecond},
	}
	seeds := uint64(4)
	if testing.Short() {
		seeds = 2
	}
	first := SeedFromEnv(t, 1)
	if first != 1 {
		seeds = 1
	}
	for name, n := range networks {
		for seed := first; seed < first+seeds; seed++ {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) { crashStorm(t, seed, n) })
		}
	}
}

func crashStorm(t *testing.T, seed uint64, n Network) {
	s := &storm{World: New(t, seed, Options{Network: n, Pool: "10.0.0.0/25"})}
	s.Auth.Delay, s.Auth.Jitter = 5*time.Millisecond, 100*time.Millisecond
	s.Forward.Delay = 3 * time.Millisecond
	for i := range 4 {
		l := s.LAC(fmt.Sprintf("198.51.100.%d:%d", i+1, 1701+i), fmt.Sprintf("lac%d", i), Secret)
		s.lacs = append(s.lacs, l)
		s.tunnels = append(s.tunnels, l.Open())
	}
	crashes, restored := 0, 0
	for s.Now.Before(s.start.Add(2*time.Minute)) && !t.Failed() {
		switch r := s.rng.IntN(100); {
		case r < 3:
			s.tunnels = append(s.tunnels, pick(s, s.lacs).Open())
		case r < 50:
			s.dial()
		case r < 62:
			if c := pick(s, s.clients); c != nil {
				c.Quit()
			}
		case r < 64:
			if x := pick(s, s.tunnels); x.Up && !x.Closed {
				x.Close()
			}
		case r < 70:
			crashes++
			restored += s.Crash().Sessions
		default:
			if c := pick(s, s.clients); c != nil && c.Up {
				s.Forward.Pass(c.Address, 1, 2)
			}
		}
		s.Run(time.Duration(s.rng.IntN(150)) * time.Millisecond)
	}
	for _, x := range s.tunnels {
		if !x.Closed {
			x.Close()
		}
	}
	s.Run(3 * settleTime)
	s.CheckEnd()
	t.Logf("%d crashes, %d sessions went on, %d accounts closed by them", crashes, restored, s.Recovered)
	if crashes == 0 || restored == 0 {
		t.Error("this run shows nothing")
	}
}

// A session that nothing is installed of ends in one step: before the accountant has its
// Stop, the journal must have forgotten it (Acct.Account looks).
func TestStopOfWhatIsNotInstalled(t *testing.T) {
	w, tun := world6(t, nil)
	c := tun.DialDual("alice", "pw-alice")
	w.Until(2*time.Second, "up", func() bool { return w.Acct.Starts == 1 && len(w.record(c).Prefixes6) == 2 })
	c.CloseNCP(ppp.ProtoIPCP)
	c.CloseNCP(ppp.ProtoIPV6CP)
	w.Until(time.Second, "nothing installed", func() bool { return len(w.Forward.records) == 0 })
	for id := range w.Acct.accounts {
		if !w.Journal.has(id) {
			t.Fatalf("the journal has no account %s", id)
		}
	}
	c.HangUp(l2tp.Result{Code: l2tp.CDNLostCarrier})
	w.Until(time.Second, "down", func() bool { return len(w.Acct.Stops) == 1 })
	w.finish6(tun)
}
