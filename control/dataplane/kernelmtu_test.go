package dataplane_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/test/netlab"
)

// TestOuterPathMTU: once a router on the way to the LAC has said what it carries,
// larger packets take the slow path, which can cut or refuse them; others stay.
func TestOuterPathMTU(t *testing.T) {
	r := newRig(t, func(c *dataplane.Config) { c.DontFragment = true })
	r.install()
	raw, err := r.core.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	// The core does not take part in discovery: this is about the outer path.
	var opt error
	if err := raw.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_DONT)
	}); err != nil || opt != nil {
		t.Fatal(err, opt)
	}
	const overhead = 20 + 8 + 8 + 4
	down := func(n int) {
		t.Helper()
		if _, err := r.core.WriteToUDPAddrPort(pattern(n-28), netip.AddrPortFrom(subscriber, 5000)); err != nil {
			t.Fatal(err)
		}
	}
	down(1400)
	if got := len(r.expect(r.lac)); got != 1400+overhead-28 {
		t.Fatalf("%d bytes", got)
	}

	quoted := datagram(lns, addrOf(r.lac), pattern(1400))[:28]
	m := binary.BigEndian.AppendUint16([]byte{3, 4, 0, 0, 0, 0}, 1200)
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
		t.Fatal(err)
	}
	defer func() { _ = p.Close() }()
	if _, err := p.WriteTo(m, &net.IPAddr{IP: lns.Addr().AsSlice()}); err != nil {
		t.Fatal(err)
	}

	if err := netlab.Until(wait, func() error {
		if _, err := r.core.WriteToUDPAddrPort(pattern(1200-overhead-28+1), netip.AddrPortFrom(subscriber, 5000)); err != nil && err != syscall.EMSGSIZE {
			return err
		}
		if r.count("xdp_punt_too_big") == 0 {
			return fmt.Errorf("nothing is too big: %v", nonZero(r.plane.Counts()))
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	before := r.count("xdp_sent_down")
	down(1200 - overhead)
	if err := netlab.Until(wait, func() error {
		if n := r.count("xdp_sent_down"); n != before+1 {
			return fmt.Errorf("%d sent, want %d", n, before+1)
		}
		return nil
	}); err != nil {
		t.Error(err)
	}
}
