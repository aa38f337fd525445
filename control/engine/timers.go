package engine

import "time"

// timer is the place in a shard's heap of whoever has a deadline.
type timer struct {
	at  time.Duration // since the heap's base
	pos int32         // index in the heap + 1; 0 is not in it
}

func (t *timer) clock() *timer { return t }

// alarm is what has a timer.
type alarm interface{ clock() *timer }

// timers is a heap of deadlines, four to a node: half as deep as a binary one
// and kinder to the cache. A deadline that moves later, which is what nearly every
// packet does, is left where it is: when it comes up too early it is asked again.
//
// Times count from base, by the monotonic clock where there is one, so that a
// step of the wall clock neither fires nor stalls anything.
type timers struct {
	base time.Time
	heap []deadline
}

type deadline struct {
	at    time.Duration
	owner alarm
}

// set makes sure that a is due at t at the latest; the zero time is never.
func (h *timers) set(a alarm, t time.Time) {
	if t.IsZero() {
		return
	}
	x, at := a.clock(), t.Sub(h.base)
	switch {
	case x.pos == 0:
		h.heap = append(h.heap, deadline{at, a})
		x.at, x.pos = at, int32(len(h.heap))
		h.up(len(h.heap) - 1)
	case at < x.at:
		x.at = at
		h.heap[x.pos-1].at = at
		h.up(int(x.pos - 1))
	}
}

// pop takes out one who is due at now.
func (h *timers) pop(now time.Time) (alarm, bool) {
	if len(h.heap) == 0 || h.heap[0].at > now.Sub(h.base) {
		return nil, false
	}
	a := h.heap[0].owner
	h.remove(a)
	return a, true
}

// remove takes a out, if it is in.
func (h *timers) remove(a alarm) {
	x := a.clock()
	if x.pos == 0 {
		return
	}
	i, last := int(x.pos-1), len(h.heap)-1
	x.pos = 0
	moved := h.heap[last]
	h.heap[last] = deadline{}
	h.heap = h.heap[:last]
	if i == last {
		return
	}
	h.place(i, moved)
	h.up(i)
	h.down(int(moved.owner.clock().pos - 1))
}

// next is the earliest deadline, the zero time if there is none.
func (h *timers) next() time.Time {
	if len(h.heap) == 0 {
		return time.Time{}
	}
	return h.base.Add(h.heap[0].at)
}

func (h *timers) place(i int, e deadline) {
	h.heap[i] = e
	e.owner.clock().pos = int32(i + 1)
}

func (h *timers) up(i int) {
	e := h.heap[i]
	for i > 0 {
		p := (i - 1) / 4
		if h.heap[p].at <= e.at {
			break
		}
		h.place(i, h.heap[p])
		i = p
	}
	h.place(i, e)
}

func (h *timers) down(i int) {
	e := h.heap[i]
	for {
		first := 4*i + 1
		if first >= len(h.heap) {
			break
		}
		least := first
		for c := first + 1; c < min(first+4, len(h.heap)); c++ {
			if h.heap[c].at < h.heap[least].at {
				least = c
			}
		}
		if h.heap[least].at >= e.at {
			break
		}
		h.place(i, h.heap[least])
		i = least
	}
	h.place(i, e)
}
