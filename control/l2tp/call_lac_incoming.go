package l2tp

// receiveLACIncoming is RFC 2661 section 7.4.1, LAC incoming call states: we have
// sent an ICRQ.
func (t *Tunnel) receiveLACIncoming(c *Call, m *message, out *Out) DiscardReason {
	if m.typ == CDN {
		t.receiveCDN(c, m, out)
		return NotDiscarded
	}
	switch c.state {
	case callWaitReply:
		return t.lacIncomingWaitReply(c, m, out)
	case callEstablished:
		return t.lacEstablished(c, m, out)
	}
	// wait-tunnel: the peer cannot know the call.
	return Unexpected
}

func (t *Tunnel) lacIncomingWaitReply(c *Call, m *message, out *Out) DiscardReason {
	switch m.typ {
	case ICRP:
		if !t.reply(c, m) {
			// "Receive ICRP, not acceptable: Send CDN, Clean up."
			t.disconnect(c, sessionIDInUse(), out)
			return Unexpected
		}
		out.Events = append(out.Events, Event{Kind: CallAccepted, Call: c})
		t.send(ICCN, c.PeerID, func(w *builder) { w.iccn(c.params()) })
		t.callUp(c, out)
		return NotDiscarded
	case ICCN:
		// "Receive CDN, ICCN: Clean up", without a CDN.
		t.drop(c, Event{Result: illegal(m, c), Remote: true}, out)
		return Unexpected
	case WEN, SLI:
		return Unexpected
	}
	return t.outOfPlace(c, m, out)
}

// lacEstablished is the state established of a LAC's call of either direction.
func (t *Tunnel) lacEstablished(c *Call, m *message, out *Out) DiscardReason {
	switch m.typ {
	case SLI:
		// Section 6.14: may come at any time during the life of the call.
		out.Events = append(out.Events, Event{Kind: LinkInfo, Call: c, Remote: true, ACCM: m.accm()})
		return NotDiscarded
	case WEN: // goes the other way; it does no harm
		return Unexpected
	}
	return t.outOfPlace(c, m, out)
}
