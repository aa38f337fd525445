package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Every refusal tells the peer why, leaves a log line, a count and a story, and nothing
// else.
func TestRefusals(t *testing.T) {
	t.Parallel()
	const deadRADIUS = "set primary_radius 127.0.0.1\nset primary_radius_port 9\nset radius_secret x\n" +
		"set radius_timeout 1\nset radius_retries 1\n"
	cases := []struct {
		name    string
		options options
		lac     []string
		// The refusal as lacsim reports it: stage, cause and result code, how often.
		stage, cause string
		code         uint16
		count        int
		up           int // sessions that come up nevertheless
		counter      string
		log          []string
	}{
		{
			name: "wrong tunnel secret", lac: []string{"--secret", "not the secret", "--no-challenge", "--sessions", "1"},
			cause: "stopccn", code: 4, count: 1, // our LAC believes in the tunnel until then
			counter: "tunnel_auth_failures", log: []string{"tunnel", "10.1.0.1"},
		},
		{
			name: "wrong password", lac: []string{"--password", "guess", "--sessions", "3"},
			stage: "auth", cause: "auth_failed", count: 3,
			counter: "auth_rejected", log: []string{"user1", "authentication"},
		},
		{
			name: "RADIUS is silent", options: options{config: deadRADIUS}, lac: []string{"--sessions", "2"},
			stage: "auth", count: 2,
			counter: "auth_unavailable", log: []string{"user1", "auth"},
		},
		{
			name: "pool exhausted", options: options{pool: "10.64.0.1\n10.64.0.2"}, lac: []string{"--sessions", "4"},
			stage: "auth", count: 2, up: 2,
			counter: "pool_exhausted", log: []string{"address"},
		},
		{
			name: "no slot in the maps", options: options{config: "set max_sessions 3"}, lac: []string{"--sessions", "5"},
			stage: "call", cause: "cdn", code: 4, count: 2, up: 3,
			counter: "session_slots_exhausted", log: []string{"refused"},
		},
		{
			name: "sessions of a tunnel", options: options{config: "set max_sessions_per_tunnel 2"}, lac: []string{"--sessions", "5"},
			stage: "call", cause: "cdn", code: 4, count: 3, up: 2,
			counter: "sessions_refused", log: []string{"refused"},
		},
		{
			name: "draining", options: options{config: "set drain yes"}, lac: []string{"--sessions", "1"},
			stage: "tunnel", cause: "stopccn", count: 1,
			counter: "tunnels_refused", log: []string{"refused"},
		},
		{
			name: "unknown LAC", options: options{config: "set xdp_mode none\nlac carrier address 192.0.2.0/24 secret other"},
			lac: []string{"--sessions", "1", "--timeout", "4s"}, stage: "tunnel", count: 1,
			counter: "lac_unknown", log: []string{"10.1.0.1"},
		},
		{
			name: "duplicate login", options: options{config: "set duplicate_users refuse"},
			lac: []string{"--sessions", "3", "--user", "same"}, stage: "auth", count: 2, up: 1,
			counter: "duplicate_logins_refused", log: []string{"same"},
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.options)
			p := r.lacsim(append([]string{"--hold", "2s", "--timeout", "10s"}, c.lac...)...)
			report := r.finish(p, 40*time.Second, false)
			if report.Sessions.Up != c.up {
				t.Errorf("%d sessions came up, not %d", report.Sessions.Up, c.up)
			}
			failed := 0
			for _, f := range report.Failures {
				if (c.stage == "" || f.Stage == c.stage) && (c.cause == "" || f.Cause == c.cause) && (c.code == 0 || f.Code == c.code) {
					failed += f.Count
				}
			}
			if failed != c.count {
				t.Errorf("%d failures of stage %s, cause %s, code %d; want %d: %+v",
					failed, c.stage, c.cause, c.code, c.count, report.Failures)
			}
			if r.counters()[c.counter] == 0 {
				t.Errorf("counter %s has not moved", c.counter)
			}
			r.wantLog(c.log...)
			r.wantExplained()
			r.waitEmpty()
			r.wantWorking(c.options)
		})
	}
}

// wantExplained checks that the history says where, why and what to check.
func (r *rig) wantExplained() {
	r.t.Helper()
	var story struct{ State, Stage, Reason, Check string }
	r.ctlJSON(&story, "explain", "failure")
	if story.State != "failed" || story.Stage == "" || story.Reason == "" || story.Check == "" {
		r.t.Errorf("the failure is explained as %+v", story)
	}
}

// wantWorking checks that what was refused has not spoilt the server for others: where
// the options let anyone in at all, a session comes up again.
func (r *rig) wantWorking(o options) {
	r.t.Helper()
	if strings.Contains(o.config, "drain") || strings.Contains(o.config, "lac ") || strings.Contains(o.config, "radius") {
		return
	}
	p := r.lacsim("--sessions", "1", "--user", "another%d")
	r.finish(p, 20*time.Second, true)
}

// Kicking the old session of a user who logs in again, the default, leaves one.
func TestSecondLoginReplacesTheFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	first := r.lacsim("--sessions", "1", "--user", "same", "--hold", "forever")
	r.waitUp(1)
	old := r.sessions()[0]
	second, err := r.lab.LAC.Run(r.path("second.log"), binary("lacsim"), "run", "--lns", "10.1.0.2", "--secret", tunnelSecret,
		"--user", "same", "--password", userPassword, "--hold", "forever")
	if err != nil {
		t.Fatal(err)
	}
	r.until(10*time.Second, func() error {
		s := r.sessions()
		if len(s) != 1 || s[0].SID == old.SID && s[0].TID == old.TID || s[0].State != "up" {
			return fmt.Errorf("sessions: %+v", s)
		}
		return nil
	})
	if err := second.Stop(syscall.SIGINT, patience); err != nil {
		t.Errorf("second login: %v\n%s", err, second.Log())
	}
	if report := r.interrupt(first); report.Sessions.Lost != 1 {
		t.Errorf("the first login was not ended: %+v", report.Sessions)
	}
	if r.counters()["duplicate_logins_kicked"] != 1 {
		t.Error("counter duplicate_logins_kicked has not moved")
	}
	r.waitEmpty()
}

// The control channel and PPP recover from a line that loses, doubles and reorders.
func TestBadLine(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set l2tp_retry_interval 0.5\nset l2tp_max_retries 12\n" +
		"set ppp_restart_time 1\nset ppp_max_configure 50\nset setup_timeout 120"})
	r.reflect()
	// Packets are lost where the line has swallowed the last Configure-Ack: the
	// subscriber sends already, and the LNS does not know yet that it may.
	p := r.lacsim("--max-loss", "25", "--tunnels", "4", "--sessions", "100", "--loss", "0.1", "--duplicate", "0.1", "--reorder", "0.2", "--seed", "7",
		"--timeout", "90s", "--traffic-target", echoTarget, "--traffic", "500", "--verify", "--hold", "2s")
	report := r.finish(p, 3*time.Minute, true)
	if report.Control.Retransmits == 0 {
		t.Error("the line lost nothing")
	}
	c := r.counters()
	if c["sessions_opened"] != 100 || c["sessions_established"] != 100 {
		t.Errorf("%s: a repeated message was taken for a new one", pick(c, "sessions_opened", "sessions_established"))
	}
	r.waitEmpty()
}
