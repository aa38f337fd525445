package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/lnsd/lnsd/test/lac"
)

// The IPv6 side of the lab: the link between LNS and core, and what the core routes
// to the LNS.
const (
	lnsCore6 = "2001:db8:c0de::2"
	core6    = "2001:db8:c0de::1"
	all6     = "2001:db8:1000::/36"
)

const ipv6Pools = `pool6 default add 2001:db8:1000::/48 64
pool6 pd add 2001:db8:1100::/40 56
set primary_ipv6_dns 2001:db8:c0de::53
set default_ipv6_domain_list example.net
set ipv6_ra_interval 4
`

var echoTarget6 = fmt.Sprintf("[%s]:%d", core6, echoPort)

// newRig6 is newRig in a lab with IPv6.
func newRig6(t *testing.T, o options) *rig {
	t.Helper()
	r := newLab(t)
	r.wire6()
	r.writeConfig(o)
	r.startLNSD()
	return r
}

// wire6 gives the link to the core its IPv6 addresses and routes.
func (r *rig) wire6() {
	r.t.Helper()
	for _, c := range []struct {
		in interface {
			Output(context.Context, string, ...string) (string, error)
		}
		args string
	}{
		{r.lab.LNS, "addr add " + lnsCore6 + "/64 dev lns1 nodad"},
		{r.lab.Core, "addr add " + core6 + "/64 dev core0 nodad"},
		{r.lab.LNS, "route add default via " + core6},
		{r.lab.Core, "route add " + all6 + " via " + lnsCore6},
	} {
		if out, err := c.in.Output(context.Background(), "ip", append([]string{"-6"}, strings.Fields(c.args)...)...); err != nil {
			r.t.Fatalf("ip -6 %s: %v\n%s", c.args, err, out)
		}
	}
}

// reflect6 starts the echo for IPv6.
func (r *rig) reflect6() {
	r.t.Helper()
	p, err := r.lab.Core.Run(r.path("reflect6.log"), binary("lacsim"), "reflect", "--listen", echoTarget6)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = p.Stop(syscall.SIGINT, patience) })
	r.until(5*time.Second, func() error {
		out, err := r.lab.Core.Output(context.Background(), "ss", "-Hlun6")
		if err == nil && !strings.Contains(out, fmt.Sprintf(":%d", echoPort)) {
			err = errors.New("the reflector does not listen yet")
		}
		return err
	})
}

// shown6 is what these tests read of a session's IPv6.
type shown6 struct {
	SID          uint32         `json:"sid"`
	User         string         `json:"user"`
	Address      string         `json:"address"`
	IPv6         bool           `json:"ipv6"`
	FastPath     bool           `json:"fast_path"`
	Prefixes6    []netip.Prefix `json:"prefixes6"`
	Delegated    []netip.Prefix `json:"delegated"`
	Addresses6   []netip.Addr   `json:"addresses6"`
	UpPackets    uint64         `json:"up_packets"`
	UpBytes      uint64         `json:"up_bytes"`
	DownPackets  uint64         `json:"down_packets"`
	DownBytes    uint64         `json:"down_bytes"`
	UpPackets6   uint64         `json:"up_packets6"`
	UpBytes6     uint64         `json:"up_bytes6"`
	DownPackets6 uint64         `json:"down_packets6"`
	DownBytes6   uint64         `json:"down_bytes6"`
}

// sessions6 lists the sessions by their users.
func (r *rig) sessions6() map[string]shown6 {
	r.t.Helper()
	var list []shown6
	r.ctlJSON(&list, "show", "session")
	out := map[string]shown6{}
	for _, s := range list {
		out[s.User] = s
	}
	return out
}

// settled6 waits until the counters stand still.
func (r *rig) settled6() map[string]shown6 {
	r.t.Helper()
	var last map[string]shown6
	still := time.Now()
	r.until(20*time.Second, func() error {
		now := r.sessions6()
		moved := len(last) != len(now)
		for user, s := range now {
			if old := last[user]; old.UpPackets != s.UpPackets || old.DownPackets != s.DownPackets || s.UpPackets == 0 {
				moved = true
			}
		}
		last = now
		if moved {
			still = time.Now()
		}
		if time.Since(still) < time.Second {
			time.Sleep(200 * time.Millisecond)
			return errors.New("counters still move")
		}
		return nil
	})
	return last
}

// compare6 checks the counters of each session, of both families together and of
// IPv6 alone, against what its subscriber sent and received.
func compare6(t *testing.T, shown map[string]shown6, report lac.Report) {
	t.Helper()
	if len(report.Each) == 0 || len(shown) != len(report.Each) {
		t.Fatalf("%d sessions shown, %d in lacsim's report", len(shown), len(report.Each))
	}
	for _, e := range report.Each {
		s := shown[e.User]
		got := [8]uint64{s.UpPackets, s.UpBytes, s.DownPackets, s.DownBytes, s.UpPackets6, s.UpBytes6, s.DownPackets6, s.DownBytes6}
		want := [8]uint64{e.SentPackets + e.SentPackets6, e.SentBytes + e.SentBytes6, e.ReceivedPackets + e.ReceivedPackets6,
			e.ReceivedBytes + e.ReceivedBytes6, e.SentPackets6, e.SentBytes6, e.ReceivedPackets6, e.ReceivedBytes6}
		if got != want {
			t.Errorf("%s: the LNS counted %v, the subscriber %v", e.User, got, want)
		}
		if !s.FastPath {
			t.Errorf("%s is not in the maps", e.User)
		}
	}
}

// IPv4-only, IPv6-only and dual subscribers, each with its traffic both ways through
// XDP, every packet counted for its session, direction and family.
func TestThreeKindsOfSubscribers(t *testing.T) {
	t.Parallel()
	r := newRig6(t, options{config: ipv6Pools})
	r.reflect()
	r.reflect6()
	// The first packets resolve the neighbours; what follows is steady state.
	warm := r.lacsim("--sessions", "2", "--ipv6", "--ipv6-need", "prefix", "--traffic-target", echoTarget,
		"--traffic-target6", echoTarget6, "--traffic", "20", "--hold", "1s")
	r.finish(warm, 30*time.Second, true)
	r.waitEmpty()
	for _, kind := range []struct {
		name         string
		has4, has6   bool
		args         []string
		prefixes, pd int
	}{
		{"dual", true, true, []string{"--ipv6", "--ipv6-need", "prefix,delegated,address", "--traffic-target", echoTarget, "--traffic-target6", echoTarget6}, 1, 1},
		{"only6", false, true, []string{"--ipv6", "--no-ipv4", "--ipv6-need", "prefix", "--traffic-target6", echoTarget6}, 1, 1},
		{"only4", true, false, []string{"--traffic-target", echoTarget}, 0, 0},
	} {
		t.Run(kind.name, func(t *testing.T) {
			before := r.counters()
			p := r.lacsim(append(kind.args, "--user", kind.name+"%d", "--sessions", "20", "--tunnels", "2", "--verify", "--per-session", "--hops", "1",
				"--traffic-per-session", "20", "--traffic-time", "1s", "--hold", "forever")...)
			r.waitUp(20)
			shown := r.settled6()
			moved := since(r.counters(), before)
			report := r.leave(p)
			compare6(t, shown, report)
			held := map[netip.Prefix]bool{}
			for _, e := range report.Each {
				s := shown[e.User]
				if s.IPv6 != kind.has6 || len(s.Prefixes6) != kind.prefixes || len(s.Delegated) != kind.pd {
					t.Errorf("%s: %+v", e.User, s)
				}
				if (e.SentPackets > 0) != kind.has4 || (e.SentPackets6 > 0) != kind.has6 {
					t.Errorf("%s sent %d packets of IPv4 and %d of IPv6", e.User, e.SentPackets, e.SentPackets6)
				}
				for _, n := range append(s.Prefixes6, s.Delegated...) {
					if held[n] {
						t.Errorf("%s is given out twice", n)
					}
					held[n] = true
				}
				if kind.has6 && (e.Prefix6 != s.Prefixes6[0] || len(e.DNS6) != 1 || e.MTU6 == 0) {
					t.Errorf("%s was told %v, %v, MTU %d; the LNS says %v", e.User, e.Prefix6, e.DNS6, e.MTU6, s.Prefixes6)
				}
				if kind.name == "dual" && (e.Delegated != s.Delegated[0] || !e.Prefix6.Contains(e.Leased6)) {
					t.Errorf("%s was delegated %v and given %v; the LNS says %v of %v", e.User, e.Delegated, e.Leased6, s.Delegated, s.Prefixes6)
				}
			}
			if moved["xdp_sent_up"] != report.Traffic.Sent || moved["xdp_sent_down"] != report.Traffic.Received {
				t.Errorf("XDP sent %d packets up and %d down; subscribers sent %d and received %d",
					moved["xdp_sent_up"], moved["xdp_sent_down"], report.Traffic.Sent, report.Traffic.Received)
			}
			r.waitEmpty()
		})
	}
	var pools []struct {
		Name   string `json:"name"`
		Length int    `json:"length"`
		Used   int    `json:"used"`
	}
	r.ctlJSON(&pools, "show", "pool", "--summary")
	if len(pools) != 3 || pools[2].Name != "pd" || pools[2].Length != 56 || pools[2].Used != 0 {
		t.Errorf("pools %+v", pools)
	}
}

// What RADIUS grants is what the subscriber gets, and what the account names; it does
// not matter that the packaged configuration has no pool of prefixes.
func TestIPv6FromRADIUS(t *testing.T) {
	t.Parallel()
	r := newLab(t)
	r.wire6()
	config := r.freeradius(strings.ReplaceAll("user1 Cleartext-Password := \""+userPassword+"\"; Framed-Interface-Id = 0:5e00:0:7,; "+
		"Framed-IPv6-Prefix = 2001:db8:1001::/64,; Framed-IPv6-Address = 2001:db8:1002::7,; Delegated-IPv6-Prefix = 2001:db8:1003::/56,; "+
		"Delegated-IPv6-Prefix += 2001:db8:1004::/48,; Framed-IPv6-Route = \"2001:db8:1005::/56 :: 1\",; DNS-Server-IPv6-Address = 2001:db8::5300", "; ", "\n\t"))
	r.writeConfig(options{config: config})
	r.startLNSD()
	r.reflect6()
	p := r.lacsim("--ipv6", "--ipv6-need", "prefix,delegated,address", "--traffic-target6", echoTarget6, "--verify", "--per-session",
		"--traffic-per-session", "20", "--traffic-time", "1s", "--hold", "forever")
	r.waitUp(1)
	shown := r.settled6()
	report := r.leave(p)
	compare6(t, shown, report)
	e := report.Each[0]
	if e.InterfaceID != "00005e0000000007" || e.Address6.String() != "2001:db8:1001::5e00:0:7" || e.Leased6.String() != "2001:db8:1002::7" ||
		len(e.DNS6) != 1 || e.DNS6[0].String() != "2001:db8::5300" || !netip.MustParsePrefix("2001:db8:1000::/44").Contains(e.Delegated.Addr()) {
		t.Errorf("the subscriber got %+v", e)
	}
	r.waitEmpty()
	r.until(10*time.Second, func() error {
		for _, record := range r.accounting() {
			if record["Acct-Status-Type"] != "Stop" {
				continue
			}
			for name, want := range map[string]string{
				"Framed-Interface-Id": "0:5e00:0:7", "Framed-IPv6-Prefix": "2001:db8:1001::/64", "Framed-IPv6-Address": "2001:db8:1002::7",
				"Delegated-IPv6-Prefix": "2001:db8:1004::/48", "Framed-IPv6-Route": "2001:db8:1005::/56 :: 1",
				"ERX-IPv6-Acct-Input-Packets": fmt.Sprint(e.SentPackets6), "ERX-IPv6-Acct-Input-Octets": fmt.Sprint(e.SentBytes6),
				"ERX-IPv6-Acct-Output-Packets": fmt.Sprint(e.ReceivedPackets6), "ERX-IPv6-Acct-Output-Octets": fmt.Sprint(e.ReceivedBytes6),
				"Acct-Input-Packets": fmt.Sprint(e.SentPackets + e.SentPackets6),
			} {
				if record[name] != want { // of several the last one
					t.Errorf("%s is %q in the Stop, want %q", name, record[name], want)
				}
			}
			return nil
		}
		return errors.New("no Stop yet")
	})
}
