package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// The data of one tunnel is spread over the CPUs: nothing is lost, what is not
// forwarded reaches the daemon from there, and a daemon that comes without it goes on.
func TestCPUSpread(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{config: "set cpu_spread on"})
	const sessions = 20
	r.lacsim("--sessions", fmt.Sprint(sessions), "--hold", "forever", "--tun", "sub0")
	r.waitUp(sessions)
	r.routeSubscriber("sub0")
	var status struct {
		CPUs []int `json:"spread_cpus"`
	}
	r.ctlJSON(&status, "show", "status")
	if len(status.CPUs) == 0 || !strings.Contains(r.ctl("show", "status"), fmt.Sprintf("over %d CPUs", len(status.CPUs))) {
		t.Errorf("spread over %v; %s", status.CPUs, r.ctl("show", "status"))
	}
	before := r.counters()
	if err := r.transfer(1<<20, true); err != nil {
		t.Fatal(err)
	}
	r.until(5*time.Second, func() error {
		moved := since(r.counters(), before)
		// Echoes of PPP may be among what is handed over.
		if moved["xdp_sent_up"] < 20 || moved["xdp_spread_handed"] < moved["xdp_sent_up"] ||
			moved["xdp_spread_taken"] != moved["xdp_spread_handed"] {
			return fmt.Errorf("%d packets sent, %d handed over, %d taken", moved["xdp_sent_up"], moved["xdp_spread_handed"], moved["xdp_spread_taken"])
		}
		return nil
	})
}
