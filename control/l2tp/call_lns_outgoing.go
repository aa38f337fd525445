package l2tp

// receiveLNSOutgoing is RFC 2661 section 7.5.2, LNS outgoing call states: we have
// sent an OCRQ.
func (t *Tunnel) receiveLNSOutgoing(c *Call, m *message, out *Out) DiscardReason {
	if m.typ == CDN {
		t.receiveCDN(c, m, out)
		return NotDiscarded
	}
	switch c.state {
	case callWaitReply:
		return t.lnsOutgoingWaitReply(c, m, out)
	case callWaitConnect:
		return t.lnsOutgoingWaitConnect(c, m, out)
	case callEstablished:
		return t.lnsEstablished(c, m, out)
	}
	// wait-tunnel: the peer cannot know the call.
	return Unexpected
}

func (t *Tunnel) lnsOutgoingWaitReply(c *Call, m *message, out *Out) DiscardReason {
	switch m.typ {
	case OCRP:
		if !t.reply(c, m) {
			// "Receive OCRP, not acceptable: Send CDN."
			t.disconnect(c, sessionIDInUse(), out)
			return Unexpected
		}
		c.become(callWaitConnect, out)
		out.Events = append(out.Events, Event{Kind: CallAccepted, Call: c})
		return NotDiscarded
	case WEN, SLI:
		return Unexpected
	}
	return t.outOfPlace(c, m, out)
}

func (t *Tunnel) lnsOutgoingWaitConnect(c *Call, m *message, out *Out) DiscardReason {
	switch m.typ {
	case OCCN:
		c.params().fillConnected(m)
		t.callUp(c, out)
		return NotDiscarded
	case WEN, SLI:
		return Unexpected
	}
	return t.outOfPlace(c, m, out)
}
