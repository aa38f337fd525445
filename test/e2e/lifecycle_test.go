package e2e

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

// timeouts are the idle timeouts of all sessions, in seconds.
func (r *rig) idleTimeouts() (out []float64) {
	r.t.Helper()
	for _, s := range r.sessions() {
		var v struct {
			Idle float64 `json:"idle_timeout_seconds"`
		}
		r.ctlJSON(&v, "show", "session", fmt.Sprint(s.SID))
		out = append(out, v.Idle)
	}
	return out
}

func (r *rig) inFile(what string, want bool) {
	r.t.Helper()
	b, err := os.ReadFile(r.path("startup-config"))
	if err != nil || strings.Contains(string(b), what) != want {
		r.t.Fatalf("startup-config holds %q: want %v (%v)\n%s", what, want, err, b)
	}
}

// The life of a configuration with sessions up all the time: commits and profiles for new
// sessions and live ones, a rollback, a commit that nobody confirms across a restart, and
// one that can't spare the sessions.
func TestConfigurationLifeCycle(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	r.writeConfig(options{config: "# a comment\nset idle_timeout 1000\nlac carrier address 10.1.0.0/24"})
	r.startLNSD()
	r.lacsim("--sessions", "1", "--hold", "forever")
	r.waitUp(1)
	if got := fmt.Sprint(r.idleTimeouts()); got != "[1000]" {
		t.Fatal(got)
	}

	// Live: nothing is dropped, and the session that is up keeps what it has.
	r.ctl("config", "edit", "set", "max_tunnels", "1")
	r.ctl("config", "commit")
	r.ctl("ppp", "profile", "create", "default", "idle_timeout=900")
	r.inFile("# a comment", true)
	r.inFile("ppp_profile default idle_timeout 900", true)
	if got := fmt.Sprint(r.idleTimeouts()); got != "[1000]" {
		t.Errorf("a profile has changed a session that was up: %s", got)
	}
	r.ctl("config", "rollback", "1")
	r.inFile("ppp_profile", false)
	r.ctl("config", "edit", "set", "max_tunnels", "100")
	r.ctl("config", "commit")
	r.ctl("ppp", "profile", "create", "default", "idle_timeout=800")
	r.lacsim("--sessions", "1", "--hold", "forever", "--user", "second")
	r.waitUp(2)
	if got := r.idleTimeouts(); len(got) != 2 || got[0]+got[1] != 1800 {
		t.Errorf("idle timeouts %v, want 1000 and 800", got)
	}
	for _, s := range r.sessions() {
		said := r.ctl("explain", "session", fmt.Sprint(s.SID))
		if !strings.Contains(said, "set idle_timeout") && !strings.Contains(said, "ppp profile default") {
			t.Errorf("nobody has set the timeout of %d:\n%s", s.SID, said)
		}
	}
	// Whoever has what the configuration gave takes a live change.
	r.ctl("ppp", "profile", "modify", "default", "idle_timeout=700", "--live")
	if got := fmt.Sprint(r.idleTimeouts()); got != "[700 700]" {
		t.Errorf("idle timeouts %s after a live change", got)
	}

	// Not confirmed, and the time runs out while no daemon is there.
	r.ctl("config", "edit", "set", "idle_timeout", "5000")
	r.ctl("config", "commit", "--confirmed", "2s")
	r.inFile("idle_timeout 5000", true)
	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Fatal(err)
	}
	time.Sleep(2100 * time.Millisecond)
	r.startLNSD()
	r.inFile("idle_timeout 5000", false)
	r.waitUp(2)
	// And while one is.
	r.ctl("config", "edit", "set", "idle_timeout", "6000")
	r.ctl("config", "commit", "--confirmed", "1s")
	for end := time.Now().Add(30 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		b, err := os.ReadFile(r.path("startup-config"))
		if err == nil && !strings.Contains(string(b), "6000") {
			break
		}
		if time.Now().After(end) {
			t.Fatal("a commit that nobody has confirmed stays")
		}
	}

	// The LACs are not let in any more: that takes force.
	r.ctl("config", "edit", "no", "lac", "carrier")
	r.ctl("config", "edit", "lac", "other", "address", "203.0.113.77")
	if said := r.ctl("config", "check"); !strings.Contains(said, "2 sessions of 2 tunnels") {
		t.Errorf("check says\n%s", said)
	}
	if _, err := r.tryCtl("config", "commit"); err == nil || !strings.Contains(err.Error(), "2 sessions of 2 tunnels") {
		t.Errorf("committed without force: %v", err)
	}
	r.waitUp(2)
	r.ctl("config", "commit", "--force")
	r.waitEmpty()
}
