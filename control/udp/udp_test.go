package udp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/test/netlab"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func listen(t testing.TB, cfg Config) *Socket {
	t.Helper()
	if !cfg.Bind.IsValid() {
		cfg.Bind = netip.MustParseAddrPort("127.0.0.1:0")
	}
	s, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

type datagram struct {
	local, peer netip.AddrPort
	b           []byte
}

// run starts s.Run and returns what it receives; the test fails if Run does.
func run(t testing.TB, s *Socket) <-chan datagram {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ch := make(chan datagram, 4096)
	done := make(chan error, 1)
	go func() {
		done <- s.Run(ctx, func(local, peer netip.AddrPort, b []byte) {
			ch <- datagram{local, peer, bytes.Clone(b)}
		})
	}()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(time.Minute):
			t.Error("Run does not end")
		}
	})
	return ch
}

func receive(t testing.TB, ch <-chan datagram) datagram {
	t.Helper()
	select {
	case d := <-ch:
		return d
	case <-time.After(time.Minute):
		t.Fatal("nothing received")
		return datagram{}
	}
}

func count(t testing.TB, s *Socket, name string) uint64 {
	t.Helper()
	for _, c := range s.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	t.Fatalf("no counter %s", name)
	return 0
}

func TestEveryDatagramArrivesInOrder(t *testing.T) {
	a, b := listen(t, Config{Batch: 7}), listen(t, Config{Batch: 16})
	ch := run(t, b)
	x := a.NewSender()
	const total = 500
	size := 0
	for i := range total {
		p := make([]byte, 4+i*3)
		binary.BigEndian.PutUint32(p, uint32(i))
		x.Send(netip.AddrPort{}, b.LocalAddr(), p)
		size += len(p)
	}
	x.Flush()
	for i := range total {
		d := receive(t, ch)
		if got := binary.BigEndian.Uint32(d.b); int(got) != i || len(d.b) != 4+i*3 {
			t.Fatalf("datagram %d: number %d, %d bytes", i, got, len(d.b))
		}
		if d.peer != a.LocalAddr() || d.local != b.LocalAddr() {
			t.Fatalf("datagram %d from %s to %s, want %s to %s", i, d.peer, d.local, a.LocalAddr(), b.LocalAddr())
		}
	}
	for _, c := range []struct {
		s    *Socket
		name string
		want uint64
	}{
		{a, "udp_tx_packets", total}, {a, "udp_tx_bytes", uint64(size)}, {a, "udp_tx_errors", 0},
		{b, "udp_rx_packets", total}, {b, "udp_rx_bytes", uint64(size)}, {b, "udp_rx_errors", 0},
	} {
		// What has come is counted when the last of a batch has been handed over.
		if err := netlab.Until(time.Minute, func() error {
			if got := count(t, c.s, c.name); got != c.want {
				return fmt.Errorf("%s = %d, want %d", c.name, got, c.want)
			}
			return nil
		}); err != nil {
			t.Error(err)
		}
	}
}

// The answer has to leave from the address that the peer knows, whichever of
// the host's it is (RFC 2661 section 8.1).
func TestAnswerLeavesFromTheAddressAsked(t *testing.T) {
	s := listen(t, Config{Bind: netip.MustParseAddrPort("0.0.0.0:0")})
	ch := run(t, s)
	x := s.NewSender()
	for _, addr := range []string{"127.0.0.1", "127.0.0.77", "127.9.9.9"} {
		peer := listen(t, Config{})
		answers := run(t, peer)
		p := peer.NewSender()
		to := netip.AddrPortFrom(netip.MustParseAddr(addr), s.LocalAddr().Port())
		p.Send(netip.AddrPort{}, to, []byte("question"))
		p.Flush()
		d := receive(t, ch)
		if d.local != to {
			t.Fatalf("local is %s, want %s", d.local, to)
		}
		x.Send(d.local, d.peer, []byte("answer"))
		x.Flush()
		if got := receive(t, answers); got.peer != to || string(got.b) != "answer" {
			t.Fatalf("%q came from %s, want it from %s", got.b, got.peer, to)
		}
	}
}

func TestLongDatagramIsCountedNotCut(t *testing.T) {
	a, b := listen(t, Config{}), listen(t, Config{MaxDatagram: 100})
	ch := run(t, b)
	x := a.NewSender()
	x.Send(netip.AddrPort{}, b.LocalAddr(), make([]byte, 101))
	x.Send(netip.AddrPort{}, b.LocalAddr(), make([]byte, 100))
	x.Flush()
	if d := receive(t, ch); len(d.b) != 100 {
		t.Fatalf("%d bytes delivered, want 100", len(d.b))
	}
	if got := count(t, b, "udp_rx_truncated"); got != 1 {
		t.Errorf("udp_rx_truncated = %d, want 1", got)
	}
}

// A message that the kernel refuses must not take its neighbours along.
func TestRefusedMessageLeavesTheRest(t *testing.T) {
	a, b := listen(t, Config{}), listen(t, Config{})
	ch := run(t, b)
	x := a.NewSender()
	nowhere := netip.MustParseAddrPort("127.0.0.1:0") // EINVAL
	x.Send(netip.AddrPort{}, nowhere, []byte("x"))
	x.Send(netip.AddrPort{}, b.LocalAddr(), []byte("one"))
	x.Send(netip.AddrPort{}, nowhere, []byte("x"))
	x.Send(netip.AddrPort{}, netip.MustParseAddrPort("[::1]:1701"), []byte("x"))
	x.Send(netip.AddrPort{}, b.LocalAddr(), []byte("two"))
	x.Send(netip.AddrPort{}, nowhere, []byte("x"))
	x.Flush()
	for _, want := range []string{"one", "two"} {
		if d := receive(t, ch); string(d.b) != want {
			t.Fatalf("received %q, want %q", d.b, want)
		}
	}
	if got := count(t, a, "udp_tx_errors"); got != 4 {
		t.Errorf("udp_tx_errors = %d, want 4", got)
	}
}

// Port unreachable for one peer must not end the service of the others.
func TestICMPErrorDoesNotEndRun(t *testing.T) {
	a, b := listen(t, Config{}), listen(t, Config{})
	ch := run(t, a)
	gone := listen(t, Config{})
	addr := gone.LocalAddr()
	_ = gone.Close()
	x := a.NewSender()
	for range 3 {
		x.Send(netip.AddrPort{}, addr, []byte("anybody?"))
		x.Flush()
	}
	y := b.NewSender()
	y.Send(netip.AddrPort{}, a.LocalAddr(), []byte("still here"))
	y.Flush()
	if d := receive(t, ch); string(d.b) != "still here" {
		t.Fatalf("received %q", d.b)
	}
}

func TestCloseEndsRun(t *testing.T) {
	s := listen(t, Config{})
	done := make(chan error)
	for range 2 {
		go func() { done <- s.Run(context.Background(), func(_, _ netip.AddrPort, _ []byte) {}) }()
	}
	time.Sleep(10 * time.Millisecond)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	}
	x := s.NewSender()
	x.Send(netip.AddrPort{}, s.LocalAddr(), []byte("late"))
	x.Flush()
	if got := count(t, s, "udp_tx_errors"); got != 1 {
		t.Errorf("udp_tx_errors = %d after Close, want 1", got)
	}
}

func TestRunAgainAfterContextEnded(t *testing.T) {
	s := listen(t, Config{})
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	for range 100 {
		if err := s.Run(ctx, nil); err != nil {
			t.Fatal(err)
		}
	}
	ch := run(t, s)
	x := s.NewSender()
	x.Send(netip.AddrPort{}, s.LocalAddr(), []byte("self"))
	x.Flush()
	if d := receive(t, ch); string(d.b) != "self" {
		t.Fatalf("received %q", d.b)
	}
}

func TestControlIsMarkedClassSelector6(t *testing.T) {
	for _, c := range []struct {
		name   string
		sender func(*Socket) *Sender
		want   int
	}{
		{"control", (*Socket).NewControlSender, TOSControl},
		{"data", (*Socket).NewSender, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = pc.Close() }()
			peer := pc.LocalAddr().(*net.UDPAddr).AddrPort()
			tos, err := receivedTOS(pc, func() {
				x := c.sender(listen(t, Config{}))
				x.Send(netip.AddrPort{}, peer, []byte("x"))
				x.Flush()
			})
			if err != nil {
				t.Fatal(err)
			}
			if tos != c.want {
				t.Errorf("TOS %#x, want %#x", tos, c.want)
			}
		})
	}
}

func TestListenRefuses(t *testing.T) {
	s := listen(t, Config{})
	for name, bind := range map[string]netip.AddrPort{
		"both at once":    netip.MustParseAddrPort("[::ffff:127.0.0.1]:0"),
		"nothing":         {},
		"in use":          s.LocalAddr(),
		"not this host's": netip.MustParseAddrPort("192.0.2.1:0"),
	} {
		if got, err := Listen(Config{Bind: bind}); err == nil {
			_ = got.Close()
			t.Errorf("%s: %s accepted", name, bind)
		}
	}
}

func TestReusePortSharesAnAddress(t *testing.T) {
	s := listen(t, Config{ReusePort: true})
	listen(t, Config{ReusePort: true, Bind: s.LocalAddr()})
}

// Senders of one socket are used by many goroutines at once, one each.
func TestSendersInParallel(t *testing.T) {
	a, b := listen(t, Config{}), listen(t, Config{})
	ch := run(t, b)
	var wg sync.WaitGroup
	const senders, each = 4, 200
	for range senders {
		wg.Go(func() {
			x := a.NewSender()
			for range each {
				x.Send(a.LocalAddr(), b.LocalAddr(), []byte("0123456789"))
			}
			x.Flush()
		})
	}
	wg.Wait()
	for range senders * each {
		receive(t, ch)
	}
}

func TestNoAllocationPerDatagram(t *testing.T) {
	for _, segments := range []bool{false, true} {
		noAllocation(t, Config{Segments: segments})
	}
}

func noAllocation(t *testing.T, cfg Config) {
	s := listen(t, cfg)
	x := s.NewSender()
	r := newReceiver(s.cfg.Batch, maxDatagram)
	b := make([]byte, 1400)
	got := 0
	fn := func(_, _ netip.AddrPort, _ byte, b []byte) { got += len(b) }
	allocs := testing.AllocsPerRun(100, func() {
		for range 32 {
			x.Send(s.LocalAddr(), s.LocalAddr(), b)
		}
		x.Flush()
		n, err := r.read(s)
		if err != nil {
			t.Fatal(err)
		}
		s.deliver(r, n, fn)
	})
	if allocs != 0 {
		t.Errorf("%v allocations per batch of 32, want 0", allocs)
	}
	if got == 0 {
		t.Error("nothing was delivered")
	}
}

func BenchmarkLoopback(b *testing.B) {
	s := listen(b, Config{})
	x := s.NewSender()
	r := newReceiver(s.cfg.Batch, s.cfg.MaxDatagram)
	p := make([]byte, 128)
	b.ReportAllocs()
	for sent, got := 0, 0; got < b.N; {
		for range min(s.cfg.Batch, b.N-sent) {
			x.Send(s.LocalAddr(), s.LocalAddr(), p)
			sent++
		}
		x.Flush()
		n, err := r.read(s)
		if err != nil {
			b.Fatal(err)
		}
		s.deliver(r, n, func(_, _ netip.AddrPort, _ byte, _ []byte) { got++ })
	}
}

// receivedTOS reads the TOS byte of the datagram that send causes.
func receivedTOS(pc net.PacketConn, send func()) (int, error) {
	raw, err := pc.(*net.UDPConn).SyscallConn()
	if err != nil {
		return 0, err
	}
	if err := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
	}); err != nil {
		return 0, err
	}
	if err != nil {
		return 0, err
	}
	send()
	oob := make([]byte, 64)
	_, n, _, _, err := pc.(*net.UDPConn).ReadMsgUDP(make([]byte, 16), oob)
	if err != nil {
		return 0, err
	}
	return int(oob[:n][unix.CmsgLen(0)]), nil
}
