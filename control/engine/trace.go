package engine

import (
	"fmt"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// Traces follow single tunnels, sessions and users, so each line knows what it is
// about. Where nothing is traced, every place that could write a line costs one
// branch on Shard.tracing.

// Tracer decides what is traced and takes the lines. Its methods must not block.
type Tracer interface {
	// Tracing returns the rules in force, nil where there are none.
	Tracing() session.TraceRules
	// Trace takes a line that some rule, or the policy of a LAC, asks for.
	Trace(session.TraceLine)
}

// noTracer traces nothing.
type noTracer struct{}

func (noTracer) Tracing() session.TraceRules { return nil }
func (noTracer) Trace(session.TraceLine)     {}

// traced reports whether any LAC is traced by policy.
func (p *Policy) traced() bool {
	for i := range p.LACs {
		if p.LACs[i].Trace != 0 {
			return true
		}
	}
	for i := range p.Outgoing {
		if p.Outgoing[i].Trace != 0 {
			return true
		}
	}
	return p.DefaultTrace != 0
}

// beginTrace takes over the rules for one step of the shard.
func (s *Shard) beginTrace() {
	s.rules = s.e.ports.Tracer.Tracing()
	if on := s.rules != nil || s.e.traced.Load(); on != s.tracing {
		s.tracing, s.tout.Trace = on, on
		s.sout.Trace(on)
	}
}

// thread is the trace of one subject: what may be written of it, and where to.
type thread struct {
	s    *Shard
	mask session.TraceMask
	of   session.TraceSubject
}

// thread begins the trace of a call, or of a tunnel when c is nil. Either may be nil.
func (s *Shard) thread(t *tunnel, c *call) thread {
	x := thread{s: s}
	if c != nil {
		x.of = session.TraceSubject{
			Ref: c.s.Ref(), Slot: c.s.Slot(), User: c.s.User(), Calling: c.calling(), Policy: c.trace,
		}
		t = c.tun
	} else if t != nil {
		x.of.TunnelID, x.of.Policy = t.id(), t.trace
	}
	if t != nil {
		x.of.LAC = t.peer
	}
	x.mask = x.of.Policy | s.rules.Mask(&x.of)
	return x
}

// calling is the number that the LAC has told, which the session learns with its call
// being connected.
func (c *call) calling() string {
	if p := c.call.Params; p != nil {
		return p.CallingNumber
	}
	return c.s.Calling()
}

// line writes a line of a category if that is wanted.
func (x *thread) line(category session.TraceMask, format string, args ...any) {
	if x.mask&category == 0 {
		return
	}
	x.s.e.ports.Tracer.Trace(session.TraceLine{
		At: x.s.now, Category: category, TraceSubject: x.of, Text: fmt.Sprintf(format, args...),
	})
}

// traceReceived traces a control message from the peer.
func (s *Shard) traceReceived(t *tunnel, h l2tp.Header, body []byte) {
	var c *call
	if h.SessionID != 0 {
		c = s.calls[keyOf(t.id(), h.SessionID)]
	}
	x := s.thread(t, c)
	if c == nil && h.SessionID == 0 {
		// A request for a call is of nobody yet, unless it says who calls.
		if n := l2tp.CallingNumber(body); n != "" {
			x.of.Calling = n
			x.mask = x.of.Policy | s.rules.Mask(&x.of)
		}
	}
	x.control("rx", h, body, t.lac.L2TP.Secret)
}

// traceSent traces a control message to the peer.
func (s *Shard) traceSent(t *tunnel, b []byte) {
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		return
	}
	var c *call
	if k := t.t.CallOfPeer(h.SessionID); k != nil {
		c = s.callOf(t, k)
	}
	x := s.thread(t, c)
	x.control("tx", h, body, t.lac.L2TP.Secret)
}

// traceStranger traces a control message that no tunnel takes.
func (s *Shard) traceStranger(p *packet, h l2tp.Header, body []byte, format string, args ...any) {
	x := thread{s: s, of: session.TraceSubject{LAC: p.peer}}
	x.mask = s.rules.Mask(&x.of)
	if len(body) > 0 {
		x.control("rx", h, body, nil)
	}
	x.line(session.TraceSystem, format, args...)
}

// traceRefusal traces the refusal of a tunnel.
func (s *Shard) traceRefusal(p *packet, name string, r l2tp.Result) {
	s.traceStranger(p, l2tp.Header{}, nil, "tunnel of host %q refused: result %d (%s), error %d, %q",
		name, r.Code, l2tp.StopText(r.Code), r.Error, r.Message)
}

// control traces a message and its AVPs.
func (x *thread) control(way string, h l2tp.Header, body, secret []byte) {
	const avps = session.TraceAVP | session.TraceAVPHide | session.TraceAVPData
	if x.mask&(session.TraceProtocol|avps) == 0 {
		return
	}
	typ, _ := l2tp.PeekType(body)
	x.line(session.TraceProtocol, "%s %v ns %d nr %d, tunnel id %d session id %d, %d bytes", way, typ, h.Ns, h.Nr, h.TunnelID, h.SessionID, h.Length)
	if x.mask&avps == 0 {
		return
	}
	all, whole := l2tp.Describe(body, secret)
	for i := range all {
		x.avp(way, typ, &all[i])
	}
	if !whole {
		x.line(session.TraceAVP, "%s %v: the rest is malformed", way, typ)
	}
}

func (x *thread) avp(way string, typ l2tp.MessageType, a *l2tp.AVPText) {
	flags := ""
	if a.Mandatory {
		flags += " M"
	}
	if a.Hidden {
		flags += " H"
		readable := "can't be read with this tunnel's secret"
		if way == "tx" || a.Readable {
			readable = "readable with this tunnel's secret"
		}
		x.line(session.TraceAVPHide, "%s %v: %s is hidden in %d bytes, %s", way, typ, a.Name, a.Length, readable)
	}
	x.line(session.TraceAVP, "%s %v: %s%s, %d bytes", way, typ, a.Name, flags, a.Length)
	x.line(session.TraceAVPData, "%s %v: %s = %s", way, typ, a.Name, a.Value)
}

// traceSteps traces what the tunnel has noted from a place on, and returns the next.
func (s *Shard) traceSteps(t *tunnel, from int) int {
	for i := from; i < len(s.tout.Steps); i++ {
		e := &s.tout.Steps[i]
		var c *call
		if e.Call != nil {
			c = s.callOf(t, e.Call)
		}
		x := s.thread(t, c)
		x.step(e)
	}
	return len(s.tout.Steps)
}

func (x *thread) step(e *l2tp.Step) {
	switch e.Kind {
	case l2tp.StepTunnel:
		x.line(session.TraceFSM, "tunnel %s -> %s%s", e.From, e.To, by(e.By))
	case l2tp.StepCall:
		x.line(session.TraceFSM, "call %d (peer's %d) %s -> %s%s", e.Call.LocalID, e.Call.PeerID, e.From, e.To, by(e.By))
	case l2tp.StepReceived:
		x.line(session.TraceXport, "rx %v ns %d: %s", e.Type, e.Ns, e.Verdict)
	case l2tp.StepAcked:
		x.line(session.TraceXport, "rx nr %d: %d unacknowledged, %d waiting, cwnd %d of %d", e.Nr, e.Unacked, e.Queued, e.Cwnd, e.PeerWindow)
	case l2tp.StepSent:
		x.line(session.TraceXport, "tx %v ns %d nr %d: cwnd %d of %d", e.Type, e.Ns, e.Nr, e.Cwnd, e.PeerWindow)
	case l2tp.StepResent:
		x.line(session.TraceXport, "retransmission %d of %v ns %d nr %d, next after %v", e.Retries, e.Type, e.Ns, e.Nr, e.Interval)
	}
}

func by(cause string) string {
	if cause == "" {
		return ""
	}
	return " on " + cause
}

// traceDiscarded traces the messages that were not acted on.
func (s *Shard) traceDiscarded(t *tunnel, d l2tp.Discard) {
	x := s.thread(t, nil)
	x.line(session.TraceProtocol, "discarded %v: %v", d.Type, d.Reason)
}
