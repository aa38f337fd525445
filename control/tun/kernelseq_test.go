package tun_test

import (
	"fmt"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/netlab"
)

// A session with data sequence numbers, over real sockets: late and repeated
// messages are dropped, a gap is not, and what goes down is numbered (RFC 2661
// section 5.4).
func TestSequencedSession(t *testing.T) {
	r := newRig(t, true)
	rec := r.install(1, subscriber, 1400)
	rec.Framing.Sequence, rec.Serial = true, 99
	r.path.Apply([]session.ProgramOp{{Record: rec}})
	c := r.core()
	sub := netip.AddrPortFrom(subscriber, 5000)
	dst := netip.AddrPortFrom(netlab.CoreAddr, port(c))
	numbered := framing
	numbered.Sequence = true
	for _, ns := range []uint16{0, 1, 1, 0, 5, 4, 6} {
		ip := datagram(sub, dst, 64, true, pattern(100+int(ns)))
		r.lac.Send(netip.AddrPort{}, r.lns, l2tp.AppendDataIP(nil, numbered, 100, 1, ns, ip))
	}
	r.lac.Flush()
	for _, ns := range []int{0, 1, 5, 6} {
		r.expect(c, sub, pattern(100+ns))
	}
	err := netlab.Until(wait, func() error {
		if n := r.count("slow_up_late"); n != 3 {
			return fmt.Errorf("%d late, want 3", n)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	if got := r.path.Counters(1); got.UpPackets != 4 || got.UpDropped != 3 {
		t.Errorf("%+v", got)
	}
	for want := range uint16(3) {
		if _, err := c.WriteToUDPAddrPort(pattern(9), sub); err != nil {
			t.Fatal(err)
		}
		select {
		case b := <-r.fromLNS:
			h, _, err := l2tp.ParseHeader(b)
			if err != nil || h.Flags&l2tp.FlagSequence == 0 || h.Ns != want {
				t.Errorf("flags %#x, Ns %d, want %d (%v)", h.Flags, h.Ns, want, err)
			}
		case <-time.After(wait):
			t.Fatal("nothing came down")
		}
	}
}
