package engine

import (
	"net/netip"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// traceFrame traces a PPP frame from the subscriber.
func (s *Shard) traceFrame(c *call, frame []byte) {
	x := s.thread(nil, c)
	x.frame("rx", frame)
}

func (x *thread) frame(way string, frame []byte) {
	if x.mask&session.TracePPP != 0 {
		x.line(session.TracePPP, "%s %s", way, ppp.Describe(frame))
	}
}

// traceOut traces what a session has done, and wants done.
func (s *Shard) traceOut(c *call) {
	x := s.thread(nil, c)
	if x.mask == 0 {
		return
	}
	o := &s.sout
	for _, m := range o.Moves {
		x.line(session.TraceFSM, "session %s -> %s", m.From, m.To)
	}
	for _, e := range o.Links {
		x.line(session.TraceFSM, "%v %s: %s -> %s", e.Protocol, e.Event, e.From, e.To)
	}
	for _, b := range o.Send {
		if _, frame, err := l2tp.ParseHeader(b); err == nil {
			x.frame("tx", frame)
		}
	}
	x.wishes(o)
}

// wishes traces what the session asks of the others.
func (x *thread) wishes(o *session.Out) {
	for i := range o.Claim {
		q := &o.Claim[i]
		x.line(session.TraceSystem, "claims the name %q, address %s, pool %q", q.User, addressText(q.Address), q.Pool)
	}
	for i := range o.Claim6 {
		q := &o.Claim6[i]
		x.line(session.TraceSystem, "claims prefixes %v, delegated %v, pools %q, %q and %q", q.Prefixes, q.Delegated, q.Pool, q.PDPool, q.AddressPool)
	}
	for _, r := range o.Authenticate {
		x.line(session.TraceSystem, "asks to authenticate %q by %v", r.User, ppp.Auth(r.Method))
	}
	for i := range o.Program {
		x.program(&o.Program[i])
	}
	for _, r := range o.Account {
		x.line(session.TraceSystem, "accounting record of kind %d, account %s", r.Kind, r.Call.AcctSessionID)
	}
	for _, r := range o.HangUp {
		x.line(session.TraceFunc, "hangs up: result %d (%s) %q", r.Code, l2tp.CDNText(r.Code), r.Message)
	}
	for _, m := range o.LinkInfo {
		x.line(session.TraceFunc, "tells the LAC the ACCMs 0x%08x and 0x%08x", m.Send, m.Receive)
	}
	for i := range o.Events {
		x.event(&o.Events[i])
	}
	if o.Done {
		x.line(session.TraceFunc, "is over; slot %d and session id %d are free", x.of.Slot, x.of.SessionID)
	}
}

// program never tells of an interception.
func (x *thread) program(op *session.ProgramOp) {
	if op.Remove {
		x.line(session.TraceSystem, "asks the forwarding path to remove slot %d", op.Record.Slot)
		return
	}
	x.line(session.TraceSystem, "asks the forwarding path to install slot %d: address %s, prefixes %v, MTU %d", op.Record.Slot, addressText(op.Record.Address), op.Record.Prefixes6, op.Record.MTU)
}

func (x *thread) event(e *session.Event) {
	switch e.Kind {
	case session.Up:
		x.line(session.TraceData, "packets flow; they are captured rather than traced: lnsctl capture session %d -w FILE", x.of.Slot)
	case session.AuthFailed, session.AuthUnavailable, session.ClaimFailed:
		x.line(session.TraceSystem, "is turned away: %s", e.Detail)
	case session.Down:
		x.line(session.TraceSystem, "ends: %s", e.End.Reason)
	}
}

// traceAnswer traces what another part answers to a session.
func (s *Shard) traceAnswer(c *call, format string, args ...any) {
	x := s.thread(nil, c)
	x.line(session.TraceSystem, format, args...)
}

// traceFunc traces a step of the engine.
func (s *Shard) traceFunc(t *tunnel, c *call, format string, args ...any) {
	x := s.thread(t, c)
	x.line(session.TraceFunc, format, args...)
}

func verdictText(r *session.AuthResult) string {
	text := "no"
	switch r.Verdict {
	case session.Accept:
		text = "yes"
	case session.Unavailable:
		text = "nobody answers"
	}
	if r.Cause != "" {
		text += ", " + r.Cause
	}
	return text
}

func outcome(err error) string {
	if err != nil {
		return err.Error()
	}
	return "done"
}

// addressText names an address, which may be any or none.
func addressText(a netip.Addr) string {
	if !a.IsValid() {
		return "any"
	}
	return a.String()
}
