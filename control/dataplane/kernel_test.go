package dataplane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
	"github.com/lnsd/lnsd/test/netlab"
)

// These tests run the real program on veth interfaces: nothing but XDP carries
// the packets, for there is no slow path here.

var (
	subscriber = netip.MustParseAddr("10.64.0.7")
	lns        = netip.AddrPortFrom(netlab.LNSAddr, 1701)
	labs       atomic.Int32
)

const wait = time.Minute

type rig struct {
	t       *testing.T
	lab     *netlab.Lab
	plane   *dataplane.Plane
	close   func()
	answers chan session.Programmed
	lac     *net.UDPConn
	core    *net.UDPConn
	punted  *net.UDPConn // the LNS's own socket
}

// newLab returns a lab with its sockets, and neighbours that know each other.
func newLab(t *testing.T) *rig {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces and XDP need root")
	}
	name := fmt.Sprintf("dp%d-%d", os.Getpid(), labs.Add(1))
	lab, err := netlab.New(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	r := &rig{t: t, lab: lab, answers: make(chan session.Programmed, 1000)}
	r.lac = r.socket(lab.LAC, netip.AddrPortFrom(netlab.LACAddr, 0))
	r.core = r.socket(lab.Core, netip.AddrPortFrom(netlab.CoreAddr, 0))
	r.punted = r.socket(lab.LNS, lns)
	// The LNS must know its neighbours: XDP leaves unknown ones to the kernel.
	for _, to := range []netip.Addr{netlab.LACAddr, netlab.CoreAddr} {
		r.ip(lab.LNS, "ping", "-c", "1", "-W", "5", to.String())
	}
	return r
}

// newRig returns a lab with a plane in it.
func newRig(t *testing.T, change func(*dataplane.Config)) *rig {
	t.Helper()
	r := newLab(t)
	cfg := dataplane.Config{
		PinPath: filepath.Join("/sys/fs/bpf", r.lab.LNS.Name), MaxSessions: 100,
		Locals:     []netip.AddrPort{lns},
		Interfaces: []string{netlab.LACSide, netlab.CoreSide}, UDPChecksum: true,
	}
	if change != nil {
		change(&cfg)
	}
	r.open(cfg)
	return r
}

func (r *rig) open(cfg dataplane.Config) {
	r.t.Helper()
	err := r.lab.LNS.Do(func() (err error) {
		r.plane, err = dataplane.Open(cfg, func(a []session.Programmed) {
			for _, p := range a {
				r.answers <- p
			}
		}, zaptest.NewLogger(r.t))
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	plane := r.plane
	plane.TunnelUp(100, addrOf(r.lac))
	closed := false
	r.close = func() {
		if closed {
			return
		}
		closed = true
		if err := plane.Close(); err != nil {
			r.t.Error(err)
		}
	}
	r.t.Cleanup(r.close)
	r.t.Cleanup(func() {
		r.close()
		if _, err := os.Stat(cfg.PinPath); !cfg.Persist && !errors.Is(err, os.ErrNotExist) {
			r.t.Errorf("pins are left at %s: %v", cfg.PinPath, err)
		}
	})
}

func (r *rig) socket(ns *netlab.Namespace, at netip.AddrPort) (c *net.UDPConn) {
	r.t.Helper()
	if err := ns.Do(func() (err error) {
		c, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(at))
		return err
	}); err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = c.Close() })
	return c
}

func (r *rig) ip(ns *netlab.Namespace, name string, args ...string) string {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*wait)
	defer cancel()
	out, err := ns.Output(ctx, name, args...)
	if err != nil {
		r.t.Fatal(err)
	}
	return out
}

func addrOf(c *net.UDPConn) netip.AddrPort { return c.LocalAddr().(*net.UDPAddr).AddrPort() }

func newRecord(peer netip.AddrPort) session.Record {
	return session.Record{
		Ref:  session.Ref{TunnelID: 100, SessionID: 5, Serial: 1},
		Slot: 5, Local: lns, Peer: peer, PeerTunnelID: 200, PeerSessionID: 1005,
		Address: subscriber, MTU: 1400, ClampMSS: 1360,
		Framing: session.Framing{Length: true, AddressControl: true},
	}
}

func (r *rig) apply(op session.ProgramOp) session.Programmed {
	r.t.Helper()
	r.plane.Apply([]session.ProgramOp{op})
	select {
	case a := <-r.answers:
		return a
	case <-time.After(wait):
		r.t.Fatal("no answer")
		return session.Programmed{}
	}
}

func (r *rig) install() session.Record {
	r.t.Helper()
	rec := newRecord(addrOf(r.lac))
	if a := r.apply(session.ProgramOp{Record: rec}); a.Err != nil || a.Ref != rec.Ref || a.Slot != rec.Slot {
		r.t.Fatalf("%+v", a)
	}
	return rec
}

// up sends a payload from the subscriber to the core router.
func (r *rig) up(payload []byte) {
	r.t.Helper()
	ip := datagram(netip.AddrPortFrom(subscriber, 5000), addrOf(r.core), payload)
	b := l2tp.AppendDataIP(nil, l2tp.Framing{AddressControl: true}, 100, 5, 0, ip)
	if _, err := r.lac.WriteToUDPAddrPort(b, lns); err != nil {
		r.t.Fatal(err)
	}
}

// expect reads one datagram.
func (r *rig) expect(c *net.UDPConn) []byte {
	r.t.Helper()
	buf := make([]byte, 65536)
	_ = c.SetReadDeadline(time.Now().Add(wait))
	n, err := c.Read(buf)
	if err != nil {
		if r.plane != nil {
			r.t.Logf("counts %v", nonZero(r.plane.Counts()))
		}
		r.t.Fatal(err)
	}
	return buf[:n]
}

func nonZero(c []session.Count) []session.Count {
	return slices.DeleteFunc(c, func(c session.Count) bool { return c.Value == 0 })
}

func (r *rig) count(name string) uint64 {
	r.t.Helper()
	for _, c := range r.plane.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	r.t.Fatalf("no counter %s", name)
	return 0
}

// datagram is an IPv4 packet with UDP in it.
func datagram(src, dst netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 28, 28+len(payload))
	b[0], b[8], b[9] = 0x45, 64, 17
	b[2], b[3] = byte((28+len(payload))>>8), byte(28+len(payload))
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	var sum uint32
	for i := 0; i < 20; i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	sum = sum>>16 + sum&0xFFFF
	sum += sum >> 16
	b[10], b[11] = ^byte(sum>>8), ^byte(sum)
	b[20], b[21], b[22], b[23] = byte(src.Port()>>8), byte(src.Port()), byte(dst.Port()>>8), byte(dst.Port())
	b[24], b[25] = byte((8+len(payload))>>8), byte(8+len(payload))
	return append(b, payload...)
}

func pattern(n int) []byte { return bytes.Repeat([]byte{0xA5}, n) }

func TestForwardsBothWaysAndCountsExactly(t *testing.T) {
	for want, mode := range map[dataplane.Want]string{
		dataplane.Auto: "native", dataplane.Native: "native", dataplane.Generic: "generic",
	} {
		t.Run(fmt.Sprint(want, mode), func(t *testing.T) { forwardAndCount(t, want, mode) })
	}
}

func forwardAndCount(t *testing.T, want dataplane.Want, mode string) {
	r := newRig(t, func(c *dataplane.Config) { c.Want = want })
	if modes := r.plane.Modes(); len(modes) != 2 {
		t.Errorf("%+v, want two interfaces", modes)
	}
	for _, m := range r.plane.Modes() {
		if m.Mode != mode || m.Reason != "" { // veth has native XDP
			t.Errorf("%+v, want %s", m, mode)
		}
	}
	rec := r.install()
	if !r.plane.Installed(rec.Slot) {
		t.Error("not installed")
	}
	var packets, inner uint64
	for _, n := range []int{0, 1, 64, 500, 1372} {
		for range 20 {
			r.up(pattern(n))
			if got := r.expect(r.core); !bytes.Equal(got, pattern(n)) {
				t.Fatalf("up: %d bytes, want %d", len(got), n)
			}
			if _, err := r.core.WriteToUDPAddrPort(pattern(n), netip.AddrPortFrom(subscriber, 5000)); err != nil {
				t.Fatal(err)
			}
			h, frame, err := l2tp.ParseHeader(r.expect(r.lac))
			ip, ok := l2tp.DataIP(frame)
			if err != nil || !ok || h.TunnelID != 200 || h.SessionID != 1005 || !bytes.Equal(ip[28:], pattern(n)) || ip[8] != 63 {
				t.Fatalf("down: %v %+v %x", err, h, ip)
			}
			packets++
			inner += uint64(28 + n)
		}
	}
	got := r.plane.Counters(rec.Slot)
	if time.Since(got.LastSeen).Abs() > time.Minute {
		t.Errorf("last seen %v", got.LastSeen)
	}
	got.LastSeen = time.Time{}
	total := session.Counters{UpPackets: packets, UpBytes: inner, DownPackets: packets, DownBytes: inner}
	if got != total {
		t.Errorf("%+v, want %+v", got, total)
	}
	if up, down := r.count("xdp_sent_up"), r.count("xdp_sent_down"); up != packets || down != packets {
		t.Errorf("reasons: %d up, %d down, want %d", up, down, packets)
	}
	a := r.apply(session.ProgramOp{Remove: true, Record: rec})
	a.Final.LastSeen = time.Time{}
	if a.Err != nil || !a.Removed || a.Final != total {
		t.Errorf("removal: %+v", a)
	}
	if c := r.plane.Counters(rec.Slot); c != (session.Counters{}) || r.plane.Installed(rec.Slot) {
		t.Errorf("after removal %+v", c)
	}
	// Now its packets are passed up.
	r.up(pattern(10))
	r.expect(r.punted)
}

func TestSpoofedSourceIsDroppedAndCounted(t *testing.T) {
	r := newRig(t, nil)
	rec := r.install()
	ip := datagram(netip.MustParseAddrPort("10.64.0.8:5000"), addrOf(r.core), pattern(10))
	if _, err := r.lac.WriteToUDPAddrPort(l2tp.AppendDataIP(nil, l2tp.Framing{}, 100, 5, 0, ip), lns); err != nil {
		t.Fatal(err)
	}
	r.up(pattern(20))
	if got := r.expect(r.core); len(got) != 20 {
		t.Errorf("%d bytes arrived", len(got))
	}
	if c := r.plane.Counters(rec.Slot); c.UpDropped != 1 || c.UpPackets != 1 {
		t.Errorf("%+v", c)
	}
}

func TestControlAndUnknownArePassedUp(t *testing.T) {
	r := newRig(t, nil)
	hello := []byte{0xC8, 2, 0, 20, 0, 100, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6}
	unknown := l2tp.AppendDataIP(nil, l2tp.Framing{}, 100, 99, 0, datagram(netip.AddrPortFrom(subscriber, 1), addrOf(r.core), nil))
	for _, b := range [][]byte{hello, unknown} {
		if _, err := r.lac.WriteToUDPAddrPort(b, lns); err != nil {
			t.Fatal(err)
		}
		if got := r.expect(r.punted); !bytes.Equal(got, b) {
			t.Errorf("%x arrived, want %x", got, b)
		}
	}
}

// What is not for us ends in XDP, and so does what is too much.
func TestShield(t *testing.T) {
	lacs := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
	r := newRig(t, func(c *dataplane.Config) {
		c.LACSources, c.Rates = lacs, dataplane.Rates{SCCRQ: 2}
	})
	type step struct {
		b       []byte
		counter string
	}
	send := func(steps ...step) {
		t.Helper()
		for _, s := range steps {
			before := r.count(s.counter)
			if _, err := r.lac.WriteToUDPAddrPort(s.b, lns); err != nil {
				t.Fatal(err)
			}
			if err := netlab.Until(wait, func() error {
				if n := r.count(s.counter); n != before+1 {
					return fmt.Errorf("%x: %s is %d, want %d", s.b, s.counter, n, before+1)
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
	}
	hello := []byte{0xC8, 2, 0, 20, 0, 100, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6}
	sccrq := []byte{0xC8, 2, 0, 20, 0, 0, 0, 0, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 1}
	send(step{hello, "xdp_punt_control"}, step{sccrq, "xdp_drop_lac"})
	r.plane.TunnelGone(100)
	send(step{hello, "xdp_drop_lac"})
	if err := r.plane.AllowLACs([]netip.Prefix{netip.PrefixFrom(netlab.LACAddr, 32)}); err != nil {
		t.Fatal(err)
	}
	send(step{hello, "xdp_drop_tunnel"}, step{sccrq, "xdp_punt_control"}, step{sccrq, "xdp_punt_control"}, step{sccrq, "xdp_drop_sccrq_rate"})
	// Once open, open until the next start.
	for _, list := range [][]netip.Prefix{nil, lacs} {
		if err := r.plane.AllowLACs(list); err != nil {
			t.Fatal(err)
		}
	}
	send(step{hello, "xdp_drop_tunnel"})
}

// What a killed daemon left pinned must not forward for sessions nobody knows.
func TestLeftovers(t *testing.T) {
	var cfg dataplane.Config
	r := newRig(t, func(c *dataplane.Config) { c.Persist = true; cfg = *c })
	rec := r.install()
	t.Cleanup(func() { _ = maps.Unpin(cfg.PinPath) })

	r.close()
	r.open(cfg) // goes on where the first one is
	r.up(pattern(7))
	r.expect(r.core)
	if c := r.plane.Counters(rec.Slot); c.UpPackets != 1 {
		t.Errorf("%+v: the session was not taken over", c)
	}
	r.close()
	cfg.Persist = false
	r.open(cfg)
	r.up(pattern(8))
	r.expect(r.punted)
	if r.plane.Installed(rec.Slot) {
		t.Error("an unclaimed session is still there")
	}
}

func TestPinPathGetsItsFileSystem(t *testing.T) {
	var cfg dataplane.Config
	dir := ""
	r := newRig(t, func(c *dataplane.Config) {
		dir = t.TempDir()
		c.PinPath = filepath.Join(dir, "bpf", "lns")
		cfg = *c
	})
	var fs unix.Statfs_t
	if err := unix.Statfs(cfg.PinPath, &fs); err != nil || fs.Type != unix.BPF_FS_MAGIC {
		t.Fatalf("%v, type %#x", err, fs.Type)
	}
	r.install()
	r.up(pattern(5))
	r.expect(r.core)
}
