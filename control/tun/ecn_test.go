package tun

import (
	"bytes"
	"testing"

	"github.com/lnsd/lnsd/control/session"
)

// Marks outside come inside, or the packet is dropped, and go outside again on the
// way down.
func TestECN(t *testing.T) {
	p, m := newPath6(t)
	r := record6()
	r.Framing.ECN = true
	install(p, r)
	u := p.NewUplink()
	var drops uint64
	for inner := range byte(4) {
		v4 := udpPacket("10.64.0.7", "198.51.100.2", 0, 10)
		v4[1] = 0xB8 | inner
		setHeaderChecksum(v4)
		v6 := packet6("2001:db8:64:7::1", "2001:db8:ffff::1", 17, make([]byte, 10))
		v6[0], v6[1] = 0x6B, 0x80|inner<<4|0x05
		for outer := range byte(4) {
			want, ok := session.CombineECN(outer, 0xB8|inner)
			for _, ip := range [][]byte{v4, v6} {
				m.written = nil
				u.Packet(lns, lac, 0x20|outer, data(ip))
				u.Flush()
				if !ok {
					drops++
				}
				if ok != (len(m.written) == 1) {
					t.Fatalf("outer %d, inner %d: %d written", outer, inner, len(m.written))
				}
				if !ok {
					continue
				}
				w, got := m.written[0], m.written[0][1]
				if w[0]>>4 == 6 {
					if got = w[0]<<4 | w[1]>>4; w[1]&0x0F != 5 {
						t.Errorf("flow label %x", w[:4])
					}
				} else if checksum(w[:20]) != 0 {
					t.Errorf("wrong header checksum % x", w[:20])
				}
				if got != want {
					t.Errorf("outer %d, inner %d: %#x, want %#x", outer, inner, got, want)
				}
			}
		}
		down := udpPacket("198.51.100.2", "10.64.0.7", 0, 10)
		down[1] = 0xB8 | inner
		p.down[0].packet(down)
	}
	if n := count(t, p, upECN); n != drops || p.Counters(3).UpDropped != drops || drops != 2 {
		t.Errorf("%d drops counted, %d in the session, want %d", n, p.Counters(3).UpDropped, drops)
	}
	if !bytes.Equal(m.tos, []byte{0, 1, 2, 3}) {
		t.Errorf("TOS % x", m.tos)
	}
}
