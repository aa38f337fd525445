package e2e

import (
	"fmt"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
	"github.com/lnsd/lnsd/test/perf"
)

// At the highest rate that can be made, control messages of strangers, of tunnels that do
// not exist and beyond the LAC's rate cost sessions no more packets than what takes as
// much of the CPU and sends nothing, and each HELLO is acknowledged before it is sent a
// second time, after a second. All but what the rates let through ends in XDP.
func TestFloodAtFullRate(t *testing.T) {
	r := newRig(t, options{config: fmt.Sprintf("lac carrier address %s/32\nset l2tp_hello_interval 1\n", netlab.LACAddr)})
	r.reflect()
	const attempts = 4 // other processes disturb, too
	for attempt := 1; ; attempt++ {
		burn, _ := r.underLoad(func() (*perf.Load, error) { return perf.StartBurn(), nil })
		before := r.counters()
		flood, sent := r.underLoad(func() (*perf.Load, error) { return perf.StartFlood(r.lab) })
		moved := since(r.counters(), before)
		for _, name := range []string{"xdp_drop_lac", "xdp_drop_tunnel", "xdp_drop_sccrq_rate"} {
			if moved[name] < sent/4 {
				t.Errorf("%s moved by %d of %d packets", name, moved[name], sent)
			}
		}
		if n := moved["packets_control"]; n > sent/100 {
			t.Errorf("%d control messages of %d reached the daemon", n, sent)
		}
		worse := flood.Traffic.LossFraction > burn.Traffic.LossFraction+0.05 || flood.Control.Retransmits > burn.Control.Retransmits
		t.Logf("attempt %d: lost %.2f %% and %d messages sent again, without the flood %.2f %% and %d", attempt,
			100*flood.Traffic.LossFraction, flood.Control.Retransmits, 100*burn.Traffic.LossFraction, burn.Control.Retransmits)
		if !worse || t.Failed() {
			return
		}
		if attempt == attempts {
			t.Fatalf("%d times of %d a flood did harm", attempts, attempts)
		}
	}
}

// underLoad has sessions talk and their tunnels say HELLO under a load that start begins.
// It returns what became of them, and how many packets the load was.
func (r *rig) underLoad(start func() (*perf.Load, error)) (lac.Report, uint64) {
	r.t.Helper()
	p := r.lacsim("--tunnels", "4", "--sessions", "8", "--hello", "1s", "--traffic-target", echoTarget, "--traffic", "2000",
		"--hold", "forever")
	r.waitUp(8)
	r.wantXDP(8)
	l, err := start()
	if err != nil {
		r.t.Fatal(err)
	}
	time.Sleep(2500 * time.Millisecond) // long enough for each tunnel's HELLO, and for one that is sent again
	sent, rate, err := l.Stop()
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Logf("%d packets of load, %.2f million a second", sent, rate/1e6)
	report := r.interrupt(p)
	if report.Sessions.Lost != 0 || report.Tunnels.Lost != 0 || len(report.Traffic.Wrong) != 0 {
		r.t.Errorf("sessions %+v, tunnels %+v, traffic %+v", report.Sessions, report.Tunnels, report.Traffic)
	}
	r.waitEmpty()
	return report, sent
}
