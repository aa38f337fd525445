// Package garden keeps walled gardens: subscribers in one reach what its rules let
// them reach, and nothing else. Their packets take the slow path through the kernel,
// where nftables decide.
//
//	engine ─Apply─▶ queue ─▶ worker ─▶ sets of nftables ─▶ the forwarding paths
//	web browser ─▶ nftables' redirection ─▶ portal ─▶ 302 to the operator's page
//
// Rules are made once for each garden, in a table of our own; who is in it is said by
// sets of addresses, so that going in or out costs the same however many are there.
// Where nftables do not work nobody gets in, and everything else goes on.
package garden

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/nftables"
	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// Garden is what can be had in one walled garden.
type Garden struct {
	Name string
	// DNS are the name servers that all questions go to, at most one of each family.
	DNS []netip.Addr
	// Portal is where web pages are redirected to, with %u for the page that was asked
	// for; "" redirects none.
	Portal string
	// Allow are the destinations that can be reached.
	Allow []netip.Prefix
}

// Config describes the gardens.
type Config struct {
	Gardens []Garden
	// Device is the slow path's TUN device, which subscribers' packets come from.
	Device string
	// Own are addresses of this host that web pages are redirected to, one of each
	// family that is to be.
	Own []netip.Addr
	// PortalPort is the TCP port that pages are redirected on; 0 takes a free one.
	PortalPort uint16
	// Build is a program that completes the rules, or a file for the nft program;
	// "" for none. It is run whenever the rules were made anew.
	Build string
	// Dial opens nftables; nil is the process's own network namespace.
	Dial func() (*nftables.Conn, error)
}

// ErrUnknown says that there is no garden of that name.
var ErrUnknown = errors.New("no such walled garden")

// Apply is how operations go to a forwarding path.
type Apply func([]session.ProgramOp)

// Gardens are the walled gardens. Methods may be called from any goroutine.
type Gardens struct {
	log *zap.Logger
	// fail takes the answers to operations that end here.
	fail func([]session.Programmed)

	mu      sync.Mutex // orders queue and pending
	queue   []work
	pending map[uint32]int  // operations in the queue, by slot
	inside  map[uint32]bool // slots whose sessions are in a garden, as of the queue's end
	closed  bool
	wake    chan struct{}
	stopped chan struct{}

	state sync.Mutex // held while nftables are changed or asked
	cfg   Config
	sets  members
	built error // what Build last said
	// portal is opened when there is a garden that has one.
	portal *portal
	// table is why nftables do not work, nil if they do; in force are the gardens.
	table   atomic.Pointer[error]
	inForce atomic.Pointer[[]string]
}

// work is operations on their way through the gardens, or an order of its own.
type work struct {
	ops    []session.ProgramOp
	before Apply
	after  Apply
	order  func()
}

// checkPeriod is how often it is made sure that the table is still there: whoever
// flushes the host's rules must not open the gardens.
const checkPeriod = 10 * time.Second

// New makes the gardens' rules and opens the portal. It does not fail: what does not
// work is logged, and refuses those who are to go into a garden. Who is in a garden
// according to an earlier process stays in until Settle. Answers to operations that
// can't be carried out go to fail.
func New(cfg Config, fail func([]session.Programmed), log *zap.Logger) *Gardens {
	if cfg.Dial == nil {
		cfg.Dial = dial
	}
	g := &Gardens{
		log: log, fail: fail, cfg: cfg, sets: newMembers(),
		pending: map[uint32]int{}, inside: map[uint32]bool{},
		wake: make(chan struct{}, 1), stopped: make(chan struct{}),
	}
	g.inForce.Store(&[]string{})
	if len(cfg.Gardens) > 0 {
		g.adopt()
		g.rebuild()
	} else if err := g.forget(); err != nil {
		// Where there is nothing to be kept it does not matter.
		log.Debug("nftables can't be asked", zap.Error(err))
	}
	go g.run()
	return g
}

// Check says why nobody can go into a garden; nil if it can be done. It does not
// block.
func (g *Gardens) Check(name string) error {
	if !slices.Contains(*g.inForce.Load(), name) {
		return fmt.Errorf("%w: %s", ErrUnknown, name)
	}
	if err := g.table.Load(); err != nil {
		return fmt.Errorf("walled garden %s: %w", name, *err)
	}
	return nil
}

// Apply passes operations on to before and then to after. In between, sessions are
// put into gardens and taken out: who goes in is in before the paths know, and who
// goes out is still held back when the first of them has let go. An operation that
// can't be carried out is answered here. Operations of one slot keep their order;
// those that concern no garden pass at once.
func (g *Gardens) Apply(ops []session.ProgramOp, before, after Apply) {
	var direct, held []session.ProgramOp
	g.mu.Lock()
	for i := range ops {
		switch {
		case g.concerns(&ops[i]):
			if held == nil {
				direct = append(make([]session.ProgramOp, 0, len(ops)), ops[:i]...)
			}
			held = append(held, ops[i])
			g.pending[ops[i].Record.Slot]++
		case held != nil:
			direct = append(direct, ops[i])
		}
	}
	if held == nil {
		direct = ops
	} else {
		g.queue = append(g.queue, work{ops: held, before: before, after: after})
	}
	g.mu.Unlock()
	if held != nil {
		g.signal()
	}
	if len(direct) > 0 {
		before(direct)
		after(direct)
	}
}

// concerns says whether an operation has to wait for nftables, and notes what will be
// when it is done.
func (g *Gardens) concerns(op *session.ProgramOp) bool {
	slot := op.Record.Slot
	into := !op.Remove && gardenOf(op) != ""
	concerned := into || g.inside[slot] || g.pending[slot] > 0
	if into {
		g.inside[slot] = true
	} else {
		delete(g.inside, slot)
	}
	return concerned
}

func gardenOf(op *session.ProgramOp) string {
	if op.Record.Services == nil {
		return ""
	}
	return op.Record.Services.Garden
}

func (g *Gardens) signal() {
	select {
	case g.wake <- struct{}{}:
	default:
	}
}

// run is the worker.
func (g *Gardens) run() {
	defer close(g.stopped)
	tick := time.NewTicker(checkPeriod)
	defer tick.Stop()
	for {
		select {
		case <-g.wake:
		case <-tick.C:
			g.keep()
		}
		g.mu.Lock()
		queue, closed := g.queue, g.closed
		g.queue = nil
		g.mu.Unlock()
		for i := range queue {
			g.carryOut(&queue[i])
		}
		if closed && len(queue) == 0 {
			return
		}
		if len(queue) > 0 {
			g.signal() // there may be more
		}
	}
}

// carryOut does one piece of work.
func (g *Gardens) carryOut(w *work) {
	if w.order != nil {
		w.order()
		return
	}
	good, bad := g.enter(w.ops)
	if len(good) > 0 {
		w.before(good)
		g.leave(good)
		w.after(good)
	}
	g.mu.Lock()
	for i := range w.ops {
		slot := w.ops[i].Record.Slot
		if g.pending[slot]--; g.pending[slot] == 0 {
			delete(g.pending, slot)
		}
	}
	g.mu.Unlock()
	if len(bad) > 0 {
		g.fail(bad)
	}
}

// order has f done by the worker and waits for it.
func (g *Gardens) order(f func()) {
	done := make(chan struct{})
	g.mu.Lock()
	if g.closed {
		g.mu.Unlock()
		return
	}
	g.queue = append(g.queue, work{order: func() { f(); close(done) }})
	g.mu.Unlock()
	g.signal()
	<-done
}

// Close ends the worker and the portal. With keep the rules stay, for a process that
// goes on; otherwise they go.
func (g *Gardens) Close(keep bool) error {
	g.mu.Lock()
	g.closed = true
	g.mu.Unlock()
	g.signal()
	<-g.stopped
	var err error
	if g.portal != nil {
		err = g.portal.close()
	}
	if !keep {
		err = errors.Join(err, g.forget())
	}
	return err
}
