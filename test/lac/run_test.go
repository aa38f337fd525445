package lac

import (
	"context"
	"net/netip"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

var target = netip.MustParseAddrPort("192.0.2.7:7007")

func run(t *testing.T, cfg Config) *Report {
	t.Helper()
	report, err := Run(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	report.WriteText(t.Output())
	return report
}

func TestRunsInEveryVariant(t *testing.T) {
	framed := func(f Framing) Config { return Config{Auth: ppp.CHAPMD5, Framing: f} }
	for _, c := range []struct {
		name string
		lns  fakeConfig
		cfg  Config
	}{
		{name: "CHAP", cfg: Config{Auth: ppp.CHAPMD5}},
		{name: "PAP, torn down by the LAC", cfg: Config{Auth: ppp.PAP, Teardown: ByLAC}},
		{name: "MS-CHAPv2, torn down by tunnel", cfg: Config{Auth: ppp.MSCHAPv2, Teardown: ByTunnel}},
		{name: "no authentication", lns: fakeConfig{link: ppp.Config{AuthOptional: true}}, cfg: Config{Auth: ppp.NoAuth}},
		{name: "proxy CHAP", cfg: Config{Auth: ppp.CHAPMD5, ProxyAuth: true}},
		{name: "proxy PAP", cfg: Config{Auth: ppp.PAP, ProxyAuth: true}},
		{name: "proxy refused", lns: fakeConfig{link: ppp.Config{Renegotiate: ppp.Always}}, cfg: Config{Auth: ppp.CHAPMD5, ProxyAuth: true}},
		{name: "tunnel secret, hidden", lns: fakeConfig{secret: "s"}, cfg: Config{Auth: ppp.PAP, Secret: "s", HideAVPs: true}},
		{name: "length", cfg: framed(Framing{Length: true})},
		{name: "sequence", cfg: framed(Framing{Sequence: true})},
		{name: "offset", cfg: framed(Framing{HasOffset: true, Offset: 5})},
		{name: "everything", cfg: framed(Framing{Length: true, Sequence: true, HasOffset: true, Offset: 16, AddressControl: Always})},
		{name: "compressed", lns: fakeConfig{link: ppp.Config{ACFC: true, PFC: true}}, cfg: Config{Auth: ppp.CHAPMD5, ACFC: true, PFC: true}},
		{name: "paced", cfg: Config{Auth: ppp.CHAPMD5, Rate: 400}},
		{name: "several sockets", cfg: Config{Auth: ppp.CHAPMD5, SocketPerTunnel: true, Workers: 2,
			Bind: []netip.Addr{netip.MustParseAddr("127.0.0.1"), netip.MustParseAddr("127.0.0.2")}}},
		{name: "disorder", cfg: Config{Auth: ppp.CHAPMD5, Impair: Impair{Duplicate: 0.1, Reorder: 0.02, Seed: 7}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, before) }) // after the LNS has gone
			cfg, lns := c.cfg, startFake(t, c.lns)
			cfg.LNS = lns.addr
			cfg.Tunnels, cfg.Sessions = 3, 40
			cfg.User, cfg.Password = "user%d", "right"
			cfg.Traffic = Traffic{Rate: 2000, Size: 300, Target: target, Verify: true, Hops: 1, Duration: 200 * time.Millisecond}
			report := run(t, cfg)
			if !report.OK() || report.Sessions.Up != 40 || report.Tunnels.Up != 3 {
				t.Errorf("not OK: %+v", report.Failures)
			}
			if tr := report.Traffic; tr == nil || tr.Received == 0 || tr.Received != tr.Sent {
				t.Errorf("traffic: %+v", tr)
			}
			if report.Teardown.Sessions != 40 || report.Teardown.Tunnels != 3 {
				t.Errorf("teardown: %+v", report.Teardown)
			}
			if cfg.ProxyAuth && lns.proxied != 40 {
				t.Errorf("%d calls came with proxy AVPs", lns.proxied)
			}
		})
	}
}

// The header bits that were asked for are those on the wire.
func TestFramingIsWhatWasAskedFor(t *testing.T) {
	var flags, other atomic.Uint32
	lns := startFake(t, fakeConfig{seen: func(h l2tp.Header, _ int) {
		if old := flags.Swap(uint32(h.Flags) + 1); old != 0 && old != uint32(h.Flags)+1 {
			other.Add(1)
		}
	}})
	run(t, Config{
		LNS: lns.addr, Auth: ppp.PAP,
		Framing: Framing{Length: true, Sequence: true, HasOffset: true},
		Traffic: Traffic{Rate: 100, Target: target, Duration: 100 * time.Millisecond},
	})
	want := uint32(2|l2tp.FlagLength|l2tp.FlagSequence|l2tp.FlagOffset) + 1
	if flags.Load() != want || other.Load() != 0 {
		t.Errorf("flags %#x and %d others, want %#x", flags.Load()-1, other.Load(), want-1)
	}
}

func TestFailuresAreNamed(t *testing.T) {
	for _, c := range []struct {
		name string
		lns  fakeConfig
		cfg  Config
		want Failure
	}{
		{"wrong password", fakeConfig{}, Config{Auth: ppp.PAP, Password: wrongPassword},
			Failure{Stage: "auth", Cause: "auth_failed", Code: 3, Meaning: "administrative reasons", Message: "auth failed", Count: 10}},
		{"refused call", fakeConfig{reject: func(n int) bool { return n > 7 }}, Config{Auth: ppp.CHAPMD5},
			Failure{Stage: "call", Cause: "cdn", Code: 8, Meaning: "busy", Message: "full", Count: 3}},
		{"wrong secret", fakeConfig{secret: "a"}, Config{Auth: ppp.CHAPMD5, Secret: "b"},
			Failure{Stage: "call", Cause: "no_tunnel", Count: 10}},
		{"no method agreed", fakeConfig{link: ppp.Config{Auth: []ppp.Auth{ppp.PAP}}}, Config{Auth: ppp.CHAPMD5, Timeout: 2 * time.Second},
			Failure{Stage: "lcp", Count: 10}},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, lns := c.cfg, startFake(t, c.lns)
			cfg.LNS = lns.addr
			cfg.Sessions = 10
			report := run(t, cfg)
			if report.OK() {
				t.Error("the run is reported as OK")
			}
			if report.Sessions.Failed != c.want.Count || report.Sessions.Up != 10-c.want.Count {
				t.Errorf("%d failed, %d up", report.Sessions.Failed, report.Sessions.Up)
			}
			for _, f := range report.Failures {
				f.Message = ternary(c.want.Message == "", "", f.Message)
				f.Cause = ternary(c.want.Cause == "", "", f.Cause)
				if c.want.Cause == "" {
					f.Code, f.Meaning = 0, ""
				}
				if f == c.want {
					return
				}
			}
			t.Errorf("failures %+v, want %+v", report.Failures, c.want)
		})
	}
}

func ternary[T any](c bool, a, b T) T {
	if c {
		return a
	}
	return b
}

// An LNS that does not exist is given up on, and said to be silent or slow.
func TestNobodyThere(t *testing.T) {
	report := run(t, Config{LNS: netip.MustParseAddrPort("127.0.0.1:9"), Tunnels: 2, Sessions: 4, Timeout: 300 * time.Millisecond})
	if report.OK() || report.Tunnels.Failed != 2 || report.Sessions.Failed != 4 {
		t.Errorf("report: %+v %+v", report.Tunnels, report.Sessions)
	}
}

// Wrong echoes are found and make the run fail.
func TestWrongEchoesAreFound(t *testing.T) {
	one := func(f func(p []byte)) func([]byte) [][]byte {
		return func(p []byte) [][]byte { f(p); reseal(p); return [][]byte{p} }
	}
	for _, c := range []struct {
		name   string
		mangle func([]byte) [][]byte
		wrong  string
	}{
		{"payload", one(func(p []byte) { p[len(p)-1] ^= 1 }), "payload_checksum"},
		{"ttl", one(func(p []byte) { p[8]-- }), "ttl"},
		{"address", one(func(p []byte) { p[15]++ }), "address"},
		{"port", one(func(p []byte) { p[21]++ }), "port"},
		{"udp checksum", func(p []byte) [][]byte { p[26] ^= 1; return [][]byte{p} }, "udp_checksum"},
		{"ip checksum", func(p []byte) [][]byte { p[10] ^= 1; return [][]byte{p} }, "ip_checksum"},
		{"lost", func(p []byte) [][]byte { return nil }, ""},
		{"twice", func(p []byte) [][]byte { return [][]byte{p, p} }, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			lns := startFake(t, fakeConfig{mangle: c.mangle})
			report := run(t, Config{
				LNS: lns.addr, Auth: ppp.PAP, Sessions: 2,
				Traffic: Traffic{Rate: 500, Target: target, Duration: 100 * time.Millisecond, Verify: true, Hops: 1},
			})
			if report.OK() {
				t.Error("the run is reported as OK")
			}
			tr := report.Traffic
			if c.wrong != "" && tr.Wrong[c.wrong] != tr.Sent {
				t.Errorf("wrong: %v, want %d %s", tr.Wrong, tr.Sent, c.wrong)
			}
			if c.name == "twice" && tr.Duplicated != tr.Sent {
				t.Errorf("%d duplicated of %d", tr.Duplicated, tr.Sent)
			}
			if c.name == "lost" && tr.Lost != tr.Sent {
				t.Errorf("%d lost of %d", tr.Lost, tr.Sent)
			}
		})
	}
}

// Packets sent in fragments come back in fragments and are put together.
func TestFragmentsBothWays(t *testing.T) {
	report := run(t, Config{
		LNS: startFake(t, fakeConfig{}).addr, Auth: ppp.PAP, Sessions: 3,
		Traffic: Traffic{Rate: 300, Size: 3000, Fragment: 1400, Target: target, Duration: 100 * time.Millisecond},
	})
	tr := report.Traffic
	if tr.Received != tr.Sent || tr.Fragments != 3*tr.Sent {
		t.Errorf("traffic: %+v", tr)
	}
}

// The end of the context ends a run in order, from any phase.
func TestInterrupted(t *testing.T) {
	for _, c := range []struct {
		phase       Phase
		hold        time.Duration
		interrupted bool
	}{
		{PhaseSetup, time.Hour, true},
		{PhaseTraffic, time.Hour, true},
		{PhaseHold, time.Hour, true},
		{PhaseHold, Forever, false},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		cfg := Config{
			LNS: startFake(t, fakeConfig{}).addr, Auth: ppp.CHAPMD5, Sessions: 20, Hold: c.hold, Timeout: 30 * time.Second,
			Traffic: Traffic{Rate: 100, Target: target, Duration: 50 * time.Millisecond},
			Phase: func(p Phase, _ *Report) {
				if p == c.phase {
					cancel()
				}
			},
		}
		if c.phase == PhaseSetup {
			cfg.Rate = 1 // which would take 20 s
		}
		report, err := Run(ctx, cfg)
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		if report.Interrupted != c.interrupted || !report.OK() {
			t.Errorf("%v: interrupted %v, failures %v", c.phase, report.Interrupted, report.Failures)
		}
		if s := report.Sessions; s.Up+s.Unstarted != 20 || report.Teardown.Sessions != s.Up {
			t.Errorf("%v: %+v, torn down: %+v", c.phase, s, report.Teardown)
		}
	}
}

// Nobody waits for an LNS that never answered.
func TestInterruptedWithNobodyThere(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	report, err := Run(ctx, Config{LNS: netip.MustParseAddrPort("127.0.0.1:9"), Sessions: 3})
	if err != nil {
		t.Fatal(err)
	}
	if !report.Interrupted || report.Sessions.Unstarted != 3 || time.Duration(report.Duration) > 10*time.Second {
		t.Errorf("%+v", report)
	}
}

// Subscribers whose Terminate-Request is not answered are counted.
func TestUnansweredTeardown(t *testing.T) {
	lns := startFake(t, fakeConfig{})
	cfg := Config{LNS: lns.addr, Auth: ppp.PAP, Sessions: 3, Timeout: 5 * time.Second}
	cfg.Phase = func(p Phase, _ *Report) {
		if p == PhaseTeardown {
			lns.mu.Lock()
			defer lns.mu.Unlock()
			clear(lns.tunnels) // it has forgotten everything
		}
	}
	report := run(t, cfg)
	if r := report.Teardown; r.UnansweredSessions != 3 || r.UnansweredTunnels != 1 || r.Sessions != 0 || r.Tunnels != 0 {
		t.Errorf("%+v", r)
	}
}

// Sessions that the LNS ends are lost, and the run fails.
func TestLostSessions(t *testing.T) {
	lns := startFake(t, fakeConfig{})
	cfg := Config{LNS: lns.addr, Auth: ppp.PAP, Sessions: 5, Hold: time.Hour}
	cfg.Phase = func(p Phase, _ *Report) {
		if p != PhaseHold {
			return
		}
		lns.mu.Lock()
		defer lns.mu.Unlock()
		for _, tun := range lns.tunnels {
			tun.act(func(out *l2tp.Out) { tun.l2tp.Close(time.Now(), l2tp.Result{Code: l2tp.StopShutdown}, out) })
		}
		lns.sender.Flush()
	}
	report := run(t, cfg)
	if report.OK() || report.Sessions.Lost != 5 || report.Tunnels.Lost != 1 {
		t.Errorf("report: %+v %+v", report.Tunnels, report.Sessions)
	}
}

func TestConfigIsChecked(t *testing.T) {
	good := Config{LNS: netip.MustParseAddrPort("192.0.2.1:1701")}
	if err := good.Check(); err != nil {
		t.Errorf("the defaults are refused: %v", err)
	}
	for name, spoil := range map[string]func(*Config){
		"no LNS":            func(c *Config) { c.LNS = netip.AddrPort{} },
		"too many sessions": func(c *Config) { c.Sessions = 65536 },
		"two verbs":         func(c *Config) { c.User = "%d@%d" },
		"wrong verb":        func(c *Config) { c.User = "%s" },
		"no target":         func(c *Config) { c.Traffic.Rate, c.Hold = 1, 1 },
		"no time":           func(c *Config) { c.Traffic.Rate, c.Traffic.Target = 1, target },
		"small packets":     func(c *Config) { c.Traffic = Traffic{Rate: 1, Target: target, Duration: 1, Size: 67} },
		"both rates":        func(c *Config) { c.Traffic = Traffic{Rate: 1, PerSession: 1, Target: target, Duration: 1} },
		"certain loss":      func(c *Config) { c.Impair.Loss = 1 },
		"negative offset":   func(c *Config) { c.Framing.Offset = -1 },
	} {
		c := good
		spoil(&c)
		if c.Check() == nil {
			t.Errorf("%s: not refused", name)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, c := range [][2]string{{"user%d", "user7"}, {"u%03d@x", "u007@x"}, {"100%%", "100%"}, {"100%%-%d", "100%-7"}, {"plain", "plain"}} {
		if got := expand(c[0], 7); got != c[1] {
			t.Errorf("expand(%q) = %q, want %q", c[0], got, c[1])
		}
	}
}
