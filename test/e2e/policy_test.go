package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// shownPolicy is what these tests read of `lnsctl --json show session SID`.
type shownPolicy struct {
	User       string  `json:"user"`
	Address    string  `json:"address"`
	Garden     string  `json:"garden"`
	UpRate     bitRate `json:"up_rate"`
	DownRate   bitRate `json:"down_rate"`
	FilterUp   string  `json:"filter_up"`
	FilterDown string  `json:"filter_down"`
	Timeout    float64 `json:"session_timeout_seconds"`
}

type bitRate struct {
	Bits uint64 `json:"bits_per_second"`
}

// policies are the policies of all sessions that are up, by user.
func (r *rig) policies() map[string]shownPolicy {
	r.t.Helper()
	out := map[string]shownPolicy{}
	for _, s := range r.sessions() {
		var p shownPolicy
		r.ctlJSON(&p, "show", "session", fmt.Sprint(s.SID))
		out[p.User] = p
	}
	return out
}

// The packaged files of both sides, as they are: each vendor's attribute limits the
// session in the direction that it means, and the data plane has taken it.
func TestPolicyOfEachVendor(t *testing.T) {
	t.Parallel()
	config, err := os.ReadFile(filepath.Join(freeradiusFiles, "startup-config"))
	if err != nil {
		t.Fatal(err)
	}
	r := newLab(t)
	r.freeradius("")
	r.writeConfig(options{config: string(config)})
	r.startLNSD()
	want := map[string][2]uint64{ // bit/s up and down
		"throttled": {512e3, 512e3}, "pairs": {512e3, 2048e3}, "cisco": {1e6, 8e6}, "cisco-names": {1e6, 100e6},
		"cisco-numbers": {256e3, 1024e3}, "mikrotik": {2e6, 10e6}, "wispr": {2e6, 16e6}, "filter-rates": {2e6, 16e6},
		"filter-profile": {20e6, 100e6}, "filter-lists": {}, "filter-command": {50e6, 50e6}, "erx": {1e6, 100e6},
		"erx-profile": {20e6, 100e6}, "ascend": {2e6, 16e6}, "nokia": {20e6, 100e6}, "mapped": {400e3, 4e6},
	}
	n := 0
	for user := range want {
		r.lacsim("--user", user, "--password", "policy", "--sessions", "1", "--hold", "forever")
		n++
		r.waitUp(n)
	}
	got := r.policies()
	for user, rates := range want {
		if p := got[user]; p.UpRate.Bits != rates[0] || p.DownRate.Bits != rates[1] {
			t.Errorf("%s: %d up, %d down, want %d, %d", user, p.UpRate.Bits, p.DownRate.Bits, rates[0], rates[1])
		}
	}
	if p := got["filter-lists"]; p.FilterUp != "no-mail" || p.FilterDown != "all" {
		t.Errorf("filters %+v", p)
	}
}

// When RADIUS is gone, who was let in before is let in again, with what it had; who
// cannot be known again lands in the garden; and lnsctl says how many. A realm's name is
// sent without the realm.
func TestRADIUSDown(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	config := r.freeradius(radiusUser("user1", "Framed-IP-Address = 10.65.9.9", "WISPr-Bandwidth-Max-Down = 3000000"))
	r.writeConfig(options{config: config + strings.Join([]string{
		"set radius_timeout 1", "set radius_retries 1", "set radius_authtypes pap",
		"realm isp.example strip yes", "garden lost",
		"set radius_down last_good", "set radius_down_garden lost", "set radius_down_session 900",
	}, "\n")})
	r.startLNSD()
	login := func(password string) shownPolicy {
		t.Helper()
		p := r.lacsim("--auth", "pap", "--user", "user1@isp.example", "--password", password, "--sessions", "1", "--hold", "forever")
		r.waitUp(1)
		got := r.policies()["user1@isp.example"]
		r.interrupt(p)
		r.waitEmpty()
		return got
	}
	good := login(userPassword)
	if good.Address != "10.65.9.9" || good.DownRate.Bits != 3e6 || good.Timeout != 0 {
		t.Errorf("from the server: %+v", good)
	}
	if stop := r.bills(1)["user1"]; stop["Acct-Authentic"] != "RADIUS" {
		t.Errorf("accounted for as %v", stop)
	}
	if err := r.radius.Stop(syscall.SIGKILL, patience); err == nil {
		t.Log("FreeRADIUS took its end for a success")
	}
	if again := login(userPassword); again.Address != good.Address || again.DownRate != good.DownRate || again.Garden != "" || again.Timeout != 900 {
		t.Errorf("without the server: %+v", again)
	}
	if other := login("guess"); other.Address == good.Address || other.Garden != "lost" || other.DownRate.Bits != 0 || other.Timeout != 900 {
		t.Errorf("with another password: %+v", other)
	}
	var counts map[string]uint64
	r.ctlJSON(&counts, "show", "radius", "down")
	if counts["radius_down_last_good"] != 1 || counts["radius_down_gardened"] != 1 || counts["radius_last_good_entries"] != 1 {
		t.Errorf("counted %v", counts)
	}
}
