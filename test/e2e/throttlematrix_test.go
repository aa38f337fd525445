package e2e

import (
	"fmt"
	"os"
	"strconv"
	"testing"
)

// TestThrottleMatrix prints how TCP fares at every rate of the table in
// docs/operations/throttle.md, as rows of it. It takes minutes and a machine without
// other work, and is run by make bench-throttle alone.
func TestThrottleMatrix(t *testing.T) {
	if os.Getenv("LNSD_BENCH_THROTTLE") == "" {
		t.Skip("a measurement: make bench-throttle")
	}
	const seconds = 8
	fmt.Println("| Mbit/s | | flows | goodput % | Jain | pings lost % | p99 ms | idle p99 ms |\n|---|---|---|---|---|---|---|---|")
	for _, kbit := range []int{1000, 10_000, 100_000, 1_000_000} {
		t.Run(strconv.Itoa(kbit), func(t *testing.T) {
			r := newRig(t, options{config: fmt.Sprintf("set throttle_speed %d", kbit)})
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			for _, c := range []struct {
				flows int
				up    bool
			}{{1, true}, {1, false}, {8, true}, {8, false}} {
				r.measure(kbit, c.flows, c.up, seconds)
			}
		})
	}
}

// measure prints one row.
func (r *rig) measure(kbit, flows int, up bool, seconds int) {
	r.t.Helper()
	idle, _, err := r.pings(1)
	if err != nil {
		r.t.Fatal(err)
	}
	done := make(chan [2]float64, 1)
	go func() {
		late, lost, _ := r.pings(seconds)
		done <- [2]float64{late, lost}
	}()
	report, err := r.iperf3(up, seconds, "-P", strconv.Itoa(flows))
	if err != nil {
		r.t.Fatal(err)
	}
	beside, direction := <-done, "down"
	if up {
		direction = "up"
	}
	want := float64(kbit) * 1000 * (1442 - 52) / 1442
	fmt.Printf("| %d | %s | %d | %.1f | %.3f | %.1f | %.1f | %.1f |\n", kbit/1000, direction, flows,
		100*report.End.Received.Bits/want, report.jain(), beside[1], beside[0], idle)
}
