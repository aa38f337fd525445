package l2tp

// receiveLACOutgoing is RFC 2661 section 7.5.1, LAC outgoing call states: an OCRQ
// has come.
func (t *Tunnel) receiveLACOutgoing(c *Call, m *message, out *Out) DiscardReason {
	if m.typ == CDN {
		t.receiveCDN(c, m, out)
		return NotDiscarded
	}
	switch c.state {
	case callEstablished:
		return t.lacEstablished(c, m, out)
	case callWaitCSAnswer:
		if m.typ == WEN || m.typ == SLI {
			return Unexpected
		}
	}
	// wait-cs-answer, "Receive OCRQ, OCRP, OCCN: Send CDN, Clean up"; the same
	// while the owner has not decided yet and the peer asks again.
	return t.outOfPlace(c, m, out)
}
