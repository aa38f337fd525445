package e2e

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
)

// A thousand subscribers, with traffic both ways, notice nothing of a daemon that is
// stopped or killed and started again with a newly loaded program: no packet is lost, no
// session, no tunnel; the control channel goes on where it was; and the accounting has
// one Start and one Stop for each, with every byte.
func TestRestart(t *testing.T) {
	const sessions, tunnels, rate = 1000, 10, 4000
	for _, signal := range []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			r := newLab(t)
			r.writeConfig(options{config: r.freeradius(anyUser) +
				"set l2tp_hello_interval 2\nset echo_timeout 1\nset radius_tunnel_accounting yes\nset debug 2\n"})
			r.startLNSD()
			r.reflect()
			p := r.lacsim("--tunnels", fmt.Sprint(tunnels), "--sessions", fmt.Sprint(sessions), "--port-per-tunnel", "--hello", "1s",
				"--traffic-target", echoTarget, "--traffic", fmt.Sprint(rate), "--verify", "--per-session", "--hold", "forever")
			r.waitUpCounted(sessions)
			before := byID(r.sessions())
			time.Sleep(2500 * time.Millisecond) // the first packets of all have been counted, also in the slow path

			if err := r.lnsd.Stop(signal, patience); err != nil && signal != syscall.SIGKILL {
				t.Errorf("lnsd ended: %v", err)
			}
			time.Sleep(500 * time.Millisecond)
			r.startLNSD()
			after := byID(r.sessions())
			for sid, s := range before {
				if a, ok := after[sid]; !ok || a.User != s.User || a.Address != s.Address || a.State != "up" {
					t.Errorf("session %d of %s became %+v", sid, s.User, a)
				}
			}
			if len(after) != sessions || len(r.tunnels()) != tunnels {
				t.Errorf("%d sessions, %d tunnels after the restart", len(after), len(r.tunnels()))
			}
			// New calls, also of the users that are online, by tunnels of their own.
			second := r.lacsim("--sessions", "5", "--user", "new%d", "--json", r.path("second.json"), "--hold", "1s")
			if err := second.Wait(2 * patience); err != nil {
				t.Errorf("new sessions after the restart: %v\n%s", err, tail(second.Log(), 2000))
			}
			report := r.leave(p)
			checkSurvival(t, report, sessions)
			stops := r.bills(sessions + 5)
			checkExact(t, stops, report)
			r.waitEmpty()
			checkTunnelBills(t, r, tunnels+1)
		})
	}
}

func byID(list []shownSession) map[uint32]shownSession {
	m := make(map[uint32]shownSession, len(list))
	for _, s := range list {
		m[s.SID] = s
	}
	return m
}

// checkSurvival wants nothing lost.
func checkSurvival(t *testing.T, report lac.Report, sessions int) {
	t.Helper()
	if report.Sessions.Up != sessions || report.Sessions.Lost != 0 || report.Tunnels.Lost != 0 || len(report.Failures) > 0 {
		t.Errorf("sessions %+v, tunnels %+v, failures %+v", report.Sessions, report.Tunnels, report.Failures)
	}
	x := report.Traffic
	if x.Sent == 0 || x.Lost != 0 || x.Misdelivered != 0 {
		t.Errorf("of %d packets %d were lost, %d misdelivered", x.Sent, x.Lost, x.Misdelivered)
	}
	if report.Teardown.UnansweredSessions > 0 || report.Teardown.UnansweredTunnels > 0 {
		t.Errorf("teardown %+v", report.Teardown)
	}
}

// checkExact compares every Stop with what its subscriber has counted.
func checkExact(t *testing.T, stops map[string]map[string]string, report lac.Report) {
	t.Helper()
	wrong := 0
	for _, s := range report.Each {
		stop := stops[s.User]
		if stop["Acct-Input-Octets"] == strconv.FormatUint(s.SentBytes, 10) && stop["Acct-Output-Octets"] == strconv.FormatUint(s.ReceivedBytes, 10) &&
			stop["Acct-Terminate-Cause"] == "User-Request" {
			continue
		}
		if wrong++; wrong <= 5 {
			t.Errorf("%s: %s and %s octets, cause %s; the subscriber says %d and %d", s.User, stop["Acct-Input-Octets"],
				stop["Acct-Output-Octets"], stop["Acct-Terminate-Cause"], s.SentBytes, s.ReceivedBytes)
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d bills are wrong", wrong, len(report.Each))
	}
}

func checkTunnelBills(t *testing.T, r *rig, tunnels int) {
	t.Helper()
	r.until(20*time.Second, func() error {
		n := map[string]int{}
		for _, rec := range r.accounting() {
			n[rec["Acct-Status-Type"]]++
		}
		if n["Tunnel-Start"] != tunnels || n["Tunnel-Stop"] != tunnels || n["Accounting-On"] != 1 || n["Accounting-Off"] != 0 {
			return fmt.Errorf("records by kind: %v", n)
		}
		return nil
	})
}

// Twenty kills at any time, most of them while sessions are being set up: what is up
// stays up, what is not is cleared and comes back, and nothing is left of it.
func TestKilledOften(t *testing.T) {
	r := newRig(t, options{config: "set debug 2\nset echo_timeout 1"})
	r.reflect()
	p := r.lacsim("--tunnels", "2", "--sessions", "50", "--port-per-tunnel", "--traffic-target", echoTarget, "--traffic", "1000",
		"--verify", "--hold", "forever")
	r.waitUpCounted(50)
	for i := range 8 {
		storm := r.lacsim("--sessions", "400", "--rate", "400", "--user", fmt.Sprintf("storm%d-%%d", i), "--json", r.path("storm.json"),
			"--timeout", "10s", "--hold", "0s")
		time.Sleep(time.Duration(100+i*70) * time.Millisecond)
		_ = r.lnsd.Stop(syscall.SIGKILL, patience)
		r.startLNSD()
		_ = storm.Stop(syscall.SIGINT, patience)
	}
	for user, n := range r.byUser() {
		if n != 1 {
			t.Errorf("%s has %d sessions", user, n)
		}
	}
	report := r.interrupt(p)
	if report.Sessions.Lost != 0 || report.Tunnels.Lost != 0 || report.Traffic.Lost != 0 {
		t.Errorf("sessions %+v, tunnels %+v, traffic lost %d", report.Sessions, report.Tunnels, report.Traffic.Lost)
	}
	r.waitEmpty()
}

func (r *rig) byUser() map[string]int {
	n := map[string]int{}
	for _, s := range r.sessions() {
		n[s.User]++
	}
	return n
}
