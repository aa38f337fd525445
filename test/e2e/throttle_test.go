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
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(seconds+60)*time.Second)
	defer cancel()
	var text string
	if err := netlab.Until(30*time.Second, func() error {
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
	if err := json.Unmarshal([]byte(text), report); err != nil {
		return nil, err
	}
	if len(report.Intervals) < seconds || len(report.End.Streams) == 0 {
		return nil, fmt.Errorf("iperf3 ran for %d of %d seconds", len(report.Intervals), seconds)
	}
	return report, nil
}

// seconds is what passed in each second, in bit/s.
func (r *iperf) seconds() []float64 {
	list := make([]float64, len(r.Intervals))
	for i := range list {
		list[i] = r.Intervals[i].Sum.Bits
	}
	return list
}

var (
	lossOf = regexp.MustCompile(`(\d+(?:\.\d+)?)% packet loss`)
	tripOf = regexp.MustCompile(`time=(\d+(?:\.\d+)?) ms`)
)

// retried lets something that a busy machine can spoil fail twice.
func retried(t *testing.T, do func() error) {
	t.Helper()
	var problem error
	for range 3 {
		if problem = do(); problem == nil {
			return
		}
		t.Logf("tried once more: %v", problem)
	}
	t.Error(problem)
}

// TestThrottle: real TCP is held to the rate, gets most of it, and leaves room for a
// ping. How much, how fairly and how late is said by control/shape's tests of
// simulated TCP, which are the same on any machine, and measured by TestThrottleMatrix.
func TestThrottle(t *testing.T) {
	const kbit, seconds = 10000, 3
	r := newRig(t, options{config: fmt.Sprintf("set throttle_speed %d", kbit)})
	r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
	r.waitUp(1)
	r.routeSubscriber("sub0")
	for _, c := range []struct {
		name  string
		flows int
		up    bool
	}{{"eight up", 8, true}, {"one down", 1, false}} {
		t.Run(c.name, func(t *testing.T) {
			retried(t, func() error {
				row, err := r.throttled(kbit, c.flows, c.up, seconds, "cubic")
				switch {
				case err != nil:
					return err
				case row.goodput < 75:
					return fmt.Errorf("goodput %.1f %% of what the rate leaves", row.goodput)
				case row.jain < 0.75:
					return fmt.Errorf("Jain index %.3f", row.jain)
				case row.lost > 10:
					return fmt.Errorf("%v %% of the pings were lost", row.lost)
				case row.goodput > 100*(1+1.0/seconds):
					t.Errorf("goodput %.1f %%: more than the rate and a second's burst", row.goodput)
				}
				return nil
			})
		})
	}
}

// throttled is how TCP fared beside pings.
type throttled struct {
	goodput    float64 // % of what the rate leaves after the headers of IP and TCP
	jain       float64
	lost       float64 // pings, %
	late, idle float64 // 99th percentile of pings beside TCP, and before, ms
}

// throttled measures some flows.
func (r *rig) throttled(kbit, flows int, up bool, seconds int, congestion string) (row throttled, err error) {
	if row.idle, _, err = r.pings(1); err != nil {
		return row, err
	}
	beside := make(chan error, 1)
	go func() {
		var err error
		row.late, row.lost, err = r.pings(seconds)
		beside <- err
	}()
	report, err := r.iperf3(up, seconds, "-P", strconv.Itoa(flows), "-C", congestion)
	if problem := <-beside; err == nil {
		err = problem
	}
	if err != nil {
		return row, err
	}
	row.jain = report.jain()
	// Segments of the session's MTU; and the pings, 20 a second, have their part.
	want := (float64(kbit)*1000 - 20*84*8) * (1442 - 52) / 1442
	row.goodput = 100 * report.End.Received.Bits / want
	return row, nil
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

// TestThrottleUDP: a flood gets the rate, by XDP and by the slow path.
func TestThrottleUDP(t *testing.T) {
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			const kbit, size, seconds = 5000, 1372, 2
			r := newRig(t, options{config: fmt.Sprintf("set throttle_speed %d\nset xdp_mode %s", kbit, mode)})
			r.lacsim("--sessions", "1", "--hold", "forever", "--tun", "sub0")
			r.waitUp(1)
			r.routeSubscriber("sub0")
			want := float64(kbit) * 1000 * size / (size + 28)
			retried(t, func() error {
				// The receiver reports each second: it is the client with -R.
				report, err := r.iperf3(false, seconds, "-u", "-b", "15M", "-l", strconv.Itoa(size))
				if err != nil {
					return err
				}
				if got := report.seconds()[:seconds]; slices.Min(got) < 0.95*want || slices.Max(got) > 1.05*want {
					return fmt.Errorf("%.0f bit/s in each second, want %.0f", got, want)
				}
				return nil
			})
		})
	}
}
