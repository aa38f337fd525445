package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"
)

// atHome runs a program in the subscriber's namespace.
func (r *rig) atHome(name string, args ...string) (string, error) {
	return r.lab.LAC.Output(context.Background(), name, args...)
}

func (r *rig) must(name string, args ...string) string {
	r.t.Helper()
	out, err := r.atHome(name, args...)
	if err != nil {
		r.t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return out
}

// globalOf is the global address on an interface of the subscriber.
func (r *rig) globalOf(device string, within netip.Prefix) (netip.Addr, error) {
	out, err := r.atHome("ip", "-6", "-o", "addr", "show", "dev", device, "scope", "global")
	if err != nil {
		return netip.Addr{}, err
	}
	for _, word := range strings.Fields(out) {
		if p, err := netip.ParsePrefix(word); err == nil && within.Contains(p.Addr()) && !strings.Contains(out, "tentative") {
			return p.Addr(), nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s has no address in %v:\n%s", device, within, out)
}

// dhcp6c starts wide-dhcpv6-client on the subscriber's interface, with a network
// behind it that the delegated prefix is for. It keeps its identity in memory.
func (r *rig) dhcp6c() {
	r.t.Helper()
	client, err := exec.LookPath("dhcp6c")
	if err != nil {
		r.t.Skip("dhcp6c is not installed (Debian package wide-dhcpv6-client)")
	}
	r.must("ip", "link", "add", "home0", "type", "veth", "peer", "name", "home1")
	for _, name := range []string{"home0", "home1"} {
		r.must("ip", "link", "set", name, "up")
	}
	conf := `interface sub0 { send ia-pd 0; send ia-na 1; request domain-name-servers; request domain-name; };
id-assoc pd 0 { prefix-interface home0 { sla-id 1; sla-len 8; }; };
id-assoc na 1 { };
`
	if err := os.WriteFile(r.path("dhcp6c.conf"), []byte(conf), 0o600); err != nil {
		r.t.Fatal(err)
	}
	state := "mkdir -p /var/lib/dhcpv6 && mount -t tmpfs none /var/lib/dhcpv6 && exec "
	p, err := r.lab.LAC.Run(r.path("dhcp6c.log"), "unshare", "-m", "sh", "-c",
		state+client+" -f -D -c "+r.path("dhcp6c.conf")+" -p "+r.path("dhcp6c.pid")+" sub0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() {
		_ = p.Stop(syscall.SIGTERM, patience)
		if r.t.Failed() {
			r.t.Logf("dhcp6c printed:\n%s", tail(p.Log(), 6000))
		}
	})
}

// A subscriber with a Linux kernel that listens to router advertisements, and with
// a DHCPv6 client of other hands: both get what the LNS has for the session, and
// packets of every address of theirs pass, and no other.
func TestRealHost(t *testing.T) {
	t.Parallel()
	r := newRig6(t, options{config: ipv6Pools})
	p := r.lacsim("--ipv6", "--tun", "sub0", "--hold", "forever")
	r.waitUp(1)
	var s shown6
	r.until(10*time.Second, func() error {
		s = r.sessions6()["user1"]
		if len(s.Prefixes6) != 1 || len(s.Delegated) != 1 {
			return fmt.Errorf("the session has %+v", s)
		}
		return nil
	})
	var slaac netip.Addr
	r.until(15*time.Second, func() (err error) {
		slaac, err = r.globalOf("sub0", s.Prefixes6[0])
		return err
	})
	routes := r.must("ip", "-6", "route", "show", "default")
	if !strings.Contains(routes, "dev sub0 proto ra") {
		t.Errorf("the advertisement made no default route: %s", routes)
	}
	r.ping6(slaac, core6, "-c", "2")

	r.dhcp6c()
	var home netip.Addr
	r.until(20*time.Second, func() (err error) {
		home, err = r.globalOf("home0", s.Delegated[0])
		return err
	})
	r.until(10*time.Second, func() error {
		out, err := r.atHome("ip", "-6", "-o", "addr", "show", "dev", "sub0", "scope", "global")
		if err == nil && strings.Count(out, "inet6") < 2 {
			err = fmt.Errorf("no address by DHCPv6: %s", out)
		}
		return err
	})
	r.ping6(home, core6, "-c", "2")
	if show := r.ctl("show", "session", fmt.Sprint(s.SID)); strings.Count(show, " for 1:5") != 2 && strings.Count(show, " for 2:00") != 2 {
		t.Errorf("lnsctl shows no two leases of two hours:\n%s", show)
	}

	// An address that is nobody's.
	r.must("ip", "-6", "addr", "add", "2001:db8:bad::1/128", "dev", "home0", "nodad")
	before := r.counters()
	if out, err := r.atHome("ping", "-6", "-c", "2", "-W", "1", "-I", "2001:db8:bad::1", core6); err == nil {
		t.Errorf("a packet with a foreign source came through:\n%s", out)
	}
	if moved := since(r.counters(), before); moved["xdp_drop_source"] != 2 {
		t.Errorf("%d packets dropped for their source, want 2", moved["xdp_drop_source"])
	}
	r.tooBig(slaac, home)
	if err := p.Stop(syscall.SIGINT, patience); err != nil {
		t.Error(err)
	}
	r.waitEmpty()
}

// ping6 pings from an address of the subscriber.
func (r *rig) ping6(from netip.Addr, to string, more ...string) {
	r.t.Helper()
	args := append([]string{"-6", "-W", "2", "-i", "0.2", "-I", from.String()}, more...)
	r.until(10*time.Second, func() error {
		out, err := r.atHome("ping", append(args, to)...)
		if err != nil {
			err = fmt.Errorf("%w: %s", err, out)
		}
		return err
	})
}

// tooBig checks that both ends learn of packets that do not fit (RFC 8201): the core
// that the session's MTU is smaller, the subscriber that the LNS's link to the core is.
func (r *rig) tooBig(addresses ...netip.Addr) {
	r.t.Helper()
	told := func(run func(string, ...string) (string, error), mtu string, args ...string) {
		r.t.Helper()
		r.until(10*time.Second, func() error {
			out, _ := run("ping", append([]string{"-6", "-M", "do", "-c", "2", "-i", "0.3", "-W", "1"}, args...)...)
			if !strings.Contains(strings.ToLower(out), "mtu="+mtu) && !strings.Contains(strings.ToLower(out), "mtu: "+mtu) {
				return errors.New("not told of MTU " + mtu + ": " + out)
			}
			return nil
		})
	}
	core := func(name string, args ...string) (string, error) {
		return r.lab.Core.Output(context.Background(), name, args...)
	}
	told(core, "1460", "-s", "1452", addresses[0].String())
	if out, err := r.lab.LNS.Output(context.Background(), "ip", "link", "set", "lns1", "mtu", "1400"); err != nil {
		r.t.Fatalf("%v: %s", err, out)
	}
	for _, a := range addresses {
		told(r.atHome, "1400", "-s", "1400", "-I", a.String(), core6)
		r.must("ip", "-6", "route", "flush", "cache")
	}
}
