package l2tp

// receiveLNSIncoming is RFC 2661 section 7.4.2, LNS incoming call states: an ICRQ
// has come.
func (t *Tunnel) receiveLNSIncoming(c *Call, m *message, out *Out) DiscardReason {
	if m.typ == CDN {
		t.receiveCDN(c, m, out)
		return NotDiscarded
	}
	switch c.state {
	case callWaitConnect:
		return t.lnsIncomingWaitConnect(c, m, out)
	case callEstablished:
		return t.lnsEstablished(c, m, out)
	}
	// The owner has not decided yet, and the peer asks again under the same id.
	return t.outOfPlace(c, m, out)
}

func (t *Tunnel) lnsIncomingWaitConnect(c *Call, m *message, out *Out) DiscardReason {
	switch m.typ {
	case ICCN:
		c.params().fillConnected(m)
		t.callUp(c, out)
		return NotDiscarded
	case WEN, SLI:
		return Unexpected
	}
	return t.outOfPlace(c, m, out)
}

// lnsEstablished is the state established of an LNS's call of either direction.
func (t *Tunnel) lnsEstablished(c *Call, m *message, out *Out) DiscardReason {
	switch m.typ {
	case WEN:
		out.Events = append(out.Events, Event{Kind: WANErrors, Call: c, Remote: true, Errors: m.callErrors()})
		return NotDiscarded
	case SLI: // goes the other way; it does no harm
		return Unexpected
	}
	return t.outOfPlace(c, m, out)
}
