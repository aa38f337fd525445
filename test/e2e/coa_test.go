package e2e

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

const (
	radclientPath = "/usr/bin/radclient"
	daeSecret     = "dae secret"
)

// radclient sends a CoA- or Disconnect-Request ("coa", "disconnect") with these
// attributes from a namespace, signed, and returns what it printed of the answer.
func (r *rig) radclient(from *netlab.Namespace, kind, secret string, attributes ...string) string {
	r.t.Helper()
	if _, err := os.Stat(radclientPath); err != nil {
		r.t.Skip("radclient is not installed (Debian package freeradius-utils):", err)
	}
	file := r.path("request")
	if err := os.WriteFile(file, []byte(strings.Join(attributes, "\n")+"\nMessage-Authenticator = 0x00\n"), 0o600); err != nil {
		r.t.Fatal(err)
	}
	// Its exit code tells a NAK from an ACK, which the text does too.
	out, _ := from.Output(context.Background(), "sh", "-c",
		fmt.Sprintf("%s -x -r 3 -t 5 -f %s %s:3799 %s %q 2>&1 || true", radclientPath, file, netlab.LNSAddr, kind, secret))
	return out
}

// granted is what these tests read of a session.
type granted struct {
	SID            uint32  `json:"sid"`
	User           string  `json:"user"`
	State          string  `json:"state"`
	Acct           string  `json:"acct_session_id"`
	Address        string  `json:"address"`
	SessionTimeout float64 `json:"session_timeout_seconds"`
	IdleTimeout    float64 `json:"idle_timeout_seconds"`
	Interim        float64 `json:"interim_interval_seconds"`
	UpRate         struct {
		Bits uint64 `json:"bits_per_second"`
	} `json:"up_rate"`
	DownRate struct {
		Bits uint64 `json:"bits_per_second"`
	} `json:"down_rate"`
	FilterUp  string `json:"filter_up"`
	Garden    string `json:"garden"`
	Intercept string `json:"intercept"`
}

func (r *rig) granted(user string) granted {
	r.t.Helper()
	var all []granted
	r.ctlJSON(&all, "show", "session")
	for _, s := range all {
		if s.User == user {
			return s
		}
	}
	r.t.Fatalf("no session of %s in %+v", user, all)
	return granted{}
}

// A RADIUS client changes sessions that are up, one and several, and ends them;
// FreeRADIUS' own radclient is that client.
func TestChangesByRADIUS(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	config := r.freeradius(anyUser) + fmt.Sprintf("dae_client billing address %s secret %q intercept no\n", netlab.LACAddr, daeSecret)
	r.writeConfig(options{config: config})
	r.startLNSD()
	p := r.lacsim("--sessions", "4", "--hold", "600s")
	r.waitUp(4)

	t.Run("one session, by its account", func(t *testing.T) {
		s := r.granted("user1")
		out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = user1", "Acct-Session-Id = "+s.Acct,
			"NAS-IP-Address = "+netlab.LNSAddr.String(), "Session-Timeout = 7200", "Idle-Timeout = 1800",
			"Acct-Interim-Interval = 300", "Class = 0x6e6577", "WISPr-Bandwidth-Max-Down = 20000000", "WISPr-Bandwidth-Max-Up = 512000",
			"Proxy-State = 0xabcdef")
		if !strings.Contains(out, "Received CoA-ACK") || !strings.Contains(out, "Proxy-State = 0xabcdef") {
			t.Fatalf("radclient printed:\n%s", out)
		}
		// What is acknowledged is so.
		n := r.granted("user1")
		if n.SessionTimeout != 7200 || n.IdleTimeout != 1800 || n.Interim != 300 || n.DownRate.Bits != 20_000_000 || n.UpRate.Bits != 512_000 {
			t.Errorf("the session has %+v", n)
		}
		if n.SID != s.SID || n.Address != s.Address || n.State != "up" {
			t.Errorf("the session was %+v and is %+v", s, n)
		}
		if o := r.granted("user2"); o.SessionTimeout != 0 || o.DownRate.Bits != 0 {
			t.Errorf("another session has %+v", o)
		}
	})

	t.Run("refused as a whole", func(t *testing.T) {
		before := r.granted("user2")
		for name, c := range map[string]struct {
			kind  string
			attrs []string
			cause string
		}{
			"unsupported":    {"coa", []string{"User-Name = user2", "Session-Timeout = 60", "Framed-MTU = 1400"}, "Unsupported-Attribute"},
			"another server": {"coa", []string{"User-Name = user2", "Session-Timeout = 60", "NAS-IP-Address = 192.0.2.99"}, "NAS-Identification-Mismatch"},
			"interception":   {"coa", []string{"User-Name = user2", `Cisco-AVPair = "intercept=192.0.2.9:4000"`}, "Administratively-Prohibited"},
			"nobody":         {"coa", []string{"User-Name = nobody", "Session-Timeout = 60"}, "Session-Context-Not-Found"},
			"other address":  {"disconnect", []string{"User-Name = user2", "Framed-IP-Address = 192.0.2.99"}, "Session-Context-Not-Found"},
			"no session":     {"disconnect", []string{"NAS-IP-Address = " + netlab.LNSAddr.String()}, "Missing-Attribute"},
		} {
			out := r.radclient(r.lab.LAC, c.kind, daeSecret, c.attrs...)
			if !strings.Contains(out, "NAK") || !strings.Contains(out, "Error-Cause = "+c.cause) {
				t.Errorf("%s: radclient printed:\n%s", name, out)
			}
		}
		if after := r.granted("user2"); after != before {
			t.Errorf("the session was %+v and is %+v", before, after)
		}
	})

	t.Run("strangers and wrong secrets", func(t *testing.T) {
		before := r.counters()
		for from, secret := range map[*netlab.Namespace]string{r.lab.LNS: daeSecret, r.lab.LAC: "another"} {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			file := r.path("request")
			if err := os.WriteFile(file, []byte("User-Name = user2\nMessage-Authenticator = 0x00\n"), 0o600); err != nil {
				t.Fatal(err)
			}
			out, _ := from.Output(ctx, "sh", "-c", fmt.Sprintf("%s -r 1 -t 1 -f %s %s:3799 disconnect %q 2>&1 || true", radclientPath, file, netlab.LNSAddr, secret))
			cancel()
			if !strings.Contains(out, "Sent") || strings.Contains(out, "Received") {
				t.Errorf("radclient printed:\n%s", out)
			}
		}
		moved := since(r.counters(), before)
		if moved["dae_strangers"] != 1 || moved["dae_bad_authenticators"] != 1 || moved["dae_disconnect_requests"] != 0 {
			t.Errorf("counted %v", moved)
		}
		r.granted("user2")
	})

	t.Run("operators", func(t *testing.T) {
		sid := fmt.Sprint(r.granted("user3").SID)
		r.ctl("throttle", "user3", "out", "10M")
		r.ctl("throttle", "--sid", sid, "in", "64")
		r.ctl("snoop", "user3", netlab.CoreAddr.String(), "4000")
		s := r.granted("user3")
		if s.UpRate.Bits != 64_000 || s.DownRate.Bits != 10_000_000 || s.Intercept != netlab.CoreAddr.String()+":4000" {
			t.Errorf("the session has %+v", s)
		}
		r.ctl("no", "throttle", "user3", "in")
		r.ctl("no", "snoop", "user3")
		if s = r.granted("user3"); s.UpRate.Bits != 0 || s.DownRate.Bits != 10_000_000 || s.Intercept != "" {
			t.Errorf("the session has %+v", s)
		}
		if log := r.lnsd.Log(); strings.Contains(log, ":4000") {
			t.Error("the log tells of an interception")
		}
	})

	t.Run("a limit that has passed", func(t *testing.T) {
		out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = user4", "Session-Timeout = 1")
		if !strings.Contains(out, "Received CoA-ACK") {
			t.Fatalf("radclient printed:\n%s", out)
		}
		r.until(20*time.Second, func() error { return r.gone("user4") })
	})

	t.Run("disconnect", func(t *testing.T) {
		s := r.granted("user1")
		out := r.radclient(r.lab.LAC, "disconnect", daeSecret, "Framed-IP-Address = "+s.Address)
		if !strings.Contains(out, "Received Disconnect-ACK") || !strings.Contains(out, "Acct-Terminate-Cause = Admin-Reset") {
			t.Fatalf("radclient printed:\n%s", out)
		}
		// What is acknowledged is over.
		if err := r.gone("user1"); err != nil {
			t.Error(err)
		}
	})

	r.ctl("drop", "user", "user2")
	r.ctl("drop", "user", "user3")
	stops := r.bills(4)
	for user, want := range map[string]string{"user1": "Admin-Reset", "user4": "Session-Timeout"} {
		if got := stops[user]["Acct-Terminate-Cause"]; got != want {
			t.Errorf("%s ended for %s, want %s", user, got, want)
		}
	}
	if got := stops["user1"]["Class"]; got != "0x6e6577" {
		t.Errorf("user1's Stop has Class %s", got)
	}
	_ = p.Stop(syscall.SIGINT, patience)
}

func (r *rig) gone(user string) error {
	var all []granted
	r.ctlJSON(&all, "show", "session")
	for _, s := range all {
		if s.User == user {
			return errors.New(user + " is still " + s.State)
		}
	}
	return nil
}

// One request for a user with several sessions goes to all of them.
func TestChangesOfSeveralByRADIUS(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	config := r.freeradius(anyUser) + fmt.Sprintf("set duplicate_users allow\ndae_client billing address %s secret %q\n", netlab.LACAddr, daeSecret)
	r.writeConfig(options{config: config})
	r.startLNSD()
	p := r.lacsim("--sessions", "5", "--user", "same", "--hold", "600s")
	r.waitUp(5)
	out := r.radclient(r.lab.LAC, "coa", daeSecret, "User-Name = same", "WISPr-Bandwidth-Max-Down = 5000000")
	if !strings.Contains(out, "Received CoA-ACK") {
		t.Fatalf("radclient printed:\n%s", out)
	}
	var all []granted
	r.ctlJSON(&all, "show", "session")
	for _, s := range all {
		if s.DownRate.Bits != 5_000_000 {
			t.Errorf("a session has %+v", s)
		}
	}
	out = r.radclient(r.lab.LAC, "disconnect", daeSecret, "User-Name = same")
	if !strings.Contains(out, "Received Disconnect-ACK") {
		t.Fatalf("radclient printed:\n%s", out)
	}
	if r.ctlJSON(&all, "show", "session"); len(all) != 0 {
		t.Errorf("%d sessions are left", len(all))
	}
	r.until(20*time.Second, func() error {
		n := 0
		for _, rec := range r.onceEach() {
			if rec["Acct-Status-Type"] == "Stop" {
				n++
			}
		}
		if n != 5 {
			return fmt.Errorf("%d Stops", n)
		}
		return nil
	})
	_ = p.Stop(syscall.SIGINT, patience)
}
