package radius

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"layeh.com/radius"
)

// pump gives an exchange its goroutines, clock and sockets.
type pump struct {
	clock  func() time.Time
	opener *opener
	log    *limited
	// answered and failed are told the end of each request, without the lock.
	answered func(r *request, b []byte)
	failed   func(r *request, err error)

	// intake is the queue; gate keeps requests out once it is closed.
	intake chan *request
	gate   sync.RWMutex
	closed bool

	mu sync.Mutex // guards x and starved
	x  *exchange
	// starved: the pump left requests in the queue because there was no room.
	starved bool

	wake    chan struct{} // the state changed in a way that run must see
	drain   chan struct{} // closed: end when all requests are done
	stop    chan struct{} // closed: end at once
	done    chan struct{} // closed by run
	readers sync.WaitGroup
	full    atomic.Uint64
}

// batch is how many requests are started between two looks at the timers.
const batch = 64

func newPump(c *Client, p purpose, encode encoder, queue int) *pump {
	m := &pump{
		clock: c.env.clock, opener: c.opener, log: c.log,
		intake: make(chan *request, queue),
		wake:   make(chan struct{}, 1),
		drain:  make(chan struct{}),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	m.x = newExchange(&c.cfg, p, encode, m.listen, c.env.number)
	return m
}

// put queues a request; false when the queue is full or the pump is closing.
func (m *pump) put(r *request) bool {
	m.gate.RLock()
	defer m.gate.RUnlock()
	if !m.closed {
		select {
		case m.intake <- r:
			return true
		default:
		}
	}
	m.full.Add(1)
	return false
}

// run is the pump's goroutine.
func (m *pump) run() {
	defer close(m.done)
	var out effects
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	drain := m.drain
	for {
		in, wait := m.turn(&out)
		timer.Reset(wait)
		select {
		case r := <-in:
			m.start(r, &out)
		case <-timer.C:
		case <-m.wake:
		case <-drain:
			drain = nil
		case <-m.stop:
			m.end(&out)
			return
		}
		if drain == nil && m.idle() {
			m.end(&out)
			return
		}
	}
}

// turn does what is due. It returns the queue if another request may be started,
// and how long there is nothing else to do.
func (m *pump) turn(out *effects) (in chan *request, wait time.Duration) {
	now := m.clock()
	m.mu.Lock()
	m.x.expire(now, out)
	if m.starved = !m.x.room(now); !m.starved {
		in = m.intake
	}
	deadline := m.x.deadline()
	m.mu.Unlock()
	m.perform(out)
	if deadline.IsZero() {
		return in, time.Hour
	}
	return in, max(deadline.Sub(now), 0)
}

// start sends r and as many more as wait in the queue, up to a batch.
func (m *pump) start(r *request, out *effects) {
	for n := 1; ; n++ {
		now := m.clock()
		m.mu.Lock()
		m.x.start(now, r, out)
		more := m.x.room(now)
		m.mu.Unlock()
		m.perform(out)
		if !more || n == batch {
			return
		}
		select {
		case r = <-m.intake:
		default:
			return
		}
	}
}

// perform carries out what the exchange wants done.
func (m *pump) perform(out *effects) {
	for _, c := range out.changes {
		m.logChange(c)
	}
	for _, server := range out.unsigned {
		m.log.warn("RADIUS server sends no Message-Authenticator: its answers can be forged by somebody in the path",
			zap.Stringer("server", server))
	}
	for _, s := range out.send {
		s.port.send(s.wire, s.to)
	}
	for _, f := range out.failed {
		m.failed(f.request, f.err)
	}
	for _, p := range out.closed {
		p.close()
	}
	out.reset()
}

func (m *pump) logChange(c change) {
	fields := []zap.Field{zap.Stringer("server", c.server), zap.Stringer("purpose", m.x.purpose)}
	switch {
	case c.to == dead:
		m.log.warn("RADIUS server does not answer", fields...)
	case c.from == dead:
		m.log.info("RADIUS server answers again", fields...)
	}
}

// listen opens a socket and starts its reader. It is called with the lock held.
func (m *pump) listen(k *socket) (port, error) {
	conn, err := m.opener.open(k.server.addr)
	if err != nil {
		m.log.warn("no further RADIUS socket", zap.Stringer("server", k.server.addr), zap.Error(err))
		return nil, err
	}
	// Best effort: with a small buffer a burst of answers costs retransmissions.
	_ = conn.SetReadBuffer(receiveBuffer)
	m.readers.Go(func() { m.read(k, conn) })
	return &udpPort{conn, m.log}, nil
}

// read takes the packets that arrive on one socket until it is closed.
func (m *pump) read(k *socket, conn *net.UDPConn) {
	buf := make([]byte, radius.MaxPacketLength)
	var out effects
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			m.log.warn("RADIUS socket", zap.Error(err))
			time.Sleep(10 * time.Millisecond) // do not spin on an error that stays
			continue
		}
		m.receive(k, netip.AddrPortFrom(from.Addr().Unmap(), from.Port()), buf[:n], &out)
	}
}

// receive handles one packet.
func (m *pump) receive(k *socket, from netip.AddrPort, b []byte, out *effects) {
	now := m.clock()
	m.mu.Lock()
	r, b, found := m.x.answer(now, k, from, b, out)
	moved := len(out.changes) > 0
	starved := m.starved
	m.mu.Unlock()
	if found != valid {
		m.log.warn("RADIUS packet ignored", zap.Stringer("from", from), zap.Stringer("why", found))
		return
	}
	m.perform(out)
	if starved || moved || m.draining() {
		select {
		case m.wake <- struct{}{}:
		default:
		}
	}
	if !r.statusServer() {
		m.answered(r, b)
	}
}

func (m *pump) draining() bool {
	select {
	case <-m.drain:
		return true
	default:
		return false
	}
}

// idle reports whether no request is left.
func (m *pump) idle() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.intake) == 0 && m.x.inFlight() == 0
}

// end fails what is left and closes the sockets.
func (m *pump) end(out *effects) {
	m.mu.Lock()
	m.x.abandon(m.clock(), errClosing, out)
	m.x.shut(out)
	m.mu.Unlock()
	m.perform(out)
	for {
		select {
		case r := <-m.intake:
			m.failed(r, errClosing)
		default:
			return
		}
	}
}

// close lets no more requests in and waits until those under way are done or ctx
// ends; then what is left fails. It returns when all goroutines have.
func (m *pump) close(ctx context.Context) {
	m.gate.Lock()
	first := !m.closed
	m.closed = true
	m.gate.Unlock()
	if first {
		close(m.drain)
		select {
		case <-m.done:
		case <-ctx.Done():
			close(m.stop)
		}
	}
	<-m.done
	m.readers.Wait()
}
