package dataplane

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// ErrQueueFull answers an install that came while too many operations waited.
var ErrQueueFull = errors.New("dataplane: too many changes waiting")

// batchSize is how many operations are carried out and answered together. A
// removal waits for packets that are under way, once for a batch.
const batchSize = 1024

// table is the part of the maps that holds sessions.
type table interface {
	Install(maps.Session) error
	Remove(slots []uint32) ([]maps.Usage, error)
	Usage(slot uint32) maps.Usage
	EchoSeen(slot uint32) uint64
	SetCapture(slot uint32, on bool)
}

// worker carries out operations on the maps, on a goroutine of its own.
type worker struct {
	cfg   *Config
	table table
	clock *clock
	done  func([]session.Programmed)
	// installed marks the slots that are in the maps; read by Counters from
	// any goroutine.
	installed []atomic.Bool
	// captured are the slots whose packets are captured.
	captured captured

	mu      sync.Mutex
	queue   []operation
	limit   int // queue length from which installs are refused
	closed  bool
	wake    chan struct{}
	stopped chan struct{}

	refused, failed, installs, replaced, removals atomic.Uint64

	// Memory of one batch.
	slots   map[uint32]struct{}
	gone    []uint32
	answers []session.Programmed
}

type operation struct {
	session.ProgramOp
	refused bool
}

func newWorker(cfg *Config, t table, c *clock, done func([]session.Programmed)) *worker {
	w := &worker{
		cfg:       cfg,
		table:     t,
		clock:     c,
		done:      done,
		installed: make([]atomic.Bool, cfg.MaxSessions+1),
		// Every session may have an install and a removal on the way.
		limit:   2*int(cfg.MaxSessions) + batchSize,
		wake:    make(chan struct{}, 1),
		stopped: make(chan struct{}),
		slots:   make(map[uint32]struct{}, batchSize),
	}
	go w.run()
	return w
}

// apply queues copies of ops. Installs are refused when the queue is full;
// removals never are, for a session that can't be removed would hold its address
// and its slot for ever. They are bounded by the sessions there are.
func (w *worker) apply(ops []session.ProgramOp) {
	w.mu.Lock()
	for i := range ops {
		op := operation{ProgramOp: ops[i]}
		op.refused = !op.Remove && (len(w.queue) >= w.limit || w.closed)
		w.queue = append(w.queue, op)
	}
	w.mu.Unlock()
	w.signal()
}

func (w *worker) signal() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// close carries out what is queued and ends the goroutine.
func (w *worker) close() {
	w.mu.Lock()
	w.closed = true
	w.mu.Unlock()
	w.signal()
	<-w.stopped
}

func (w *worker) run() {
	defer close(w.stopped)
	for range w.wake {
		for {
			w.mu.Lock()
			ops, closed := w.queue, w.closed
			w.queue = nil
			w.mu.Unlock()
			for len(ops) > 0 {
				n := w.independent(ops)
				w.carryOut(ops[:n])
				ops = ops[n:]
			}
			w.mu.Lock()
			idle := len(w.queue) == 0
			w.mu.Unlock()
			if !idle {
				continue
			}
			if closed {
				return
			}
			break
		}
	}
}

// independent returns how many of the first operations concern different slots,
// so that their order among each other does not matter.
func (w *worker) independent(ops []operation) int {
	clear(w.slots)
	for i := range ops[:min(len(ops), batchSize)] {
		slot := ops[i].Record.Slot
		if _, seen := w.slots[slot]; seen {
			return i
		}
		w.slots[slot] = struct{}{}
	}
	return min(len(ops), batchSize)
}

// carryOut does a batch of independent operations and answers them. Removals go
// first, since an install may want the address that one of them gives back.
func (w *worker) carryOut(ops []operation) {
	w.answers = w.answers[:0]
	for i := range ops {
		w.answers = append(w.answers, answer(&ops[i].ProgramOp))
	}
	w.remove(ops)
	for i := range ops {
		if !ops[i].Remove {
			w.answers[i].Err = w.install(&ops[i])
		}
	}
	w.done(w.answers)
}

// remove takes out what the batch removes, and what can't be forwarded by XDP any
// more after a change of its record.
func (w *worker) remove(ops []operation) {
	w.gone = w.gone[:0]
	for i := range ops {
		if r := &ops[i].Record; w.isInstalled(r.Slot) && (ops[i].Remove || !w.cfg.eligible(r)) {
			w.gone = append(w.gone, r.Slot)
		}
	}
	if len(w.gone) == 0 {
		return
	}
	usage, err := w.table.Remove(w.gone)
	if err != nil {
		// The maps say that none of the slots forwards any more, and each
		// count is there.
		w.failed.Add(1)
	}
	next := 0
	for i := range ops {
		if next == len(w.gone) || ops[i].Record.Slot != w.gone[next] {
			continue
		}
		if next < len(usage) {
			w.answers[i].Final = w.clock.counters(&usage[next])
		}
		w.installed[w.gone[next]].Store(false)
		w.answers[i].Err = err
		w.removals.Add(1)
		next++
	}
}

func (w *worker) install(op *operation) error {
	r := &op.Record
	switch {
	case op.refused:
		w.refused.Add(1)
		return ErrQueueFull
	case !w.cfg.eligible(r):
		return nil
	}
	if err := w.table.Install(w.cfg.entry(r)); err != nil {
		w.failed.Add(1)
		return err
	}
	if w.captured.has(r.Slot) {
		w.table.SetCapture(r.Slot, true) // which an install ends
	}
	if w.installed[r.Slot].Swap(true) {
		w.replaced.Add(1)
	} else {
		w.installs.Add(1)
	}
	return nil
}

func (w *worker) isInstalled(slot uint32) bool {
	return int(slot) < len(w.installed) && w.installed[slot].Load()
}

// counters reads a slot; a session that only the slow path knows has none here,
// whatever the slot counted for an earlier one.
func (w *worker) counters(slot uint32) session.Counters {
	if !w.isInstalled(slot) {
		return session.Counters{}
	}
	u := w.table.Usage(slot)
	c := w.clock.counters(&u)
	c.PeerSeen = time.Duration(w.table.EchoSeen(slot))
	return c
}
