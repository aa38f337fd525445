package ppp

import "time"

// layer names one of the automata of a link.
type layer uint8

const (
	lcp layer = iota
	ipcp
	ipv6cp
	numLayers
)

func (k layer) protocol() Protocol {
	switch k {
	case ipcp:
		return ProtoIPCP
	case ipv6cp:
		return ProtoIPV6CP
	default:
		return ProtoLCP
	}
}

// Codes common to LCP and the NCPs (RFC 1661 section 5).
const (
	configureRequest = 1
	configureAck     = 2
	configureNak     = 3
	configureReject  = 4
	terminateRequest = 5
	terminateAck     = 6
	codeReject       = 7
)

// step is one call into a link: when it happens, as time since the link's epoch,
// and where the effects go.
type step struct {
	now time.Duration
	out *Out
}

// answer is the prepared answer to a Configure-Request: Ack, Nak or Reject.
type answer struct {
	code    uint8
	options []byte
}

// stimulus is an event with the packet that caused it, if one did.
type stimulus struct {
	event  event
	packet packet
	answer answer
}

func (l *Link) negotiator(k layer) negotiator {
	switch k {
	case ipcp:
		return &l.ipcp
	case ipv6cp:
		return &l.ipv6cp
	default:
		return &l.lcp
	}
}

// fire applies an event to a layer's automaton and does what the table says, in
// the order of the action bits.
func (l *Link) fire(s step, k layer, st stimulus) {
	a := &l.automata[k]
	was := a.state
	do, legal := a.transit(st.event)
	if !legal {
		return
	}
	if s.out.Trace {
		s.out.step(k, st.event, was, a.state)
	}
	if do&tld != 0 {
		l.layerDown(s, k)
	}
	if do&irc != 0 {
		a.restart = l.env.cfg.maxConfigure()
		if do&str != 0 {
			a.restart = l.env.cfg.maxTerminate()
		}
	}
	if do&zrc != 0 {
		// The pause lets the peer see our Terminate-Ack before the link goes
		// (RFC 1661 sections 3.7 and 4.4).
		a.restart = 0
		a.timer = s.now + l.env.cfg.restartTimer()
	}
	if do&scr != 0 {
		l.sendConfigureRequest(s, k, st.event == evTOgood && was != ackRcvd)
	}
	if do&str != 0 {
		l.sendTerminateRequest(s, k, st.event == evTOgood)
	}
	l.reply(s, k, do, st)
	if do&tlu != 0 {
		l.layerUp(s, k)
	}
	if do&tlf != 0 && k == lcp {
		// A finished NCP is nothing to the link: the others may be open, and it
		// may open again (RFC 1661 section 3.7).
		l.finish(s, CauseLCPTimeout)
	}
}

// reply sends what answers the packet of the stimulus.
func (l *Link) reply(s step, k layer, do actions, st stimulus) {
	a, p := &l.automata[k], st.packet
	switch {
	case do&sca != 0:
		a.naksSent = 0
		l.negotiator(k).adopt(p.data)
		l.build(s, k, configureAck, p.id).bytes(p.data...).send(noLimit)
	case do&scn != 0:
		if st.answer.code == configureNak {
			increment(&a.naksSent)
		}
		l.build(s, k, st.answer.code, p.id).bytes(st.answer.options...).send(noLimit)
	case do&sta != 0:
		l.build(s, k, terminateAck, p.id).send(l.limit())
	case do&scj != 0:
		l.rejectID++
		l.build(s, k, codeReject, l.rejectID).bytes(p.whole...).send(l.limit())
	case do&ser != 0:
		l.sendEchoReply(s, p)
	}
}

// sendConfigureRequest sends our request; again is a repetition that was not
// answered, the only case in which the Identifier stays (RFC 1661 section 5.1).
func (l *Link) sendConfigureRequest(s step, k layer, again bool) {
	a := &l.automata[k]
	if !again {
		a.id++
		a.answered = false
	}
	l.startRestart(s, a)
	b := l.build(s, k, configureRequest, a.id)
	s.out.arena = l.negotiator(k).request(&l.env, s.out.arena)
	b.send(noLimit)
}

func (l *Link) sendTerminateRequest(s step, k layer, again bool) {
	a := &l.automata[k]
	if !again {
		a.id++
		a.answered = true // no Configure-Ack can match it
	}
	l.startRestart(s, a)
	b := l.build(s, k, terminateRequest, a.id)
	if k == lcp {
		b = b.text(l.text)
	}
	b.send(l.limit())
}

// startRestart starts the Restart timer and counts the transmission
// (RFC 1661 section 4.4: the first one included).
func (l *Link) startRestart(s step, a *automaton) {
	if a.restart > 0 {
		a.restart--
	}
	a.timer = s.now + l.env.cfg.restartTimer()
}

// build begins a packet of a layer. LCP always has address and control in full
// (RFC 1661 section 6.6); the others as the peer has agreed.
func (l *Link) build(s step, k layer, code, id uint8) builder {
	return s.out.build(k.protocol(), k != lcp && l.lcp.peer.acfc, code, id)
}

// limit is the longest packet that the peer takes, in bytes. Configuration packets
// are sent as if no option had been negotiated (RFC 1661 section 5): a shortened
// one would be a wrong one.
func (l *Link) limit() uint16 { return l.lcp.peer.mru }

const noLimit = 0xFFFF

// restartExpired is the Restart timer's event.
func (l *Link) restartExpired(s step, k layer) {
	ev := evTObad
	if l.automata[k].restart > 0 {
		ev = evTOgood
	}
	l.fire(s, k, stimulus{event: ev})
}
