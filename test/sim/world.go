// Package sim runs the control plane in virtual time: real tunnels and links at
// both ends, real shards, and between them a network that loses, repeats and
// reorders. The authenticator, the accountant and the forwarding path follow a
// script and check what they see. A run depends on its seed alone.
package sim

import (
	"container/heap"
	"math/rand/v2"
	"net/netip"
	"os"
	"strconv"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Secret is what LACs and the LNS share unless a test says otherwise.
const Secret = "tunnel secret"

// LNS is the server's address.
var LNS = netip.MustParseAddrPort("192.0.2.1:1701")

// Network says how badly packets travel.
type Network struct {
	Loss, Repeat  float64 // probabilities
	Delay, Jitter time.Duration
}

// Options make a world.
type Options struct {
	Shards  int
	Network Network
	// Pool is the prefix of the pool "default".
	Pool        string
	MaxSessions uint32
	// Checker knows what services there are; nil: any.
	Checker engine.ServiceChecker
	// Tap looks on; nil: nobody.
	Tap engine.Tap
	// Tracer traces; nil: nothing is traced.
	Tracer engine.Tracer
	// NoJournal keeps nothing for a Crash, for tests that look at memory and time.
	NoJournal bool
	// Adjust changes the configuration before the engine is made.
	Adjust func(*engine.Config)
}

// World is one simulation.
type World struct {
	T    testing.TB
	Seed uint64

	Now     time.Time
	start   time.Time
	rng     *rand.Rand
	events  eventHeap
	seq     uint64
	Net     Network
	Engine  *engine.Engine
	In      *engine.Inboxes
	Auth    *Auth
	Acct    *Acct
	Forward *Forward
	Gate    *Gate
	Notices *Notices
	Logs    *observer.ObservedLogs
	lacs    map[netip.AddrPort]*LAC
	armed   []time.Time // by shard
	// Journal is what Crash goes on with; Recovered counts the accounts it closed.
	Journal   *Journal
	Recovered int
	epoch     uint32
	make      func() (*engine.Engine, error)
	seen      map[uint16]sequence
	// Steps counts events; CheckEvery is how many pass between full checks.
	Steps, CheckEvery int
}

type event struct {
	at  time.Time
	seq uint64
	f   func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	if !h[i].at.Equal(h[j].at) {
		return h[i].at.Before(h[j].at)
	}
	return h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	old[len(old)-1] = event{}
	*h = old[:len(old)-1]
	return x
}

// SeedFromEnv is the seed in SEED, or def.
func SeedFromEnv(t testing.TB, def uint64) uint64 {
	if s := os.Getenv("SEED"); s != "" {
		n, err := strconv.ParseUint(s, 10, 64)
		if err != nil {
			t.Fatalf("SEED: %v", err)
		}
		return n
	}
	return def
}

// New makes a world. The seed is printed when the test fails.
func New(t testing.TB, seed uint64, o Options) *World {
	t.Helper()
	if o.Shards == 0 {
		o.Shards = 4
	}
	if o.Pool == "" {
		o.Pool = "10.0.0.0/16"
	}
	if o.MaxSessions == 0 {
		o.MaxSessions = 1 << 16
	}
	core, logs := observer.New(zapcore.DebugLevel)
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	w := &World{
		T: t, Seed: seed, Now: start, start: start, rng: rand.New(rand.NewPCG(seed, 0)), Net: o.Network,
		seen: make(map[uint16]sequence),
		lacs: make(map[netip.AddrPort]*LAC), Logs: logs, CheckEvery: 50,
	}
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("replay with SEED=%d", seed)
		}
	})
	w.In = engine.NewInboxes(o.Shards)
	w.Auth, w.Acct, w.Forward, w.Gate = newAuth(w), newAcct(w), newForward(w), newGate(w)
	w.Notices = newNotices(w)
	w.armed = make([]time.Time, w.In.Shards())
	w.Journal = newJournal()
	ports := engine.Ports{
		Authenticator: w.Auth, Accountant: w.Acct, Forwarder: w.Forward, Gate: w.Gate, Services: o.Checker,
		Observer: w.Notices, Tap: o.Tap, Tracer: o.Tracer,
	}
	if !o.NoJournal {
		ports.Journal = w.Journal
	}
	for range w.In.Shards() {
		ports.Send = append(ports.Send, wire{w})
	}
	w.make = func() (*engine.Engine, error) {
		cfg := w.config(t, o)
		cfg.Epoch += w.epoch
		cfg.Seed[30] ^= byte(w.epoch)
		if o.Adjust != nil {
			o.Adjust(&cfg)
		}
		w.Forward.accountGarden = cfg.Policy.Session.AccountGarden
		return engine.New(cfg, w.In, ports, zap.New(core))
	}
	var err error
	if w.Engine, err = w.make(); err != nil {
		t.Fatal(err)
	}
	return w
}

// L2TPConfig is the LNS's tunnel configuration.
func L2TPConfig() *l2tp.Config {
	return &l2tp.Config{
		Role: l2tp.LNS, HostName: "lns", VendorName: "lnsd", Secret: []byte(Secret), Challenge: true,
		ReceiveWindow: 64, HelloInterval: time.Minute, RetryInterval: time.Second,
		RetryCap: 8 * time.Second, MaxRetries: 5, EstablishTimeout: time.Minute,
		FramingCaps: l2tp.FramingSync | l2tp.FramingAsync, BearerCaps: l2tp.BearerDigital,
	}
}

// SessionConfig is the LNS's session configuration.
func SessionConfig() *session.Config {
	return &session.Config{
		PPP: &ppp.Config{
			MRU: 1460, ACFC: true, PFC: true, Auth: []ppp.Auth{ppp.CHAPMD5, ppp.PAP}, Name: "lns",
			EchoInterval: 30 * time.Second, EchoFailures: 3,
			AuthTimeout: 30 * time.Second, NetworkTimeout: 30 * time.Second,
		},
		LocalAddress: LNS.Addr(), Pool: "default", ClampMSS: true,
		DNS:             [2]netip.Addr{netip.MustParseAddr("192.0.2.53")},
		InterimInterval: 10 * time.Minute,
	}
}

func (w *World) config(t testing.TB, o Options) engine.Config {
	p, err := pool.New(pool.Config{Name: "default", Prefixes: []netip.Prefix{netip.MustParsePrefix(o.Pool)}})
	if err != nil {
		t.Fatal(err)
	}
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(w.Seed >> (i % 8 * 8))
	}
	return engine.Config{
		Policy: &engine.Policy{Default: L2TPConfig(), Session: SessionConfig()},
		Pools:  []*pool.Pool{p}, MaxSessions: o.MaxSessions, Epoch: 0x5EED0001,
		Now: func() time.Time { return w.Now }, Seed: &seed,
	}
}

// random reads bytes that depend on the seed alone.
func (w *World) random(b []byte) {
	for i := range b {
		b[i] = byte(w.rng.Uint32())
	}
}

// After does f later; time stands still while f runs.
func (w *World) After(d time.Duration, f func()) { w.at(w.Now.Add(d), f) }

func (w *World) at(t time.Time, f func()) {
	w.seq++
	heap.Push(&w.events, event{t, w.seq, f})
}

// wire is the engine's end of the network.
type wire struct{ w *World }

func (x wire) Send(local, peer netip.AddrPort, b []byte) {
	if local != LNS && !local.Addr().IsUnspecified() {
		x.w.T.Errorf("datagram sent from %v", local)
	}
	x.w.travel(b, func(b []byte) {
		if l := x.w.lacs[peer]; l != nil {
			l.receive(b)
		}
	})
}

func (x wire) Flush() {}

// travel brings a copy of b to the other side, perhaps, and perhaps twice.
func (w *World) travel(b []byte, arrive func([]byte)) {
	n := 1
	if w.rng.Float64() < w.Net.Repeat {
		n = 2
	}
	for range n {
		if w.rng.Float64() < w.Net.Loss {
			continue
		}
		d := w.Net.Delay
		if w.Net.Jitter > 0 {
			d += time.Duration(w.rng.Int64N(int64(w.Net.Jitter)))
		}
		c := append([]byte(nil), b...)
		w.After(d, func() { arrive(c) })
	}
}

// step does the next event, and what follows from it at the same moment. It
// returns false when nothing is left to do before limit.
func (w *World) step(limit time.Time) bool {
	if len(w.events) == 0 || w.events[0].at.After(limit) {
		return false
	}
	e := heap.Pop(&w.events).(event)
	w.Now = e.at
	e.f()
	w.settle()
	w.Steps++
	if w.CheckEvery > 0 && w.Steps%w.CheckEvery == 0 {
		w.Check()
	}
	return true
}

// settle lets the shards do what they can do now, and wakes them when more is due.
func (w *World) settle() {
	for busy := true; busy; {
		busy = false
		for _, s := range w.Engine.Shards() {
			if d := s.Deadline(); s.Pending() || !d.IsZero() && !w.Now.Before(d) {
				s.Step(w.Now)
				busy = true
			}
		}
	}
	for i, s := range w.Engine.Shards() {
		d := s.Deadline()
		if d.IsZero() || d.Equal(w.armed[i]) && d.After(w.Now) {
			continue
		}
		w.armed[i] = d
		w.at(d, func() {})
	}
}

// Run lets time pass.
func (w *World) Run(d time.Duration) {
	limit := w.Now.Add(d)
	w.settle()
	for !w.T.Failed() && w.step(limit) {
	}
	w.Now = limit
}

// Until lets time pass until done is true, and fails after limit.
func (w *World) Until(limit time.Duration, what string, done func() bool) {
	w.T.Helper()
	end := w.Now.Add(limit)
	w.settle()
	for !done() {
		if w.T.Failed() || !w.step(end) {
			w.T.Fatalf("after %v: %s did not happen", limit, what)
		}
	}
}
