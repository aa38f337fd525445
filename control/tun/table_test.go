package tun

import (
	"net/netip"
	"testing"

	"github.com/lnsd/lnsd/control/session"
)

func TestTable(t *testing.T) {
	a, b := record(), record()
	b.Ref = session.Ref{TunnelID: 7, SessionID: 10, Serial: 2}
	b.Slot = 4
	ip := func(p *Path, a string) *entry { return p.table.byDestination(number(netip.MustParseAddr(a))) }

	t.Run("an address taken over stays with the new owner", func(t *testing.T) {
		p, _ := newPath(t)
		install(p, a, b)
		p.Apply([]session.ProgramOp{{Remove: true, Record: a}})
		for _, dst := range []string{"10.64.0.7", "172.16.5.1", "172.16.9.1"} {
			if e := ip(p, dst); e == nil || e.ref != b.Ref {
				t.Errorf("%s: %+v", dst, e)
			}
		}
		p.Apply([]session.ProgramOp{{Remove: true, Record: b}})
		if len(p.table.byID)+len(p.table.byAddress)+len(p.table.byRoute) != 0 || p.table.lengths != [33]int{} {
			t.Errorf("left over: %+v", p.table)
		}
	})
	t.Run("a stranger's removal is ignored", func(t *testing.T) {
		p, _ := newPath(t)
		install(p, a)
		old := a
		old.Serial = 0
		p.Apply([]session.ProgramOp{{Remove: true, Record: old}})
		if ip(p, "10.64.0.7") == nil {
			t.Error("removed by an earlier session's record")
		}
	})
	t.Run("longest route wins", func(t *testing.T) {
		p, _ := newPath(t)
		a, b := a, b
		a.Routes = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0")}
		b.Routes = []netip.Prefix{netip.MustParsePrefix("172.16.5.128/25")}
		b.Address = netip.MustParseAddr("10.64.0.8")
		install(p, a, b)
		if e := ip(p, "172.16.5.200"); e == nil || e.ref != b.Ref {
			t.Errorf("%+v", e)
		}
		if e := ip(p, "172.16.5.1"); e == nil || e.ref != a.Ref {
			t.Errorf("%+v", e)
		}
	})
	t.Run("counters survive removal, not reuse", func(t *testing.T) {
		p, _ := newPath(t)
		install(p, a)
		p.down[0].packet(udpPacket("198.51.100.2", "10.64.0.7", flagDF, 10))
		p.Apply([]session.ProgramOp{{Remove: true, Record: a}})
		if c := p.Counters(3); c.DownPackets != 1 {
			t.Errorf("after removal %+v", c)
		}
		b := b
		b.Slot = 3
		install(p, b)
		if c := p.Counters(3); c != (session.Counters{}) {
			t.Errorf("a new session starts with %+v", c)
		}
	})
	t.Run("another routing table", func(t *testing.T) {
		p, _ := newPath(t)
		a := a
		a.VRF = 5
		install(p, a)
		if ip(p, "10.64.0.7") != nil {
			t.Error("reachable from the main table")
		}
	})
	t.Run("slot out of range", func(t *testing.T) {
		p, _ := newPath(t)
		a := a
		a.Slot = 1000
		install(p, a)
		if c := p.Counters(1000); c != (session.Counters{}) {
			t.Errorf("%+v", c)
		}
	})
}

func TestMask(t *testing.T) {
	for bits, want := range map[uint8]uint32{0: 0, 1: 0x80000000, 24: 0xFFFFFF00, 32: 0xFFFFFFFF} {
		if got := mask(0xFFFFFFFF, bits); got != want {
			t.Errorf("/%d: %#x, want %#x", bits, got, want)
		}
	}
}
