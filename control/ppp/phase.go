package ppp

// layerUp is the action This-Layer-Up: LCP starts authentication, an NCP is
// reported.
func (l *Link) layerUp(s step, k layer) {
	switch k {
	case lcp:
		l.phase = phaseAuthenticate
		s.out.event(Event{Kind: LinkUp})
		l.startEcho(s)
		l.startAuth(s)
	case ipcp:
		if l.ipcp.unusable(l.env.cfg) {
			l.giveUp(s, ipcp)
			return
		}
		l.networkLimit = 0
		s.out.event(Event{Kind: IPv4Up, IPv4: l.ipcp.agreed()})
	case ipv6cp:
		l.networkLimit = 0
		s.out.event(Event{Kind: IPv6Up, IPv6: [2][8]byte{l.ipv6cp.local, l.ipv6cp.peer}})
	}
}

// layerDown is the action This-Layer-Down. LCP takes the NCPs with it and is ready
// to be negotiated and authenticated anew; an NCP goes alone.
func (l *Link) layerDown(s step, k layer) {
	switch k {
	case lcp:
		l.leaveNetwork(s)
		l.stopTimers()
		// The Identifier goes on, so that a late packet of the last round can't
		// be taken for one of the next.
		l.auth = authentication{id: l.auth.id}
		if st := l.automata[lcp].state; st == closing || st == stopping {
			l.phase = phaseTerminate
		} else {
			l.phase = phaseEstablish
		}
	case ipcp:
		if !l.ipcp.unusable(l.env.cfg) { // else it was never reported up
			s.out.event(Event{Kind: IPv4Down})
		}
	case ipv6cp:
		s.out.event(Event{Kind: IPv6Down})
	}
	l.begin(k)
}

// begin readies a layer for a negotiation from the start.
func (l *Link) begin(k layer) {
	l.automata[k].naksSent, l.automata[k].naksReceived = 0, 0
	l.negotiator(k).begin(&l.env)
}

// enterNetwork opens the NCPs that are configured (RFC 1661 section 3.6).
func (l *Link) enterNetwork(s step) {
	l.phase = phaseNetwork
	l.noAddress = false
	if d := l.env.cfg.NetworkTimeout; d > 0 {
		l.networkLimit = s.now + d
	}
	if l.ipcp.enabled(l.env.cfg) {
		l.openNCP(s, ipcp)
	}
	if l.env.cfg.IPv6CP && (l.ipv6cp.wanted || !l.env.cfg.IPv6CPPassive) {
		l.openNCP(s, ipv6cp)
	}
}

func (l *Link) openNCP(s step, k layer) {
	l.begin(k)
	if l.automata[k].state == initial {
		l.fire(s, k, stimulus{event: evOpen})
	}
	l.fire(s, k, stimulus{event: evUp})
}

// leaveNetwork is LCP's Down event to the NCPs (RFC 1661 section 4.3).
func (l *Link) leaveNetwork(s step) {
	for _, k := range [...]layer{ipcp, ipv6cp} {
		if l.automata[k].state >= closed {
			l.fire(s, k, stimulus{event: evDown})
		}
	}
}

// refuseNCP obeys a Protocol-Reject of an NCP: nothing more of it may be sent
// (RFC 1661 section 5.7), so it is taken down instead of being terminated. In the
// Initial state, where that leads, every packet is an illegal event.
func (l *Link) refuseNCP(s step, k layer) {
	if l.automata[k].state >= closed {
		l.fire(s, k, stimulus{event: evDown})
		l.fire(s, k, stimulus{event: evClose})
	}
}

// receiveNCP takes a packet of an NCP that is configured. Its other codes than
// one to seven are unknown ones (RFC 1332 section 2).
func (l *Link) receiveNCP(s step, k layer, payload []byte) {
	p, ok := parsePacket(payload)
	if !ok {
		return
	}
	if !l.receiveControl(s, k, p) {
		l.fire(s, k, stimulus{event: evRUC, packet: p})
	}
}

func (l *Link) networkExpired(s step) {
	cause := CauseNCPTimeout
	if l.noAddress {
		cause = CauseNoAddress
	}
	l.shut(s, cause, "no network protocol")
}

// blame keeps the first cause of the link's end.
func (l *Link) blame(cause Cause, text string) {
	if l.cause == CauseNone {
		l.cause, l.text = cause, text
	}
}

// shut closes LCP, which ends the link in an orderly way (RFC 1661 section 3.7).
func (l *Link) shut(s step, cause Cause, text string) {
	l.blame(cause, text)
	l.stopTimers()
	l.phase = phaseTerminate
	l.fire(s, lcp, stimulus{event: evClose})
}

// stopTimers stops all timers but those of the automata.
func (l *Link) stopTimers() {
	l.auth.timer, l.auth.limit, l.networkLimit, l.echoTimer = 0, 0, 0, 0
}

// finish is the end: LCP has finished, or its lower layer is gone.
func (l *Link) finish(s step, cause Cause) {
	if l.ended {
		return
	}
	l.blame(cause, "")
	l.stopTimers()
	for k := range l.automata {
		l.automata[k].timer = 0
	}
	l.phase, l.ended = phaseDead, true
	s.out.event(Event{Kind: LinkDown, Cause: l.cause, Message: l.text})
}
