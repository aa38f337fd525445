package maps

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/vishvananda/netlink"
)

// The IPv6 side of the tests' subscriber and its surroundings.
var (
	net6       = netip.MustParsePrefix("2001:db8:64:7::/64")
	delegated  = netip.MustParsePrefix("2001:db8:d000::/56")
	single     = netip.MustParseAddr("2001:db8:1::77")
	sub6       = netip.MustParseAddr("2001:db8:64:7::1")
	server6    = netip.MustParseAddr("2001:db8:ffff::1") // by the default route
	linkLocal  = netip.MustParseAddr("fe80::7")
	allRouters = netip.MustParseAddr("ff02::2")
)

// addIPv6 gives the world's links IPv6:
//
//	lac0   2001:db8:a::1/64; ::2 resolved, ::63 not
//	core0  2001:db8:c::1/64; default route by ::2, ::99 not resolved
//	tun0   2001:db8:99::/48 by 2001:db8:98::2
//	       blackhole 2001:db8:bad::/48, mtu 1300 2001:db8:1300::/48
func (w *world) addIPv6() {
	w.t.Helper()
	w.must(os.WriteFile("/proc/sys/net/ipv6/conf/all/forwarding", []byte("1"), 0))
	add := func(dev, addr string) {
		a, err := netlink.ParseAddr(addr)
		w.must(err)
		a.Flags = 0x02 // IFA_F_NODAD
		w.must(netlink.AddrAdd(w.link[dev], a))
	}
	add("lac0", "2001:db8:a::1/64")
	add("core0", "2001:db8:c::1/64")
	add("tun0", "2001:db8:98::1/64")
	w.addNeigh("core0", "2001:db8:c::2", gwMAC)
	w.addNeigh("lac0", "2001:db8:a::2", peerMAC)
	w.addNeigh("tun0", "2001:db8:98::2", mac(0x13))
	gw := net.ParseIP("2001:db8:c::2")
	w.addRoute(&netlink.Route{Dst: cidr("::/0"), Gw: gw})
	w.addRoute(&netlink.Route{Dst: cidr("2001:db8:99::/48"), Gw: net.ParseIP("2001:db8:98::2")})
	w.addRoute(&netlink.Route{Dst: cidr("2001:db8:1300::/48"), Gw: gw, MTU: 1300, MTULock: true})
	w.addRoute(&netlink.Route{Dst: cidr("2001:db8:bad::/48"), Type: 6, LinkIndex: 1})
}

// session6 is the subscriber's session with IPv6 beside IPv4.
func session6() Session {
	s := subscriberSession()
	s.Prefixes6 = []netip.Prefix{net6, delegated, netip.PrefixFrom(single, 128)}
	return s
}

// header6 is the IPv6 header of a test packet; a hop limit of 0 means 64.
type header6 struct {
	src, dst netip.Addr
	next     byte
	hops     byte
	class    byte
	change   func(h []byte)
}

func (h header6) packet(payload []byte) []byte {
	b := make([]byte, 40, 40+len(payload))
	binary.BigEndian.PutUint32(b, 6<<28|uint32(h.class)<<20|0xABCDE)
	binary.BigEndian.PutUint16(b[4:], uint16(len(payload)))
	b[6] = h.next
	if b[7] = h.hops; h.hops == 0 {
		b[7] = 64
	}
	copy(b[8:], h.src.AsSlice())
	copy(b[24:], h.dst.AsSlice())
	if h.change != nil {
		h.change(b)
	}
	return append(b, payload...)
}

func udp6(src, dst netip.Addr, n int) []byte {
	return header6{src: src, dst: dst, next: 17}.packet(
		udp(netip.AddrPortFrom(src, 5000), netip.AddrPortFrom(dst, 53), data(n)))
}

var longPPP6 = []byte{0xFF, 0x03, 0x00, 0x57}

// uplink6Frame carries an IPv6 packet of the subscriber to us.
func uplink6Frame(inner []byte) []byte {
	return fromPeer(l2tpData{length: true, offset: -1, ppp: longPPP6}.message(inner))
}

func downlink6Frame(inner []byte) []byte { return ether(coreMAC, gwMAC, 0x86DD, inner) }

// toCore6 is the frame that carries an uplink packet on.
func toCore6(inner []byte) []byte { return ether(gwMAC, coreMAC, 0x86DD, hopped(inner)) }

// hopped is what a router makes of an IPv6 packet: hop limit one less.
func hopped(packet []byte) []byte {
	out := slices.Clone(packet)
	out[7]--
	return out
}

// counted6 is the movement of counters for an IPv6 packet that was forwarded.
func counted6(slot int, dir string, bytes int) []string {
	return append(counted(slot, dir, bytes), fmt.Sprintf("slot %d IPv6 %s +1 +%d bytes", slot, dir, bytes))
}

func shareMoved(slot int, now, before Share6) []string {
	var list []string
	if d, b := now.UpPackets-before.UpPackets, now.UpBytes-before.UpBytes; d|b != 0 {
		list = append(list, fmt.Sprintf("slot %d IPv6 up +%d +%d bytes", slot, d, b))
	}
	if d, b := now.DownPackets-before.DownPackets, now.DownBytes-before.DownBytes; d|b != 0 {
		list = append(list, fmt.Sprintf("slot %d IPv6 down +%d +%d bytes", slot, d, b))
	}
	return list
}

// runCases6 is runCases with a subscriber that has IPv6.
func runCases6(t *testing.T, w *world, cases []testCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w.enter(t)
			w.install(t, session6())
			c.check(t, w, reached{})
		})
	}
}
