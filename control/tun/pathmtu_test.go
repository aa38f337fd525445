package tun

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
	"time"
)

// A path narrower than the session's MTU bounds the inner packets: they are cut,
// or refused with what really fits, and the kernel is asked once a second.
func TestPathMTU(t *testing.T) {
	p, m := newPath6(t)
	asked, mtu := 0, 1300
	p.down[0].paths = &pathMTUs{known: map[netip.Addr]pathMTU{}, ask: func(peer netip.Addr) (int, error) {
		if peer != lac.Addr() {
			t.Errorf("asked for %s", peer)
		}
		asked++
		return mtu, nil
	}}
	const fits = 1300 - 28 - 12 // IPv4, UDP; L2TP with Length, FF 03, protocol
	send := func(b []byte, want reason) {
		t.Helper()
		if r := p.down[0].packet(b); r != want {
			t.Errorf("%d bytes: %s, want %s", len(b), reasonNames[r], reasonNames[want])
		}
	}
	v4 := func(flags uint16, n int) []byte { return udpPacket("198.51.100.2", "10.64.0.7", flags, n-28) }
	v6 := func(n int) []byte {
		return packet6("2001:db8:ffff::1", "2001:db8:64:7::9", 17, make([]byte, n-40))
	}
	send(v4(flagDF, fits), downForwarded)
	send(v6(fits), downForwarded)
	send(v4(flagDF, fits+1), downTooBig)
	send(v6(fits+1), downTooBig)
	send(v4(0, fits+1), downFragmented)
	if len(m.icmp) != 2 || binary.BigEndian.Uint16(m.icmp[0][26:]) != fits || binary.BigEndian.Uint32(m.icmp[1][44:]) != fits {
		t.Errorf("ICMP %x", m.icmp)
	}
	for _, b := range m.sent {
		if len(b)+28 > 1300 {
			t.Errorf("%d bytes sent on a path of 1300", len(b)+28)
		}
	}
	if asked != 1 {
		t.Errorf("asked %d times", asked)
	}
	mtu = 1500
	p.down[0].now = p.down[0].now.Add(pathMTUAge)
	send(v4(flagDF, 1460), downForwarded)
	send(v4(flagDF, 1461), downTooBig) // the session's own
	if asked != 2 {
		t.Errorf("asked %d times, want 2", asked)
	}
	p.down[0].paths.ask = func(netip.Addr) (int, error) { return 0, errors.New("no route") }
	p.down[0].now = p.down[0].now.Add(time.Hour)
	send(v4(flagDF, 1460), downForwarded)
}

func TestNoAllocationWithPathMTU(t *testing.T) {
	p := sinkPath(t)
	p.down[0].paths = &pathMTUs{known: map[netip.Addr]pathMTU{}, ask: func(netip.Addr) (int, error) { return 1300, nil }}
	b := udpPacket("198.51.100.2", "10.64.0.7", flagDF, 1000)
	if n := testing.AllocsPerRun(500, func() { p.down[0].packet(b) }); n != 0 {
		t.Errorf("%v allocations per packet, want 0", n)
	}
}
