package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
	"github.com/lnsd/lnsd/test/perf"
)

// At the highest rate that can be made, control messages of strangers, of tunnels that do
// not exist and beyond the LAC's rate cost sessions no more packets than what takes as
// much of the CPU and sends nothing, and each HELLO is acknowledged before it is sent a
// second time, after a second. All but what the rates let through ends in XDP. The flood
// fills the LAC's own link, so what never left the LAC is not counted as lost.
func TestFloodAtFullRate(t *testing.T) {
	r := newRig(t, options{config: fmt.Sprintf("lac carrier address %s/32\nset l2tp_hello_interval 1\n", netlab.LACAddr)})
	r.reflect()
	const attempts = 4 // other processes disturb, too
	for attempt := 1; ; attempt++ {
		burn, burnLoss, _ := r.underLoad(func() (*perf.Load, error) { return perf.StartBurn(), nil })
		before := r.counters()
		flood, floodLoss, sent := r.underLoad(func() (*perf.Load, error) { return perf.StartFlood(r.lab) })
		moved := since(r.counters(), before)
		kinds := []string{"xdp_drop_lac", "xdp_drop_tunnel", "xdp_drop_sccrq_rate"}
		var dropped uint64
		for _, name := range kinds {
			dropped += moved[name]
		}
		if dropped < sent/2 { // the full link loses some
			t.Errorf("%d of %d packets were dropped by XDP", dropped, sent)
		}
		for _, name := range kinds { // as many of each are made
			if moved[name] < dropped/4 {
				t.Errorf("%s moved by %d of %d packets", name, moved[name], dropped)
			}
		}
		if n := moved["packets_control"]; n > sent/100 {
			t.Errorf("%d control messages of %d reached the daemon", n, sent)
		}
		worse := floodLoss > burnLoss+0.01 || flood.Control.Retransmits > burn.Control.Retransmits
		t.Logf("attempt %d: lost %.2f %% and %d messages sent again, without the flood %.2f %% and %d", attempt,
			100*floodLoss, flood.Control.Retransmits, 100*burnLoss, burn.Control.Retransmits)
		if !worse || t.Failed() {
			return
		}
		if attempt == attempts {
			t.Fatalf("%d times of %d a flood did harm", attempts, attempts)
		}
	}
}

// underLoad has sessions talk and their tunnels say HELLO under a load that start begins.
// It returns what became of them, the part of the packets that was lost after it had left
// the LAC, and how many packets the load was.
func (r *rig) underLoad(start func() (*perf.Load, error)) (report lac.Report, lost float64, sent uint64) {
	r.t.Helper()
	unsent := r.unsent()
	p := r.lacsim("--tunnels", "4", "--sessions", "8", "--hello", "1s", "--traffic-target", echoTarget, "--traffic", "2000",
		"--hold", "forever")
	r.waitUp(8)
	r.wantXDP(8)
	l, err := start()
	if err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond) // long enough for each tunnel's HELLO, and for one that is sent again
	var rate float64
	sent, rate, err = l.Stop()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("%d packets of load, %.2f million a second", sent, rate/1e6)
	report = r.interrupt(p)
	unsent = r.unsent() - unsent
	if report.Sessions.Lost != 0 || report.Tunnels.Lost != 0 || len(report.Traffic.Wrong) != 0 {
		r.t.Errorf("sessions %+v, tunnels %+v, traffic %+v", report.Sessions, report.Tunnels, report.Traffic)
	}
	r.waitEmpty()
	return report, (float64(report.Traffic.Lost) - float64(unsent)) / float64(report.Traffic.Sent), sent
}

// unsent counts the UDP packets of the LAC that found no room in its link.
func (r *rig) unsent() (n uint64) {
	r.t.Helper()
	out := r.look(r.lab.LAC, "nstat", "-asz", "UdpSndbufErrors")
	for line := range strings.Lines(out) {
		if f := strings.Fields(line); len(f) > 1 && f[0] == "UdpSndbufErrors" {
			if _, err := fmt.Sscan(f[1], &n); err == nil {
				return n
			}
		}
	}
	r.t.Fatalf("nstat says %q", out)
	return 0
}
