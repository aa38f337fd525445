package main

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/history"
	"github.com/lnsd/lnsd/control/session"
)

// stories is the history as the interface reads it.
type stories struct{ book *history.Book }

func (s stories) Stories(slot uint32, user string, tunnel uint16, failed bool) []session.Story {
	return s.book.Stories(history.Query{Slot: slot, User: user, TunnelID: tunnel, Failed: failed})
}

// refusalsPerSecond is how many refusals the event log takes: strangers can cause any
// number, which must not drive out what happened to sessions.
const refusalsPerSecond = 20

// sparing passes a notice on unless it is one refusal too many.
type sparing struct {
	next     engine.Observer
	refusals *rate.Limiter
}

func newSparing(next engine.Observer) sparing {
	return sparing{next, rate.NewLimiter(refusalsPerSecond, 10*refusalsPerSecond)}
}

// Observe passes on what happened.
func (s sparing) Observe(n session.Notice) {
	switch n.Kind {
	case session.TunnelRefused, session.CallRefused:
		if !s.refusals.AllowN(time.Now(), 1) {
			return
		}
	}
	s.next.Observe(n)
}
