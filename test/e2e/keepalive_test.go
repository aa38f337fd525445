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
	t.Parallel()
	const sessions = 20
	r := newRig(t, options{config: "set echo_timeout 1\nset idle_echo_timeout 2\n"})
	p := r.lacsim("--sessions", fmt.Sprint(sessions), "--echo", "200ms", "--hold", "forever")
	r.waitUp(sessions)
	time.Sleep(time.Second) // the set-up's last frames
	before, begun := r.counters(), time.Now()
	var moved map[string]uint64
	r.until(patience, func() error { // and for twice the time of a silent session
		moved = since(r.counters(), before)
		if n := moved["xdp_sent_echo"]; n < sessions*10 || time.Since(begun) < 4*time.Second {
			time.Sleep(200 * time.Millisecond)
			return fmt.Errorf("%d echoes answered in XDP for %d subscribers in %v", n, sessions, time.Since(begun))
		}
		return nil
	})
	if n := moved["packets_ppp"]; n != 0 {
		t.Errorf("%d PPP frames reached the daemon", n)
	}
	if n := len(r.sessions()); n != sessions {
		t.Errorf("%d of %d sessions are left", n, sessions)
	}
	if report := r.interrupt(p); report.Sessions.Lost != 0 {
		t.Errorf("sessions: %+v", report.Sessions)
	}
	r.waitEmpty()
}

// An answered echo is not user traffic.
func TestKeepalivesAreIdle(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set idle_timeout 3\n"})
	p := r.lacsim("--sessions", "3", "--echo", "200ms", "--hold", "forever")
	r.waitUp(3)
	r.waitEmpty()
	r.interrupt(p)
	if r.counters()["xdp_sent_echo"] == 0 {
		t.Error("no echo was answered in XDP")
	}
}
