package dataplane_test

import (
	"bytes"
	"net/netip"
	"testing"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/l2tp"
)

// Data is handed from CPU to CPU, and all that is not forwarded is passed up from
// there; the other direction is as it was.
func TestSpreadsOverCPUs(t *testing.T) {
	for _, want := range []dataplane.Want{dataplane.Native, dataplane.Generic} {
		r := newRig(t, func(c *dataplane.Config) { c.Spread, c.Want = dataplane.SpreadOn, want })
		if len(r.plane.Spread()) == 0 {
			t.Error("not spread")
		}
		rec := r.install()
		const n = 50
		for i := range n {
			r.up(pattern(i))
			if got := r.expect(r.core); !bytes.Equal(got, pattern(i)) {
				t.Fatalf("%d bytes, want %d", len(got), i)
			}
			if _, err := r.core.WriteToUDPAddrPort(pattern(i), netip.AddrPortFrom(subscriber, 5000)); err != nil {
				t.Fatal(err)
			}
			r.expect(r.lac)
		}
		lcp := l2tp.AppendData(nil, l2tp.Framing{}, 100, 5, 0, 0xC021, []byte{10, 1, 0, 8, 0, 0, 0, 0})
		if _, err := r.lac.WriteToUDPAddrPort(lcp, lns); err != nil {
			t.Fatal(err)
		}
		if got := r.expect(r.punted); !bytes.Equal(got, lcp) {
			t.Errorf("%x was passed up, want %x", got, lcp)
		}
		c := r.plane.Counters(rec.Slot)
		if c.UpPackets != n || c.DownPackets != n {
			t.Errorf("counted %+v", c)
		}
		if handed, taken := r.count("xdp_spread_handed"), r.count("xdp_spread_taken"); handed != n+1 || taken != n+1 {
			t.Errorf("%d frames handed over, %d taken", handed, taken)
		}
		r.close()
	}
}
