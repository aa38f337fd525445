package udp

import (
	"context"
	"fmt"
	"net/netip"
	"testing"
	"time"
)

// pair opens a pair on the loopback addresses, or on all addresses.
func pair(t *testing.T, all bool, cfg Config) *Pair {
	t.Helper()
	bind6 := netip.MustParseAddrPort("[::1]:0")
	cfg.Bind = netip.MustParseAddrPort("127.0.0.1:0")
	if all {
		cfg.Bind, bind6 = netip.MustParseAddrPort("0.0.0.0:0"), netip.MustParseAddrPort("[::]:0")
	}
	p, err := ListenPair(cfg, bind6)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// at is the address that a socket is reached at.
func at(s *Socket) netip.AddrPort {
	host := netip.MustParseAddr("127.0.0.1")
	if s.ipv6 {
		host = netip.IPv6Loopback()
	}
	return netip.AddrPortFrom(host, s.LocalAddr().Port())
}

// TestPair: what goes to an IPv6 peer leaves by the one socket and what goes to an
// IPv4 peer by the other, each from the address that is asked for, with its TOS, one
// by one and in bundles.
func TestPair(t *testing.T) {
	for _, all := range []bool{false, true} {
		for _, segments := range []bool{false, true} {
			t.Run(fmt.Sprintf("all %v segments %v", all, segments), func(t *testing.T) {
				a, b := pair(t, all, Config{Segments: segments}), pair(t, all, Config{Segments: segments})
				x := a.NewSender()
				for i, to := range b.Sockets() {
					ctx, cancel := context.WithCancel(context.Background())
					type got struct {
						local, peer netip.AddrPort
						tos         byte
						text        string
					}
					ch, done := make(chan got, 16), make(chan error, 1)
					go func() {
						done <- to.RunMarked(ctx, func(local, peer netip.AddrPort, tos byte, d []byte) {
							ch <- got{local, peer, tos, string(d)}
						}, func() {})
					}()
					from := at(a.Sockets()[i])
					for n := range 3 {
						copy(x.Reserve(from, at(to), 0xB8, 9), fmt.Sprintf("number %d\n", n))
					}
					x.Send(netip.AddrPort{}, at(to), []byte("by Send"))
					x.Flush()
					for n := range 4 {
						want := got{at(to), from, 0xB8, fmt.Sprintf("number %d\n", n)}
						if n == 3 {
							want.tos, want.text = 0, "by Send"
						}
						select {
						case g := <-ch:
							if g != want {
								t.Errorf("received %+v, want %+v", g, want)
							}
						case <-time.After(time.Minute):
							t.Fatal("nothing received")
						}
					}
					cancel()
					if err := <-done; err != nil {
						t.Error(err)
					}
				}
				for _, c := range a.Counts() {
					if c.Name == "udp_tx_packets" && c.Value != 8 || c.Name == "udp_tx_errors" && c.Value != 0 {
						t.Errorf("%s = %d", c.Name, c.Value)
					}
				}
			})
		}
	}
}

// TestPairWithoutIPv6: then there is nothing but the one socket, and IPv6 peers are
// not reached.
func TestPairWithoutIPv6(t *testing.T) {
	p, err := ListenPair(Config{Bind: netip.MustParseAddrPort("127.0.0.1:0")}, netip.AddrPort{})
	if err != nil {
		t.Fatal(err)
	}
	defer p.Close()
	if len(p.LocalAddrs()) != 1 {
		t.Errorf("bound to %v", p.LocalAddrs())
	}
	p.NewSender().Send(netip.AddrPort{}, netip.MustParseAddrPort("[::1]:9"), []byte("x"))
	for _, c := range p.Counts() {
		if c.Name == "udp_tx_errors" && c.Value != 1 {
			t.Errorf("%s = %d", c.Name, c.Value)
		}
	}
	if _, err := ListenPair(Config{Bind: p.LocalAddrs()[0]}, netip.AddrPort{}); err == nil {
		t.Error("an address in use is taken")
	}
}
