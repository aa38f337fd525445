package lac

import (
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// leaver tears a worker's sessions and tunnels down.
type leaver struct {
	w        *worker
	mode     Teardown
	started  bool
	begun    time.Duration
	deadline time.Duration

	queue    [][]*session // by tunnel: to be ended
	queued   int
	inFlight int // being ended
	closed   bool
}

// start begins the teardown. Sessions that are not up yet are given up.
func (l *leaver) start(mode Teardown, limit time.Duration) {
	l.w.dial.stopped = true
	l.w.traffic.stop()
	l.mode, l.started = mode, true
	l.begun, l.deadline = l.w.clock, l.w.clock+limit
	if mode == ByNobody {
		l.w.done = true
		return
	}
	l.queue = make([][]*session, len(l.w.tunnels))
	for i, t := range l.w.tunnels {
		for _, s := range t.all {
			if l.prepare(s) {
				l.queue[i] = append(l.queue[i], s)
				l.queued++
			}
		}
		t.waiting = nil
	}
}

// prepare takes a session out of service and tells whether it has to be ended.
func (l *leaver) prepare(s *session) bool {
	st := &l.w.stats
	switch s.state {
	case sessionWaiting:
		s.state = sessionEnded
		st.unstarted++
		return false
	case sessionCalling, sessionLinking:
		l.w.dial.pending--
		st.unstarted++
		s.cut = true
	case sessionUp:
		l.w.traffic.leave(s)
		st.sessionsNow--
	default:
		return false
	}
	s.state = sessionLeaving
	return true
}

// step ends as many sessions as may be now, then the tunnels, then the worker.
func (l *leaver) step() {
	if !l.started || l.w.done {
		return
	}
	if l.w.clock >= l.deadline {
		l.giveUp()
		return
	}
	if l.mode != ByTunnel {
		for i, t := range l.w.tunnels {
			l.endSome(i, t)
		}
	}
	if (l.queued == 0 && l.inFlight == 0 || l.mode == ByTunnel) && !l.closed {
		l.closed = true
		for _, t := range l.w.tunnels {
			t.close()
		}
	}
	if l.closed && !l.waits() {
		l.w.done = true
	}
}

func (l *leaver) waits() bool {
	for _, t := range l.w.tunnels {
		if t.state == tunnelClosing {
			return true
		}
	}
	return false
}

// endSome ends sessions of a tunnel while its window has room.
func (l *leaver) endSome(i int, t *tunnel) {
	for len(l.queue[i]) > 0 && l.inFlight < l.w.dial.parallel && t.hasRoom() {
		s := l.queue[i][0]
		l.queue[i] = l.queue[i][1:]
		l.queued--
		if s.state != sessionLeaving {
			continue // it ended meanwhile
		}
		s.inFlight, s.left = true, l.w.clock
		l.inFlight++
		if l.mode == ByClient && !s.cut {
			s.act(func(out *ppp.Out) { s.link.Close(l.w.now, "end of run", out) })
			continue
		}
		t.act(func(out *l2tp.Out) {
			t.l2tp.HangUp(l.w.now, s.call, l2tp.Result{Code: l2tp.CDNAdministrative, Message: "end of run"}, out)
		})
	}
}

// ended is called when a leaving session has gone.
func (l *leaver) ended(s *session) {
	answered := !s.inFlight || l.w.clock-s.left < maxTerminate*restartTimer
	if s.inFlight {
		s.inFlight = false
		l.inFlight--
	}
	switch {
	case s.cut:
	case !answered:
		l.w.stats.unansweredSessions++
	default:
		l.w.stats.endedSessions++
	}
}

// giveUp ends the worker with the peer's answers still missing.
func (l *leaver) giveUp() {
	for _, t := range l.w.tunnels {
		for _, s := range t.sessions {
			if s.state == sessionLeaving && !s.cut {
				l.w.stats.unansweredSessions++
			}
		}
		if t.state == tunnelClosing || t.state == tunnelUp {
			l.w.stats.unansweredTunnels++
		}
	}
	l.w.done = true
}
