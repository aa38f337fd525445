package e2e

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
)

// TestThrottleMatrix prints how TCP and UDP fare at the rates in LNSD_BENCH_THROTTLE,
// kbit/s with commas between them, as rows of the tables in docs/operations/throttle.md;
// 0 is no limit, which shows what the machine can do at all. LNSD_BENCH_CONGESTION is the
// congestion control. It wants a machine without other work, and is run by make
// bench-throttle alone.
func TestThrottleMatrix(t *testing.T) {
	list := os.Getenv("LNSD_BENCH_THROTTLE")
	if list == "" {
		t.Skip("a measurement: make bench-throttle")
	}
	congestion := os.Getenv("LNSD_BENCH_CONGESTION")
	if congestion == "" {
		congestion = "cubic"
	}
	const seconds = 10
	fmt.Println("| kbit/s | | flows | goodput % | Jain | pings lost % | p99 ms | idle p99 ms |\n|---|---|---|---|---|---|---|---|")
	for text := range strings.SplitSeq(list, ",") {
		t.Run(text, func(t *testing.T) {
			kbit, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			r := newRig(t, options{config: fmt.Sprintf("set throttle_speed %d", kbit)})
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			if kbit > 0 { // first: after TCP it would pay for what that had ahead
				r.measureUDP(kbit)
			}
			for _, c := range []struct {
				flows int
				up    bool
			}{{1, true}, {1, false}, {8, true}, {8, false}} {
				r.measure(kbit, c.flows, c.up, seconds, congestion)
			}
		})
	}
}

// measure prints one row.
func (r *rig) measure(kbit, flows int, up bool, seconds int, congestion string) {
	r.t.Helper()
	of := kbit
	if kbit == 0 { // then in % of what 1 Gbit/s leaves
		of = 1_000_000
	}
	row, err := r.throttled(of, flows, up, seconds, congestion)
	if err != nil {
		r.t.Fatal(err)
	}
	direction := "down"
	if up {
		direction = "up"
	}
	fmt.Printf("| %d | %s | %d | %.1f | %.3f | %.1f | %.1f | %.1f |\n", kbit, direction, flows,
		row.goodput, row.jain, row.lost, row.late, row.idle)
}

// measureUDP prints what passes of a flood of twice the rate, second by second.
func (r *rig) measureUDP(kbit int) {
	r.t.Helper()
	const size = 1372
	report, err := r.iperf3(false, 4, "-u", "-b", strconv.Itoa(2*kbit)+"k", "-l", strconv.Itoa(size))
	if err != nil {
		r.t.Fatal(err)
	}
	fmt.Printf("UDP at %d kbit/s, %% of the rate in each second:", kbit)
	for _, bits := range report.seconds() {
		fmt.Printf(" %.1f", 100*bits*(size+28)/(size*float64(kbit)*1000))
	}
	fmt.Println()
}
