package e2e

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
)

// TestInterceptionDelay prints the delay of a subscriber's packets while those of another
// one, 10,000 a second each way, are intercepted and while they are not, as rows of the
// table in docs/operations/intercept.md. Both take many short turns, and beside the median
// of the turns stands the least: whatever else the machine does can only add to it. It
// takes a minute or two, and is run by make bench-intercept alone.
func TestInterceptionDelay(t *testing.T) {
	if os.Getenv("LNSD_BENCH_INTERCEPT") == "" {
		t.Skip("a measurement: make bench-intercept")
	}
	fmt.Println("| XDP | intercepted | p50 ms, median (least) | p99 ms, median (least) | lost | copies | of them lost |\n|---|---|---|---|---|---|---|")
	for _, mode := range []string{"auto", "none"} {
		r := newRig(t, options{config: "set xdp_mode " + mode})
		r.reflect()
		receiver := r.receiver(4000)
		r.lacsim("--sessions", "1", "--user", "busy", "--traffic-target", echoTarget, "--traffic", "10000", "--traffic-time", "10m", "--hold", "forever")
		r.waitUp(1)
		address := r.sessions()[0].Address
		var off, on delays
		for turn := range 24 {
			side, order := &off, "no snoop busy"
			if turn%2 == 1 {
				side, order = &on, "snoop busy "+netlab.CoreAddr.String()+" 4000"
			}
			r.ctl(strings.Fields(order)...)
			before := receiver.of(address)
			p := r.lacsim("--sessions", "1", "--user", "other", "--traffic-target", echoTarget, "--traffic", "500", "--traffic-time", "1s", "--json", r.path("other.json"))
			if err := p.Wait(time.Minute); err != nil {
				t.Fatal(err)
			}
			after := receiver.of(address)
			side.add(r.reportIn("other.json").Traffic, after.up+after.down-before.up-before.down, r.intercepts()["busy"].Lost)
		}
		fmt.Printf("| %s | no | %s\n| %s | yes | %s\n", mode, off.row(), mode, on.row())
	}
}

// delays are those of some turns.
type delays struct {
	p50, p99           []float64 // ms
	sent, lost         uint64
	copies, copiesLost uint64
}

func (d *delays) add(x *lac.TrafficReport, copies, copiesLost uint64) {
	d.p50 = append(d.p50, time.Duration(x.Latency.P50).Seconds()*1000)
	d.p99 = append(d.p99, time.Duration(x.Latency.P99).Seconds()*1000)
	d.sent, d.lost, d.copies, d.copiesLost = d.sent+x.Sent, d.lost+x.Lost, d.copies+copies, d.copiesLost+copiesLost
}

func (d *delays) row() string {
	slices.Sort(d.p50)
	slices.Sort(d.p99)
	n := len(d.p50)
	return fmt.Sprintf("%.2f (%.2f) | %.2f (%.2f) | %d of %d | %d | %d |", d.p50[n/2], d.p50[0], d.p99[n/2], d.p99[0], d.lost, d.sent, d.copies, d.copiesLost)
}
