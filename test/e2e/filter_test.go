package e2e

import (
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

const filterConfig = `ip access-list extended no-echo
 deny udp any any eq 7
 permit ip any any
ip access-list standard nothing
`

// shownList is what this test reads of `lnsctl --json show access-list`.
type shownList struct {
	Rules []struct {
		Rule    string `json:"rule"`
		Packets uint64 `json:"packets"`
	} `json:"rules"`
	Denied uint64 `json:"denied"`
}

func (r *rig) accessList(name string) shownList {
	r.t.Helper()
	var lists []shownList
	r.ctlJSON(&lists, "show", "access-list", name)
	if len(lists) != 1 {
		r.t.Fatalf("access lists: %+v", lists)
	}
	return lists[0]
}

// Access lists hold in both directions and in both paths, come and go while a session
// is up, and change under it when the configuration is read again.
func TestFilters(t *testing.T) {
	t.Parallel()
	for mode, dropped := range map[string]string{"auto": "xdp_drop_filter", "none": "slow_up_filtered"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			o := options{config: filterConfig + "set xdp_mode " + mode}
			r := newRig(t, o)
			r.reflect()
			r.answering(4444)
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			user := r.sessions()[0].User
			echo, other := netip.AddrPortFrom(netlab.CoreAddr, echoPort), netip.AddrPortFrom(netlab.CoreAddr, 4444)
			answered := func(to netip.AddrPort, want bool, when string) {
				t.Helper()
				patience := time.Second
				if want {
					patience = 20 * time.Second
				}
				if err := r.ask(to, patience); (err == nil) != want {
					t.Errorf("%s: port %d: %v, want an answer %v", when, to.Port(), err, want)
				}
			}
			answered(echo, true, "without a filter")
			if _, err := r.tryCtl("filter", user, "in", "no-such-list"); err == nil || !strings.Contains(err.Error(), "no access list") {
				t.Errorf("an unknown list: %v", err)
			}
			r.ctl("filter", user, "in", "no-echo")
			before := r.counters()
			answered(echo, false, "filtered")
			answered(other, true, "filtered")
			moved := since(r.counters(), before)
			l := r.accessList("no-echo")
			if n := l.Rules[0].Packets; n == 0 || n != moved[dropped] || l.Rules[1].Packets == 0 || l.Denied != 0 {
				t.Errorf("rules %+v; moved %v", l, moved)
			}
			if s := r.ctl("show", "session", fmt.Sprint(r.sessions()[0].SID)); !strings.Contains(s, "no-echo") {
				t.Errorf("the filter is not shown:\n%s", s)
			}
			r.ctl("filter", user, "out", "nothing")
			answered(other, false, "nothing downwards")
			if l := r.accessList("nothing"); l.Denied == 0 {
				t.Errorf("rules %+v", l)
			}
			r.ctl("no", "filter", user, "out")
			answered(other, true, "downwards again")

			o.config = strings.Replace(o.config, "eq 7", "eq 4444", 1)
			r.writeConfig(o)
			if err := r.lnsd.Signal(syscall.SIGHUP); err != nil {
				t.Fatal(err)
			}
			r.until(20*time.Second, func() error { return r.ask(echo, 2*time.Second) })
			answered(other, false, "after the list has changed")
			r.ctl("no", "filter", user)
			answered(other, true, "without a filter again")
			if now := r.sessions(); len(now) != 1 || now[0].User != user {
				t.Errorf("sessions %+v", now)
			}
		})
	}
}
