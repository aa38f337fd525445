package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
)

// The way out has one direction, wherever it is entered:
//
//	Terminate-Request ─ LinkDown ─▶ removal ─ Programmed ─▶ Stop ─▶ CDN ─▶ Done
//
// A call that is gone skips the first part and the CDN, a quick end does not wait
// for LinkDown, a session that is not installed skips the removal, and one without
// a Start has no Stop.

// Drop ends the session for a reason from outside.
func (s *Session) Drop(now time.Time, e End, out *Out) {
	if s.state >= stateClosing {
		switch {
		case e.Quick:
			s.hurry(out)
		case e.Patience > 0 && s.link != nil && s.hurryAt == 0:
			s.hurryAt = s.moment(now.Add(e.Patience))
		}
		return
	}
	s.close(now, e, out)
}

// hurry ends the wait for the peer's Terminate-Ack.
func (s *Session) hurry(out *Out) {
	if s.link != nil {
		s.link = nil
		s.withdraw(out)
	}
}

// CallDown tells the session that its call is gone, and why.
func (s *Session) CallDown(now time.Time, e End, out *Out) {
	if s.callGone {
		return
	}
	s.callGone = true
	if s.state < stateClosing {
		s.begin(now, e, out)
		s.link = nil
		s.withdraw(out)
		return
	}
	s.hurry(out)
}

// close begins the way out from our side.
func (s *Session) close(now time.Time, e End, out *Out) {
	if s.state >= stateClosing {
		return
	}
	s.begin(now, e, out)
	if s.link != nil {
		s.farewell(out)
		s.link.Close(now, e.text(), &out.ppp)
		s.pump(now, out)
	}
	switch {
	case s.link == nil || e.Quick:
		s.link = nil
		s.withdraw(out)
	case e.Patience > 0:
		s.hurryAt = s.moment(now.Add(e.Patience))
	}
}

// linkDown takes the end of the PPP link, ours or the peer's.
func (s *Session) linkDown(now time.Time, e *ppp.Event, out *Out) {
	if s.link == nil {
		return
	}
	if s.state < stateClosing {
		s.begin(now, endOfLink(e.Cause, e.Message), out)
	}
	s.link = nil
	s.withdraw(out)
}

// begin notes why and when the session ends; the first reason stands.
func (s *Session) begin(now time.Time, e End, out *Out) {
	s.interrupt(out)
	stage := stageOf(s.state)
	s.enter(now, stateClosing, out)
	s.end = &ending{e, now, stage}
	s.held = nil
	s.setupBy, s.expireAt, s.idleAt, s.interimAt = 0, 0, 0, 0
}

// withdraw takes the session out of the forwarding path.
func (s *Session) withdraw(out *Out) {
	switch s.install {
	case absent:
		s.finish(out)
	case installing, installed:
		s.remove(out)
	}
}

// finish is the last step: nothing is installed any more.
func (s *Session) finish(out *Out) {
	if s.state == stateDone {
		return
	}
	s.become(stateDone, out)
	s.retryAt, s.hurryAt = 0, 0
	if s.accounted {
		// The account is closed as of when the session ended, however long the
		// forwarding path took to let go.
		s.closeAccount(s.end.at, s.counted(), s.end.Cause, out)
	}
	if s.started {
		s.audit(s.auth.Profile.Services.intercept(), netip.AddrPort{}, "", s.end.at, out)
	}
	if !s.callGone {
		s.callGone = true
		out.HangUp = append(out.HangUp, s.end.Result)
	}
	e := Event{Kind: Down, End: s.end.End, WasUp: s.started, Stage: s.end.stage}
	if s.started {
		e.Open, e.Idle = s.lasted()
	}
	out.Events = append(out.Events, e)
	out.Done = true
}

// text is what the subscriber is told.
func (e *End) text() string {
	if e.Message != "" {
		return e.Message
	}
	return e.Reason
}

// busyEnd ends a session for a lack that will pass: the LAC may try elsewhere.
func (s *Session) busyEnd(c TerminateCause, reason string) End {
	r := s.cfg.BusyResult()
	if r.Message == "" {
		r.Message = reason
	}
	return End{Cause: c, Result: r, Reason: reason}
}

// lasted is how long the session was up, and for how long nothing had passed when it
// ended.
func (s *Session) lasted() (open, idle time.Duration) {
	open = max(s.end.at.Sub(s.time(s.upSince)), 0)
	if last := s.counted().LastSeen; !last.IsZero() {
		return open, min(max(s.end.at.Sub(last), 0), open)
	}
	return open, open
}
