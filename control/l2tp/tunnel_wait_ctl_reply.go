package l2tp

import "time"

// receiveWaitCtlReply is RFC 2661 section 7.2.1, state wait-ctl-reply: our SCCRQ
// is on its way.
func (t *Tunnel) receiveWaitCtlReply(now time.Time, m *message, out *Out) DiscardReason {
	switch m.typ {
	case SCCRP:
		return t.receiveSCCRP(now, m, out)
	case SCCRQ:
		// Lost tie: clean up, without a word to the peer (section 4.4.3). The
		// peer's SCCRQ names no tunnel of ours as a rule, so that the owner sees to
		// this; here it named this one.
		if tie := CompareTieBreakers(t.tie, m.tieBreaker()); tie == TieLost || tie == TieEqual {
			t.discard(Result{Code: StopExists}, out)
		}
		return Unexpected
	case HELLO:
		return NotDiscarded
	case CSUN, CSURQ:
		return NotDiscarded
	default: // SCCCN, and calls before there is a tunnel
		t.shut(now, fsmError(m, t.state), out)
		return Unexpected
	}
}

func (m *message) tieBreaker() *[8]byte {
	if v := m.values[avpTieBreaker]; v != nil {
		return (*[8]byte)(v)
	}
	return nil
}

func (t *Tunnel) receiveSCCRP(now time.Time, m *message, out *Out) DiscardReason {
	r, ok := t.learn(m)
	if ok && !t.authentic(m) {
		r, ok = unauthorized(), false
	}
	if !ok {
		t.shut(now, r, out)
		return reasonFor(r)
	}
	t.send(SCCCN, 0, func(w *builder) { t.addResponse(w, SCCCN, m) })
	t.establish(now, out)
	return NotDiscarded
}

// establish enters the state established: calls that waited for the tunnel go on.
func (t *Tunnel) establish(now time.Time, out *Out) {
	t.become(Established, out)
	t.expiry = time.Time{}
	out.Events = append(out.Events, Event{Kind: TunnelUp})
	for _, c := range t.calls.takeWaiting() {
		if c.state == callWaitTunnel {
			t.request(now, c, out)
		}
	}
}
