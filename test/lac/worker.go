package lac

import (
	cryptorand "crypto/rand"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// maxSleep bounds how long a worker waits when nothing is due; it only limits how
// stale its progress is.
const maxSleep = 100 * time.Millisecond

// worker owns some of the tunnels with all their sessions. Everything in it belongs
// to the goroutine that runs loop, except the mailbox, commands and what published
// guards.
type worker struct {
	cfg   *Config
	index int
	run   uint64 // random, tells this run's packets from another's
	epoch time.Time

	// now and clock are the moment that is being worked at; clock counts from the
	// epoch.
	now   time.Time
	clock time.Duration

	sockets  []*socket
	dirty    []*socket // with something to flush
	box      *mailbox
	commands chan func()
	timers   timers
	impair   *impairer
	random   func([]byte)

	tunnels []*tunnel
	byID    map[uint16]*tunnel
	dial    dialer
	traffic generator
	leave   leaver
	tun     *tunDevice  // nil but for the worker of the first session
	local   *ppp.Config // the LAC's end of negotiations before the call

	stats stats
	done  bool

	// Memory that is reused.
	spare     *mail
	l2tpOuts  []*l2tp.Out
	pppOuts   []*ppp.Out
	frame     []byte
	packet    []byte
	fragments []byte

	published struct {
		sync.Mutex
		Progress
	}
}

// newWorker makes the worker that owns the given tunnels (by number, from 0).
func newWorker(cfg *Config, index int, run uint64, epoch time.Time, tunnels []int) (*worker, error) {
	sockets, byTunnel, err := cfg.openSockets(index, tunnels)
	if err != nil {
		return nil, err
	}
	w := &worker{
		cfg:      cfg,
		local:    cfg.localLink(),
		index:    index,
		run:      run,
		epoch:    epoch,
		sockets:  sockets,
		box:      newMailbox(),
		commands: make(chan func(), 8),
		impair:   newImpairer(cfg.Impair, uint64(index)),
		byID:     make(map[uint16]*tunnel, len(tunnels)),
		spare:    &mail{},
		stats:    newStats(),
	}
	w.random = newRandom()
	for i, number := range tunnels {
		w.addTunnel(number, byTunnel[i])
	}
	w.dial.w, w.traffic.w, w.leave.w = w, w, w
	w.dial.parallel = max(cfg.Parallel/cfg.Workers, 1)
	w.dial.rate = cfg.Rate / float64(cfg.Workers)
	w.tick()
	return w, nil
}

// newRandom returns a source of unpredictable bytes that makes no system call for
// each.
func newRandom() func([]byte) {
	var seed [32]byte
	_, _ = cryptorand.Read(seed[:]) // never fails
	source := rand.NewChaCha8(seed)
	return func(b []byte) { _, _ = source.Read(b) } // never fails
}

// loop works until the tunnels are gone or the worker is told to stop.
func (w *worker) loop() {
	idle := time.NewTimer(0)
	defer idle.Stop()
	for !w.done {
		w.tick()
		w.receiveAll()
		w.timers.run(w.clock)
		w.obey()
		w.dial.step()
		w.leave.step()
		w.traffic.step()
		w.flush()
		w.publish()
		w.wait(idle)
	}
}

func (w *worker) tick() {
	w.now = time.Now()
	w.clock = w.now.Sub(w.epoch)
}

// obey carries out the commands that have come.
func (w *worker) obey() {
	for {
		select {
		case command := <-w.commands:
			command()
		default:
			return
		}
	}
}

// do has the worker carry out f between two steps of its loop. ended is closed when
// the worker has ended, which f may then not see.
func (w *worker) do(ended <-chan struct{}, f func()) {
	select {
	case w.commands <- f:
	case <-ended:
	}
}

// wait sleeps until something is due, mail comes, or a command does.
func (w *worker) wait(idle *time.Timer) {
	sleep := w.sleep()
	if sleep <= 0 || w.done {
		return
	}
	idle.Reset(sleep)
	select {
	case <-w.box.wake:
	case command := <-w.commands:
		w.tick()
		command()
	case <-idle.C:
	}
}

// sleep is the time until the worker has something to do by itself.
func (w *worker) sleep() time.Duration {
	due := w.clock + maxSleep
	for _, next := range []func() (time.Duration, bool){w.timers.next, w.impair.next, w.dial.next, w.traffic.next} {
		if at, ok := next(); ok {
			due = min(due, at)
		}
	}
	return due - time.Since(w.epoch)
}

// receiveAll works off the mailbox.
func (w *worker) receiveAll() {
	w.impair.release(w.clock, func(h heldDatagram) {
		if h.inward {
			w.receive(h.socket, h.peer, h.bytes)
		} else {
			w.emit(h.socket, h.peer, h.bytes)
		}
	})
	mail := w.box.take(w.spare)
	for i := range mail.items {
		item := &mail.items[i]
		b := mail.data[item.start:item.end]
		n := 1
		if w.impair != nil && !carriesIP(b) {
			n = w.impair.copies(w.clock, item.socket, item.peer, b, true)
		}
		for range n {
			w.receive(item.socket, item.peer, b)
		}
	}
	w.spare = mail
}

// carriesIP tells user data from what Impair may damage.
func carriesIP(b []byte) bool {
	h, body, err := l2tp.ParseHeader(b)
	if err != nil || h.Flags&l2tp.FlagControl != 0 {
		return false
	}
	protocol, _, ok := ppp.ParseFrame(body)
	return ok && (protocol == ppp.ProtoIPv4 || protocol == ppp.ProtoIPv6)
}

// receive takes one datagram.
func (w *worker) receive(s *socket, peer netip.AddrPort, b []byte) {
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		w.stats.strays++
		return
	}
	t := w.byID[h.TunnelID]
	if t == nil || t.socket != s || !t.accepts(peer) {
		w.stats.strays++
		return
	}
	if h.Flags&l2tp.FlagControl != 0 {
		t.control(h, body)
		return
	}
	session := t.sessions[h.SessionID]
	if session == nil {
		w.stats.strays++
		return
	}
	t.l2tp.Heard(w.now)
	session.data(h, body)
}

// send queues a control datagram, damaging it if that is wanted.
func (w *worker) send(s *socket, peer netip.AddrPort, b []byte) {
	for range w.impair.copies(w.clock, s, peer, b, false) {
		w.emit(s, peer, b)
	}
}

func (w *worker) emit(s *socket, peer netip.AddrPort, b []byte) {
	w.touch(s)
	s.control.Send(s.udp.LocalAddr(), peer, b)
}

// touch notes that s has something to flush.
func (w *worker) touch(s *socket) {
	if !s.unflushed {
		s.unflushed = true
		w.dirty = append(w.dirty, s)
	}
}

func (w *worker) flush() {
	for _, s := range w.dirty {
		s.flush()
	}
	w.dirty = w.dirty[:0]
}

// wakeBy sets a timer for a deadline, of which the zero time means never.
func (w *worker) wakeBy(t *timer, deadline time.Time) {
	if !deadline.IsZero() {
		w.timers.wakeBy(t, deadline.Sub(w.epoch))
	}
}

// Handling an effect can cause further ones: each level of that has an Out of its
// own.

func (w *worker) takeL2TP() *l2tp.Out {
	if n := len(w.l2tpOuts); n > 0 {
		out := w.l2tpOuts[n-1]
		w.l2tpOuts = w.l2tpOuts[:n-1]
		return out
	}
	return &l2tp.Out{}
}

func (w *worker) giveL2TP(out *l2tp.Out) {
	out.Reset()
	w.l2tpOuts = append(w.l2tpOuts, out)
}

func (w *worker) takePPP() *ppp.Out {
	if n := len(w.pppOuts); n > 0 {
		out := w.pppOuts[n-1]
		w.pppOuts = w.pppOuts[:n-1]
		return out
	}
	return &ppp.Out{}
}

func (w *worker) givePPP(out *ppp.Out) {
	out.Reset()
	w.pppOuts = append(w.pppOuts, out)
}
