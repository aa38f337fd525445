package tun_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/tun"
	"github.com/lnsd/lnsd/control/udp"
	"github.com/lnsd/lnsd/test/netlab"
)

// A router on the way to the LAC says that an outer packet was too big: the
// sender inside learns what fits, and what may be cut is cut to that.
func TestOuterPathMTU(t *testing.T) {
	r := newLab(t)
	r.path = openWith(t, r.lab.LNS, tun.Config{
		Name: "sub%d", Address: gateway, Pools: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/24")},
		MaxSlot: 16, ICMPRate: 100, Forwarding: true, Offload: true, DontFragment: true,
	}, udp.Config{Bind: r.lns, DontFragment: true})
	lacSocket := listen(t, r.lab.LAC, netip.AddrPortFrom(netlab.LACAddr, 0))
	background(t, func(ctx context.Context) error {
		return lacSocket.Run(ctx, func(_, _ netip.AddrPort, b []byte) { r.fromLNS <- bytes.Clone(b) })
	})
	r.lac, r.lacAddr = lacSocket.NewSender(), lacSocket.LocalAddr()
	r.install(1, subscriber, 1400)
	sub := netip.AddrPortFrom(subscriber, 5000)
	c := r.core()
	mtuDiscover(t, c, unix.IP_PMTUDISC_DO)
	if _, err := c.WriteToUDPAddrPort(pattern(1372), sub); err != nil {
		t.Fatal(err)
	}
	r.down(1, func(ip []byte) bool { return len(ip) == 1400 })

	const outer, fits = 1200, 1200 - 28 - 12
	r.tooBig(outer)
	err := netlab.Until(wait, func() error {
		if _, err := c.WriteToUDPAddrPort(pattern(1372), sub); !errors.Is(err, syscall.EMSGSIZE) {
			return fmt.Errorf("1400 bytes: %v, want EMSGSIZE; counters %v", err, r.path.Counts())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteToUDPAddrPort(pattern(fits-28+1), sub); !errors.Is(err, syscall.EMSGSIZE) {
		t.Errorf("%d bytes: %v, want EMSGSIZE", fits+1, err)
	}
	if _, err := c.WriteToUDPAddrPort(pattern(fits-28), sub); err != nil {
		t.Fatal(err)
	}
	r.down(1, func(ip []byte) bool { return len(ip) == fits })

	// Another sender, which lets its packets be cut.
	big := datagram(netip.AddrPortFrom(netlab.CoreAddr, 7), sub, 64, false, pattern(1372))
	r.raw(r.lab.Core, big)
	first := r.down(1, func(ip []byte) bool { return isUDP(ip) && ip[6]&0x20 != 0 })
	second := r.down(1, func(ip []byte) bool { return isUDP(ip) && ip[7] != 0 })
	if len(first) > fits || !bytes.Equal(append(bytes.Clone(first[28:]), second[20:]...), pattern(1372)) {
		t.Errorf("fragments of %d and %d bytes", len(first), len(second))
	}
}

// tooBig sends the LNS the ICMP message of a router that has an MTU, about a data
// packet to the LAC.
func (r *rig) tooBig(mtu uint16) {
	r.t.Helper()
	quoted := datagram(r.lns, r.lacAddr, 60, true, pattern(1400))[:28]
	m := binary.BigEndian.AppendUint16([]byte{3, 4, 0, 0, 0, 0}, mtu)
	m = append(m, quoted...)
	var s uint32
	for i := 0; i < len(m); i += 2 {
		s += uint32(binary.BigEndian.Uint16(m[i:]))
	}
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	binary.BigEndian.PutUint16(m[2:], ^uint16(s))
	var p net.PacketConn
	if err := r.lab.LAC.Do(func() (err error) { p, err = net.ListenPacket("ip4:icmp", netlab.LACAddr.String()); return err }); err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.WriteTo(m, &net.IPAddr{IP: r.lns.Addr().AsSlice()}); err != nil {
		r.t.Fatal(err)
	}
}

// raw sends a whole IPv4 packet from a namespace, whatever is known of the path.
func (r *rig) raw(ns *netlab.Namespace, packet []byte) {
	r.t.Helper()
	var fd int
	if err := ns.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.IPPROTO_RAW)
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE); err != nil {
		r.t.Fatal(err)
	}
	if err := unix.Sendto(fd, packet, 0, &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])}); err != nil {
		r.t.Fatal(err)
	}
}
