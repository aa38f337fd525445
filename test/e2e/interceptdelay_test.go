package e2e

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// TestInterceptionDelay prints the delay of a subscriber's packets while those of another
// one, 10,000 a second each way, are intercepted and while they are not, in turns, as
// rows of the table in docs/operations/intercept.md. It takes a minute and a machine
// without other work, and is run by make bench-intercept alone.
func TestInterceptionDelay(t *testing.T) {
	if os.Getenv("LNSD_BENCH_INTERCEPT") == "" {
		t.Skip("a measurement: make bench-intercept")
	}
	const turns = 3
	fmt.Println("| XDP | intercepted | turn | p50 ms | p99 ms | lost | copies lost |\n|---|---|---|---|---|---|---|")
	for _, mode := range []string{"auto", "none"} {
		r := newRig(t, options{config: "set xdp_mode " + mode})
		r.reflect()
		receiver := r.receiver(4000)
		r.lacsim("--sessions", "1", "--user", "busy", "--traffic-target", echoTarget, "--traffic", "10000", "--traffic-time", "10m", "--hold", "forever")
		r.waitUp(1)
		for turn := range 2 * turns {
			on := turn%2 == 1
			r.ctl(strings.Fields(map[bool]string{true: "snoop busy " + netlab.CoreAddr.String() + " 4000", false: "no snoop busy"}[on])...)
			before := receiver.of(r.sessions()[0].Address)
			file := fmt.Sprintf("turn%d.json", turn)
			p := r.lacsim("--sessions", "1", "--user", "other", "--traffic-target", echoTarget, "--traffic", "500", "--traffic-time", "6s", "--json", r.path(file))
			if err := p.Wait(time.Minute); err != nil {
				t.Fatal(err)
			}
			x := r.reportIn(file).Traffic
			after := receiver.of(r.sessions()[0].Address)
			if copied := after.up - before.up; (copied > 0) != on {
				t.Errorf("%d copies, intercepted: %v", copied, on)
			}
			fmt.Printf("| %s | %s | %d | %.2f | %.2f | %d of %d | %d |\n", mode, map[bool]string{true: "yes", false: "no"}[on], turn/2+1,
				time.Duration(x.Latency.P50).Seconds()*1000, time.Duration(x.Latency.P99).Seconds()*1000, x.Lost, x.Sent, r.intercepts()["busy"].Lost)
		}
	}
}
