package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/lac/l2tpns"
	"github.com/lnsd/lnsd/test/netlab"
)

// many is how many sessions the scale test sets up, theirShare how many on l2tpns, whose
// rate does not depend on it.
const (
	many        = 100_000
	theirShare  = 20_000
	manyTunnels = 20
	// maxMemory is what a session may cost in the daemon, in bytes: its resident
	// memory as a whole, divided.
	maxMemory = 3 << 10
	// manyEcho is the silence after which both servers ask whether a subscriber is
	// there, long enough for a slow machine to get on with what is measured.
	manyEcho = time.Minute
)

// A hundred thousand sessions come up without one failure and go down without one left,
// and faster than l2tpns sets them up in the same run, with users in a file and with
// the accept-all RADIUS that l2tpns has; and they cost the memory that they may.
func TestHundredThousandSessions(t *testing.T) {
	if testing.Short() {
		t.Skip("takes a minute")
	}
	var theirs lac.Report
	t.Run("l2tpns", func(t *testing.T) {
		if err := l2tpns.Available(); err != nil {
			t.Skip(err)
		}
		theirs = dialL2TPNS(t)
		t.Logf("l2tpns: %d of %d sessions up, %.0f a second", theirs.Sessions.Up, theirShare, theirs.Setup.Rate)
	})
	t.Run("file", func(t *testing.T) { dialMany(t, newLab(t), theirs.Setup.Rate, "") })
	t.Run("radius", func(t *testing.T) {
		r := newLab(t)
		responder, err := l2tpns.Respond(r.lab.LNS, userPassword)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = responder.Close() })
		dialMany(t, r, theirs.Setup.Rate, fmt.Sprintf("set primary_radius 127.0.0.1\nset radius_secret %q\nset radius_authtypes chap", l2tpns.RADIUSSecret))
	})
}

// dialMany brings many sessions up and down, faster than theirs in sessions a second.
func dialMany(t *testing.T, r *rig, theirs float64, config string) {
	r.writeConfig(options{config: fmt.Sprintf("set max_sessions %d\nset echo_timeout %d\nset debug 2\n%s", many, manyEcho/time.Second, config)})
	r.startLNSD()
	p := r.lacsim(manyArgs(many, 500)...)
	r.waitUpCounted(many)
	used := r.settledMemory() / many
	ours := r.leave(p)
	t.Logf("lnsd: %d of %d sessions up, %.0f a second; %d bytes of memory a session", ours.Sessions.Up, many, ours.Setup.Rate, used)
	if ours.Sessions.Up != many || len(ours.Failures) > 0 || ours.Teardown.UnansweredSessions > 0 || ours.Teardown.UnansweredTunnels > 0 {
		t.Errorf("sessions %+v, failures %+v, teardown %+v", ours.Sessions, ours.Failures, ours.Teardown)
	}
	if ours.Setup.Rate <= theirs {
		// The machine may have become slower since: what counts is now.
		theirs = dialL2TPNS(t).Setup.Rate
		if ours.Setup.Rate <= theirs {
			t.Errorf("lnsd set up %.0f sessions a second, l2tpns %.0f", ours.Setup.Rate, theirs)
		}
	}
	if used > maxMemory {
		t.Errorf("%d bytes of memory for each session, want at most %d", used, maxMemory)
	}
	r.waitEmpty()
}

// manyArgs are lacsim's arguments, with as many set-ups under way at a time as parallel.
func manyArgs(sessions, parallel int) []string {
	return []string{"--tunnels", fmt.Sprint(manyTunnels), "--sessions", fmt.Sprint(sessions), "--port-per-tunnel",
		"--parallel", fmt.Sprint(parallel), "--hold", "forever", "--timeout", "60s", "--hello", "-1s"}
}

// dialL2TPNS runs the same load against Debian's l2tpns.
func dialL2TPNS(t *testing.T) lac.Report {
	r := newLab(t)
	server, err := l2tpns.Start(r.lab.LNS, t.TempDir(), l2tpns.Config{
		Bind: netlab.LNSAddr, Pool: netip.PrefixFrom(netlab.Pool.Addr(), 16),
		Secret: tunnelSecret, Password: userPassword, Auth: "chap", Echo: manyEcho,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	}()
	// Whatever it refuses is its affair: the report says how fast the rest came up.
	// It loses requests when more than some tens of set-ups are under way; this is
	// where it is fastest.
	p := r.lacsim(manyArgs(theirShare, 50)...)
	r.holding(p)
	if err := p.Stop(syscall.SIGINT, 2*time.Minute); err != nil {
		t.Logf("against l2tpns: %v", err)
	}
	b, err := os.ReadFile(r.path("report.json"))
	if err != nil {
		t.Fatal(err)
	}
	var report lac.Report
	if err := json.Unmarshal(b, &report); err != nil {
		t.Fatal(err)
	}
	return report
}

// waitUpCounted waits for n sessions by the counters, which are cheaper to read than
// the sessions.
func (r *rig) waitUpCounted(n uint64) {
	r.t.Helper()
	r.until(5*time.Minute, func() error {
		if up := r.counters()["sessions_established"]; up < n {
			time.Sleep(200 * time.Millisecond)
			return fmt.Errorf("%d of %d sessions are up", up, n)
		}
		return nil
	})
}

// settledMemory is the daemon's resident memory in bytes once it is what the sessions
// may cost, or else after the runtime has had the time to collect the garbage of their
// set-up: it does so every two minutes where nothing else makes it.
func (r *rig) settledMemory() (used uint64) {
	r.t.Helper()
	_ = netlab.Until(3*time.Minute, func() error {
		if used = r.memory(); used > many*maxMemory {
			time.Sleep(time.Second)
			return errors.New("the garbage is not collected yet")
		}
		return nil
	})
	return used
}

// memory is the daemon's resident memory in bytes.
func (r *rig) memory() uint64 {
	r.t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", r.lnsd.PID()))
	if err != nil {
		r.t.Fatal(err)
	}
	for line := range strings.Lines(string(b)) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == "RssAnon:" {
			kib, err := strconv.ParseUint(fields[1], 10, 64)
			if err != nil {
				r.t.Fatal(err)
			}
			return kib << 10
		}
	}
	r.t.Fatal("no RssAnon in the process's status")
	return 0
}
