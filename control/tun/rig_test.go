package tun_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/tun"
	"github.com/lnsd/lnsd/control/udp"
	"github.com/lnsd/lnsd/test/netlab"
)

// These tests run the slow path on a real kernel: a LAC, the LNS and a core
// router in namespaces, with nothing but this package to carry packets.

var (
	subscriber = netip.MustParseAddr("10.64.0.7")
	neighbour  = netip.MustParseAddr("10.64.0.8")
	gateway    = netip.MustParseAddr("10.64.0.1")
	framing    = l2tp.Framing{Length: true, AddressControl: true}
	labs       atomic.Int32
)

const wait = time.Minute

// rig is the lab with a slow path in the LNS.
type rig struct {
	t    *testing.T
	lab  *netlab.Lab
	path *tun.Path
	lns  netip.AddrPort
	// fromLNS are the data messages that arrive at the LAC.
	fromLNS chan []byte
	lac     *udp.Sender
	lacAddr netip.AddrPort
}

// newLab is a rig without a path.
func newLab(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces and TUN need root")
	}
	lab, err := netlab.New(fmt.Sprintf("tun%d-%d", os.Getpid(), labs.Add(1)))
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, lab: lab, lns: netip.AddrPortFrom(netlab.LNSAddr, udp.Port), fromLNS: make(chan []byte, 1000)}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	return r
}

func newRig(t *testing.T, offload bool) *rig {
	t.Helper()
	return newQueuesRig(t, offload, 1)
}

func newQueuesRig(t *testing.T, offload bool, queues int) *rig {
	t.Helper()
	r := newLab(t)
	r.path = open(t, r.lab.LNS, tun.Config{
		Name: "sub%d", Address: gateway, Pools: []netip.Prefix{netip.MustParsePrefix("10.64.0.0/24")},
		MaxSlot: 16, ICMPRate: 100, Forwarding: true, Offload: offload, Queues: queues,
	}, r.lns)
	lacSocket := listen(t, r.lab.LAC, netip.AddrPortFrom(netlab.LACAddr, 0))
	background(t, func(ctx context.Context) error {
		return lacSocket.Run(ctx, func(_, _ netip.AddrPort, b []byte) { r.fromLNS <- bytes.Clone(b) })
	})
	r.lac, r.lacAddr = lacSocket.NewSender(), lacSocket.LocalAddr()
	r.install(1, subscriber, 1400)
	r.install(2, neighbour, 1400)
	return r
}

// open opens a path in a namespace, with a socket at addr, and runs both.
func open(t *testing.T, ns *netlab.Namespace, cfg tun.Config, addr netip.AddrPort) *tun.Path {
	t.Helper()
	return openWith(t, ns, cfg, udp.Config{Bind: addr, Segments: true})
}

func openWith(t *testing.T, ns *netlab.Namespace, cfg tun.Config, socketCfg udp.Config) *tun.Path {
	t.Helper()
	socket := listenWith(t, ns, socketCfg)
	var path *tun.Path
	err := ns.Do(func() (err error) {
		path, err = tun.Open(cfg, func() tun.Batch { return socket.NewSender() }, zaptest.NewLogger(t))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := path.Close(); err != nil {
			t.Error(err)
		}
	})
	background(t, path.Run)
	up := path.NewUplink()
	background(t, func(ctx context.Context) error {
		return socket.RunMarked(ctx, func(local, peer netip.AddrPort, tos byte, b []byte) { up.Packet(local, peer, tos, b) }, up.Flush)
	})
	return path
}

func listen(t *testing.T, ns *netlab.Namespace, addr netip.AddrPort) *udp.Socket {
	t.Helper()
	return listenWith(t, ns, udp.Config{Bind: addr, Segments: true})
}

func listenWith(t *testing.T, ns *netlab.Namespace, cfg udp.Config) *udp.Socket {
	t.Helper()
	var s *udp.Socket
	err := ns.Do(func() (err error) {
		s, err = udp.Listen(cfg)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// background runs f until the test ends.
func background(t *testing.T, f func(context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := f(ctx); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(func() {
		cancel()
		wg.Wait()
	})
}

// install puts a session in; its ids are derived from the slot.
func (r *rig) install(slot uint16, addr netip.Addr, mtu uint16, routes ...netip.Prefix) session.Record {
	rec := session.Record{
		Ref:  session.Ref{TunnelID: 100, SessionID: slot, Serial: uint32(slot)},
		Slot: uint32(slot), Local: r.lns, Peer: r.lacAddr,
		PeerTunnelID: 200, PeerSessionID: slot + 1000,
		Address: addr, Routes: routes, MTU: mtu, ClampMSS: mtu - 40,
		Framing: session.Framing{Length: true, AddressControl: true},
	}
	r.path.Apply([]session.ProgramOp{{Record: rec}})
	return rec
}

// up sends an IP packet from the subscriber in a slot.
func (r *rig) up(slot uint16, ip []byte) {
	r.lac.Send(netip.AddrPort{}, r.lns, l2tp.AppendDataIP(nil, framing, 100, slot, 0, ip))
	r.lac.Flush()
}

// down returns the next IP packet for the subscriber in a slot that match
// accepts.
func (r *rig) down(slot uint16, match func(ip []byte) bool) []byte {
	r.t.Helper()
	deadline := time.After(wait)
	for {
		select {
		case b := <-r.fromLNS:
			h, frame, err := l2tp.ParseHeader(b)
			if err != nil {
				r.t.Fatalf("%x: %v", b, err)
			}
			ip, ok := l2tp.DataIP(frame)
			if ok && h.TunnelID == 200 && h.SessionID == slot+1000 && match(ip) {
				return ip
			}
		case <-deadline:
			r.t.Fatalf("nothing came down; counters %v", r.path.Counts())
		}
	}
}

func (r *rig) count(name string) uint64 {
	r.t.Helper()
	for _, c := range r.path.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	r.t.Fatalf("no counter %s", name)
	return 0
}

// core opens a UDP socket in the core router's namespace.
func (r *rig) core() *net.UDPConn {
	r.t.Helper()
	var c *net.UDPConn
	err := r.lab.Core.Do(func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(netip.AddrPortFrom(netlab.CoreAddr, 0)))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(wait))
	return c
}

func port(c *net.UDPConn) uint16 { return c.LocalAddr().(*net.UDPAddr).AddrPort().Port() }

// datagram is an IPv4 packet with UDP in it, without a UDP checksum.
func datagram(src, dst netip.AddrPort, ttl byte, df bool, payload []byte) []byte {
	b := []byte{0x45, 0, 0, 0, 0x77, 0x88, 0, 0, ttl, 17, 0, 0}
	binary.BigEndian.PutUint16(b[2:], uint16(28+len(payload)))
	if df {
		b[6] = 0x40
	}
	b = append(append(b, src.Addr().AsSlice()...), dst.Addr().AsSlice()...)
	sum(b)
	b = binary.BigEndian.AppendUint16(b, src.Port())
	b = binary.BigEndian.AppendUint16(b, dst.Port())
	b = binary.BigEndian.AppendUint16(b, uint16(8+len(payload)))
	return append(append(b, 0, 0), payload...)
}

// sum sets the checksum of a 20 byte IPv4 header.
func sum(h []byte) {
	h[10], h[11] = 0, 0
	var s uint32
	for i := 0; i < 20; i += 2 {
		s += uint32(binary.BigEndian.Uint16(h[i:]))
	}
	for s > 0xFFFF {
		s = s>>16 + s&0xFFFF
	}
	binary.BigEndian.PutUint16(h[10:], ^uint16(s))
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i * 7)
	}
	return b
}

func isUDP(ip []byte) bool { return ip[9] == 17 }

// isICMP matches an ICMP message of a type and code.
func isICMP(typ, code byte) func([]byte) bool {
	return func(ip []byte) bool { return ip[9] == 1 && ip[20] == typ && ip[21] == code }
}

func (r *rig) expect(c *net.UDPConn, from netip.AddrPort, payload []byte) {
	r.t.Helper()
	buf := make([]byte, 65536)
	n, peer, err := c.ReadFromUDPAddrPort(buf)
	if err != nil {
		r.t.Fatalf("%v; counters %v", err, r.path.Counts())
	}
	if !bytes.Equal(buf[:n], payload) || peer != from {
		r.t.Fatalf("%d bytes from %s, want %d from %s", n, peer, len(payload), from)
	}
}

func mtuDiscover(t *testing.T, c *net.UDPConn, v int) {
	t.Helper()
	setOption(t, c, unix.IP_MTU_DISCOVER, v)
}

func setOption(t *testing.T, c *net.UDPConn, option, v int) {
	t.Helper()
	raw, err := c.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var opt error
	if err := raw.Control(func(fd uintptr) {
		opt = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, option, v)
	}); err != nil || opt != nil {
		t.Fatal(err, opt)
	}
}
