package l2tp

import (
	"errors"
	"time"
)

// Errors of PlaceCall.
var (
	ErrClosing   = errors.New("l2tp: the tunnel is closing")
	ErrSessionID = errors.New("l2tp: session id is 0 or in use")
	// ErrCapability: the peer has not advertised the bearer or framing that an
	// outgoing call asks for (RFC 2661 sections 4.4.4 and 6.9).
	ErrCapability = errors.New("l2tp: the peer lacks the bearer or framing type")
)

// PlaceCall starts an incoming call (from a LAC: ICRQ) or an outgoing call (from
// an LNS: OCRQ). id is our session id. Before the tunnel is established the call
// waits for it. p is kept in the call's Params.
func (t *Tunnel) PlaceCall(now time.Time, id uint16, p *CallParams, out *Out) (*Call, error) {
	if t.state == Closing {
		return nil, ErrClosing
	}
	if id == 0 || t.calls.byID[id] != nil {
		return nil, ErrSessionID
	}
	c := &Call{Incoming: t.cfg.Role == LAC, Params: p, state: callWaitTunnel}
	if t.state == Established && !t.capable(c) {
		return nil, ErrCapability
	}
	t.calls.addID(c, id)
	t.calls.live++
	if t.state != Established {
		t.calls.waiting = append(t.calls.waiting, c)
		return c, nil
	}
	t.request(now, c, out)
	t.finish(now, out, false)
	return c, nil
}

// capable reports whether the peer can place an outgoing call. Section 6.9: it
// must have sent Bearer Capabilities; 4.4.4: and these, and its Framing
// Capabilities, must cover what is asked for.
func (t *Tunnel) capable(c *Call) bool {
	if c.Incoming {
		return true
	}
	p := c.params()
	return t.peer.BearerCaps != 0 && p.BearerType&^t.peer.BearerCaps == 0 &&
		p.FramingType&^t.peer.FramingCaps == 0
}

// request is "tunnel-open" in the state wait-tunnel (sections 7.4.1 and 7.5.2).
func (t *Tunnel) request(now time.Time, c *Call, out *Out) {
	if !t.capable(c) {
		t.drop(c, Event{Result: Result{Code: CDNPermanent, Message: ErrCapability.Error()}}, out)
		return
	}
	if c.Incoming {
		t.send(ICRQ, 0, func(w *builder) { w.icrq(c.LocalID, c.params()) })
	} else {
		t.send(OCRQ, 0, func(w *builder) { w.ocrq(c.LocalID, c.params()) })
	}
	c.become(callWaitReply, out)
	t.calls.watch(c, after(now, t.cfg.EstablishTimeout))
}

// AcceptCall answers a CallRequest event: the call gets our session id and ICRP
// (or OCRP) is sent. A call that has ended in the meantime is left alone; an id
// that is 0 or in use rejects the call.
func (t *Tunnel) AcceptCall(now time.Time, c *Call, id uint16, out *Out) {
	if c.state != callRequested {
		return
	}
	if id == 0 || t.calls.byID[id] != nil {
		t.RejectCall(now, c, Result{Code: CDNTemporary}, out)
		return
	}
	t.calls.addID(c, id)
	if c.Incoming {
		t.send(ICRP, c.PeerID, func(w *builder) { w.uint16(avpAssignedSessionID, id) })
		c.become(callWaitConnect, out)
	} else {
		t.send(OCRP, c.PeerID, func(w *builder) {
			w.uint16(avpAssignedSessionID, id)
			if p := c.params(); p.HasPhysicalChannel {
				w.uint32(avpPhysicalChannel, p.PhysicalChannel)
			}
		})
		c.become(callWaitCSAnswer, out)
	}
	out.Events = append(out.Events, Event{Kind: CallAccepted, Call: c})
	t.finish(now, out, false)
}

// RejectCall answers a CallRequest event with CDN; CallDown is reported.
func (t *Tunnel) RejectCall(now time.Time, c *Call, r Result, out *Out) {
	t.HangUp(now, c, r, out)
}

// ConnectCall tells an LNS that the outgoing call it asked for was answered:
// OCCN is sent with what p says of the connection, and the call is up. It does
// nothing unless the call waits for that.
func (t *Tunnel) ConnectCall(now time.Time, c *Call, p *CallParams, out *Out) {
	if c.state != callWaitCSAnswer {
		return
	}
	// Section 7.5.1: "Bearer answer, framing detected: Send OCCN".
	t.send(OCCN, c.PeerID, func(w *builder) { w.connected(p) })
	t.callUp(c, out)
	t.finish(now, out, false)
}

// HangUp sends CDN and ends the call: CallDown is reported, with the given result.
func (t *Tunnel) HangUp(now time.Time, c *Call, r Result, out *Out) {
	if c.state == callDown {
		return
	}
	t.disconnect(c, r, out)
	t.finish(now, out, false)
}

// SendSLI tells the LAC the ACCMs that LCP agreed on (section 6.14, from an LNS);
// SendWEN reports line errors (section 6.13, from a LAC, which should not do so
// more often than every 60 s). Both do nothing unless the call is established.
func (t *Tunnel) SendSLI(now time.Time, c *Call, m ACCM, out *Out) {
	if t.cfg.Role == LNS && c.state == callEstablished {
		t.send(SLI, c.PeerID, func(w *builder) { w.accm(m) })
		t.finish(now, out, false)
	}
}

// SendWEN: see SendSLI.
func (t *Tunnel) SendWEN(now time.Time, c *Call, e CallErrors, out *Out) {
	if t.cfg.Role == LAC && c.state == callEstablished {
		t.send(WEN, c.PeerID, func(w *builder) { w.callErrors(e) })
		t.finish(now, out, false)
	}
}

// Call returns the call with our session id, nil if there is none. Calls counts
// those that are not down.
func (t *Tunnel) Call(id uint16) *Call { return t.calls.byID[id] }
func (t *Tunnel) Calls() int           { return t.calls.live }

// callUp enters the state established.
func (t *Tunnel) callUp(c *Call, out *Out) {
	c.become(callEstablished, out)
	t.calls.trim()
	out.Events = append(out.Events, Event{Kind: CallUp, Call: c})
}

// disconnect is "Send CDN, Clean up".
func (t *Tunnel) disconnect(c *Call, r Result, out *Out) {
	// In wait-tunnel the peer knows nothing of the call yet.
	if c.state != callWaitTunnel {
		t.sendCDN(c.PeerID, c.LocalID, r)
	}
	t.drop(c, Event{Result: r}, out)
}

// sendCDN queues a CDN. localID is the id that we have sent to the peer, by which
// it finds the call when peerID is 0 (section 4.4.4).
func (t *Tunnel) sendCDN(peerID, localID uint16, r Result) {
	if localID == 0 {
		localID = t.unusedID()
	}
	t.send(CDN, peerID, func(w *builder) {
		w.result(&r)
		w.uint16(avpAssignedSessionID, localID)
		w.cause(&r.Disconnect)
	})
}

// unusedID is the Assigned Session ID of a call that is refused before it got one:
// the AVP MUST be there and not be 0 (sections 6.12 and 4.4.4), and it must not
// be mistaken for another call.
func (t *Tunnel) unusedID() uint16 {
	var b [2]byte
	for {
		t.random(b[:])
		id := uint16(b[0])<<8 | uint16(b[1])
		if id != 0 && t.calls.byID[id] == nil {
			return id
		}
	}
}

// drop is "Clean up": the call is forgotten and reported down with what e says.
func (t *Tunnel) drop(c *Call, e Event, out *Out) {
	out.callStep(c, callDown)
	t.calls.remove(c)
	e.Kind, e.Call = CallDown, c
	out.Events = append(out.Events, e)
}

// expireCalls ends the calls that were not established in time.
func (t *Tunnel) expireCalls(now time.Time, out *Out) {
	for c := t.calls.overdue(now); c != nil; c = t.calls.overdue(now) {
		// Section 4.4.2: 10 is "not established within time allotted by LAC"; an LNS
		// has no code of its own for that.
		code := CDNTimeout
		if t.cfg.Role == LNS {
			code = CDNTemporary
		}
		t.disconnect(c, Result{Code: code, Message: "call not established in time"}, out)
	}
}

// endCalls reports every call down because the tunnel ends with r.
func (t *Tunnel) endCalls(r Result, remote bool, out *Out) {
	cause := Result{Code: CDNError, Error: r.Error, Message: r.Message}
	if r.Code == StopClear || r.Code == StopShutdown {
		cause.Code = CDNAdministrative
	}
	for _, c := range t.calls.all() {
		t.drop(c, Event{Result: cause, Remote: remote, WithTunnel: true}, out)
	}
	t.calls = callSet{}
}
