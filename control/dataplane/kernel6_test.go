package dataplane_test

import (
	"bytes"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/netlab"
)

// TestIPv6: on real interfaces, IPv6 goes both ways by XDP alone, counted by
// itself and in the whole, to the last packet.
func TestIPv6(t *testing.T) {
	r := newRig(t, func(c *dataplane.Config) { c.IPv6 = true })
	device := strings.Fields(r.ip(r.lab.Core, "ip", "-o", "-4", "addr", "show", "to", netlab.CoreAddr.String()))[1]
	if err := r.lab.LNS.Do(func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0)
	}); err != nil {
		t.Fatal(err)
	}
	r.ip(r.lab.LNS, "ip", "-6", "addr", "add", "2001:db8:c::1/64", "dev", netlab.CoreSide, "nodad")
	r.ip(r.lab.Core, "ip", "-6", "addr", "add", "2001:db8:c::2/64", "dev", device, "nodad")
	r.ip(r.lab.Core, "ip", "-6", "route", "add", "default", "via", "2001:db8:c::1")
	r.ip(r.lab.LNS, "ping", "-c", "1", "-W", "5", "2001:db8:c::2")

	rec := newRecord(addrOf(r.lac))
	rec.Prefixes6 = []netip.Prefix{netip.MustParsePrefix("2001:db8:64:7::/64"), netip.MustParsePrefix("2001:db8:d000::/56")}
	if a := r.apply(session.ProgramOp{Record: rec}); a.Err != nil {
		t.Fatal(a.Err)
	}
	var c *net.UDPConn
	if err := r.lab.Core.Do(func() (err error) {
		c, err = net.ListenUDP("udp6", &net.UDPAddr{IP: net.ParseIP("2001:db8:c::2")})
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	for _, src := range []string{"2001:db8:64:7::1", "2001:db8:d000:9::1"} {
		sub := netip.AddrPortFrom(netip.MustParseAddr(src), 5000)
		// From the core first: what it sends comes back to it from the
		// subscriber with ports and addresses exchanged, so that it is the
		// core's kernel that makes and checks the checksum.
		payload := []byte("over IPv6 to and from " + src)
		if _, err := c.WriteToUDPAddrPort(payload, sub); err != nil {
			t.Fatal(err)
		}
		_, frame, err := l2tp.ParseHeader(r.expect(r.lac))
		if err != nil {
			t.Fatal(err)
		}
		ip, ok := l2tp.DataIP(frame)
		if !ok || len(ip) != 48+len(payload) || ip[0]>>4 != 6 || ip[7] != 63 || !bytes.Equal(ip[48:], payload) {
			t.Fatalf("%x", frame)
		}
		back := bytes.Clone(ip)
		copy(back[8:], ip[24:40])
		copy(back[24:], ip[8:24])
		copy(back[40:], ip[42:44])
		copy(back[42:], ip[40:42])
		b := l2tp.AppendDataIP(nil, l2tp.Framing{AddressControl: true}, 100, 5, 0, back)
		if _, err := r.lac.WriteToUDPAddrPort(b, lns); err != nil {
			t.Fatal(err)
		}
		if got := r.expect(c); !bytes.Equal(got, payload) {
			t.Errorf("%q", got)
		}
	}
	final := r.apply(session.ProgramOp{Remove: true, Record: rec}).Final
	n := uint64(2*48 + 2*len("over IPv6 to and from ") + len("2001:db8:64:7::1") + len("2001:db8:d000:9::1"))
	want := session.Counters{
		UpPackets: 2, UpBytes: n, UpPackets6: 2, UpBytes6: n, DownPackets: 2, DownBytes: n, DownPackets6: 2, DownBytes6: n,
		LastSeen: final.LastSeen,
	}
	if final != want {
		t.Errorf("%+v\nwant %+v", final, want)
	}
}
