package e2e

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"
)

// shownLogin is what these tests read of a session's login.
type shownLogin struct {
	User     string   `json:"user"`
	Verified bool     `json:"user_verified"`
	Method   string   `json:"auth_method"`
	Address  string   `json:"address"`
	Routes   []string `json:"routes"`
}

func (r *rig) logins() []shownLogin {
	r.t.Helper()
	var out []shownLogin
	r.ctlJSON(&out, "show", "session")
	return out
}

// reconfigure puts other files in place of the daemon's and has them read.
func (r *rig) reconfigure(o options) {
	r.t.Helper()
	r.writeConfig(o)
	r.ctl("reload")
}

// Every method works against every source of users, whether lnsd or the LAC has asked
// for the credentials; and a wrong password never does.
func TestLoginMethods(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"chap-secrets", "FreeRADIUS"} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			r := newLab(t)
			o := options{}
			if source == "FreeRADIUS" {
				o.config = r.freeradius(anyUser)
			}
			r.writeConfig(o)
			r.startLNSD()
			r.reflect()
			for _, method := range []string{"pap", "chap", "mschapv2"} {
				for _, by := range []string{"", "--proxy-auth"} {
					t.Run(method+by, func(t *testing.T) {
						r.t = t
						r.login(method, by)
					})
					r.t = t
				}
			}
			r.waitEmpty()
		})
	}
}

func (r *rig) login(method, by string) {
	r.t.Helper()
	args := []string{"--auth", method}
	if by != "" {
		args = append(args, by)
	}
	before := r.counters()
	r.finish(r.lacsim(append(args, "--sessions", "2", "--password", "guess", "--hold", "0s")...), 30*time.Second, false)
	if moved := since(r.counters(), before); moved["auth_rejected"] != 2 || moved["sessions_established"] != 0 {
		r.t.Errorf("a wrong password: %v", moved)
	}
	p := r.lacsim(append(args, "--sessions", "3", "--traffic-target", echoTarget, "--traffic", "100", "--verify", "--hold", "1s")...)
	r.waitUp(3)
	for _, s := range r.logins() {
		if s.Method != method || !s.Verified || !strings.HasPrefix(s.User, "user") {
			r.t.Errorf("shown as %+v", s)
		}
	}
	r.finish(p, 30*time.Second, true)
	r.waitEmpty()
}

// What the LAC has negotiated and collected is used, checked against our own policy, or
// done again, as configured.
func TestProxyAndPolicy(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	// The LAC has promised the subscriber to receive 1452 bytes, and agreed on CHAP.
	const tooSmall, papOnly = "set l2tp_mtu 1400\n", "set radius_authtypes pap\n"
	cases := []struct {
		name, config string
		again, in    bool // LCP is negotiated again; the subscriber gets in
	}{
		{"fits, on mismatch", "set lcp_renegotiation mismatch\n", false, true},
		{"fits, never", "set lcp_renegotiation never\n", false, true},
		{"fits, always", "set lcp_renegotiation always\n", true, true},
		{"fits, LAC not trusted", "set ppp_proxy no\n", true, true},
		{"too large, on mismatch", "set lcp_renegotiation mismatch\n" + tooSmall, true, true},
		{"too large, never", "set lcp_renegotiation never\n" + tooSmall, false, true},
		{"too large, always", "set lcp_renegotiation always\n" + tooSmall, true, true},
		{"wrong method, on mismatch", "set lcp_renegotiation mismatch\n" + papOnly, true, false},
		{"wrong method, never", "set lcp_renegotiation never\n" + papOnly, false, false},
	}
	frames := map[bool][]uint64{} // PPP frames from the subscriber, by again
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			r.t = t
			defer func() { r.t = t }()
			r.reconfigure(options{config: c.config})
			before := r.counters()
			p := r.lacsim("--auth", "chap", "--mru", "1452", "--proxy-auth", "--sessions", "1", "--hold", "1s", "--timeout", "10s")
			if !c.in {
				r.finish(p, 30*time.Second, false)
				if moved := since(r.counters(), before); moved["sessions_established"] != 0 || moved["auth_requests"] != 0 {
					t.Errorf("the LAC's negotiation was taken: %v", moved)
				}
				return
			}
			r.waitUp(1)
			if s := r.logins()[0]; s.Method != "chap" || s.User != "user1" || !s.Verified {
				t.Errorf("shown as %+v", s)
			}
			frames[c.again] = append(frames[c.again], since(r.counters(), before)["packets_ppp"])
			r.finish(p, 30*time.Second, true)
			r.waitEmpty()
		})
		r.t = t
	}
	for _, few := range frames[false] {
		for _, many := range frames[true] {
			// One Configure-Request, one Configure-Ack and the credentials.
			if many < few+3 {
				t.Errorf("subscribers sent %v frames where LCP is taken over, %v where it is negotiated again", frames[false], frames[true])
			}
		}
	}
}

// CHAP is repeated during a session without disturbing it, and ends it when the
// password has changed.
func TestRechallenge(t *testing.T) {
	t.Parallel()
	for _, method := range []string{"chap", "mschapv2"} {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{config: "set ppp_rechallenge 1"})
			r.reflect()
			p := r.lacsim("--auth", method, "--sessions", "2", "--traffic-target", echoTarget, "--traffic", "200",
				"--traffic-time", "3s", "--verify", "--hold", "forever")
			r.until(10*time.Second, func() error {
				if n := r.counters()["auth_requests"]; n < 8 {
					return fmt.Errorf("%d logins were checked", n)
				}
				return nil
			})
			if up := len(r.sessions()); up != 2 {
				t.Fatalf("%d sessions are up", up)
			}
			r.reconfigure(options{config: "set ppp_rechallenge 1", secrets: `* * "changed" *`})
			r.waitEmpty()
			report := r.interrupt(p)
			if report.Sessions.Up != 2 || report.Sessions.Lost != 2 || report.Traffic.Lost != 0 || len(report.Traffic.Wrong) != 0 {
				t.Errorf("sessions %+v, traffic %+v", report.Sessions, report.Traffic)
			}
		})
	}
}

// Users come and go with the file: by SIGHUP and by the operator's command. A broken
// file changes nothing, and sessions that are up stay.
func TestUsersAreReadAgain(t *testing.T) {
	t.Parallel()
	login := func(user string) string { return fmt.Sprintf("%s * %q *\n", user, userPassword) }
	r := newRig(t, options{secrets: login("user1")})
	first := r.lacsim("--sessions", "1", "--hold", "forever")
	r.waitUp(1)
	mayLogIn := func(want bool) {
		t.Helper()
		p, err := r.lab.LAC.Run(r.path("other.log"), binary("lacsim"), "run", "--lns", lnsPort.Addr().String(), "--secret", tunnelSecret,
			"--user", "other", "--password", userPassword)
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Wait(patience); (err == nil) != want {
			t.Fatalf("other may log in: want %v; %v\n%s", want, err, p.Log())
		}
	}
	mayLogIn(false)

	r.writeConfig(options{secrets: login("user1") + login("other")})
	if err := r.lnsd.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	r.wantLog("configuration read again")
	mayLogIn(true)

	r.writeConfig(options{secrets: login("user1") + "other *\n"})
	if _, err := r.tryCtl("reload"); err == nil || !strings.Contains(err.Error(), "chap-secrets:2") {
		t.Errorf("a broken file: %v", err)
	}
	mayLogIn(true)

	r.reconfigure(options{secrets: login("nobody")})
	mayLogIn(false)
	if s := r.sessions(); len(s) != 1 || s[0].State != "up" {
		t.Errorf("sessions: %+v", s)
	}
	if report := r.interrupt(first); report.Sessions.Lost != 0 {
		t.Error("the session that was up did not stay")
	}
}
