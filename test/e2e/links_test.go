package e2e

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// modes returns how XDP is attached to each interface.
func (r *rig) modes() map[string]string {
	r.t.Helper()
	var status struct {
		Interfaces []struct{ Name, Mode string }
	}
	r.ctlJSON(&status, "uptime")
	modes := map[string]string{}
	for _, i := range status.Interfaces {
		modes[i.Name] = i.Mode
	}
	return modes
}

func (r *rig) waitMode(device, mode string) {
	r.t.Helper()
	r.until(10*time.Second, func() error {
		if got := r.modes(); got[device] != mode {
			return fmt.Errorf("XDP modes: %v; want %s on %s", got, mode, device)
		}
		return nil
	})
}

// wantXDP waits until traffic of n sessions flows again, both ways through XDP.
func (r *rig) wantXDP(n int) {
	r.t.Helper()
	r.until(20*time.Second, func() error {
		before := r.counters()
		time.Sleep(300 * time.Millisecond)
		moved := since(r.counters(), before)
		if moved["xdp_sent_up"] == 0 || moved["xdp_sent_down"] == 0 {
			return fmt.Errorf("XDP forwards nothing: %v", moved)
		}
		return nil
	})
	r.wantTraffic(n)
}

// Sessions outlive their links: when one comes back, changes its MTU, or another takes its
// place, XDP is on it and their packets flow.
func TestLinksComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, options{})
	r.reflect()
	p := r.lacsim("--sessions", "3", "--traffic-target", echoTarget, "--traffic", "300", "--hold", "forever")
	r.waitUp(3)
	r.wantXDP(3)
	ids := r.sessions()

	flap := func(device string) {
		t.Helper()
		for _, up := range []bool{false, true} {
			if err := r.lab.LNS.SetLink(device, up); err != nil {
				t.Fatal(err)
			}
			time.Sleep(200 * time.Millisecond)
		}
	}
	flap(netlab.LACSide)
	r.wantXDP(3)
	flap(netlab.CoreSide)
	// The kernel drops the routes of a link that goes down.
	if _, err := r.lab.LNS.Output(context.Background(), "ip", "route", "replace", "default", "via", netlab.CoreAddr.String()); err != nil {
		t.Fatal(err)
	}
	r.wantXDP(3)

	for _, mtu := range []int{1400, 1500} {
		if err := r.lab.SetMTU(mtu); err != nil {
			t.Fatal(err)
		}
		r.wantXDP(3)
	}

	if err := r.lab.DisconnectCore(); err != nil {
		t.Fatal(err)
	}
	r.waitMode(netlab.CoreSide, "")
	if err := r.lab.ConnectCore(); err != nil {
		t.Fatal(err)
	}
	r.waitMode(netlab.CoreSide, "native")
	r.wantXDP(3)

	same := slices.EqualFunc(ids, r.sessions(), func(a, b shownSession) bool { return a.SID == b.SID && a.Address == b.Address })
	if report := r.interrupt(p); !same || report.Sessions.Lost != 0 || len(report.Traffic.Wrong) != 0 {
		t.Errorf("sessions %+v, traffic %+v", report.Sessions, report.Traffic)
	}
	r.waitEmpty()
}

// An interface that is configured but missing does not keep the daemon from serving;
// it is warned of, and taken when it appears.
func TestInterfaceAppears(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	if err := r.lab.DisconnectCore(); err != nil {
		t.Fatal(err)
	}
	r.writeConfig(options{config: fmt.Sprintf("set xdp_interfaces %q", netlab.LACSide+","+netlab.CoreSide)})
	r.startLNSD()
	r.wantLog("warn", netlab.CoreSide, "no such interface")
	if err := r.lab.ConnectCore(); err != nil {
		t.Fatal(err)
	}
	r.waitMode(netlab.CoreSide, "native")
	r.reflect()
	r.lacsim("--sessions", "1", "--traffic-target", echoTarget, "--traffic", "100", "--hold", "forever")
	r.waitUp(1)
	r.wantXDP(1)
}
