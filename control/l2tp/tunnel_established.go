package l2tp

import "time"

// receiveEstablished is RFC 2661 section 7.2.1, state established.
func (t *Tunnel) receiveEstablished(now time.Time, h Header, m *message, out *Out) DiscardReason {
	switch m.typ {
	case HELLO:
		// Section 6.5: the acknowledgement is all the answer.
		return NotDiscarded
	case SCCRQ, SCCRP, SCCCN:
		t.shut(now, fsmError(m, t.state), out)
		return Unexpected
	case CSUN, CSURQ:
		return NotDiscarded
	default:
		return t.receiveCall(now, h, m, out)
	}
}

// helloAt is when silence has lasted for the HELLO interval (section 5.5). A
// message that waits for its acknowledgement probes the peer just as well.
func (t *Tunnel) helloAt() time.Time {
	if t.cfg.HelloInterval <= 0 || !t.ch.idle() {
		return time.Time{}
	}
	return t.heard.Add(t.cfg.HelloInterval)
}
