package l2tp

import (
	"cmp"
	"slices"
	"time"
)

// callSet is the calls of a tunnel that are not down.
type callSet struct {
	byID   map[uint16]*Call // by our session id; not those that have none yet
	byPeer map[uint16]*Call // by the peer's; not those whose is not known yet
	live   int
	// pending are the calls that were not established when they were added, oldest
	// first; all have the same time to get there, so the first is due first.
	// Entries of calls that have moved on are dropped when they come first.
	pending []pendingCall
	waiting []*Call // for the tunnel
}

type pendingCall struct {
	call *Call
	by   time.Time
}

func (s *callSet) addID(c *Call, id uint16) {
	if s.byID == nil {
		s.byID = make(map[uint16]*Call)
	}
	c.LocalID = id
	s.byID[id] = c
}

func (s *callSet) addPeer(c *Call, id uint16) {
	if s.byPeer == nil {
		s.byPeer = make(map[uint16]*Call)
	}
	c.PeerID = id
	s.byPeer[id] = c
}

// CallOfPeer returns the live call that the peer gave an id to, nil for none.
func (t *Tunnel) CallOfPeer(id uint16) *Call { return t.calls.byPeer[id] }

// remove forgets c.
func (s *callSet) remove(c *Call) {
	if s.byID[c.LocalID] == c {
		delete(s.byID, c.LocalID)
	}
	if s.byPeer[c.PeerID] == c {
		delete(s.byPeer, c.PeerID)
	}
	c.state = callDown
	s.live--
	s.trim()
}

// watch puts c under the establishment timeout.
func (s *callSet) watch(c *Call, by time.Time) {
	if !by.IsZero() {
		s.pending = append(s.pending, pendingCall{c, by})
	}
}

// trim drops pending entries that have become pointless from the front.
func (s *callSet) trim() {
	n := 0
	for n < len(s.pending) && s.pending[n].call.state >= callEstablished {
		n++
	}
	if n == 0 {
		return
	}
	clear(s.pending[:n])
	if s.pending = s.pending[n:]; len(s.pending) == 0 {
		s.pending = nil
	}
}

// deadline is when the oldest pending call is due.
func (s *callSet) deadline() time.Time {
	if len(s.pending) == 0 {
		return time.Time{}
	}
	return s.pending[0].by
}

// overdue returns a call that was not established in time, nil if there is none.
func (s *callSet) overdue(now time.Time) *Call {
	s.trim()
	if len(s.pending) > 0 && due(now, s.pending[0].by) {
		return s.pending[0].call
	}
	return nil
}

// takeWaiting returns the calls that waited for the tunnel, oldest first.
func (s *callSet) takeWaiting() []*Call {
	w := s.waiting
	s.waiting = nil
	return w
}

// all returns every call in an order that depends on the ids alone, so that a run
// can be repeated exactly.
func (s *callSet) all() []*Call {
	calls := make([]*Call, 0, s.live)
	for _, c := range s.byID {
		calls = append(calls, c)
	}
	for _, c := range s.byPeer {
		if c.LocalID == 0 { // not in byID
			calls = append(calls, c)
		}
	}
	slices.SortFunc(calls, func(a, b *Call) int {
		return cmp.Or(cmp.Compare(a.LocalID, b.LocalID), cmp.Compare(a.PeerID, b.PeerID))
	})
	return calls
}
