package status

import (
	"fmt"
	"slices"
	"sync"

	"github.com/lnsd/lnsd/control/session"
)

// Changes orders the files that are to be written: those that something has happened
// to, in the order in which it happened first, then all others in turn. It is what the
// engine tells, and it is there before the files are.
type Changes struct {
	mu     sync.Mutex // never held while anybody is asked
	urgent []string
	isIn   map[string]bool // in urgent

	turn []string // of the one who takes
}

// NewChanges returns one that nothing has happened to.
func NewChanges() *Changes { return &Changes{isIn: make(map[string]bool)} }

// Observe notes what has happened; the files follow.
func (q *Changes) Observe(n session.Notice) {
	tunnel := fmt.Sprintf("%s/%d", Tunnels, n.TunnelID)
	switch n.Kind {
	case session.TunnelUp, session.TunnelDown:
		q.happened(tunnel, Peers+"/"+n.LAC.Addr().String())
	case session.SessionUp, session.SessionDown:
		q.happened(fmt.Sprintf("%s/%d", Sessions, n.Slot), tunnel)
	case session.SessionChanged, session.SessionFailed:
		q.happened(fmt.Sprintf("%s/%d", Sessions, n.Slot))
	}
}

// happened puts files among the urgent ones. It does not wait for anybody.
func (q *Changes) happened(names ...string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, name := range names {
		if !q.isIn[name] {
			q.isIn[name] = true
			q.urgent = append(q.urgent, name)
		}
	}
}

// take removes at most n names and returns them. all is asked when it is the others'
// turn and the last round has ended, once in a call: a round is no shorter than that.
func (q *Changes) take(n int, all func() []string) []string {
	out := q.takeUrgent(n)
	if len(out) < n && len(q.turn) == 0 {
		q.turn = all()
		slices.Sort(q.turn)
	}
	m := min(n-len(out), len(q.turn))
	out, q.turn = append(out, q.turn[:m]...), q.turn[m:]
	return out
}

func (q *Changes) takeUrgent(n int) []string {
	q.mu.Lock()
	defer q.mu.Unlock()
	n = min(n, len(q.urgent))
	out := slices.Clone(q.urgent[:n])
	for _, name := range out {
		delete(q.isIn, name)
	}
	q.urgent = q.urgent[n:]
	return out
}
