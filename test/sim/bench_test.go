package sim

import (
	"fmt"
	"runtime"
	"testing"
	"time"
)

// BenchmarkSessionSetup brings subscribers up through one shard: ICRQ, ICRP,
// ICCN, LCP, CHAP, IPCP, accounting start. The time includes the LAC's and the
// subscriber's half of the work and the simulated network.
func BenchmarkSessionSetup(b *testing.B) {
	w := New(b, 1, Options{NoJournal: true, Shards: 1, Pool: "10.0.0.0/8", MaxSessions: 1 << 20})
	w.CheckEvery = 0
	var tuns []*Tunnel
	for i := range b.N/20000 + 1 {
		tun := w.LAC(fmt.Sprintf("198.51.%d.1:1701", i), "lac", Secret).Open()
		w.Until(time.Second, "tunnel up", func() bool { return tun.Up })
		tuns = append(tuns, tun)
	}
	b.ReportAllocs()
	b.ResetTimer()
	const wave = 16
	for n := 0; n < b.N; n += wave {
		for i := range min(wave, b.N-n) {
			user := fmt.Sprintf("user%d", n+i)
			tuns[(n+i)%len(tuns)].Dial(user, "pw-"+user)
		}
		want := min(n+wave, b.N)
		w.Until(time.Minute, "sessions up", func() bool { return w.Acct.Starts == want })
		w.Logs.TakeAll()
	}
}

// maxBytesPerSession is what a session may cost in the daemon.
const maxBytesPerSession = 3 << 10

// TestMemoryPerSession measures what a session costs in the daemon: its state,
// its link and call, and its places in all maps and in the pool.
func TestMemoryPerSession(t *testing.T) {
	const sessions = 8000
	w := New(t, 1, Options{NoJournal: true, Shards: 1, Pool: "10.0.0.0/19"})
	w.CheckEvery = 0
	tun := w.LAC("198.51.100.1:1701", "lac", Secret).Open()
	w.Until(time.Second, "tunnel up", func() bool { return tun.Up })
	for n := 0; n < sessions; n += 100 {
		for i := range 100 {
			user := fmt.Sprintf("user%d@example.net", n+i)
			tun.Dial(user, "pw-"+user)
		}
		w.Until(time.Minute, "sessions up", func() bool { return w.Acct.Starts == n+100 })
	}
	w.Logs.TakeAll()
	// Everything but the engine is forgotten, then the engine too.
	e, in := w.Engine, w.In
	*w, *tun = World{}, Tunnel{}
	with := heapInUse()
	runtime.KeepAlive(e)
	runtime.KeepAlive(in)
	e, in = nil, nil
	per := (with - heapInUse()) / sessions
	t.Logf("%d bytes for each session", per)
	if per > maxBytesPerSession {
		t.Errorf("%d bytes for each session, want at most %d", per, maxBytesPerSession)
	}
}

func heapInUse() uint64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
