package e2e

import (
	"fmt"
	"testing"
	"time"
)

// Subscribers' LCP echoes are answered in XDP: the daemon neither sees them nor sends
// its own, the sessions outlive the time in which silent ones are dropped, and yet an
// idle timeout takes no notice of them.
func TestKeepalivesAnsweredInXDP(t *testing.T) {
	const sessions = 20
	r := newRig(t, options{config: "set echo_timeout 1\nset idle_echo_timeout 2\n"})
	p := r.lacsim("--sessions", fmt.Sprint(sessions), "--echo", "200ms", "--hold", "7s")
	r.waitUp(sessions)
	time.Sleep(time.Second) // the set-up's last frames
	before := r.counters()
	time.Sleep(4 * time.Second) // twice the time of a silent session
	moved := since(r.counters(), before)
	if n := moved["xdp_sent_echo"]; n < sessions*10 {
		t.Errorf("%d echoes answered in XDP in 4 s, by %d subscribers every 200 ms", n, sessions)
	}
	if n := moved["packets_ppp"]; n != 0 {
		t.Errorf("%d PPP frames reached the daemon", n)
	}
	if n := len(r.sessions()); n != sessions {
		t.Errorf("%d of %d sessions are left", n, sessions)
	}
	r.finish(p, 30*time.Second, true)
	r.waitEmpty()
}

// An answered echo is not user traffic.
func TestKeepalivesAreIdle(t *testing.T) {
	r := newRig(t, options{config: "set idle_timeout 3\n"})
	p := r.lacsim("--sessions", "3", "--echo", "200ms", "--hold", "20s")
	r.waitUp(3)
	r.waitEmpty()
	r.finish(p, 30*time.Second, false)
	if r.counters()["xdp_sent_echo"] == 0 {
		t.Error("no echo was answered in XDP")
	}
}
