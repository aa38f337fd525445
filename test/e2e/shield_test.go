package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// A flood of whatever a stranger can think of, under the addresses and ports of the LAC
// too, ends in XDP: the daemon sees no more of it than the rates say, sessions lose
// nothing, and HELLOs are answered meanwhile.
func TestFloodEndsInXDP(t *testing.T) {
	const flood = 20000
	r := newRig(t, options{config: fmt.Sprintf("lac carrier address %s/32\nset shield_sccrq_rate 10\nset l2tp_hello_interval 1\n", netlab.LACAddr)})
	r.reflect()
	p := r.lacsim("--sessions", "4", "--hello", "1s", "--traffic-target", echoTarget, "--traffic", "400", "--verify", "--hold", "forever")
	r.waitUp(4)
	var sessions []shownIDs
	r.ctlJSON(&sessions, "show", "session")
	s := sessions[0]
	f := r.forger()
	hellos := func() (n uint64) {
		for _, x := range r.tunnels() {
			if x.TID == s.TID {
				n = x.Transport.HelloSent + x.Transport.HelloReceived
			}
		}
		return n
	}
	before, hellosBefore := r.counters(), hellos()
	lac := netip.AddrPortFrom(netlab.LACAddr, 40000)
	for i := range flood / 4 {
		f.send(netip.AddrPortFrom(stranger, uint16(1024+i)), sccrq(uint16(1+i))) // no LAC
		f.send(lac, sccrq(uint16(1+i)))                                          // too many
		f.send(lac, hello(freeID(s.TID), 3, 3))                                  // no tunnel
		f.send(lac, stopCCN(s.TID, 3, 3, s.PeerTunnelID))                        // not its peer's port
	}
	moved := since(r.counters(), before)
	if n := moved["packets_control"]; n > 500 {
		t.Errorf("%d control messages of %d reached the daemon", n, flood)
	}
	for name, n := range map[string]uint64{"xdp_drop_lac": flood / 4, "xdp_drop_tunnel": flood / 2, "xdp_drop_sccrq_rate": flood/4 - 500} {
		if moved[name] < n {
			t.Errorf("%s moved by %d, not %d: %v", name, moved[name], n, moved)
		}
	}
	r.wantTraffic(4)
	r.until(5*time.Second, func() error {
		if hellos() == hellosBefore {
			return fmt.Errorf("no HELLO since the flood")
		}
		return nil
	})
	report := r.interrupt(p)
	if report.Sessions.Lost != 0 || report.Tunnels.Lost != 0 || report.Traffic.LossFraction > 0.02 {
		t.Errorf("sessions %+v, tunnels %+v, traffic %+v", report.Sessions, report.Tunnels, report.Traffic)
	}
	r.waitEmpty()
}
