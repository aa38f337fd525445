package tun_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/tun"
	"github.com/lnsd/lnsd/test/netlab"
)

func TestBothWays(t *testing.T) {
	for _, offload := range []bool{false, true} {
		t.Run(fmt.Sprintf("offload=%v", offload), func(t *testing.T) {
			r := newRig(t, offload)
			c := r.core()
			sub := netip.AddrPortFrom(subscriber, 5000)
			dst := netip.AddrPortFrom(netlab.CoreAddr, port(c))
			for _, n := range []int{0, 1, 100, 1372} {
				r.up(1, datagram(sub, dst, 64, true, pattern(n)))
				r.expect(c, sub, pattern(n))
				if _, err := c.WriteToUDPAddrPort(pattern(n), sub); err != nil {
					t.Fatal(err)
				}
				ip := r.down(1, isUDP)
				if !bytes.Equal(ip[28:], pattern(n)) || ip[8] != 63 {
					t.Errorf("%d bytes: %x (TTL %d, want 63)", n, ip, ip[8])
				}
			}
			got := r.path.Counters(1)
			bytes := uint64(4*28 + 0 + 1 + 100 + 1372)
			if got.UpPackets != 4 || got.UpBytes != bytes || got.DownPackets != 4 || got.DownBytes != bytes ||
				got.UpDropped+got.DownDropped != 0 || time.Since(got.LastSeen) > time.Minute {
				t.Errorf("%+v, want 4 packets and %d bytes each way", got, bytes)
			}
		})
	}
}

func TestTooBigForTheSubscriber(t *testing.T) {
	r := newRig(t, true)
	sub := netip.AddrPortFrom(subscriber, 5000)
	c := r.core()

	// Without DF it is cut to the session's MTU.
	mtuDiscover(t, c, unix.IP_PMTUDISC_DONT)
	if _, err := c.WriteToUDPAddrPort(pattern(1472), sub); err != nil {
		t.Fatal(err)
	}
	first, second := r.down(1, isUDP), r.down(1, isUDP)
	if len(first) > 1400 || !bytes.Equal(append(first[28:], second[20:]...), pattern(1472)) {
		t.Errorf("fragments of %d and %d bytes", len(first), len(second))
	}

	// With DF the sender learns the session's MTU.
	mtuDiscover(t, c, unix.IP_PMTUDISC_DO)
	if _, err := c.WriteToUDPAddrPort(pattern(1472), sub); err != nil {
		t.Fatal(err)
	}
	err := netlab.Until(wait, func() error {
		if _, err := c.WriteToUDPAddrPort(pattern(1373), sub); !errors.Is(err, syscall.EMSGSIZE) {
			return fmt.Errorf("1401 bytes: %v, want EMSGSIZE", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.WriteToUDPAddrPort(pattern(1372), sub); err != nil {
		t.Errorf("1400 bytes: %v", err)
	}
	r.down(1, func(ip []byte) bool { return len(ip) == 1400 })
}

func TestFragmentsFromTheSubscriber(t *testing.T) {
	r := newRig(t, true)
	c := r.core()
	sub := netip.AddrPortFrom(subscriber, 5000)
	dst := netip.AddrPortFrom(netlab.CoreAddr, port(c))

	t.Run("outer", func(t *testing.T) {
		// 1500 bytes inside make 1540 outside: the LAC's kernel cuts it.
		r.up(1, datagram(sub, dst, 64, true, pattern(1472)))
		r.expect(c, sub, pattern(1472))
	})
	t.Run("inner", func(t *testing.T) {
		whole := datagram(sub, dst, 64, false, pattern(2000))
		first := bytes.Clone(whole[:20+1000])
		binary.BigEndian.PutUint16(first[2:], 1020)
		first[6] = 0x20
		sum(first)
		last := append(bytes.Clone(whole[:20]), whole[1020:]...)
		binary.BigEndian.PutUint16(last[2:], uint16(len(last)))
		binary.BigEndian.PutUint16(last[6:], 1000/8)
		sum(last)
		r.up(1, last) // in the wrong order, too
		r.up(1, first)
		r.expect(c, sub, pattern(2000))
	})
}

func TestRouterAnswersTheSubscriber(t *testing.T) {
	r := newRig(t, true)
	c := r.core()
	sub := netip.AddrPortFrom(subscriber, 5000)
	dst := netip.AddrPortFrom(netlab.CoreAddr, port(c))

	r.up(1, datagram(sub, dst, 1, true, pattern(10)))
	if ip := r.down(1, isICMP(11, 0)); netip.AddrFrom4([4]byte(ip[12:16])) != gateway {
		t.Errorf("time exceeded from %v, want %s", ip[12:16], gateway)
	}
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if _, err := r.lab.LNS.Output(ctx, "ip", "link", "set", netlab.CoreSide, "mtu", "1300"); err != nil {
		t.Fatal(err)
	}
	r.up(1, datagram(sub, dst, 64, true, pattern(1300)))
	ip := r.down(1, isICMP(3, 4))
	if mtu := binary.BigEndian.Uint16(ip[26:]); mtu != 1300 {
		t.Errorf("fragmentation needed with MTU %d, want 1300", mtu)
	}
}

func TestSpoofingIsRefused(t *testing.T) {
	r := newRig(t, true)
	c := r.core()
	sub := netip.AddrPortFrom(subscriber, 5000)
	dst := netip.AddrPortFrom(netlab.CoreAddr, port(c))
	forged := netip.AddrPortFrom(neighbour, 5000)
	r.up(1, datagram(forged, dst, 64, true, pattern(10)))
	stranger := listen(t, r.lab.LAC, netip.AddrPortFrom(netlab.LACAddr, 0)).NewSender()
	stranger.Send(netip.AddrPort{}, r.lns, l2tp.AppendDataIP(nil, framing, 100, 1, 0, datagram(sub, dst, 64, true, pattern(20))))
	stranger.Flush()
	err := netlab.Until(wait, func() error {
		if a, b := r.count("slow_up_spoofed_source"), r.count("slow_up_spoofed_peer"); a != 1 || b != 1 {
			return fmt.Errorf("spoofed source %d, peer %d, want 1 and 1", a, b)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.up(1, datagram(sub, dst, 64, true, pattern(30)))
	r.expect(c, sub, pattern(30)) // and nothing before it
	if got := r.path.Counters(1); got.UpDropped != 2 || got.UpPackets != 1 {
		t.Errorf("%+v", got)
	}
}

func TestSubscriberToSubscriber(t *testing.T) {
	r := newRig(t, true)
	a, b := netip.AddrPortFrom(subscriber, 5000), netip.AddrPortFrom(neighbour, 6000)
	r.up(1, datagram(a, b, 64, true, pattern(100)))
	ip := r.down(2, isUDP)
	if !bytes.Equal(ip[28:], pattern(100)) || ip[8] != 63 {
		t.Errorf("%x", ip)
	}
	r.up(2, datagram(b, a, 64, true, pattern(50)))
	// The first packet to come back must be the neighbour's answer, not advice
	// to go there directly: there is no other way.
	if ip := r.down(1, func([]byte) bool { return true }); !isUDP(ip) {
		t.Errorf("the subscriber got %x", ip)
	}
}

func TestNobodyThere(t *testing.T) {
	r := newRig(t, true)
	var c *net.UDPConn
	err := r.lab.Core.Do(func() (err error) {
		c, err = net.DialUDP("udp4", nil, &net.UDPAddr{IP: net.IPv4(10, 64, 0, 99), Port: 9})
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(wait))
	setOption(t, c, unix.IP_RECVERR, 1) // host unreachable is not told otherwise
	if _, err := c.Write([]byte("anybody?")); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Read(make([]byte, 10)); !errors.Is(err, syscall.EHOSTUNREACH) {
		t.Errorf("%v, want host unreachable", err)
	}
}

func TestKernelRoutes(t *testing.T) {
	r := newRig(t, false)
	show := func() string {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		out, err := r.lab.LNS.Output(ctx, "ip", "route", "show", "dev", r.path.Name())
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
	until := func(what string, ok func(string) bool) {
		t.Helper()
		if err := netlab.Until(wait, func() error {
			if out := show(); !ok(out) {
				return fmt.Errorf("%s:\n%s", what, out)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
	until("the pool's route", func(s string) bool { return strings.Contains(s, "10.64.0.0/24") })
	outside := netip.MustParseAddr("203.0.113.5")
	routed := []netip.Prefix{netip.MustParsePrefix("172.20.0.0/16"), netip.MustParsePrefix("10.64.0.128/25")}
	r.install(3, outside, 1400, routed...)
	rec := r.install(3, outside, 1400, routed...)
	until("routes that no pool covers", func(s string) bool {
		return strings.Contains(s, "203.0.113.5") && strings.Contains(s, "172.20.0.0/16") && !strings.Contains(s, "10.64.0.128")
	})
	r.path.Apply([]session.ProgramOp{{Remove: true, Record: rec}})
	until("only the pool's route", func(s string) bool { return strings.Count(s, "\n") == 1 })
}

// A subscriber's TCP, in segments as large as the kernel likes. The other end is
// a second slow path, in the LAC's namespace: seen from there, the core router is
// the subscriber.
func TestTCP(t *testing.T) {
	for _, offload := range []bool{false, true} {
		t.Run(fmt.Sprintf("offload=%v", offload), func(t *testing.T) {
			r := newRig(t, offload)
			clientAddr := netip.AddrPortFrom(netlab.LACAddr, 1702)
			client := open(t, r.lab.LAC, tun.Config{
				Name: "ppp%d", Address: subscriber, Pools: []netip.Prefix{netip.MustParsePrefix("10.2.0.0/24")},
				MaxSlot: 1, Offload: offload,
			}, clientAddr)
			client.Apply([]session.ProgramOp{{Record: session.Record{
				Ref:  session.Ref{TunnelID: 200, SessionID: 1005, Serial: 1},
				Slot: 1, Local: clientAddr, Peer: r.lns, PeerTunnelID: 100, PeerSessionID: 5,
				Address: netlab.CoreAddr, MTU: 1500,
			}}})
			r.path.Apply([]session.ProgramOp{{Record: session.Record{
				Ref:  session.Ref{TunnelID: 100, SessionID: 5, Serial: 5},
				Slot: 5, Local: r.lns, Peer: clientAddr, PeerTunnelID: 200, PeerSessionID: 1005,
				Address: subscriber, MTU: 1400, ClampMSS: 1360,
				Framing: session.Framing{Length: true},
			}}})
			echo(t, r)
			up := r.path.Counters(5)
			t.Logf("%+v", up)
			if up.UpBytes < volume || up.DownBytes < volume {
				t.Errorf("%+v: less than was transferred", up)
			}
			// The clamp kept every segment within the MTU.
			if n := r.count("slow_down_too_big") + r.count("slow_down_fragmented"); n != 0 {
				t.Errorf("%d segments were too big", n)
			}
		})
	}
}

const volume = 8 << 20

// echo sends volume bytes from the LAC's namespace to the core router and back.
func echo(t *testing.T, r *rig) {
	var l net.Listener
	if err := r.lab.Core.Do(func() (err error) {
		l, err = net.Listen("tcp4", netlab.CoreAddr.String()+":0")
		return err
	}); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	var wg sync.WaitGroup
	defer wg.Wait()
	wg.Go(func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer func() { _ = c.Close() }()
		_, _ = io.Copy(c, c)
	})
	var c net.Conn
	if err := r.lab.LAC.Do(func() (err error) {
		d := net.Dialer{Timeout: wait, LocalAddr: &net.TCPAddr{IP: subscriber.AsSlice()}}
		c, err = d.Dial("tcp4", l.Addr().String())
		return err
	}); err != nil {
		_ = l.Close()
		t.Fatal(err, r.path.Counts())
	}
	defer func() { _ = c.Close() }()
	_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	sent := pattern(volume)
	wg.Go(func() { _, _ = c.Write(sent) })
	got := sha256.New()
	if _, err := io.CopyN(got, c, volume); err != nil {
		t.Fatal(err, r.path.Counts())
	}
	if want := sha256.Sum256(sent); !bytes.Equal(got.Sum(nil), want[:]) {
		t.Error("what came back differs")
	}
}
