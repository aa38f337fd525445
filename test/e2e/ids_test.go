package e2e

import (
	"context"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/test/netlab"
)

// allIDs is how many tunnel ids there are, and session ids in a tunnel (RFC 2661
// section 3.1): 16 bits, 0 is none.
const allIDs = 65535

// lacAddresses gives the LAC n more addresses, and returns them.
func (r *rig) lacAddresses(n int) []netip.Addr {
	r.t.Helper()
	var out []netip.Addr
	for i := range n {
		a := netip.AddrFrom4([4]byte{10, 1, 0, byte(10 + i)})
		if _, err := r.lab.LAC.Output(context.Background(), "ip", "address", "add", a.String()+"/24", "dev", "lac0"); err != nil {
			r.t.Fatal(err)
		}
		out = append(out, a)
	}
	return out
}

// Tunnels from several addresses take every tunnel id that there is. An id says which
// shard has its tunnel, so that one shard runs out of them before the others: whoever
// comes then is told so, and that the server lacks resources, while the others take
// more. When the tunnels are gone nothing is left of them.
func TestTunnelIDsRunOut(t *testing.T) {
	// The first user comes from both LACs; a LAC without a session would give its tunnels back.
	r := newRig(t, options{config: strings.Join([]string{"set shards 4", "set shield_sccrq_rate 0", "set max_half_open 65535",
		"set max_half_open_per_lac 65535", "set duplicate_users allow", "set debug 2"}, "\n")})
	open := func(name string, tunnels, sessions int, bind []netip.Addr) *netlab.Process {
		args := []string{"--tunnels", fmt.Sprint(tunnels), "--sessions", fmt.Sprint(sessions), "--hello", "-1s",
			"--timeout", "120s", "--hold", "forever", "--json", r.path(name)}
		for _, a := range bind[1:] {
			args = append(args, "--bind", a.String())
		}
		return r.lacsimOver(bind[0], netlab.LNSAddr, args...)
	}
	up := func(n uint64) {
		r.until(5*time.Minute, func() error {
			c := r.counters()
			if got := c["tunnels_established"]; got < n {
				time.Sleep(200 * time.Millisecond)
				return fmt.Errorf("%d of %d tunnels are up; %v", got, n, c["tunnels_refused"])
			}
			return nil
		})
	}
	bind := r.lacAddresses(8)
	first := open("first.json", allIDs, 1, bind[:4])
	up(allIDs - 2000)
	// lacsim tries for as long as a session may still come up.
	second := open("second.json", 4000, 4000, bind[4:])
	up(allIDs)
	r.holding(second)
	refused := 0
	for name, p := range map[string]*netlab.Process{"first.json": first, "second.json": second} {
		if err := p.Stop(syscall.SIGINT, 2*time.Minute); err == nil {
			t.Errorf("%s: every tunnel came up", name)
		}
		for _, f := range r.reportIn(name).Failures {
			if f.Stage != "tunnel" {
				continue // the sessions of such tunnels
			}
			if f.Cause != "stopccn" || f.Code != l2tp.StopError || f.Error != l2tp.ErrorResources {
				t.Errorf("tunnels failed by %+v", f)
			}
			refused += f.Count
		}
	}
	c := r.counters()
	if c["tunnel_ids_exhausted"] == 0 || c["tunnels_established"] != allIDs {
		t.Errorf("%d tunnels came up, %d were refused, %d of them for want of an id", c["tunnels_established"], refused, c["tunnel_ids_exhausted"])
	}
	if refused != 4000 { // as many as were too many
		t.Errorf("%d tunnels were refused", refused)
	}
	r.wantLog("tunnel refused", "no tunnel id left")
	r.waitEmpty()
}

// A tunnel has as many session ids, the LAC's as well as ours. A LAC that is correct
// has none left when the last of ours is given, so that it never hears that they have
// run out (TestSessionIDsExhausted in control/engine tells what it would hear): here
// all of them are in use, to the last.
func TestEverySessionID(t *testing.T) {
	if testing.Short() {
		t.Skip("takes half a minute")
	}
	// Echoes of tens of thousands of sessions are nothing that this test is about.
	r := newRig(t, options{config: "set max_sessions 65600\nset debug 2\nset echo_timeout 0\nset idle_echo_timeout 0"})
	p := r.lacsim("--tunnels", "1", "--sessions", fmt.Sprint(allIDs), "--parallel", "500", "--hold", "1s", "--timeout", "120s", "--hello", "-1s")
	report := r.finish(p, 8*time.Minute, true)
	if report.Sessions.Up != allIDs || len(report.Failures) > 0 || report.Teardown.UnansweredSessions > 0 {
		t.Errorf("sessions %+v, failures %+v, teardown %+v", report.Sessions, report.Failures, report.Teardown)
	}
	if c := r.counters(); c["session_ids_exhausted"] != 0 {
		t.Errorf("%d calls found no id", c["session_ids_exhausted"])
	}
	r.waitEmpty()
}
