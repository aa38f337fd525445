package lac_test

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
)

// A program of the LAC's namespace reaches the core as a subscriber, and a program
// of the core reaches the emulated subscribers.
func TestPingThroughSessions(t *testing.T) {
	l := startLab(t, "chap")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	pinged := func(ns *netlab.Namespace, to netip.Addr) {
		if out, err := ns.Output(ctx, "ping", "-c", "3", "-i", "0.2", "-W", "2", to.String()); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
	cfg := lac.Config{
		LNS: netip.AddrPortFrom(netlab.LNSAddr, 1701), Secret: secret, User: "user%d", Password: password,
		Auth: ppp.CHAPMD5, Sessions: 2, Timeout: 20 * time.Second, Hold: lac.Forever, PerSession: true, TUN: "sub0",
	}
	cfg.Phase = func(p lac.Phase, r *lac.Report) {
		if p != lac.PhaseHold {
			return
		}
		defer cancel()
		if out, err := l.LAC.Output(ctx, "ip", "route", "add", netlab.CoreAddr.String(), "dev", "sub0"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
		pinged(l.LAC, netlab.CoreAddr)    // the first subscriber, through the interface
		pinged(l.Core, r.Each[0].Address) // answered by the kernel behind it
		pinged(l.Core, r.Each[1].Address) // answered by the emulator
	}
	var report *lac.Report
	err := l.LAC.Do(func() (err error) {
		report, err = lac.Run(ctx, cfg)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if !report.OK() || report.Sessions.Up != 2 {
		t.Errorf("%+v", report)
	}
}
