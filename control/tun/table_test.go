package tun

import (
	"net/netip"
	"sync/atomic"
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

// TestSequenceShared: XDP judges what it passes up, forwards more meanwhile, and goes
// on from what the slow path has heard.
func TestSequenceShared(t *testing.T) {
	var send, expect atomic.Uint32
	s := newSequence(session.Sequence{Send: &send, Expect: &expect}, 7)
	if n := s.next(); n != 7 || send.Load() != 8 {
		t.Errorf("sent %d, next %d", n, send.Load())
	}
	send.Add(2) // by XDP
	if n := s.next(); n != 10 {
		t.Errorf("sent %d", n)
	}
	steps := []struct {
		forwarded uint32 // what XDP expects before the message comes here
		ns        uint16
		late      bool
		then      uint32
	}{
		{0, 3, false, 4},                      // XDP has not begun
		{0, 3, true, 4},                       // a copy
		{9, 6, false, 9},                      // overtaken on its way here
		{9, 6, true, 9},                       // its copy
		{9, 5, true, 9},                       // behind it
		{9, 9, false, 10},                     // not seen by XDP
		{70010, 70009 & 0xFFFF, false, 70010}, // a round later
		{70010, 70008 & 0xFFFF, true, 70010},
		{0, 70020 & 0xFFFF, false, 70021},
		{0x9000_0000, 0xFFFF, false, 0x9000_0000}, // after a long time in XDP
	}
	for i, c := range steps {
		expect.Store(max(c.forwarded, expect.Load()))
		if got := s.late(c.ns); got != c.late || expect.Load() != c.then {
			t.Errorf("step %d: late %v, %d is expected; want %v, %d", i, got, expect.Load(), c.late, c.then)
		}
	}
}
