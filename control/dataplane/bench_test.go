package dataplane_test

import (
	"net/netip"
	"os"
	"testing"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/session"
)

// BenchmarkApply installs and removes sessions in the kernel's maps, attached to
// nothing. One iteration is one session's whole life.
func BenchmarkApply(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("BPF maps need root")
	}
	const sessions = 4096
	answered := make(chan int, sessions)
	plane, err := dataplane.Open(dataplane.Config{MaxSessions: sessions, Interfaces: []string{"none"}},
		func(a []session.Programmed) {
			for _, p := range a {
				if p.Err != nil {
					b.Error(p.Err)
				}
			}
			answered <- len(a)
		}, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = plane.Close() }()
	peer := netip.MustParseAddrPort("192.0.2.2:1701")
	b.ResetTimer()
	for done := 0; done < b.N; {
		n := min(sessions, b.N-done)
		for _, remove := range []bool{false, true} {
			ops := make([]session.ProgramOp, n)
			for i := range ops {
				r := newRecord(peer)
				r.Slot, r.SessionID = uint32(i+1), uint16(i+1)
				r.Address = netip.AddrFrom4([4]byte{10, 64, byte(i >> 8), byte(i)})
				ops[i] = session.ProgramOp{Remove: remove, Record: r}
			}
			plane.Apply(ops)
			for left := n; left > 0; {
				left -= <-answered
			}
		}
		done += n
	}
}

// BenchmarkCounters reads sessions' counters from shared memory.
func BenchmarkCounters(b *testing.B) {
	if os.Geteuid() != 0 {
		b.Skip("BPF maps need root")
	}
	answered := make(chan struct{}, 1)
	plane, err := dataplane.Open(dataplane.Config{MaxSessions: 16, Interfaces: []string{"none"}},
		func([]session.Programmed) { answered <- struct{}{} }, zap.NewNop())
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = plane.Close() }()
	plane.Apply([]session.ProgramOp{{Record: newRecord(netip.MustParseAddrPort("192.0.2.2:1701"))}})
	<-answered
	b.ReportAllocs()
	for b.Loop() {
		plane.Counters(5)
	}
}
