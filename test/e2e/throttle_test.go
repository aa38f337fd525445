package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// iperf is what iperf3 reports at the end.
type iperf struct {
	Intervals []struct {
		Sum struct {
			Bits float64 `json:"bits_per_second"`
		} `json:"sum"`
	} `json:"intervals"`
	End struct {
		Streams []struct {
			Receiver struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"receiver"`
		} `json:"streams"`
		Received struct {
			Bits float64 `json:"bits_per_second"`
		} `json:"sum_received"`
	} `json:"end"`
}

// jain is Jain's index of fairness of the streams.
func (r *iperf) jain() float64 {
	var sum, squares float64
	for _, s := range r.End.Streams {
		sum += s.Receiver.Bits
		squares += s.Receiver.Bits * s.Receiver.Bits
	}
	return sum * sum / (float64(len(r.End.Streams)) * squares)
}

// iperf3 runs a client in the subscriber's namespace against a server in the core;
// with up it sends, else it receives.
func (r *rig) iperf3(up bool, seconds int, args ...string) (*iperf, error) {
	server, err := r.lab.Core.Run(r.path("iperf3.log"), "iperf3", "-s", "-1", "-B", netlab.CoreAddr.String())
	if err != nil {
		return nil, err
	}
	defer func() { _ = server.Stop(9, 5*time.Second) }()
	args = append([]string{"-c", netlab.CoreAddr.String(), "-J", "-t", strconv.Itoa(seconds)}, args...)
	if !up {
		args = append(args, "-R")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds+20)*time.Second)
	defer cancel()
	var text string
	if err := netlab.Until(5*time.Second, func() error {
		out, err := r.lab.Core.Output(ctx, "ss", "-Hlnt", "sport", "=", ":5201")
		if err == nil && out == "" {
			err = fmt.Errorf("iperf3 does not listen yet")
		}
		return err
	}); err != nil {
		return nil, err
	}
	if text, err = r.lab.LAC.Output(ctx, "iperf3", args...); err != nil {
		return nil, err
	}
	report := &iperf{}
	return report, json.Unmarshal([]byte(text), report)
}

var (
	lossOf = regexp.MustCompile(`(\d+(?:\.\d+)?)% packet loss`)
	tripOf = regexp.MustCompile(`time=(\d+(?:\.\d+)?) ms`)
)

// TestThrottle: TCP through a session gets 97 % of what its rate leaves, in both
// directions, with one flow and with eight, which share it fairly, and a ping beside them
// is neither lost nor late. A machine with other work is given two more chances.
func TestThrottle(t *testing.T) {
	for _, c := range []struct {
		kbit, flows int
		up          bool
	}{
		{1000, 1, true}, {1000, 8, false}, {10000, 8, true}, {10000, 1, false}, {100000, 1, true}, {100000, 8, false},
	} {
		t.Run(fmt.Sprintf("%d_%d_%v", c.kbit, c.flows, c.up), func(t *testing.T) {
			r := newRig(t, options{config: fmt.Sprintf("set throttle_speed %d", c.kbit)})
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			var problem error
			for range 3 {
				if problem = r.throttled(c.kbit, c.flows, c.up); problem == nil {
					return
				}
				t.Logf("tried once more: %v", problem)
			}
			t.Error(problem)
		})
	}
}

func (r *rig) throttled(kbit, flows int, up bool) error {
	const seconds = 6
	idle, _, err := r.pings(1)
	if err != nil {
		return err
	}
	type answer struct {
		late, lost float64
		err        error
	}
	beside := make(chan answer, 1)
	go func() {
		late, lost, err := r.pings(seconds)
		beside <- answer{late, lost, err}
	}()
	report, err := r.iperf3(up, seconds, "-P", strconv.Itoa(flows))
	if err != nil {
		return err
	}
	// What the rate leaves after the headers of IP and TCP, in segments of the
	// session's MTU.
	got, want := report.End.Received.Bits, float64(kbit)*1000*(1442-52)/1442
	least := 0.97
	if kbit/flows < 1000 {
		// What a flow has behind a hole when the time is up does not count, and
		// is much of what it got.
		least = 0.85
	}
	if got < least*want {
		return fmt.Errorf("%.0f bit/s of %.0f", got, want)
	}
	if j := report.jain(); flows > 1 && j < 0.95 {
		return fmt.Errorf("Jain index %.3f", j)
	}
	switch a := <-beside; {
	case a.err != nil:
		return a.err
	case a.lost > 2:
		return fmt.Errorf("%v %% of the pings were lost", a.lost)
	case kbit == 10000 && a.late > idle+50:
		return fmt.Errorf("one ping in a hundred took %.1f ms, %.1f ms without traffic", a.late, idle)
	}
	return nil
}

// pings sends 20 a second and returns the 99th percentile of the round trips in
// ms, and the share that was lost in percent.
func (r *rig) pings(seconds int) (late, lost float64, err error) {
	out, _ := r.lab.LAC.Output(context.Background(), "ping", "-i", "0.05", "-w", strconv.Itoa(seconds), netlab.CoreAddr.String())
	loss := lossOf.FindStringSubmatch(out)
	var times []float64
	for _, m := range tripOf.FindAllStringSubmatch(out, -1) {
		ms, _ := strconv.ParseFloat(m[1], 64)
		times = append(times, ms)
	}
	if loss == nil || len(times) == 0 {
		return 0, 0, fmt.Errorf("ping printed: %s", out)
	}
	lost, _ = strconv.ParseFloat(loss[1], 64)
	slices.Sort(times)
	return times[len(times)*99/100], lost, nil
}

// TestThrottleUDP: a flood gets the rate, from the first second on.
func TestThrottleUDP(t *testing.T) {
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			const kbit, size, seconds = 10000, 1372, 4
			r := newRig(t, options{config: fmt.Sprintf("set throttle_speed %d\nset xdp_mode %s", kbit, mode)})
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			want := float64(kbit) * 1000 * size / (size + 28)
			var problem error
			for range 2 {
				// The receiver reports each second: it is the client with -R.
				report, err := r.iperf3(false, seconds, "-u", "-b", "20M", "-l", strconv.Itoa(size))
				if err != nil {
					t.Fatal(err)
				}
				problem = nil
				for i, interval := range report.Intervals[:seconds] {
					if got := interval.Sum.Bits; got < 0.99*want || got > 1.01*want {
						problem = fmt.Errorf("second %d: %.0f bit/s, want %.0f", i+1, got, want)
						break
					}
				}
				if problem == nil {
					return
				}
				t.Logf("tried once more: %v", problem)
			}
			t.Error(problem)
		})
	}
}
