package e2e

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
)

// Whatever signal ends a daemon that is to keep nothing, it ends with status 0, has told
// its peers, and leaves nothing on the host.
func TestStop(t *testing.T) {
	t.Parallel()
	for _, signal := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT, syscall.SIGQUIT} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{config: "set save_state no"})
			p := r.lacsim("--tunnels", "2", "--sessions", "10", "--hold", "forever")
			r.waitUp(10)
			if err := r.lnsd.Stop(signal, patience); err != nil {
				t.Errorf("lnsd ended: %v", err)
			}
			r.wantNothingLeft()
			report := r.interrupt(p)
			if report.Tunnels.Lost != 2 || report.Sessions.Lost != 10 || !told(report) {
				t.Errorf("tunnels %+v, sessions %+v, %+v", report.Tunnels, report.Sessions, report.Failures)
			}
		})
	}
}

// told reports whether the LAC was told that the server shuts down (RFC 2661 section
// 4.4.2: result code 6).
func told(report lac.Report) bool {
	for _, f := range report.Failures {
		if f.Cause == "stopccn" && f.Code == 6 {
			return true
		}
	}
	return false
}

// The operator's command ends the daemon as a signal does.
func TestShutdownByOperator(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	p := r.lacsim("--sessions", "3", "--hold", "forever")
	r.waitUp(3)
	r.ctl("shutdown")
	if err := r.lnsd.Wait(patience); err != nil {
		t.Errorf("lnsd ended: %v", err)
	}
	r.wantNothingLeft()
	if report := r.interrupt(p); report.Sessions.Lost != 3 {
		t.Errorf("sessions: %+v", report.Sessions)
	}
}

// A daemon that was killed leaves its pins and its socket. The next one starts all the
// same and serves new sessions with and without them; and --cleanup removes them.
func TestKilledAndStartedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set save_state no"})
	r.reflect()
	p := r.lacsim("--sessions", "5", "--hold", "forever", "--teardown", "none")
	r.waitUp(5)
	_ = r.lnsd.Stop(syscall.SIGKILL, patience)
	if left, _ := filepath.Glob(r.pins() + "/*"); len(left) == 0 {
		t.Error("nothing is pinned: this test shows nothing")
	}
	r.startLNSD()
	r.interrupt(p) // its sessions are known to nobody any more
	before := r.counters()
	if n := len(r.sessions()); n != 0 {
		t.Errorf("%d sessions are shown after the start", n)
	}
	r.finish(r.lacsim("--sessions", "5", "--traffic-target", echoTarget, "--traffic", "100", "--verify", "--hold", "1s"), 30*time.Second, true)
	moved := since(r.counters(), before)
	if moved["xdp_sent_up"] == 0 || moved["xdp_sent_down"] == 0 {
		t.Errorf("nothing went through XDP: %v", moved)
	}
	r.waitEmpty()

	_ = r.lnsd.Stop(syscall.SIGKILL, patience)
	if status, out := r.run("--cleanup", "-c", r.path("startup-config")); status != 0 {
		t.Errorf("--cleanup: status %d\n%s", status, out)
	}
	if left, _ := filepath.Glob(r.pins() + "/*"); len(left) != 0 {
		t.Errorf("--cleanup has left %v", left)
	}
	r.startLNSD()
	r.finish(r.lacsim("--sessions", "1", "--traffic-target", echoTarget, "--traffic", "20", "--verify", "--hold", "1s"), 30*time.Second, true)
	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Errorf("lnsd ended: %v", err)
	}
	r.wantNothingLeft()
}

// A service manager is told when the daemon is ready, that it is alive, that it reads
// its configuration, and that it stops.
func TestNotifiesServiceManager(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	r.writeConfig(options{})
	socket := r.path("notify")
	conn, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: socket, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := func(state string) {
		t.Helper()
		if err := conn.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		b := make([]byte, 1024)
		for {
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("no %s: %v", state, err)
			}
			if strings.HasPrefix(string(b[:n]), state) {
				return
			}
			if got := string(b[:n]); got != "WATCHDOG=1" && !strings.HasPrefix(got, "FDSTORE") {
				t.Errorf("%q instead of %s", got, state)
			}
		}
	}
	r.startLNSD("NOTIFY_SOCKET="+socket, "WATCHDOG_USEC=600000")
	want("READY=1")
	for range 3 {
		want("WATCHDOG=1")
	}
	if err := r.lnsd.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	want("RELOADING=1")
	want("READY=1")
	if err := r.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Errorf("lnsd ended: %v", err)
	}
	want("STOPPING=1")
}

// Two daemons live side by side in namespaces of their own; the end of one does not
// touch the other.
func TestTwoInstances(t *testing.T) {
	t.Parallel()
	one, two := newRig(t, options{config: "set save_state no"}), newRig(t, options{})
	for _, r := range []*rig{one, two} {
		r.reflect()
		r.lacsim("--sessions", "5", "--traffic-target", echoTarget, "--traffic", "200", "--hold", "forever")
	}
	for _, r := range []*rig{one, two} {
		r.waitUp(5)
		r.wantTraffic(5)
	}
	if err := one.lnsd.Stop(syscall.SIGTERM, patience); err != nil {
		t.Errorf("lnsd ended: %v", err)
	}
	one.wantNothingLeft()
	before := two.counters()
	two.wantTraffic(5)
	if moved := since(two.counters(), before); moved["xdp_sent_up"] == 0 || moved["xdp_sent_down"] == 0 {
		t.Errorf("nothing goes through XDP any more: %v", moved)
	}
	if _, err := os.Stat(two.path("lnsd.sock")); err != nil {
		t.Error(err)
	}
}
