package e2e

import (
	"context"
	"testing"
	"time"
)

// What one subscriber sends to another is carried between their sessions without
// leaving XDP, or by the slow path, or dropped by both: as the policy says.
func TestHairpin(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		config string
		allow  bool
		moves  string // the counter that must move
	}{
		{"set hairpin allow", true, "xdp_sent_hairpin"},
		{"set hairpin core", true, "slow_up_forwarded"},
		{"set hairpin deny", false, "xdp_drop_hairpin"},
		{"set hairpin allow\nset xdp_mode none", true, "slow_up_forwarded"},
		{"set hairpin deny\nset xdp_mode none", false, "slow_up_hairpin_denied"},
	} {
		t.Run(c.config, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{config: c.config})
			r.lacsim("--sessions", "2", "--hold", "forever", "--tun", "sub0")
			r.waitUp(2)
			r.routeSubscriber("sub0")
			_, other := r.pair()
			route := []string{"route", "add", other.Address.String() + "/32", "dev", "sub0"}
			if _, err := r.lab.LAC.Output(context.Background(), "ip", route...); err != nil {
				t.Fatal(err)
			}
			wait := "1" // s for an answer that is not to come
			if c.allow {
				wait = "20"
			}
			ping := func(n string) error {
				_, err := r.lab.LAC.Output(context.Background(), "ping", "-c", n, "-i", "0.05", "-W", wait, "-I", "sub0", other.Address.String())
				return err
			}
			if c.allow {
				r.until(5*time.Second, func() error { return ping("1") }) // resolves the neighbours
			}
			before := r.counters()
			if err := ping("5"); (err == nil) != c.allow {
				t.Errorf("ping: %v", err)
			}
			moved := since(r.counters(), before)
			if moved[c.moves] < 5 {
				t.Errorf("%s: %d", c.moves, moved[c.moves])
			}
			if c.moves == "xdp_sent_hairpin" && (moved["slow_up_forwarded"] != 0 || moved[c.moves] != 10) {
				t.Errorf("5 echoes and their answers, of which XDP has sent %d and the slow path %d", moved[c.moves], moved["slow_up_forwarded"])
			}
		})
	}
}

// pair returns the sessions of lacsim's first subscriber and of its second.
func (r *rig) pair() (first, second shownSession) {
	r.t.Helper()
	for _, s := range r.sessions() {
		if s.User == "user1" {
			first = s
		} else {
			second = s
		}
	}
	return first, second
}
