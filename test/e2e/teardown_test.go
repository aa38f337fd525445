package e2e

import (
	"fmt"
	"strconv"
	"syscall"
	"testing"

	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
)

// However a session ends, FreeRADIUS gets one Start and one Stop for it, with the right
// cause and with every byte that the subscriber sent and received; and nothing is left.
func TestTeardownIsAccountedFor(t *testing.T) {
	t.Parallel()
	const sessions = 6
	cases := []struct {
		name  string
		cause string
		lac   []string // lacsim's way of ending
		act   func(r *rig)
	}{
		{"subscriber terminates", "User-Request", []string{"--teardown", "client"}, nil},
		{"LAC clears the calls", "Lost-Carrier", []string{"--teardown", "lac"}, nil},
		{"LAC clears the tunnel", "Lost-Service", []string{"--teardown", "tunnel"}, nil},
		{"LAC vanishes", "Lost-Service", []string{"--teardown", "none"}, nil},
		{"operator drops the sessions", "Admin-Reset", nil, func(r *rig) {
			for _, s := range r.sessions() {
				r.ctl("drop", "session", fmt.Sprint(s.SID))
			}
		}},
		{"operator drops a user at a time", "Admin-Reset", nil, func(r *rig) {
			for _, s := range r.sessions() {
				r.ctl("drop", "user", s.User)
			}
		}},
		{"operator drops the tunnel", "Admin-Reset", nil, func(r *rig) {
			r.ctl("drop", "tunnel", fmt.Sprint(r.sessions()[0].TID))
		}},
		{"daemon shuts down", "NAS-Reboot", nil, func(r *rig) {
			if err := r.lnsd.Stop(syscall.SIGQUIT, patience); err != nil {
				r.t.Errorf("lnsd ended: %v", err)
			}
		}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newLab(t)
			config := r.freeradius(anyUser)
			// Short waits, so that the loss of a LAC is noticed within the test.
			r.writeConfig(options{config: config + "set l2tp_hello_interval 2\nset l2tp_retry_interval 0.5\nset l2tp_max_retries 3\n"})
			r.startLNSD()
			r.reflect()
			args := []string{"--sessions", fmt.Sprint(sessions), "--traffic-target", echoTarget, "--traffic", "60",
				"--traffic-time", "1s", "--per-session", "--hold", "forever"}
			p := r.lacsim(append(args, c.lac...)...)
			r.waitUp(sessions)
			r.settled()
			var report lac.Report
			if c.act != nil {
				c.act(r)
				stops := r.bills(sessions)
				report = r.interrupt(p)
				checkBills(t, stops, report, c.cause)
			} else {
				report = r.leave(p)
				checkBills(t, r.bills(sessions), report, c.cause)
			}
			if c.cause != "NAS-Reboot" {
				r.waitEmpty()
			}
		})
	}
}

// interrupt ends a lacsim that holds its sessions and returns its report, which says
// that the sessions were lost.
func (r *rig) interrupt(p *netlab.Process) lac.Report {
	r.t.Helper()
	_ = p.Stop(syscall.SIGINT, patience) // its exit status speaks of lost sessions
	return r.report()
}

func checkBills(t *testing.T, stops map[string]map[string]string, report lac.Report, cause string) {
	t.Helper()
	if len(report.Each) != len(stops) {
		t.Fatalf("lacsim reports %d sessions", len(report.Each))
	}
	for _, s := range report.Each {
		stop := stops[s.User]
		if got := stop["Acct-Terminate-Cause"]; got != cause {
			t.Errorf("%s: terminate cause %q, not %q", s.User, got, cause)
		}
		if s.SentPackets == 0 {
			t.Errorf("%s sent nothing", s.User)
		}
		// Input is from the user, Output to the user (RFC 2866 section 5.3).
		for name, want := range map[string]uint64{
			"Acct-Input-Octets": s.SentBytes, "Acct-Output-Octets": s.ReceivedBytes,
			"Acct-Input-Packets": s.SentPackets, "Acct-Output-Packets": s.ReceivedPackets,
		} {
			if stop[name] != strconv.FormatUint(want, 10) {
				t.Errorf("%s: %s is %s, the subscriber says %d", s.User, name, stop[name], want)
			}
		}
		if stop["Framed-IP-Address"] != s.Address.String() {
			t.Errorf("%s: Framed-IP-Address %s, the subscriber had %s", s.User, stop["Framed-IP-Address"], s.Address)
		}
		if stop["Class"] == "" {
			t.Errorf("%s: the Class of the Accept is missing", s.User)
		}
	}
}
