package l2tp

import "time"

// receiveWaitCtlConn is RFC 2661 section 7.2.1, state wait-ctl-conn: our SCCRP is
// on its way.
func (t *Tunnel) receiveWaitCtlConn(now time.Time, m *message, out *Out) DiscardReason {
	switch m.typ {
	case SCCCN:
		// "Upon receipt, the challenge response is checked."
		if !t.authentic(m) {
			t.shut(now, unauthorized(), out)
			return Unauthenticated
		}
		t.establish(now, out)
		return NotDiscarded
	case HELLO, CSUN, CSURQ:
		return NotDiscarded
	default: // SCCRQ, SCCRP, and calls before there is a tunnel
		t.shut(now, fsmError(m, t.state), out)
		return Unexpected
	}
}
