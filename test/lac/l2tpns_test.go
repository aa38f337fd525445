package lac_test

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/test/lac"
	"github.com/lnsd/lnsd/test/lac/l2tpns"
	"github.com/lnsd/lnsd/test/netlab"
)

const (
	secret   = "tunnel-secret"
	password = "subscriber-password"
)

// lab is an l2tpns between a LAC's and the core's namespace, with a reflector in the
// core.
type lab struct {
	*netlab.Lab
	reflector *lac.Reflector
	server    *l2tpns.Server
}

func startLab(t *testing.T, auth string) *lab {
	t.Helper()
	if testing.Short() {
		t.Skip("starts a server in namespaces")
	}
	if err := l2tpns.Available(); err != nil {
		t.Skip(err)
	}
	nets, err := netlab.New(fmt.Sprintf("lacsim%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := nets.Close(); err != nil {
			t.Error(err)
		}
	})
	l := &lab{Lab: nets}
	l.server, err = l2tpns.Start(nets.LNS, t.TempDir(), l2tpns.Config{
		Bind:     netlab.LNSAddr,
		Pool:     netip.PrefixFrom(netlab.Pool.Addr(), 16),
		Secret:   secret,
		Password: password,
		Auth:     auth,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.server.Stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Logf("l2tpns:\n%.20000s", l.server.Log())
		}
	})
	l.reflect(t)
	return l
}

func (l *lab) reflect(t *testing.T) {
	t.Helper()
	err := l.Core.Do(func() (err error) {
		l.reflector, err = lac.ListenReflector(netip.AddrPortFrom(netlab.CoreAddr, 7007))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error)
	go func() { ended <- l.reflector.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// run runs the emulator in the LAC's namespace.
func (l *lab) run(t *testing.T, cfg lac.Config) *lac.Report {
	t.Helper()
	cfg.LNS = netip.AddrPortFrom(netlab.LNSAddr, 1701)
	if cfg.Secret == "" {
		cfg.Secret = secret
	}
	if cfg.Password == "" {
		cfg.Password = password
	}
	cfg.User = "user%d"
	cfg.Timeout = 20 * time.Second
	cfg.Traffic.Target = l.reflector.Addr()
	var report *lac.Report
	err := l.LAC.Do(func() (err error) {
		report, err = lac.Run(t.Context(), cfg)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	report.WriteText(t.Output())
	return report
}

// An independent LNS takes our tunnels, calls and subscribers, gives each an address
// of its own, and carries their packets in both directions unharmed.
func TestAgainstL2TPNS(t *testing.T) {
	l := startLab(t, "chap, pap")
	const sessions = 50
	for _, c := range []struct {
		name string
		cfg  lac.Config
		// spare is how many sessions the peer may give up, which l2tpns does when a
		// line is bad at the wrong moment.
		spare int
	}{
		{name: "CHAP", cfg: lac.Config{Auth: ppp.CHAPMD5}},
		{name: "PAP", cfg: lac.Config{Auth: ppp.PAP, Teardown: lac.ByLAC}},
		{name: "hidden AVPs, length, address and control", cfg: lac.Config{
			// It answers a hidden challenge wrongly, other hidden AVPs it reads.
			Auth: ppp.CHAPMD5, HideAVPs: true, NoChallenge: true,
			Framing: lac.Framing{Length: true, AddressControl: lac.Always}, Teardown: lac.ByTunnel,
		}},
		{name: "loss and disorder", spare: sessions / 10, cfg: lac.Config{
			Auth: ppp.CHAPMD5, Impair: lac.Impair{Loss: 0.005, Duplicate: 0.05, Reorder: 0.05, Seed: 1},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := c.cfg
			cfg.Tunnels, cfg.Sessions, cfg.Parallel = 3, sessions, 20
			cfg.Hold = time.Second
			// It takes one SCCRQ at a time from a port.
			cfg.SocketPerTunnel = true
			// A busy machine may lose packets of a router in user space; what comes
			// must be right.
			cfg.Traffic = lac.Traffic{Rate: 500, Size: 600, Verify: true, Hops: 1, MaxLoss: 0.25}
			cfg.PerSession = true
			before := l.reflector.Counts()
			report := l.run(t, cfg)
			check(t, report, sessions, c.spare)
			got, tr := l.reflector.Counts().Probes-before.Probes, report.Traffic
			if tr != nil && (got > tr.Sent || got < tr.Received) {
				t.Errorf("the reflector saw %d packets, %d were sent and %d came back", got, tr.Sent, tr.Received)
			}
		})
	}
}

// check looks at every session but spare ones.
func check(t *testing.T, r *lac.Report, sessions, spare int) {
	t.Helper()
	if !r.OK() && spare == 0 {
		t.Errorf("not OK; failures: %+v", r.Failures)
	}
	if r.Sessions.Up < sessions-spare {
		t.Errorf("%d sessions came up of %d", r.Sessions.Up, sessions)
	}
	seen := make(map[netip.Addr]int)
	for _, s := range r.Each {
		if spare > 0 && !s.Address.IsValid() {
			continue
		}
		if !netlab.Pool.Contains(s.Address) {
			t.Errorf("session %d got address %v", s.Number, s.Address)
		}
		if other, ok := seen[s.Address]; ok {
			t.Errorf("sessions %d and %d both got %v", other, s.Number, s.Address)
		}
		seen[s.Address] = s.Number
	}
	if len(seen) != r.Sessions.Up {
		t.Errorf("%d addresses for %d sessions", len(seen), r.Sessions.Up)
	}
	if r.Traffic == nil || r.Traffic.Received < 100 || len(r.Traffic.Wrong) > 0 || r.Traffic.Misdelivered > 0 {
		t.Errorf("traffic: %+v", r.Traffic)
	}
	if spare > 0 {
		return // nor need it answer every Terminate-Request
	}
	if r.Teardown.UnansweredSessions != 0 || r.Teardown.UnansweredTunnels != 0 {
		t.Errorf("teardown: %+v", r.Teardown)
	}
}
