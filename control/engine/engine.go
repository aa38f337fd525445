package engine

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Engine owns all tunnels and sessions.
type Engine struct {
	in     *Inboxes
	ports  Ports
	dir    *directory
	shards []*Shard
	policy atomic.Pointer[Policy]
	drain  atomic.Bool
	// traced: some policy has asked for the trace of a LAC; its tunnels may live on.
	traced atomic.Bool
	// wishes are the tunnels that the operator wants; wishing is held to change them.
	wishes  atomic.Pointer[wishes]
	wishing sync.Mutex
	now     func() time.Time
	epoch   uint32
	log     *zap.Logger
	// stopped is closed when Run ends, so that nobody waits for an answer then.
	stopped chan struct{}
}

// Errors of the operators' calls.
var (
	ErrNotFound = errors.New("engine: not found")
	// ErrStopped: the engine does not run (any more).
	ErrStopped = errors.New("engine: stopped")
)

// New makes an engine. Nothing happens until Run, or until its shards are
// stepped by hand.
func New(cfg Config, in *Inboxes, ports Ports, log *zap.Logger) (*Engine, error) {
	if cfg.Policy == nil {
		return nil, errors.New("engine: no policy")
	}
	if err := cfg.Policy.Validate(); err != nil {
		return nil, err
	}
	if cfg.MaxSessions == 0 || cfg.MaxSessions > 1<<20 {
		return nil, fmt.Errorf("engine: %d sessions: want 1 to %d", cfg.MaxSessions, 1<<20)
	}
	if len(ports.Send) != in.Shards() {
		return nil, fmt.Errorf("engine: %d senders for %d shards", len(ports.Send), in.Shards())
	}
	dir, err := newDirectory(cfg, in.notify)
	if err != nil {
		return nil, err
	}
	e := &Engine{in: in, ports: ports, dir: dir, now: cfg.Now, epoch: cfg.Epoch, log: log,
		stopped: make(chan struct{})}
	if e.ports.Gate == nil {
		e.ports.Gate = openGate{}
	}
	if e.ports.Services == nil {
		e.ports.Services = anyService{}
	}
	if e.ports.Auditor == nil {
		e.ports.Auditor = noAuditor{}
	}
	if e.ports.Observer == nil {
		e.ports.Observer = noObserver{}
	}
	if e.ports.Tracer == nil {
		e.ports.Tracer = noTracer{}
	}
	e.traced.Store(cfg.Policy.traced())
	if e.ports.Tap == nil {
		e.ports.Tap = noTap{}
	}
	if e.now == nil {
		e.now = time.Now
	}
	e.policy.Store(cfg.Policy)
	for i := range in.shards {
		e.shards = append(e.shards, newShard(e, i, shardRandom(cfg.Seed, i), e.now()))
	}
	e.wish(cfg.Policy, nil)
	return e, nil
}

// shardRandom makes a shard's generator. ChaCha8 is unpredictable to those who
// see its output, and needs neither lock nor system call.
func shardRandom(seed *[32]byte, shard int) *rand.ChaCha8 {
	var s [32]byte
	if seed != nil {
		s = *seed
		s[31] ^= byte(shard)
	} else {
		crand.Read(s[:]) // never fails
	}
	return rand.NewChaCha8(s)
}

// Run runs the shards until ctx is done, once in an engine's life. What lives then is left as it is; use
// Shutdown before to end it.
func (e *Engine) Run(ctx context.Context) error {
	defer close(e.stopped)
	var wg sync.WaitGroup
	for _, s := range e.shards {
		wg.Go(func() { s.run(ctx) })
	}
	wg.Wait()
	return ctx.Err()
}

// Reload gives new tunnels and sessions a new policy.
func (e *Engine) Reload(p *Policy) error {
	if err := p.Validate(); err != nil {
		return err
	}
	e.policy.Store(p)
	if p.traced() {
		e.traced.Store(true)
	}
	e.wish(p, nil)
	return nil
}

// Drain, when on, refuses new tunnels and calls, and lets those that are stand.
func (e *Engine) Drain(on bool) { e.drain.Store(on) }

// Draining reports whether new tunnels and calls are refused.
func (e *Engine) Draining() bool { return e.drain.Load() }
