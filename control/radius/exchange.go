package radius

import (
	"cmp"
	"container/heap"
	"crypto/md5"
	"errors"
	"hash"
	"net/netip"
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// purpose is what an exchange is for.
type purpose uint8

const (
	authentication purpose = iota
	accounting
)

func (p purpose) String() string { return [...]string{"auth", "acct"}[p] }

// request is one request from the time it was accepted until it was answered or
// given up. Exactly one of auth and acct is set.
type request struct {
	auth *session.AuthRequest
	acct *session.AcctRecord
	// user is the User-Name to send instead of the subscriber's own; "" for that.
	user string
	// giveUp is when waiting for an answer ends.
	giveUp time.Time

	// What follows is set while the request is in flight.
	socket *socket
	id     byte
	// wire is the packet. It is not changed once it was sent: a retransmission
	// is the same bytes from the same port (RFC 5080 section 2.2.1, RFC 2866
	// section 5.2).
	wire []byte
	// first is when it was first sent to this server, last when most recently.
	first, last time.Time
	// rt is the current retransmission time-out, resend when it ends.
	rt     time.Duration
	resend time.Time
	// probe: the server was not believed to be up when it got this.
	probe bool
	// due is when the request's timer fires next; index its place in the heap.
	due   time.Time
	index int
}

// port is a UDP socket as the exchange needs it.
type port interface {
	// send transmits one packet; errors are the peer's or the kernel's business
	// and show as an answer that does not come.
	send(b []byte, to netip.AddrPort)
	close()
}

// effects is what an exchange wants done, in the order of the fields, once its
// lock is released.
type effects struct {
	// send are packets for the wire. Their bytes are not changed later.
	send []sending
	// failed are requests that will not be answered.
	failed []failure
	// closed are sockets that are not needed any more.
	closed []port
	// changes of a server's health, for the log.
	changes []change
	// unsigned are servers whose answers carry no Message-Authenticator and are
	// taken all the same, each named once, for the log.
	unsigned []netip.AddrPort
}

type sending struct {
	port port
	to   netip.AddrPort
	wire []byte
}

type failure struct {
	request *request
	err     error
}

type change struct {
	server   netip.AddrPort
	from, to health
}

// reset empties e, keeps its memory and lets go of what it pointed to.
func (e *effects) reset() {
	clear(e.send)
	clear(e.failed)
	clear(e.closed)
	e.send, e.failed, e.closed = e.send[:0], e.failed[:0], e.closed[:0]
	e.changes, e.unsigned = e.changes[:0], e.unsigned[:0]
}

// Reasons for a request to fail.
var (
	errNoAnswer = errors.New("no RADIUS server answered in time")
	errClosing  = errors.New("the RADIUS client is closing")
	// ErrUnsendable is that of an accounting record that cannot be put into a packet.
	ErrUnsendable = errors.New("the accounting record cannot be sent")
)

// encoder writes a request's packet for one server under one id.
type encoder func(s *server, id byte, r *request) ([]byte, error)

// exchange is the state of all requests of one purpose. It does no I/O and reads
// no clock; its owner serialises the calls.
type exchange struct {
	cfg     *Config
	purpose purpose
	servers []*server
	encode  encoder
	// open makes a socket; received packets come back through answer.
	open func(*socket) (port, error)
	// random returns a number in [0, 1).
	random func() float64

	timers timers
	// held is a request that was taken from the queue and found no socket.
	held *request
	// reapAt is when to look for idle sockets; zero when there are none to close.
	reapAt time.Time
	md5    hash.Hash

	asking int // Status-Server packets in flight

	late uint64 // answers to requests that are no longer waited for
}

func newExchange(cfg *Config, p purpose, encode encoder, open func(*socket) (port, error), random func() float64) *exchange {
	x := &exchange{cfg: cfg, purpose: p, encode: encode, open: open, random: random, md5: md5.New()}
	for _, s := range cfg.Servers {
		n := s.AuthPort
		if p == accounting {
			n = s.AcctPort
		}
		if n != 0 {
			x.servers = append(x.servers, newServer(s, n))
		}
	}
	slices.SortStableFunc(x.servers, func(a, b *server) int { return cmp.Compare(a.priority, b.priority) })
	return x
}

// room reports whether another request could be sent now.
func (x *exchange) room(now time.Time) bool {
	return x.held == nil && x.choose(now, nil) != nil
}

// inFlight is the number of requests that wait for an answer or a socket, without the
// exchange's own.
func (x *exchange) inFlight() int {
	n := len(x.timers) - x.asking
	if x.held != nil {
		n++
	}
	return n
}

// start sends a new request. Call it only when there is room.
func (x *exchange) start(now time.Time, r *request, out *effects) {
	x.held = nil
	if !now.Before(r.giveUp) {
		out.failed = append(out.failed, failure{r, errNoAnswer})
		return
	}
	for {
		s := x.choose(now, nil)
		if s == nil {
			x.held = r
			return
		}
		if x.launch(now, r, s, out) {
			return
		}
	}
}

// launch sends r to s for the first time, taking it away from the server that
// had it before. It returns false when no socket could be had.
func (x *exchange) launch(now time.Time, r *request, s *server, out *effects) bool {
	k := x.place(now, s)
	if k == nil {
		return false
	}
	if r.socket != nil {
		x.land(now, r)
	}
	k.take(r)
	r.first, r.last = now, now
	var err error
	if r.wire, err = x.encode(s, r.id, r); err != nil {
		k.release(now, r)
		out.failed = append(out.failed, failure{r, err})
		return true
	}
	r.probe = s.is(now) != up
	r.rt = x.jitter(x.cfg.InitialRetransmit, x.cfg.InitialRetransmit)
	r.resend = now.Add(r.rt)
	r.due = x.next(now, r)
	heap.Push(&x.timers, r)
	s.sent++
	s.load += 1 / float64(s.weight)
	out.send = append(out.send, sending{k.port, s.addr, r.wire})
	return true
}

// land takes r out of flight.
func (x *exchange) land(now time.Time, r *request) {
	heap.Remove(&x.timers, r.index)
	r.socket.release(now, r)
}

// place finds a socket with a free id, opening one if need be and allowed.
func (x *exchange) place(now time.Time, s *server) *socket {
	for _, k := range s.sockets {
		if k.used < len(k.flying) {
			return k
		}
	}
	k := &socket{server: s}
	var err error
	if k.port, err = x.open(k); err != nil {
		// Ports or descriptors ran out; what is open goes on working.
		s.noSocketUntil = now.Add(time.Second)
		return nil
	}
	s.sockets = append(s.sockets, k)
	if len(s.sockets) > 1 && x.reapAt.IsZero() {
		x.reapAt = now.Add(x.cfg.IdleSocket)
	}
	return k
}

// hasRoom reports whether place can be expected to succeed.
func (x *exchange) hasRoom(now time.Time, s *server) bool {
	for _, k := range s.sockets {
		if k.used < len(k.flying) {
			return true
		}
	}
	return len(s.sockets) < x.cfg.MaxSockets && !now.Before(s.noSocketUntil)
}

// next is when r's timer is to fire: to retransmit, to try the next server or to
// give up.
func (x *exchange) next(now time.Time, r *request) time.Time {
	due := r.resend
	if failover := r.first.Add(x.cfg.FailoverAfter); len(x.servers) > 1 && failover.After(now) && failover.Before(due) {
		due = failover
	}
	if r.giveUp.Before(due) {
		due = r.giveUp
	}
	return due
}

// jitter returns base + RAND*spread, RAND being in [-0.1, 0.1) (RFC 5080 section
// 2.2.1).
func (x *exchange) jitter(base, spread time.Duration) time.Duration {
	return base + time.Duration((x.random()-0.5)/5*float64(spread))
}

// backOff is the retransmission time-out that follows rt: twice as long, up to
// MRT (RFC 5080 section 2.2.1).
func (x *exchange) backOff(rt time.Duration) time.Duration {
	rt = x.jitter(2*rt, rt)
	if rt > x.cfg.MaxRetransmit {
		rt = x.jitter(x.cfg.MaxRetransmit, x.cfg.MaxRetransmit)
	}
	return rt
}

// deadline is when expire wants to be called next, zero for never.
func (x *exchange) deadline() time.Time {
	var d time.Time
	sooner := func(t time.Time) {
		if !t.IsZero() && (d.IsZero() || t.Before(d)) {
			d = t
		}
	}
	if len(x.timers) > 0 {
		sooner(x.timers[0].due)
	}
	sooner(x.reapAt)
	for _, s := range x.servers {
		sooner(s.noSocketUntil)
		if s.status && s.health == dead && s.asked == nil {
			sooner(s.deadUntil)
		}
	}
	return d
}

// timers is the heap of the requests in flight, the first due on top.
type timers []*request

func (t timers) Len() int           { return len(t) }
func (t timers) Less(i, j int) bool { return t[i].due.Before(t[j].due) }
func (t timers) Swap(i, j int) {
	t[i], t[j] = t[j], t[i]
	t[i].index, t[j].index = i, j
}
func (t *timers) Push(v any) {
	r := v.(*request)
	r.index = len(*t)
	*t = append(*t, r)
}
func (t *timers) Pop() any {
	old := *t
	r := old[len(old)-1]
	old[len(old)-1] = nil
	*t = old[:len(old)-1]
	return r
}
