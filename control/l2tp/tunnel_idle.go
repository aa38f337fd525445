package l2tp

import "time"

// l2tpVersion is the value of the Protocol Version AVP: version 1, revision 0
// (RFC 2661 section 4.4.3).
const l2tpVersion uint16 = 0x0100

// Open initiates the control connection: SCCRQ is sent.
func (t *Tunnel) Open(now time.Time, out *Out) {
	if t.state != Idle {
		return
	}
	t.heard = now
	if t.cfg.TieBreaker {
		t.tie = new([8]byte)
		t.random(t.tie[:])
	}
	t.send(SCCRQ, 0, func(w *builder) {
		t.describe(w)
		if t.tie != nil {
			w.bytes(avpTieBreaker, t.tie[:])
		}
		t.addChallenge(w)
	})
	t.become(WaitCtlReply, out)
	t.expiry = after(now, t.cfg.EstablishTimeout)
	t.finish(now, out, false)
}

// receiveIdle is section 7.2.1, state idle: the tunnel has just been made for the
// message.
func (t *Tunnel) receiveIdle(now time.Time, m *message, out *Out) DiscardReason {
	switch m.typ {
	case SCCRQ:
		return t.receiveSCCRQ(now, m, out)
	case SCCRP:
		t.refuse(now, m, fsmError(m, t.state), out)
	default:
		t.discard(Result{}, out)
	}
	return Unexpected
}

func (t *Tunnel) receiveSCCRQ(now time.Time, m *message, out *Out) DiscardReason {
	if r, ok := t.learn(m); !ok {
		t.refuse(now, m, r, out)
		return reasonFor(r)
	}
	t.send(SCCRP, 0, func(w *builder) {
		t.describe(w)
		t.addChallenge(w)
		t.addResponse(w, SCCRP, m)
	})
	t.become(WaitCtlConn, out)
	t.expiry = after(now, t.cfg.EstablishTimeout)
	return NotDiscarded
}

// learn takes from SCCRQ or SCCRP who the peer is. ok is false when the message is
// not acceptable; the peer is told r.
func (t *Tunnel) learn(m *message) (r Result, ok bool) {
	t.peerID = m.uint16(avpAssignedTunnelID)
	// Only the version counts, not the revision. Sections 4.4.2 and 7.2.1: a
	// version that is not supported is answered with the highest that is.
	if m.uint16(avpProtocolVersion)>>8 != l2tpVersion>>8 {
		return Result{Code: StopVersion, Error: l2tpVersion}, false
	}
	// Section 5.1.1: a challenge MUST be answered, which takes a secret.
	if m.has(avpChallenge) && len(t.cfg.Secret) == 0 {
		return Result{Code: StopUnauthorized, Message: "no secret to answer the challenge"}, false
	}
	t.peer = m.peerInfo()
	t.ch.setPeerWindow(t.peer.ReceiveWindow)
	return r, true
}

// describe appends the AVPs that SCCRQ and SCCRP share.
func (t *Tunnel) describe(w *builder) {
	w.uint16(avpProtocolVersion, l2tpVersion)
	w.text(avpHostName, t.cfg.HostName)
	w.uint32(avpFramingCaps, t.cfg.FramingCaps)
	// Readable for a peer that has to find the tunnel before the secret.
	w.clear(avpAssignedTunnelID, t.id)
	// Section 4.4.3: MUST be there if we can place outgoing calls, which is what a
	// LAC does.
	if t.cfg.BearerCaps != 0 || t.cfg.Role == LAC {
		w.uint32(avpBearerCaps, t.cfg.BearerCaps)
	}
	w.uint16(avpReceiveWindow, t.ch.rxWindow)
	if t.cfg.Firmware != 0 {
		w.uint16(avpFirmware, t.cfg.Firmware)
	}
	w.optionalText(avpVendorName, t.cfg.VendorName)
}

// addChallenge challenges the peer if that is wanted.
func (t *Tunnel) addChallenge(w *builder) {
	if !t.cfg.Challenge || len(t.cfg.Secret) == 0 {
		return
	}
	t.challenge = make([]byte, challengeLen)
	t.random(t.challenge)
	w.bytes(avpChallenge, t.challenge)
}

// addResponse answers the challenge in m, if there is one, in a message of type
// carrier.
func (t *Tunnel) addResponse(w *builder, carrier MessageType, m *message) {
	if m.has(avpChallenge) {
		r := challengeResponse(carrier, t.cfg.Secret, m.values[avpChallenge])
		w.bytes(avpChallengeResponse, r[:])
	}
}

// authentic reports whether m answers our challenge, if we sent one.
func (t *Tunnel) authentic(m *message) bool {
	if t.challenge == nil {
		return true
	}
	ok := responseMatches(m.typ, t.cfg.Secret, t.challenge, m.values[avpChallengeResponse])
	t.challenge = nil
	return ok
}

// unauthorized is what a wrong or missing challenge response costs (section 5.1.1).
func unauthorized() Result {
	return Result{Code: StopUnauthorized, Message: "tunnel authentication failed"}
}

// fsmError is what a message costs that is not legal in a state (section 7.1).
func fsmError(m *message, s TunnelState) Result {
	return Result{Code: StopFSM, Message: m.typ.String() + " in state " + s.String()}
}

func reasonFor(r Result) DiscardReason {
	if r.Code == StopUnauthorized {
		return Unauthenticated
	}
	return Malformed
}
