package spool

import (
	"context"
	"testing"

	"github.com/lnsd/lnsd/control/session"
)

// BenchmarkAccount is a record from the engine to the answer of a server that
// answers at once: the Start and the Stop of a session are two.
func BenchmarkAccount(b *testing.B) {
	s, v := open(b, Config{Dir: b.TempDir()})
	defer s.Close()
	s.Start(func(r *session.AcctRecord) bool { v.confirm(r, nil); return true })
	r := full()
	b.ReportAllocs()
	for b.Loop() {
		c := *r
		for !s.Account(&c) {
			s.signal()
		}
	}
	s.Drain(context.Background())
}
