package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
)

// busy has a number of sessions exchange a known number of packets and then stay up.
func busy(sessions int, more ...string) []string {
	return append([]string{"--sessions", fmt.Sprint(sessions), "--traffic-target", echoTarget, "--traffic", "60",
		"--traffic-time", "1s", "--per-session", "--hold", "forever"}, more...)
}

// A daemon that is killed while the accounting server is away owes it the Stops of
// sessions that it could not send any more. They come, once each, with every byte, when
// both are back.
func TestAccountingOutlivesKillAndOutage(t *testing.T) {
	t.Parallel()
	const sessions, dropped = 8, 3
	r := newLab(t)
	r.writeConfig(options{config: r.freeradius(anyUser) + "set save_state no\n"})
	r.startLNSD()
	r.reflect()
	p := r.lacsim(busy(sessions, "--teardown", "none")...)
	r.waitUp(sessions)
	r.settled()

	r.repeats = true // what was sent until now waits in the server's socket
	if err := r.radius.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	byOperator := map[string]bool{}
	for _, s := range r.sessions()[:dropped] {
		byOperator[s.User] = true
		r.ctl("drop", "session", fmt.Sprint(s.SID))
	}
	r.until(10*time.Second, func() error {
		if n := r.counters()["acct_spool_open"]; n != sessions-dropped {
			return fmt.Errorf("%d accounts are open", n)
		}
		return nil
	})
	ended := time.Now()
	_ = r.lnsd.Stop(syscall.SIGKILL, patience)
	time.Sleep(1500 * time.Millisecond) // so that the delay shows in whole seconds
	r.startLNSD()
	if n := r.counters()["acct_spool_waiting"] + r.counters()["acct_spool_in_flight"]; n != sessions {
		t.Errorf("%d records wait, not %d", n, sessions)
	}
	var shown struct {
		Spool struct {
			Oldest    *time.Time `json:"oldest"`
			Recovered uint64     `json:"recovered"`
		} `json:"spool"`
		Servers []struct {
			Name string `json:"name"`
		} `json:"servers"`
	}
	r.ctlJSON(&shown, "show", "accounting")
	if at := shown.Spool.Oldest; at == nil || at.After(ended) || len(shown.Servers) != 1 || shown.Spool.Recovered != sessions-dropped {
		t.Errorf("shown of accounting: %+v", shown)
	}
	if err := r.radius.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	stops := r.bills(sessions)
	r.until(20*time.Second, func() error { // those that were sent before come again
		stops = r.bills(sessions)
		for user := range byOperator {
			if stops[user]["Acct-Delay-Time"] == "0" {
				return fmt.Errorf("the Stop of %s was not repeated", user)
			}
		}
		return nil
	})
	report := r.interrupt(p)
	for _, s := range report.Each {
		stop := stops[s.User]
		want := "NAS-Reboot"
		if byOperator[s.User] {
			want = "Admin-Reset"
			if late, _ := strconv.Atoi(stop["Acct-Delay-Time"]); late < 1 || late > int(time.Since(ended)/time.Second)+1 {
				t.Errorf("%s: Acct-Delay-Time %q", s.User, stop["Acct-Delay-Time"])
			}
		}
		if stop["Acct-Terminate-Cause"] != want {
			t.Errorf("%s: cause %s, not %s", s.User, stop["Acct-Terminate-Cause"], want)
		}
		checkVolume(t, stop, s)
	}
}

// checkVolume compares a Stop with what the subscriber has counted.
func checkVolume(t *testing.T, stop map[string]string, s lac.SessionReport) {
	t.Helper()
	if s.SentPackets == 0 || s.ReceivedPackets == 0 {
		t.Errorf("%s exchanged nothing", s.User)
	}
	for name, want := range map[string]uint64{
		"Acct-Input-Octets": s.SentBytes, "Acct-Output-Octets": s.ReceivedBytes,
		"Acct-Input-Packets": s.SentPackets, "Acct-Output-Packets": s.ReceivedPackets,
	} {
		if stop[name] != strconv.FormatUint(want, 10) {
			t.Errorf("%s: %s is %s, the subscriber says %d", s.User, name, stop[name], want)
		}
	}
	if stop["Class"] == "" {
		t.Errorf("%s: no Class", s.User)
	}
}

// Tunnels and their links are accounted for beside the sessions (RFC 2867), and l2tpns'
// usage files hold the same traffic.
func TestTunnelAccountingAndUsageFiles(t *testing.T) {
	t.Parallel()
	const sessions = 3
	r := newLab(t)
	usage := r.path("usage")
	if err := os.Mkdir(usage, 0o700); err != nil {
		t.Fatal(err)
	}
	r.writeConfig(options{config: r.freeradius(anyUser) +
		fmt.Sprintf("set radius_tunnel_accounting yes\nset accounting_dir %s\n", usage)})
	r.startLNSD()
	r.reflect()
	p := r.lacsim(busy(sessions)...)
	r.waitUp(sessions)
	r.settled()
	r.ctl("drop", "tunnel", fmt.Sprint(r.sessions()[0].TID))
	r.bills(sessions)
	report := r.interrupt(p)
	if err := r.lnsd.Stop(syscall.SIGQUIT, patience); err != nil {
		t.Errorf("lnsd ended: %v", err)
	}

	kinds := map[string][]map[string]string{}
	for _, rec := range r.accounting() {
		kinds[rec["Acct-Status-Type"]] = append(kinds[rec["Acct-Status-Type"]], rec)
	}
	for kind, want := range map[string]int{"Tunnel-Start": 1, "Tunnel-Stop": 1, "Tunnel-Link-Start": sessions, "Tunnel-Link-Stop": sessions} {
		if len(kinds[kind]) != want {
			t.Fatalf("%d records of kind %s, not %d", len(kinds[kind]), kind, want)
		}
	}
	stop := kinds["Tunnel-Stop"][0]
	var up, down uint64
	for _, s := range report.Each {
		up, down = up+s.SentBytes, down+s.ReceivedBytes
	}
	if stop["Acct-Input-Octets"] != fmt.Sprint(up) || stop["Acct-Output-Octets"] != fmt.Sprint(down) || up == 0 {
		t.Errorf("the tunnel's traffic is %s and %s, not %d and %d", stop["Acct-Input-Octets"], stop["Acct-Output-Octets"], up, down)
	}
	if stop["Acct-Terminate-Cause"] != "Admin-Reset" {
		t.Errorf("the tunnel's cause is %s", stop["Acct-Terminate-Cause"])
	}
	for _, link := range kinds["Tunnel-Link-Stop"] {
		if link["Acct-Multi-Session-Id"] != stop["Acct-Session-Id"] || link["Acct-Tunnel-Packets-Lost"] != "0" {
			t.Errorf("link %v is not of tunnel %s", link, stop["Acct-Session-Id"])
		}
	}
	checkUsage(t, usage, report)
}

// checkUsage reads the files in l2tpns' form.
func checkUsage(t *testing.T, dir string, report lac.Report) {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "2*"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no usage file: %v", err)
	}
	got := map[string]string{}
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(b)) {
			if user, rest, ok := strings.Cut(strings.TrimSpace(line), " "); ok && user != "#" {
				got[user] = rest
			}
		}
	}
	for _, s := range report.Each {
		if want := fmt.Sprintf("%s 1 %d %d", s.Address, s.SentBytes, s.ReceivedBytes); got[s.User] != want {
			t.Errorf("%s: %q, not %q", s.User, got[s.User], want)
		}
	}
}

// Timeouts that RADIUS grants end sessions with their own causes.
func TestTimeoutsAreAccountedFor(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	user := func(name, attribute string) string {
		return fmt.Sprintf("%s\tCleartext-Password := %q\n\tClass = \"c\",\n\t%s\n", name, userPassword, attribute)
	}
	r.writeConfig(options{config: r.freeradius(user("user1", "Session-Timeout = 3") + user("user2", "Idle-Timeout = 2"))})
	r.startLNSD()
	r.reflect()
	r.lacsim(busy(2)...)
	stops := r.bills(2)
	for name, want := range map[string]string{"user1": "Session-Timeout", "user2": "Idle-Timeout"} {
		if got := stops[name]["Acct-Terminate-Cause"]; got != want {
			t.Errorf("%s: cause %q, not %q", name, got, want)
		}
		// The account ends when the time is over, not when the Stop is sent.
		if n, err := strconv.Atoi(stops[name]["Acct-Session-Time"]); err != nil || n < 2 || n > 20 {
			t.Errorf("%s: up for %q s", name, stops[name]["Acct-Session-Time"])
		}
	}
}
