// Package intercept delivers the copies of intercepted sessions' packets to those who
// asked for them, and keeps the audit log of interceptions.
//
//	XDP ─▶ ring ─▶ Run ──────▶ ┌───────┐ ─▶ Format ─▶ socket ─▶ receiver
//	slow path ─▶ Intercepted ─▶│ queue │
//	                           └───────┘
//
// Nothing of an interception is ever logged: neither whom it is of, nor where it goes.
package intercept

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// Source is where the fast path's copies come from.
type Source interface {
	// RunCopies calls f with each copy until ctx ends.
	RunCopies(ctx context.Context, f func(*session.PacketCopy)) error
	// CopiesLost is how many packets of a slot's session could not be copied; of slot 0
	// it is the packets of sessions that there was no counter left for.
	CopiesLost(slot uint32) uint64
	// ForgetCopiesLost gives the counter of a slot back.
	ForgetCopiesLost(slot uint32)
}

// Interceptions knows who is intercepted, and sends the copies. Its methods may be
// called from any goroutine.
type Interceptions struct {
	log    *zap.Logger
	format atomic.Pointer[Format]
	queue  *queue

	mu     sync.RWMutex
	bySlot map[uint32]*subject
}

// subject is one intercepted session.
type subject struct {
	ref   session.Ref
	slot  uint32
	since time.Time
	// target is replaced as a whole; ended is when copies stopped being asked for,
	// zero before. Those that are under way then still go there.
	target atomic.Pointer[netip.AddrPort]
	ended  time.Time // guarded by mu of Interceptions
	user   string
	acct   string

	sequence           atomic.Uint32
	upPackets, upBytes atomic.Uint64
	downPackets        atomic.Uint64
	downBytes, notSent atomic.Uint64
}

// linger is how long copies that are under way at the end of an interception still
// find their receiver.
const linger = 10 * time.Second

// New returns Interceptions without any, which send in a format.
func New(format Format, transport Transport, log *zap.Logger) *Interceptions {
	x := &Interceptions{log: log, bySlot: make(map[uint32]*subject), queue: newQueue(transport)}
	x.SetFormat(format)
	return x
}

// SetFormat changes the format of what is sent from now on.
func (x *Interceptions) SetFormat(f Format) { x.format.Store(&f) }

// Apply learns from what is asked of the forwarding paths who is intercepted. It comes
// before them, so that no copy is without a receiver.
func (x *Interceptions) Apply(ops []session.ProgramOp) {
	for i := range ops {
		r := &ops[i].Record
		var to netip.AddrPort
		if r.Services != nil && !ops[i].Remove {
			to = r.Services.Intercept
		}
		x.mu.RLock()
		known := x.bySlot[r.Slot] != nil
		x.mu.RUnlock()
		if known || to.IsValid() { // which no other session pays for
			x.set(r, to)
		}
	}
}

func (x *Interceptions) set(r *session.Record, to netip.AddrPort) {
	x.mu.Lock()
	defer x.mu.Unlock()
	s := x.bySlot[r.Slot]
	if !to.IsValid() {
		if s != nil && s.ref == r.Ref && s.ended.IsZero() {
			s.ended = time.Now()
		}
		return
	}
	if s == nil || s.ref != r.Ref || !s.ended.IsZero() {
		s = &subject{ref: r.Ref, slot: r.Slot, since: time.Now()}
		x.bySlot[r.Slot] = s
	}
	s.user, s.acct = r.User, r.AcctSessionID
	to = netip.AddrPortFrom(to.Addr().Unmap(), to.Port())
	s.target.Store(&to)
}

// Intercepted takes a copy that the slow path has made. It never waits: what finds the
// queue full is lost and counted.
func (x *Interceptions) Intercepted(c *session.PacketCopy) { x.take(c, false) }

func (x *Interceptions) take(c *session.PacketCopy, wait bool) {
	x.mu.RLock()
	s := x.bySlot[c.Slot]
	x.mu.RUnlock()
	if s == nil || s.ref.TunnelID != c.TunnelID || s.ref.SessionID != c.SessionID {
		return
	}
	f := *x.format.Load()
	h := Header{Sequence: s.sequence.Add(1) - 1, AcctSessionID: s.acct}
	if !x.queue.add(s, *s.target.Load(), wait, func(b []byte) []byte { return f.Append(b, c, &h) }) {
		s.notSent.Add(1)
		return
	}
	packets, bytes := &s.downPackets, &s.downBytes
	if c.Up {
		packets, bytes = &s.upPackets, &s.upBytes
	}
	packets.Add(1)
	bytes.Add(uint64(len(c.Packet)))
}

// Run sends what comes until ctx ends.
func (x *Interceptions) Run(ctx context.Context, from Source) error {
	var wg sync.WaitGroup
	wg.Go(func() { x.queue.run(ctx) })
	wg.Go(func() { x.forget(ctx, from) })
	err := from.RunCopies(ctx, func(c *session.PacketCopy) { x.take(c, true) })
	wg.Wait()
	return err
}

// forget drops the sessions whose last copies must have been sent, and the counters of
// their losses: there are some thousand of these, and each is needed once.
func (x *Interceptions) forget(ctx context.Context, from Source) {
	tick := time.NewTicker(linger / 10)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			x.forgetAt(now, from)
		}
	}
}

func (x *Interceptions) forgetAt(now time.Time, from Source) {
	x.mu.Lock()
	defer x.mu.Unlock()
	for slot, s := range x.bySlot {
		if !s.ended.IsZero() && now.Sub(s.ended) > linger {
			delete(x.bySlot, slot)
			from.ForgetCopiesLost(slot)
		}
	}
}

// View is one interception, for those who may see it.
type View struct {
	session.Ref
	Slot                uint32
	User, AcctSessionID string
	Target              netip.AddrPort
	// Since is when this process learnt of it.
	Since time.Time
	// What was copied, NotSent included.
	UpPackets, UpBytes, DownPackets, DownBytes uint64
	// Lost packets could not be copied, NotSent ones not be sent.
	Lost, NotSent uint64
}

// List returns the interceptions that go on, by slot. Where there were more sessions
// with losses than counters the first entry has slot 0 and the losses of all the others.
func (x *Interceptions) List(from Source) []View {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []View
	for _, s := range x.bySlot {
		if !s.ended.IsZero() {
			continue
		}
		out = append(out, View{
			Ref: s.ref, Slot: s.slot, User: s.user, AcctSessionID: s.acct, Target: *s.target.Load(), Since: s.since,
			UpPackets: s.upPackets.Load(), UpBytes: s.upBytes.Load(),
			DownPackets: s.downPackets.Load(), DownBytes: s.downBytes.Load(),
			Lost: from.CopiesLost(s.slot), NotSent: s.notSent.Load(),
		})
	}
	if n := from.CopiesLost(0); n > 0 {
		out = append(out, View{User: "(others)", Lost: n})
	}
	slices.SortFunc(out, func(a, b View) int { return int(a.Slot) - int(b.Slot) })
	return out
}
