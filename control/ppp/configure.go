package ppp

// receiveControl takes a packet that LCP and the NCPs have in common, codes 1
// to 7; known is false for other codes.
func (l *Link) receiveControl(s step, k layer, p packet) (known bool) {
	switch p.code {
	case configureRequest:
		l.receiveRequest(s, k, p)
	case configureAck:
		l.receiveAck(s, k, p)
	case configureNak, configureReject:
		l.receiveNak(s, k, p)
	case terminateRequest:
		if k == lcp && l.automata[lcp].state == opened {
			l.blame(CausePeerClosed, printable(p.data))
		}
		l.fire(s, k, stimulus{event: evRTR, packet: p})
	case terminateAck:
		l.fire(s, k, stimulus{event: evRTA, packet: p})
	case codeReject:
		l.receiveCodeReject(s, k, p)
	default:
		return false
	}
	return true
}

// receiveRequest judges a Configure-Request and answers it.
func (l *Link) receiveRequest(s step, k layer, p packet) {
	if !wellFormed(p.data) {
		return
	}
	if !l.automata[k].state.negotiating() {
		// No answer depends on the options here, so they are not looked at.
		l.fire(s, k, stimulus{event: evRCRgood, packet: p})
		return
	}
	ans, agreeable := l.examine(s, k, p.data)
	switch {
	case k == lcp && l.lcp.collisions >= l.env.cfg.maxFailure():
		// RFC 1661 section 6.4: unless the link is looped back, it is extremely
		// unlikely that this happens repeatedly.
		l.shut(s, CauseLoop, "link looped back")
	case !agreeable:
		l.giveUp(s, k)
	case ans.code == configureAck:
		l.fire(s, k, stimulus{event: evRCRgood, packet: p})
	default:
		l.fire(s, k, stimulus{event: evRCRbad, packet: p, answer: ans})
	}
}

// examine walks the options of a Configure-Request. Any refused option makes the
// answer a Configure-Reject of these alone, else any unacceptable value makes it a
// Configure-Nak (RFC 1661 sections 5.2 to 5.4). agreeable is false when the peer
// keeps leaving out an option that we cannot do without.
func (l *Link) examine(s step, k layer, options []byte) (ans answer, agreeable bool) {
	n, out := l.negotiator(k), s.out
	naks, rejects := out.naks[:0], out.rejects[:0]
	// Max-Failure (RFC 1661 section 4.6): further Naks are turned into Rejects and
	// desired options are no longer appended.
	exhausted := l.automata[k].naksSent >= l.env.cfg.maxFailure()
	var seen typeSet
	looped := false
	for len(options) > 0 {
		var o option
		o, options, _ = nextOption(options)
		mark := len(naks)
		v := refuse // none of our options can be listed twice (section 6)
		if !seen.has(o.kind) {
			seen.add(o.kind)
			v, naks = n.examine(&l.env, o, naks)
		}
		if v == refuse || v == suggest && exhausted {
			rejects = append(rejects, o.whole...)
			naks = naks[:mark]
		}
		looped = looped || v == insist
	}
	if looped {
		// RFC 1661 section 6.4 demands a Nak, and a request that may be our own
		// deserves no other answer.
		rejects = rejects[:0]
	}
	mark := len(naks)
	if len(rejects) == 0 {
		naks = n.missing(&l.env, &seen, naks)
	}
	out.naks, out.rejects = naks, rejects
	switch {
	case len(rejects) > 0:
		return answer{configureReject, rejects}, true
	case len(naks) > mark && l.automata[k].naksSent >= k.patience(l.env.cfg):
		return answer{}, false
	case len(naks) > 0:
		return answer{configureNak, naks}, true
	default:
		return answer{code: configureAck}, true
	}
}

// patience is how many Naks may ask for an option that the peer leaves out.
func (k layer) patience(cfg *Config) uint8 {
	if k == ipv6cp {
		// RFC 5072 section 4.1: if the next request does not have the interface
		// identifier either, it must not be asked for again.
		return 1
	}
	return cfg.maxFailure()
}

// replies reports whether p answers our last Configure-Request: an Identifier
// that does not match, and a reply to a request that already had one, are
// silently discarded (RFC 1661 sections 4.3 and 5).
func (a *automaton) replies(p packet) bool { return p.id == a.id && !a.answered }

// receiveAck: the options must exactly match those of our last request
// (RFC 1661 section 5.2).
func (l *Link) receiveAck(s step, k layer, p packet) {
	a := &l.automata[k]
	if !a.replies(p) || string(l.lastRequest(s, k)) != string(p.data) {
		return
	}
	a.answered = true
	a.naksReceived = 0
	l.fire(s, k, stimulus{event: evRCA, packet: p})
}

// receiveNak takes a Configure-Nak or a Configure-Reject. What a Reject lists
// must come from our last request (RFC 1661 section 5.4).
func (l *Link) receiveNak(s step, k layer, p packet) {
	a := &l.automata[k]
	if !a.replies(p) || !wellFormed(p.data) {
		return
	}
	reject := p.code == configureReject
	if reject && (len(p.data) == 0 || !containsOptions(l.lastRequest(s, k), p.data)) {
		return
	}
	a.answered = true
	if !reject {
		// A peer that only ever naks would keep us asking for good, because each
		// Nak restarts the Restart counter. After Max-Failure its Naks count as
		// Rejects, and after as many again we give up.
		increment(&a.naksReceived)
		reject = a.naksReceived > l.env.cfg.maxFailure()
	}
	if a.state >= reqSent {
		l.heed(k, p.data, reject)
	}
	switch {
	case k == lcp && l.lcp.authRefused(l.env.cfg):
		l.shut(s, CauseAuthRefused, "authentication required")
	case int(a.naksReceived) > 2*int(l.env.cfg.maxFailure()):
		l.giveUp(s, k)
	default:
		l.fire(s, k, stimulus{event: evRCN, packet: p})
	}
}

// heed changes our next Configure-Request as the peer's Nak or Reject asks.
func (l *Link) heed(k layer, options []byte, reject bool) {
	n := l.negotiator(k)
	for len(options) > 0 {
		var o option
		o, options, _ = nextOption(options)
		if reject {
			n.drop(&l.env, o)
		} else {
			n.nak(&l.env, o)
		}
	}
}

// giveUp ends a negotiation that does not converge. An NCP is closed, which does
// not touch the link (RFC 1661 section 3.7); without LCP there is no link.
func (l *Link) giveUp(s step, k layer) {
	if k == lcp {
		l.shut(s, CauseLCPTimeout, "options do not converge")
		return
	}
	if k == ipcp {
		l.noAddress = true
	}
	l.fire(s, k, stimulus{event: evClose})
}

// lastRequest is the options of our last Configure-Request, in scratch memory.
func (l *Link) lastRequest(s step, k layer) []byte {
	s.out.naks = l.negotiator(k).request(&l.env, s.out.naks[:0])
	return s.out.naks
}

// receiveCodeReject: a peer that does not know a code of the automaton itself
// cannot go on (RFC 1661 section 5.6); it may well not know Echo-Request.
func (l *Link) receiveCodeReject(s step, k layer, p packet) {
	if len(p.data) == 0 {
		return
	}
	code := p.data[0]
	if code >= configureRequest && code <= codeReject {
		l.fire(s, k, stimulus{event: evRXJbad, packet: p})
		return
	}
	if k == lcp && code == echoRequest {
		// RFC 1661 section 4.3: stop sending the offending packet type.
		l.noEcho, l.echoTimer = true, 0
	}
	l.fire(s, k, stimulus{event: evRXJgood, packet: p})
}

// maxText bounds text from the peer, in bytes.
const maxText = 128

// printable is what the peer says, as far as it can be shown: displayable ASCII
// (RFC 1994 section 4.2 recommends no more).
func printable(b []byte) string {
	b = b[:min(len(b), maxText)]
	for i, c := range b {
		if c < 32 || c > 126 {
			b = b[:i]
			break
		}
	}
	return string(b)
}
