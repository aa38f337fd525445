package sim

import (
	"container/heap"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// live runs an engine on its own goroutines in real time; the LACs run on the
// test's.
type live struct {
	w       *World
	inbound chan datagram

	mu            sync.Mutex
	starts, stops int
}

type datagram struct {
	peer netip.AddrPort
	b    []byte
}

func (l *live) Send(_, peer netip.AddrPort, b []byte) {
	l.inbound <- datagram{peer, append([]byte(nil), b...)}
}
func (l *live) Flush() {}

func (l *live) Authenticate(r *session.AuthRequest) bool {
	l.w.In.AuthDone(&session.AuthResult{Ref: r.Ref, Verdict: session.Accept})
	return true
}

func (l *live) Account(r *session.AcctRecord) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch r.Kind {
	case session.AcctStart:
		l.starts++
	case session.AcctStop:
		l.stops++
	}
	return true
}

func (l *live) Apply(ops []session.ProgramOp) {
	var ps []session.Programmed
	for i := range ops {
		ps = append(ps, session.Programmed{Ref: ops[i].Record.Ref, Slot: ops[i].Record.Slot, Removed: ops[i].Remove})
	}
	l.w.In.Programmed(ps)
}

func (l *live) Counters(uint32) session.Counters { return session.Counters{} }

func (l *live) count() (starts, stops int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.starts, l.stops
}

// until runs the LACs until done is true.
func (l *live) until(t *testing.T, what string, done func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(end) {
			t.Fatalf("%s did not happen", what)
		}
		select {
		case d := <-l.inbound:
			l.w.Now = time.Now()
			if lac := l.w.lacs[d.peer]; lac != nil {
				lac.receive(d.b)
			}
		case <-time.After(time.Millisecond):
		}
		for l.w.Now = time.Now(); len(l.w.events) > 0 && !l.w.events[0].at.After(l.w.Now); {
			heap.Pop(&l.w.events).(event).f()
		}
	}
}

// Shards on goroutines, operators' questions from others, and a clean shutdown
// in the midst of it; meant for the race detector.
func TestLive(t *testing.T) {
	defer goleak.VerifyNone(t)
	in := engine.NewInboxes(4)
	w := &World{T: t, Now: time.Now(), rng: rand.New(rand.NewPCG(1, 1)), In: in,
		lacs: make(map[netip.AddrPort]*LAC), seen: make(map[uint16]sequence)}
	l := &live{w: w, inbound: make(chan datagram, 1<<16)}
	cfg := w.config(t, Options{Pool: "10.0.0.0/16", MaxSessions: 1 << 12})
	cfg.Now, cfg.Seed = nil, nil
	e, err := engine.New(cfg, in, engine.Ports{Authenticator: l, Accountant: l, Forwarder: l,
		Send: []engine.Sender{l, l, l, l}}, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { e.Run(ctx) })

	const tunnels, sessions = 8, 400
	var tuns []*Tunnel
	for i := range tunnels {
		tuns = append(tuns, w.LAC(fmt.Sprintf("198.51.100.%d:1701", i+1), "lac", Secret).Open())
	}
	l.until(t, "tunnels up", func() bool {
		for _, tun := range tuns {
			if !tun.Up {
				return false
			}
		}
		return true
	})
	wg.Go(func() { ask(ctx, t, e) })
	for i, user := range users(sessions) {
		tuns[i%tunnels].Dial(user, "")
	}
	l.until(t, "sessions up", func() bool { n, _ := l.count(); return n == sessions })

	done := make(chan error, 1)
	go func() { done <- e.Shutdown(ctx) }()
	var result error
	l.until(t, "shutdown", func() bool {
		select {
		case result = <-done:
			return true
		default:
			return false
		}
	})
	if _, n := l.count(); result != nil || n != sessions {
		t.Errorf("shutdown: %v, %d Stops", result, n)
	}
	stop()
	wg.Wait()
	if _, err := e.Tunnels(context.Background()); !errors.Is(err, engine.ErrStopped) {
		t.Errorf("a stopped engine answers %v", err)
	}
}

// ask asks all that operators can ask, over and over.
func ask(ctx context.Context, t *testing.T, e *engine.Engine) {
	for ctx.Err() == nil {
		err := errors.Join(
			e.Sessions(ctx, func(vs []session.View) error {
				for _, v := range vs {
					if _, err := e.Session(ctx, v.Slot); err != nil && !errors.Is(err, engine.ErrNotFound) {
						return err
					}
				}
				return nil
			}),
			e.Leases(ctx, "default", func([]session.LeaseView) error { return nil }),
		)
		_, err2 := e.Tunnels(ctx)
		_, err3 := e.UserSessions(ctx, "user7")
		e.Counts()
		e.Pools()
		if err := errors.Join(err, err2, err3); err != nil && ctx.Err() == nil {
			t.Error(err)
			return
		}
	}
}
