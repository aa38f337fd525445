package l2tp

import "time"

// receiveCall hands a message about a call to the call's state machine.
func (t *Tunnel) receiveCall(now time.Time, h Header, m *message, out *Out) DiscardReason {
	c := t.findCall(h, m)
	switch {
	case c == nil:
		return t.receiveNoCall(now, m, out)
	case c.Incoming && t.cfg.Role == LNS:
		return t.receiveLNSIncoming(c, m, out)
	case c.Incoming:
		return t.receiveLACIncoming(c, m, out)
	case t.cfg.Role == LNS:
		return t.receiveLNSOutgoing(c, m, out)
	default:
		return t.receiveLACOutgoing(c, m, out)
	}
}

// findCall finds the call that m is about, nil if there is none.
func (t *Tunnel) findCall(h Header, m *message) *Call {
	if c := t.calls.byID[h.SessionID]; c != nil {
		return c
	}
	// Requests come before the peer knows our id, and so may a CDN: the header's id
	// is 0 then and the peer's own id tells (section 4.4.4).
	switch m.typ {
	case ICRQ, OCRQ:
		return t.calls.byPeer[m.uint16(avpAssignedSessionID)]
	case CDN:
		if h.SessionID == 0 {
			return t.calls.byPeer[m.uint16(avpAssignedSessionID)]
		}
	}
	return nil
}

// receiveNoCall is the state idle of all four machines (sections 7.4 and 7.5).
func (t *Tunnel) receiveNoCall(now time.Time, m *message, out *Out) DiscardReason {
	peerID := m.uint16(avpAssignedSessionID)
	switch m.typ {
	case ICRQ, OCRQ:
		// An LNS takes incoming calls, a LAC outgoing ones.
		if (m.typ == ICRQ) != (t.cfg.Role == LNS) {
			t.sendCDN(peerID, 0, Result{Code: CDNPermanent, Message: m.typ.String() + " not supported in this role"})
			return Unexpected
		}
		t.requestedBy(now, peerID, m, out)
		return NotDiscarded
	case ICRP:
		// LNS, idle, receive ICRP: send CDN. LAC: clean up.
		if t.cfg.Role == LNS {
			t.sendCDN(peerID, 0, illegal(m, nil))
		}
	case OCRP:
		// LAC, idle, receive OCRP: send CDN. LNS: clean up.
		if t.cfg.Role == LAC {
			t.sendCDN(peerID, 0, illegal(m, nil))
		}
	}
	// ICCN, OCCN, CDN: clean up. WEN and SLI have nobody to go to. All of them are
	// usual when they cross our CDN.
	return UnknownCall
}

// requestedBy makes the call that an ICRQ or OCRQ asks for and lets the owner
// decide.
func (t *Tunnel) requestedBy(now time.Time, peerID uint16, m *message, out *Out) {
	c := &Call{Incoming: m.typ == ICRQ, state: callRequested}
	c.params().fillRequest(m)
	t.calls.addPeer(c, peerID)
	t.calls.live++
	t.calls.watch(c, after(now, t.cfg.EstablishTimeout))
	out.Events = append(out.Events, Event{Kind: CallRequest, Call: c})
}

// receiveFaultyCall ends the call that a faulty message is about, and no other
// (section 4.1).
func (t *Tunnel) receiveFaultyCall(now time.Time, h Header, m *message, out *Out) {
	c := t.findCall(h, m)
	switch {
	case c != nil && m.typ == CDN:
		// The peer has ended it, however badly it says so.
		t.receiveCDN(c, m, out)
	case c != nil:
		t.disconnect(c, m.fault.result(), out)
	case m.typ == ICRQ || m.typ == OCRQ:
		// Without the peer's id nobody can be told.
		if peerID := m.uint16(avpAssignedSessionID); peerID != 0 {
			t.sendCDN(peerID, 0, m.fault.result())
		}
	}
}

// receiveCDN is "Receive CDN: Clean up", in every state of every machine. There is
// no answer (section 6.12).
func (t *Tunnel) receiveCDN(c *Call, m *message, out *Out) {
	t.drop(c, Event{Result: m.result(), Remote: true}, out)
}

// reply takes the peer's session id from ICRP or OCRP. ok is false when the id
// belongs to another call: not acceptable.
func (t *Tunnel) reply(c *Call, m *message) (ok bool) {
	peerID := m.uint16(avpAssignedSessionID)
	if t.calls.byPeer[peerID] != nil {
		return false
	}
	t.calls.addPeer(c, peerID)
	c.params().fillChannel(m)
	return true
}

// sessionIDInUse is what a reply costs whose id belongs to another call.
func sessionIDInUse() Result {
	return Result{Code: CDNError, Error: ErrorSessionID, Message: "Assigned Session ID is in use"}
}

// outOfPlace is "Send CDN, Clean up" for a message that is not legal in the call's
// state.
func (t *Tunnel) outOfPlace(c *Call, m *message, out *Out) DiscardReason {
	t.disconnect(c, illegal(m, c), out)
	return Unexpected
}

// illegal names the message and the state. No error code fits an FSM error; 6
// has a message to go with it.
func illegal(m *message, c *Call) Result {
	state := callRequested
	if c != nil {
		state = c.state
	}
	return Result{Code: CDNError, Error: ErrorVendor, Message: m.typ.String() + " in state " + state.String()}
}
