package l2tp

import "time"

// Close sends StopCCN with the given result, reports CallDown for each call and
// then TunnelClosing; TunnelGone follows when the retransmit cycle is over.
func (t *Tunnel) Close(now time.Time, r Result, out *Out) {
	if t.gone || t.state == Closing {
		return
	}
	if t.state == Idle {
		t.discard(r, out)
		return
	}
	t.shut(now, r, out)
	t.finish(now, out, false)
}

// Discard drops the tunnel without a word to the peer: it has lost a tie (RFC 2661
// section 4.4.3). CallDown is reported for each call, then TunnelClosing and
// TunnelGone.
func (t *Tunnel) Discard(out *Out) {
	if !t.gone {
		t.discard(Result{Code: StopExists}, out)
	}
}

// shut begins the closing from our side.
func (t *Tunnel) shut(now time.Time, r Result, out *Out) {
	// Section 5.7: calls end with the tunnel, without a CDN each, and nothing that
	// was not sent yet is of interest any more.
	t.ch.dropUnsent()
	t.send(StopCCN, 0, func(w *builder) {
		// Section 4.4.3: the id first sent to the peer, which finds the tunnel by it
		// when the header's id is 0.
		w.clear(avpAssignedTunnelID, t.id)
		w.result(&r)
	})
	t.enterClosing(now, r, false, out)
}

// refuse answers a message that a tunnel cannot live with. An idle tunnel was just
// made for it and knows the peer's id only if the message tells.
func (t *Tunnel) refuse(now time.Time, m *message, r Result, out *Out) {
	if t.peerID == 0 {
		t.peerID = m.uint16(avpAssignedTunnelID)
	}
	if t.state == Idle && t.peerID == 0 {
		t.discard(r, out)
		return
	}
	t.shut(now, r, out)
}

// receiveStopCCN is "Receive StopCCN: Clean up" of section 7.2.1. The answer is
// the acknowledgement alone (section 6.4).
func (t *Tunnel) receiveStopCCN(now time.Time, m *message, out *Out) {
	if t.peerID == 0 {
		t.peerID = m.uint16(avpAssignedTunnelID)
	}
	t.ch.dropAll()
	t.enterClosing(now, m.result(), true, out)
}

// enterClosing keeps the channel for a full retransmission cycle, so that repeats
// of the StopCCN are acknowledged, or ours is delivered (section 5.7).
func (t *Tunnel) enterClosing(now time.Time, r Result, remote bool, out *Out) {
	t.endCalls(r, remote, out)
	t.become(Closing, out)
	t.expiry = now.Add(t.ch.cycle())
	out.Events = append(out.Events, Event{Kind: TunnelClosing, Result: r, Remote: remote})
}

// receiveClosing lets everything but the acknowledgement go by.
func (t *Tunnel) receiveClosing(m *message) DiscardReason {
	switch m.typ {
	case StopCCN, HELLO:
		return NotDiscarded
	}
	return Unexpected
}

// giveUp ends a control connection that was not established in time.
func (t *Tunnel) giveUp(now time.Time, out *Out) {
	r := Result{Code: StopClear, Message: "control connection not established in time"}
	if t.state == WaitCtlConn && !t.proven {
		// Nothing has shown that the SCCRQ's source address is genuine: send it no
		// more.
		t.discard(r, out)
		return
	}
	t.shut(now, r, out)
}

// lost ends a tunnel whose peer does not answer (section 5.8). There is nobody to
// tell, and nothing to wait for.
func (t *Tunnel) lost(out *Out) {
	if t.state == Closing {
		t.bury(out)
		return
	}
	r := Result{Code: StopError, Error: ErrorNoTunnel, Message: "peer does not answer"}
	t.end(r, true, out)
}

// discard ends a tunnel silently from our side.
func (t *Tunnel) discard(r Result, out *Out) { t.end(r, false, out) }

// end closes at once, without a retransmission cycle.
func (t *Tunnel) end(r Result, remote bool, out *Out) {
	if t.state != Closing {
		t.endCalls(r, remote, out)
		t.become(Closing, out)
		out.Events = append(out.Events, Event{Kind: TunnelClosing, Result: r, Remote: remote})
	}
	t.bury(out)
}

// bury is the end of the tunnel.
func (t *Tunnel) bury(out *Out) {
	t.gone = true
	t.ch.dropAll()
	t.ch.held = nil
	out.Events = append(out.Events, Event{Kind: TunnelGone})
}
