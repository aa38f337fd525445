package udp

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/test/netlab"
)

// lengths are those of datagrams sent one after another, and how many messages
// they make.
var lengths = []struct {
	name     string
	lengths  []int
	messages int
}{
	{"equal", []int{100, 100, 100, 100}, 1},
	{"the last is shorter", []int{100, 100, 60}, 1},
	{"nothing follows a shorter one", []int{100, 60, 60, 60, 100}, 3},
	{"longer ones begin anew", []int{60, 100, 100, 61}, 2},
	{"as many as there may be", slice(maxSegments+3, 20), 2},
	{"as long as there may be", slice(50, 1400), 2},
	{"alone", []int{1400}, 1},
}

func slice(n, length int) []int {
	out := make([]int, n)
	for i := range out {
		out[i] = length
	}
	return out
}

// numbered is a datagram that can be told from others.
func numbered(i, length int) []byte {
	b := make([]byte, length)
	for j := range b {
		b[j] = byte(i + j)
	}
	binary.BigEndian.PutUint32(b, uint32(i))
	return b
}

// Bundles arrive as the datagrams that were put in, whether the receiver takes
// bundles or not, and every one is counted.
func TestBundles(t *testing.T) {
	for _, c := range lengths {
		for _, receiving := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/%v", c.name, receiving), func(t *testing.T) {
				a, b := listen(t, Config{Segments: true}), listen(t, Config{Segments: receiving})
				ch := run(t, b)
				x := a.NewSender()
				size := uint64(0)
				for i, n := range c.lengths {
					x.Send(netip.AddrPort{}, b.LocalAddr(), numbered(i, n))
					size += uint64(n)
				}
				if x.n != c.messages {
					t.Errorf("%d messages, want %d", x.n, c.messages)
				}
				x.Flush()
				for i, n := range c.lengths {
					if d := receive(t, ch); !bytes.Equal(d.b, numbered(i, n)) || d.peer != a.LocalAddr() || d.local != b.LocalAddr() {
						t.Fatalf("datagram %d: %d bytes %x... from %s, want %d bytes", i, len(d.b), d.b[:4], d.peer, n)
					}
				}
				want := uint64(len(c.lengths))
				if got := count(t, a, "udp_tx_packets"); got != want {
					t.Errorf("%d counted as sent, want %d", got, want)
				}
				if got := count(t, a, "udp_tx_bytes"); got != size {
					t.Errorf("%d bytes counted as sent, want %d", got, size)
				}
				// They are counted when the last has been handed over.
				if err := netlab.Until(time.Minute, func() error {
					if got := count(t, b, "udp_rx_packets"); got != want {
						return fmt.Errorf("%d counted as received, want %d", got, want)
					}
					return nil
				}); err != nil {
					t.Error(err)
				}
			})
		}
	}
}

// Different ends are never in one bundle.
func TestBundleHasTwoEnds(t *testing.T) {
	a, b, c := listen(t, Config{Segments: true}), listen(t, Config{}), listen(t, Config{})
	x := a.NewSender()
	x.Send(netip.AddrPort{}, b.LocalAddr(), numbered(1, 100))
	x.Send(netip.AddrPort{}, c.LocalAddr(), numbered(2, 100))
	x.Send(a.LocalAddr(), c.LocalAddr(), numbered(3, 100))
	if x.n != 3 {
		t.Errorf("%d messages, want 3", x.n)
	}
	x.Flush()
}

// A bundle has one TOS, which arrives with each datagram of it.
func TestBundleHasOneTOS(t *testing.T) {
	a, b := listen(t, Config{Segments: true}), listen(t, Config{Segments: true})
	type marked struct {
		tos byte
		b   []byte
	}
	ch := make(chan marked, 100)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() {
		if err := b.RunMarked(ctx, func(_, _ netip.AddrPort, tos byte, d []byte) { ch <- marked{tos, bytes.Clone(d)} }, func() {}); err != nil {
			t.Error(err)
		}
	})
	t.Cleanup(wg.Wait)
	t.Cleanup(cancel)
	x := a.NewSender()
	all := []byte{0, 0, 0xB8, 0xB8, 0xB8, 0xBB, 0, 0}
	for i, tos := range all {
		copy(x.Reserve(netip.AddrPort{}, b.LocalAddr(), tos, 100), numbered(i, 100))
	}
	if x.n != 4 {
		t.Errorf("%d messages, want 4", x.n)
	}
	x.Flush()
	for i, tos := range all {
		select {
		case d := <-ch:
			if d.tos != tos || !bytes.Equal(d.b, numbered(i, 100)) {
				t.Errorf("datagram %d: TOS %#x and %x..., want %#x", i, d.tos, d.b[:4], tos)
			}
		case <-time.After(time.Minute):
			t.Fatalf("datagram %d is missing", i)
		}
	}
}

// What exceeds the link's MTU can't be sent in a bundle: it goes alone, in
// fragments, and is not tried again.
func TestBundleOfFragments(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	lab, err := netlab.New(fmt.Sprintf("udp%d", os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	at := func(ns *netlab.Namespace, addr netip.Addr, segments bool) (s *Socket) {
		err := ns.Do(func() (err error) {
			s, err = Listen(Config{Bind: netip.AddrPortFrom(addr, 0), Segments: segments})
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = s.Close() })
		return s
	}
	a, b := at(lab.LNS, netlab.LNSAddr, true), at(lab.LAC, netlab.LACAddr, false)
	ch := run(t, b)
	x := a.NewSender()
	for round := range 2 {
		for i, n := range []int{2000, 2000, 2000, 300, 300, 300} {
			x.Send(netip.AddrPort{}, b.LocalAddr(), numbered(i, n))
		}
		if want := []int{2, 4}[round]; x.n != want {
			t.Errorf("round %d: %d messages, want %d", round, x.n, want)
		}
		x.Flush()
		for i, n := range []int{2000, 2000, 2000, 300, 300, 300} {
			if d := receive(t, ch); !bytes.Equal(d.b, numbered(i, n)) {
				t.Errorf("datagram %d: %d bytes", i, len(d.b))
			}
		}
	}
	if got := count(t, a, "udp_tx_packets"); got != 12 {
		t.Errorf("%d counted as sent, want 12", got)
	}
	if got := count(t, a, "udp_tx_errors"); got != 0 {
		t.Errorf("%d errors", got)
	}
}

func TestBundleLimits(t *testing.T) {
	for _, c := range []struct {
		err     unix.Errno
		longest int64
	}{{unix.EIO, 0}, {unix.ENOPROTOOPT, 0}, {unix.EMSGSIZE, 1399}, {unix.EINVAL, 1399}, {unix.EPERM, 5000}, {unix.ENOBUFS, 5000}} {
		var l bundleLimits
		l.allow(5000)
		l.refused(c.err, 1400)
		if got := l.longest.Load(); got != c.longest {
			t.Errorf("%v: %d, want %d", c.err, got, c.longest)
		}
	}
}
