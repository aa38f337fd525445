package radius

import (
	"container/heap"
	"time"
)

// choose picks the server for a request, or nil when the request has to wait.
// except is the server that it is to be taken away from, or nil.
//
// The servers of the first priority with one that is up share the requests by their
// weights. One before them, or among them, that is suspect gets a request if nothing
// else is under way there: that is the probe by which a server comes back. When none
// is up, a dead one may be probed before its time.
func (x *exchange) choose(now time.Time, except *server) *server {
	anyUp := false
	for _, s := range x.servers {
		anyUp = anyUp || s.is(now) == up
	}
	for first := 0; first < len(x.servers); {
		end := first + 1
		for end < len(x.servers) && x.servers[end].priority == x.servers[first].priority {
			end++
		}
		if s := x.share(now, x.servers[first:end], except, anyUp); s != nil {
			return s
		}
		first = end
	}
	// No server is up and each has its probe. Accounting records have time and
	// wait in the queue, so that a server which comes back meets one packet and
	// not all of them. Subscribers have none: they take the least loaded.
	if anyUp || except != nil || x.purpose == accounting {
		return nil
	}
	var least *server
	for _, s := range x.servers {
		if x.hasRoom(now, s) && (least == nil || s.inFlight < least.inFlight) {
			least = s
		}
	}
	return least
}

// share picks one of the servers of a priority.
func (x *exchange) share(now time.Time, servers []*server, except *server, anyUp bool) *server {
	var next *server
	for _, s := range servers {
		if s == except || !x.hasRoom(now, s) {
			continue
		}
		switch h := s.is(now); {
		case h == up:
			if next == nil || s.load < next.load {
				next = s
			}
		case s.inFlight == 0 && (h == suspect || !anyUp):
			return s
		}
	}
	return next
}

// level gives a server that comes back the place of the others that it shares with:
// what it missed, or had more than they, is not made up for.
func (x *exchange) level(s *server) {
	found := false
	for _, o := range x.servers {
		if o != s && o.priority == s.priority && o.health == up && (!found || o.load < s.load) {
			s.load, found = o.load, true
		}
	}
}

// expire does what is due at now.
func (x *exchange) expire(now time.Time, out *effects) {
	for _, s := range x.servers {
		if !now.Before(s.noSocketUntil) {
			s.noSocketUntil = time.Time{}
		}
	}
	for len(x.timers) > 0 && !x.timers[0].due.After(now) {
		x.timeout(now, x.timers[0], out)
	}
	x.askStatus(now, out)
	if x.held != nil {
		x.start(now, x.held, out)
	}
	if !x.reapAt.IsZero() && !x.reapAt.After(now) {
		x.reap(now, out)
	}
}

// timeout handles a request whose timer fired: it is given up, goes to another
// server, or is sent again.
func (x *exchange) timeout(now time.Time, r *request, out *effects) {
	s := r.socket.server
	if r.statusServer() {
		x.told(now, r)
		return
	}
	x.blame(now, r, out)
	if !now.Before(r.giveUp) {
		s.timeouts++
		x.land(now, r)
		out.failed = append(out.failed, failure{r, errNoAnswer})
		return
	}
	if r.probe || s.is(now) == dead || now.Sub(r.first) >= x.cfg.FailoverAfter {
		if t := x.choose(now, s); t != nil && x.launch(now, r, t, out) {
			s.timeouts++
			return
		}
	}
	if !now.Before(r.resend) {
		r.rt = x.backOff(r.rt)
		r.resend = now.Add(r.rt)
		r.last = now
		s.retries++
		out.send = append(out.send, sending{r.socket.port, s.addr, r.wire})
	}
	r.due = x.next(now, r)
	heap.Fix(&x.timers, r.index)
}

// blame lowers the belief in the server that r was sent to. An answer to any
// request since then speaks for it: then only r's packets were lost, or the
// server does not like r.
func (x *exchange) blame(now time.Time, r *request, out *effects) {
	s := r.socket.server
	if s.lastHeard.After(r.first) {
		return
	}
	silent := now.Sub(r.first) >= x.cfg.FailoverAfter
	switch s.is(now) {
	case up:
		if silent {
			x.setHealth(now, s, dead, out)
		} else {
			x.setHealth(now, s, suspect, out)
		}
	case suspect:
		if silent || r.probe {
			x.setHealth(now, s, dead, out)
		}
	}
}

func (x *exchange) setHealth(now time.Time, s *server, h health, out *effects) {
	if s.health != h {
		out.changes = append(out.changes, change{s.addr, s.health, h})
	}
	if h == up {
		x.level(s)
	}
	s.health = h
	s.deadUntil = time.Time{}
	if h == dead {
		s.deadUntil = now.Add(x.cfg.DeadTime)
	}
}

// heard notes a valid answer. When it ends an outage the requests that wait for
// the server, backed off to the longest time-out by now, are brought forward,
// spread out over the shortest.
func (x *exchange) heard(now time.Time, s *server, out *effects) {
	s.lastHeard = now
	was := s.health
	if was == up {
		return
	}
	x.setHealth(now, s, up, out)
	if was != dead {
		return
	}
	for _, k := range s.sockets {
		for _, r := range k.flying {
			if r == nil || r.statusServer() {
				continue
			}
			soon := now.Add(time.Duration(x.random() * float64(x.cfg.InitialRetransmit)))
			if soon.Before(r.resend) {
				r.rt, r.resend = x.cfg.InitialRetransmit, soon
				r.due = x.next(now, r)
				heap.Fix(&x.timers, r.index)
			}
		}
	}
}

// reap closes sockets that have been idle for long, all but one for each server.
// New requests use the first socket with room, so that after a peak the others
// fall idle.
func (x *exchange) reap(now time.Time, out *effects) {
	x.reapAt = time.Time{}
	for _, s := range x.servers {
		kept := s.sockets[:0]
		for _, k := range s.sockets {
			if len(kept) > 0 && k.used == 0 && now.Sub(k.idleSince) >= x.cfg.IdleSocket {
				out.closed = append(out.closed, k.port)
				continue
			}
			kept = append(kept, k)
		}
		clear(s.sockets[len(kept):])
		if s.sockets = kept; len(kept) > 1 {
			x.reapAt = now.Add(x.cfg.IdleSocket)
		}
	}
}

// abandon fails everything in flight.
func (x *exchange) abandon(now time.Time, err error, out *effects) {
	if x.held != nil {
		out.failed = append(out.failed, failure{x.held, err})
		x.held = nil
	}
	for len(x.timers) > 0 {
		r := x.timers[0]
		if r.statusServer() {
			x.told(now, r)
			continue
		}
		x.land(now, r)
		out.failed = append(out.failed, failure{r, err})
	}
}

// shut gives up all sockets.
func (x *exchange) shut(out *effects) {
	for _, s := range x.servers {
		for _, k := range s.sockets {
			out.closed = append(out.closed, k.port)
		}
		s.sockets = nil
	}
}
