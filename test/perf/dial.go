package perf

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/netlab"
)

// dialConfig is a LAC with one tunnel from the port that the generator's packets
// come from.
func dialConfig(sessions int) lac.Config {
	return lac.Config{
		LNS: netip.AddrPortFrom(netlab.LNSAddr, l2tpPort), Bind: []netip.Addr{netlab.LACAddr},
		SourcePort: l2tpPort, Tunnels: 1, Sessions: sessions, Parallel: 200,
		Secret: tunnelSecret, User: "user%d", Password: userPassword, Auth: ppp.CHAPMD5,
		Framing: lac.Framing{Length: true, AddressControl: lac.Always},
		Hello:   -1, Timeout: time.Minute, Hold: lac.Forever, PerSession: true, Teardown: lac.ByTunnel,
	}
}

// dialled is a LAC that holds its sessions.
type dialled struct {
	sessions []Session
	hangUp   func() error
}

// dial sets up sessions from the rig's LAC and holds them.
func dial(r *rig, sessions int) (*dialled, error) {
	cfg := dialConfig(sessions)
	up := make(chan *lac.Report, 1)
	cfg.Phase = func(p lac.Phase, report *lac.Report) {
		if p == lac.PhaseHold {
			up <- report
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() {
		ended <- r.lab.LAC.Do(func() error {
			_, err := lac.Run(ctx, cfg)
			return err
		})
	}()
	d := &dialled{hangUp: func() error { cancel(); return <-ended }}
	select {
	case report := <-up:
		d.sessions = sessionsOf(report)
		if len(d.sessions) < sessions {
			return nil, errors.Join(fmt.Errorf("%d of %d sessions came up: %+v", len(d.sessions), sessions, report.Failures), d.hangUp())
		}
		return d, nil
	case err := <-ended:
		cancel()
		return nil, fmt.Errorf("sessions did not come up: %w", err)
	}
}

// sessionsOf lists those that are up. A report's own ids are the LAC's.
func sessionsOf(report *lac.Report) []Session {
	var list []Session
	for _, s := range report.Each {
		if s.Address.Is4() {
			list = append(list, Session{
				TunnelID: s.PeerTunnelID, SessionID: s.PeerSessionID,
				PeerTunnelID: s.TunnelID, PeerSessionID: s.SessionID, Address: s.Address.As4(),
			})
		}
	}
	return list
}

// setUp dials sessions, parallel of them at a time, in tunnels that have a port of
// their own each, calls atTop once all are up or have failed, and hangs up.
func setUp(r *rig, sessions, parallel int, atTop func() error) (*lac.Report, error) {
	cfg := dialConfig(sessions)
	cfg.Tunnels, cfg.SocketPerTunnel, cfg.SourcePort = setupTunnels, true, 0
	cfg.Parallel, cfg.PerSession, cfg.Hold = parallel, false, time.Second
	cfg.Teardown = lac.ByClient
	var top error
	cfg.Phase = func(p lac.Phase, _ *lac.Report) {
		if p == lac.PhaseHold {
			top = atTop()
		}
	}
	var report *lac.Report
	err := r.lab.LAC.Do(func() (err error) {
		report, err = lac.Run(context.Background(), cfg)
		return err
	})
	return report, errors.Join(err, top)
}
