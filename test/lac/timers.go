package lac

import "time"

// expirer is what a timer wakes.
type expirer interface {
	// expire does what is due and sets the timer again.
	expire()
}

// timer is embedded in what it wakes, so that setting one allocates nothing.
type timer struct {
	at   time.Duration // since the start of the run
	slot int           // index in the heap + 1; 0 when not set
	owns expirer
}

// timers is a binary heap of the timers that are set, the earliest first.
//
// A timer is only ever moved forward: one whose owner now needs to wake later
// fires early, finds nothing due and sets itself anew. That spares the heap the
// work for deadlines that move with every packet.
type timers struct{ heap []*timer }

// wakeBy sets t, unless it is already set for at or earlier.
func (ts *timers) wakeBy(t *timer, at time.Duration) {
	switch {
	case t.slot == 0:
		t.at = at
		ts.heap = append(ts.heap, t)
		t.slot = len(ts.heap)
		ts.up(t.slot - 1)
	case at < t.at:
		t.at = at
		ts.up(t.slot - 1)
	}
}

// stop takes t out.
func (ts *timers) stop(t *timer) {
	if t.slot == 0 {
		return
	}
	i, last := t.slot-1, len(ts.heap)-1
	t.slot = 0
	moved := ts.heap[last]
	ts.heap[last] = nil
	ts.heap = ts.heap[:last]
	if i == last {
		return
	}
	ts.place(i, moved)
	ts.down(i)
	ts.up(i)
}

// run wakes every owner whose time has come.
func (ts *timers) run(now time.Duration) {
	for len(ts.heap) > 0 && ts.heap[0].at <= now {
		t := ts.heap[0]
		ts.stop(t)
		t.owns.expire()
	}
}

// next is the time of the earliest timer.
func (ts *timers) next() (time.Duration, bool) {
	if len(ts.heap) == 0 {
		return 0, false
	}
	return ts.heap[0].at, true
}

func (ts *timers) place(i int, t *timer) {
	ts.heap[i] = t
	t.slot = i + 1
}

func (ts *timers) up(i int) {
	t := ts.heap[i]
	for i > 0 {
		parent := (i - 1) / 2
		if ts.heap[parent].at <= t.at {
			break
		}
		ts.place(i, ts.heap[parent])
		i = parent
	}
	ts.place(i, t)
}

func (ts *timers) down(i int) {
	t := ts.heap[i]
	for {
		child := 2*i + 1
		if child >= len(ts.heap) {
			break
		}
		if child+1 < len(ts.heap) && ts.heap[child+1].at < ts.heap[child].at {
			child++
		}
		if t.at <= ts.heap[child].at {
			break
		}
		ts.place(i, ts.heap[child])
		i = child
	}
	ts.place(i, t)
}
