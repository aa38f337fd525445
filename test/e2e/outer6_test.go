package e2e

import (
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// A LAC that speaks IPv6 is served as one that speaks IPv4, beside it, with XDP and
// without: tunnels, sessions, packets of every dress both ways, each counted once.
func TestLACOverIPv6(t *testing.T) {
	t.Parallel()
	for _, mode := range []string{"auto", "none"} {
		t.Run(mode, func(t *testing.T) {
			t.Parallel()
			r := newLab(t)
			if err := r.lab.AddIPv6(); err != nil {
				t.Fatal(err)
			}
			r.writeConfig(options{config: "set bind_address6 " + netlab.LNSAddr6.String() + "\nset xdp_mode " + mode +
				"\nlac six address fd00:1::/64\nlac four address " + netlab.LACAddr.String()})
			r.startLNSD()
			r.reflect()
			four := r.lacsim(append(traffic("--traffic-per-session", "20", "--hops", "1"), "--sessions", "3", "--user", "four%d", "--json", r.path("four.json"))...)
			six := r.lacsimOver(netlab.LACAddr6, netlab.LNSAddr6, append(traffic("--traffic-per-session", "50", "--hops", "1"),
				"--tunnels", "2", "--sessions", "10")...)
			r.waitUp(13)
			shown := r.settled()
			report := r.leave(six)
			for address, s := range shown {
				if !s.FastPath && mode != "none" && report.Each != nil {
					t.Errorf("session of %s is not in the maps", address)
				}
			}
			for _, want := range report.Each {
				got := shown[want.Address]
				if want.SentPackets == 0 || got.UpPackets != want.SentPackets || got.DownPackets != want.ReceivedPackets {
					t.Errorf("session of %s: counted up %d, down %d; sent %d, received %d", want.User,
						got.UpPackets, got.DownPackets, want.SentPackets, want.ReceivedPackets)
				}
			}
			if err := four.Stop(syscall.SIGINT, patience); err != nil {
				t.Errorf("over IPv4: %v", err)
			}
			r.waitEmpty()
			r.outer6Variants()
		})
	}
}

// outer6Variants runs packets of every size and dress over IPv6.
func (r *rig) outer6Variants() {
	t := r.t
	for name, args := range map[string][]string{
		"smallest":  {"--ff03", "never", "--packet-size", "68"},
		"largest":   {"--packet-size", "1432", "--length-bit"},
		"fragments": {"--packet-size", "3000", "--fragment", "1400"},
		"sequence":  {"--sequence", "--length-bit"},
		"offset":    {"--offset", "7", "--ff03", "always"},
	} {
		p := r.lacsimOver(netlab.LACAddr6, netlab.LNSAddr6, append([]string{"--sessions", "3", "--traffic-target", echoTarget,
			"--traffic", "60", "--verify", "--hold", "1s"}, args...)...)
		if report := r.finish(p, 30*time.Second, true); report.Traffic.Received == 0 {
			t.Errorf("%s: nothing came back", name)
		}
	}
	r.waitEmpty()
}
