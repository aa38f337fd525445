package main

import (
	"github.com/lnsd/lnsd/control/garden"
	"github.com/lnsd/lnsd/control/intercept"
	"github.com/lnsd/lnsd/control/session"
)

// path is one of the two ways that subscribers' packets take.
type path interface {
	Apply([]session.ProgramOp)
	Counters(slot uint32) session.Counters
}

// forwarder joins the slow path, which always exists and takes effect at once, with
// the fast path, which answers when the kernel holds the entries.
type forwarder struct {
	slow, fast path
	gardens    *garden.Gardens
	intercepts *intercept.Interceptions
}

// Apply programs the slow path first: until the fast path has a session, its packets
// are passed up and must find it there. What concerns a walled garden waits for
// nftables. Before there is a copy of a packet its receiver is known.
func (f forwarder) Apply(ops []session.ProgramOp) {
	f.intercepts.Apply(ops)
	f.gardens.Apply(ops, f.slow.Apply, f.fast.Apply)
}

// Counters sums both paths: every packet takes one of them.
func (f forwarder) Counters(slot uint32) session.Counters {
	return f.fast.Counters(slot).Add(f.slow.Counters(slot))
}

// answers completes the fast path's answers with what the slow path has counted. The
// slow path keeps a removed session's counters until its slot is used again, which
// the engine does not do before it has this answer.
func answers(slow path, deliver func([]session.Programmed)) func([]session.Programmed) {
	return func(done []session.Programmed) {
		for i := range done {
			if done[i].Removed {
				done[i].Final = done[i].Final.Add(slow.Counters(done[i].Slot))
			}
		}
		deliver(done)
	}
}
