package tun_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/tun"
	"github.com/lnsd/lnsd/test/netlab"
)

var (
	core6    = netip.MustParseAddr("2001:db8:c::2")
	gateway6 = netip.MustParseAddr("2001:db8::1")
	sub6     = netip.MustParseAddr("2001:db8:64:7::5")
	ours6    = []netip.Prefix{netip.MustParsePrefix("2001:db8:64:7::/64"), netip.MustParsePrefix("2001:db8:d000::/56")}
)

// newRig6 is a rig with IPv6 in the core, and a session of slot 7 that has both.
func newRig6(t *testing.T) *rig {
	t.Helper()
	r := newLab(t)
	for _, c := range []struct {
		ns  *netlab.Namespace
		cmd string
	}{
		{r.lab.LNS, "ip -6 addr add 2001:db8:c::1/64 dev " + netlab.CoreSide + " nodad"},
		{r.lab.Core, "ip -6 addr add 2001:db8:c::2/64 dev " + coreDevice(t, r.lab.Core) + " nodad"},
		{r.lab.Core, "ip -6 route add default via 2001:db8:c::1"},
	} {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		args := strings.Fields(c.cmd)
		if out, err := c.ns.Output(ctx, args[0], args[1:]...); err != nil {
			t.Fatal(c.cmd, out, err)
		}
		cancel()
	}
	r.path = open(t, r.lab.LNS, tun.Config{
		Name: "sub%d", Address: gateway, IPv6: true, Address6: gateway6,
		Pools:   []netip.Prefix{netip.MustParsePrefix("10.64.0.0/24"), netip.MustParsePrefix("2001:db8:64::/48")},
		MaxSlot: 16, ICMPRate: 100, Forwarding: true, Offload: true, Queues: 3,
	}, r.lns)
	lacSocket := listen(t, r.lab.LAC, netip.AddrPortFrom(netlab.LACAddr, 0))
	background(t, func(ctx context.Context) error {
		return lacSocket.Run(ctx, func(_, _ netip.AddrPort, b []byte) { r.fromLNS <- bytes.Clone(b) })
	})
	r.lac, r.lacAddr = lacSocket.NewSender(), lacSocket.LocalAddr()
	rec := r.install(7, subscriber, 1400)
	rec.Prefixes6 = ours6
	// The first session with IPv6 switches forwarding on, in the namespace of who
	// applies it.
	if err := r.lab.LNS.Do(func() error { r.path.Apply([]session.ProgramOp{{Record: rec}}); return nil }); err != nil {
		t.Fatal(err)
	}
	return r
}

// coreDevice is the core router's interface towards the LNS.
func coreDevice(t *testing.T, core *netlab.Namespace) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	out, err := core.Output(ctx, "ip", "-o", "-4", "addr", "show", "to", netlab.CoreAddr.String())
	if err != nil || len(strings.Fields(out)) < 2 {
		t.Fatal(out, err)
	}
	return strings.Fields(out)[1]
}

// datagram6 is an IPv6 packet with UDP in it.
func datagram6(src, dst netip.AddrPort, hops byte, payload []byte) []byte {
	n := 8 + len(payload)
	b := append([]byte{0x60, 0, 0, 0, byte(n >> 8), byte(n), 17, hops}, src.Addr().AsSlice()...)
	b = append(b, dst.Addr().AsSlice()...)
	u := binary.BigEndian.AppendUint16(nil, src.Port())
	u = binary.BigEndian.AppendUint16(u, dst.Port())
	u = binary.BigEndian.AppendUint16(u, uint16(n))
	u = append(append(u, 0, 0), payload...)
	var s uint32
	for _, part := range [][]byte{b[8:40], u} {
		for i := 0; i < len(part); i += 2 {
			s += uint32(part[i]) << 8
			if i+1 < len(part) {
				s += uint32(part[i+1])
			}
		}
	}
	for s += uint32(n) + 17; s > 0xFFFF; {
		s = s>>16 + s&0xFFFF
	}
	binary.BigEndian.PutUint16(u[6:], ^uint16(s))
	return append(b, u...)
}

// down6 returns the next IPv6 packet for slot 7 with a next header.
func (r *rig) down6(next byte) []byte {
	r.t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case b := <-r.fromLNS:
			_, frame, err := l2tp.ParseHeader(b)
			if err != nil {
				r.t.Fatal(err)
			}
			if ip, ok := l2tp.DataIP(frame); ok && ip[0]>>4 == 6 && ip[6] == next {
				return ip
			}
		case <-deadline:
			r.t.Fatalf("nothing came down; counters %v", r.path.Counts())
		}
	}
}

// IPv6 goes both ways through the kernel, which counts hops and answers for what
// it can't forward; too big for the subscriber is answered by us.
func TestIPv6(t *testing.T) {
	r := newRig6(t)
	var c *net.UDPConn
	err := r.lab.Core.Do(func() (err error) {
		c, err = net.ListenUDP("udp6", net.UDPAddrFromAddrPort(netip.AddrPortFrom(core6, 0)))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(3 * wait))
	dst := netip.AddrPortFrom(core6, port(c))
	for _, from := range []netip.Addr{sub6, netip.MustParseAddr("2001:db8:d000:55::1")} {
		sub := netip.AddrPortFrom(from, 5000)
		r.up(7, datagram6(sub, dst, 64, pattern(1300)))
		r.expect(c, sub, pattern(1300))
		if _, err := c.WriteToUDPAddrPort(pattern(1352), sub); err != nil {
			t.Fatal(err)
		}
		if ip := r.down6(17); len(ip) != 1400 || !bytes.Equal(ip[48:], pattern(1352)) || ip[7] != 63 {
			t.Errorf("%d bytes, hop limit %d: %x", len(ip), ip[7], ip[:48])
		}
	}
	if got := r.path.Counters(7); got.UpPackets6 != 2 || got.DownPackets6 != 2 || got.DownBytes6 != 2800 || got.DownPackets != 2 {
		t.Errorf("%+v", got)
	}

	sub := netip.AddrPortFrom(sub6, 5000)
	r.up(7, datagram6(sub, dst, 1, pattern(10)))
	if ip := r.down6(58); ip[40] != 3 {
		t.Errorf("ICMPv6 type %d, want time exceeded", ip[40])
	}
	// With 1401 bytes the core's kernel is told of 1400, and cuts the rest.
	if _, err := c.WriteToUDPAddrPort(pattern(1353), sub); err != nil {
		t.Fatal(err)
	}
	err = netlab.Until(wait, func() error {
		if _, err := c.WriteToUDPAddrPort(pattern(1353), sub); err != nil {
			return err
		}
		select {
		case b := <-r.fromLNS:
			if _, frame, _ := l2tp.ParseHeader(b); len(frame) > 50 && frame[4+6] == 44 {
				return nil
			}
		case <-time.After(100 * time.Millisecond):
		}
		return os.ErrDeadlineExceeded
	})
	if err != nil {
		t.Errorf("no fragments from the core: %v; %v", err, r.path.Counts())
	}
	if r.count("slow_down_too_big") == 0 {
		t.Error("nothing was too big")
	}
	// Link-local packets and forged ones go nowhere.
	r.up(7, datagram6(netip.MustParseAddrPort("[fe80::1]:1"), dst, 64, pattern(11)))
	r.up(7, datagram6(netip.MustParseAddrPort("[2001:db8:64:8::1]:1"), dst, 64, pattern(12)))
	r.up(7, datagram6(sub, dst, 64, pattern(13)))
	r.expect(c, sub, pattern(13))
	if n := r.count("slow_up_spoofed_source"); n != 1 {
		t.Errorf("%d spoofed, want 1", n)
	}
}

// The device is silent: nothing that the kernel says by itself is taken for a
// packet to a subscriber.
func TestIPv6DeviceIsSilent(t *testing.T) {
	r := newRig6(t)
	time.Sleep(500 * time.Millisecond) // solicitations would come at once
	for _, name := range []string{"slow_down_no_session", "slow_down_malformed", "slow_down_not_ipv4"} {
		if n := r.count(name); n != 0 {
			t.Errorf("%s = %d", name, n)
		}
	}
}
