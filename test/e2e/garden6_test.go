package e2e

import (
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// A subscriber's IPv6 is in the garden too: questions to any name server go to the
// garden's, web pages lead to the portal, the rest is dropped, also from prefixes that it
// was delegated; and all of it works again outside.
func TestGardenIPv6(t *testing.T) {
	t.Parallel()
	r := newRig6(t, options{config: ipv6Pools + "\ngarden unpaid dns " + core6 + " portal http://pay.example/login?from=%u\n"})
	core := netip.MustParseAddr(core6)
	echo, dns := netip.AddrPortFrom(core, 4444), netip.MustParseAddrPort("[2001:db8:dead::53]:53")
	r.answeringAt(echo)
	r.answeringAt(netip.AddrPortFrom(core, 53))
	r.lacsim("--ipv6", "--tun", "sub0", "--hold", "forever")
	r.waitUp(1)
	r.until(patience, func() error {
		s := r.sessions6()["user1"]
		if len(s.Prefixes6) != 1 {
			return fmt.Errorf("the session has %+v", s)
		}
		_, err := r.globalOf("sub0", s.Prefixes6[0])
		return err
	})
	if err := r.ask(echo, patience); err != nil {
		t.Fatalf("before the garden: %v", err)
	}
	before := r.counters()
	r.ctl("garden", "user1", "unpaid")
	if err := r.ask(dns, patience); err != nil {
		t.Errorf("DNS in the garden: %v", err)
	}
	status, location, err := r.browse("http://[2001:db8:dead::80]/news?id=7")
	if want := "http://pay.example/login?from=http%3A%2F%2F%5B2001%3Adb8%3Adead%3A%3A80%5D%2Fnews%3Fid%3D7"; err != nil || status != 302 || location != want {
		t.Errorf("a web page in the garden: %d %q (%v), want %q", status, location, err, want)
	}
	if err := r.ask(echo, time.Second); err == nil {
		t.Error("the core answers a subscriber in the garden")
	}
	g := r.garden()
	if g.Sessions != 1 || g.DNS == 0 || g.Portal != 1 || g.UpDropped.Packets == 0 {
		t.Errorf("garden: %+v", g)
	}
	if moved := since(r.counters(), before); moved["xdp_punt_garden"] == 0 {
		t.Errorf("in the garden: %v", moved)
	}
	r.ctl("no", "garden", "user1")
	if err := r.ask(echo, patience); err != nil {
		t.Errorf("after the garden: %v", err)
	}
	if err := r.ask(dns, time.Second); err == nil {
		t.Error("DNS is redirected out of the garden")
	}
}
