package intercept

import (
	"context"
	"net/netip"
	"sync"
)

// Datagram is one to be sent.
type Datagram struct {
	To    netip.AddrPort
	Bytes []byte
}

// Transport hands datagrams to the network.
type Transport interface {
	// Send sends all it can, in their order, and calls failed with the index of each
	// that it could not.
	Send(batch []Datagram, failed func(i int))
}

// queueBytes and queuePackets bound what waits to be sent.
const (
	queueBytes   = 4 << 20
	queuePackets = 4096
)

// load is a part of the queue; its datagrams are in one piece of memory.
type load struct {
	subjects []*subject
	to       []netip.AddrPort
	ends     []int // of the datagrams in arena
	arena    []byte
}

func (l *load) full() bool { return len(l.arena) >= queueBytes || len(l.ends) >= queuePackets }

func (l *load) reset() {
	clear(l.subjects)
	l.subjects, l.to, l.ends, l.arena = l.subjects[:0], l.to[:0], l.ends[:0], l.arena[:0]
}

// queue is what waits to be sent. Two loads change places, so that sending holds
// nobody up.
type queue struct {
	transport Transport
	wake      chan struct{}

	mu     sync.Mutex
	room   sync.Cond
	next   load
	closed bool
}

func newQueue(t Transport) *queue {
	q := &queue{transport: t, wake: make(chan struct{}, 1)}
	q.room.L = &q.mu
	return q
}

// add appends a datagram that write makes. When there is no room it waits, or returns
// false.
func (q *queue) add(s *subject, to netip.AddrPort, wait bool, write func([]byte) []byte) bool {
	q.mu.Lock()
	for q.next.full() && wait && !q.closed {
		q.room.Wait()
	}
	if q.next.full() || q.closed {
		q.mu.Unlock()
		return false
	}
	l := &q.next
	l.arena = write(l.arena)
	l.subjects, l.to, l.ends = append(l.subjects, s), append(l.to, to), append(l.ends, len(l.arena))
	q.mu.Unlock()
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return true
}

// run sends until ctx ends, and then what is left.
func (q *queue) run(ctx context.Context) {
	var current load
	var batch []Datagram
	for open := true; open; {
		select {
		case <-q.wake:
		case <-ctx.Done():
			open = false
		}
		q.mu.Lock()
		q.closed = !open
		q.next, current = current, q.next
		q.room.Broadcast()
		q.mu.Unlock()
		batch = batch[:0]
		from := 0
		for i, end := range current.ends {
			batch = append(batch, Datagram{current.to[i], current.arena[from:end]})
			from = end
		}
		q.transport.Send(batch, func(i int) { current.subjects[i].notSent.Add(1) })
		current.reset()
	}
}
