package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"
)

// ping runs ping in the core and returns what it prints, whatever its exit status.
func (r *rig) ping(args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	out, _ := r.lab.Core.Output(ctx, "ping", append([]string{"-n", "-c", "3", "-i", "0.2", "-W", "2"}, args...)...)
	return out
}

// The core is told why its packets do not reach a subscriber.
func TestICMPReachesTheSender(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, options{config: "set xdp_mode " + mode})
			r.lacsim("--sessions", "1", "--hold", "forever")
			r.waitUp(1)
			subscriber := r.sessions()[0].Address.String()
			for _, c := range []struct {
				name string
				args []string
				want string
			}{
				{"answered", []string{subscriber}, "3 received"},
				{"largest", []string{"-M", "do", "-s", "1432", subscriber}, "3 received"},
				{"too big", []string{"-M", "do", "-s", "1433", subscriber}, "mtu = 1460"},
				{"too big, fragments allowed", []string{"-M", "dont", "-s", "1460", subscriber}, "3 received"},
				{"larger than the link", []string{"-M", "dont", "-s", "4000", subscriber}, "3 received"},
				{"TTL expires", []string{"-t", "1", subscriber}, "Time to live exceeded"},
				{"nobody there", []string{"10.65.1.1"}, "Unreachable"},
			} {
				if out := r.ping(c.args...); !strings.Contains(out, c.want) {
					t.Errorf("%s: ping %v: no %q in\n%s", c.name, c.args, c.want, out)
				}
			}
		})
	}
}

// A sender that learns the MTU gets through: packets that leave the subscriber in outer
// fragments are put together again, and their echoes, too big for the tunnel, make the
// core's kernel send smaller ones.
func TestPathMTUIsLearnt(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.reflect()
	p := r.lacsim("--sessions", "1", "--traffic-target", echoTarget, "--traffic", "50", "--packet-size", "1480",
		"--verify", "--max-loss", "25", "--hold", "3s")
	report := r.finish(p, 30*time.Second, true)
	if report.Traffic.Fragments == 0 {
		t.Error("no echo came in fragments: the core did not learn the MTU")
	}
	c := r.counters()
	if c["xdp_punt_fragment"] == 0 || c["xdp_punt_too_big"] == 0 || c["slow_icmp_sent"] == 0 {
		t.Errorf("counters: %v", pick(c, "xdp_punt_fragment", "xdp_punt_too_big", "slow_icmp_sent"))
	}
}

func pick(c map[string]uint64, names ...string) string {
	var b strings.Builder
	for _, n := range names {
		fmt.Fprintf(&b, "%s=%d ", n, c[n])
	}
	return b.String()
}
