package e2e

import (
	"maps"
	"reflect"
	"syscall"
	"testing"
	"time"
)

// Dual subscribers keep their addresses, prefixes and leases, and lose nothing, when the
// daemon is killed.
func TestRestartWithIPv6(t *testing.T) {
	t.Parallel()
	r := newRig6(t, options{config: ipv6Pools})
	r.reflect()
	r.reflect6()
	// The first packets of all wait for neighbours.
	warm := r.lacsim("--sessions", "2", "--ipv6", "--ipv6-need", "prefix", "--traffic-target", echoTarget,
		"--traffic-target6", echoTarget6, "--traffic", "20", "--hold", "1s")
	r.finish(warm, 30*time.Second, true)
	r.waitEmpty()
	p := r.lacsim("--sessions", "10", "--tunnels", "2", "--ipv6", "--ipv6-need", "prefix,delegated,address",
		"--traffic-target", echoTarget, "--traffic-target6", echoTarget6, "--traffic", "400", "--verify", "--hold", "forever")
	r.waitUpCounted(10)
	r.until(10*time.Second, func() error { _, err := r.tryCtl("show", "session"); return err })
	time.Sleep(2 * time.Second)
	before := r.sessions6()
	if err := r.lnsd.Stop(syscall.SIGKILL, patience); err == nil {
		t.Error("a killed daemon ended well")
	}
	r.startLNSD()
	after := r.sessions6()
	what := func(all map[string]shown6) map[string][]any {
		out := map[string][]any{}
		for user, s := range all {
			out[user] = []any{s.SID, s.Address, s.IPv6, s.Prefixes6, s.Delegated, s.Addresses6}
		}
		return out
	}
	if b, a := what(before), what(after); !maps.EqualFunc(b, a, func(x, y []any) bool { return reflect.DeepEqual(x, y) }) {
		t.Errorf("before:\n%v\nafter:\n%v", b, a)
	}
	report := r.leave(p)
	checkSurvival(t, report, 10)
	r.waitEmpty()
}
