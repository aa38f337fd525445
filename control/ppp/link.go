// Package ppp is the subscriber's PPP link without any input or output: the
// RFC 1661 automaton, LCP, authentication, IPCP and IPV6CP, for the LNS side and
// for the client side.
//
// A frame goes the way Receive → receiveLCP, receivePAP, receiveCHAP or receiveNCP
// → receiveControl (the codes that LCP and the NCPs share) → fire, which asks the
// transition table what to do and does it. The table's actions end in Out, or in
// layerUp and layerDown, which couple the automata (RFC 1661 section 3).
package ppp

import "time"

// phase is a phase of the link (RFC 1661 section 3).
type phase uint8

const (
	phaseDead phase = iota
	phaseEstablish
	phaseAuthenticate
	phaseNetwork
	phaseTerminate
)

// Link is one PPP link. One goroutine owns it.
type Link struct {
	env env
	// epoch is when Start was called; every other time is the time since then,
	// so that a step of the wall clock moves no timer.
	epoch time.Time
	// text is shown to the peer: in the answer to its credentials, in our
	// Terminate-Request. It ends as the message of LinkDown.
	text string

	auth   authentication
	lcp    lcpOptions
	ipcp   ipcpOptions
	ipv6cp ipv6cpOptions

	automata [numLayers]automaton
	// networkLimit ends a link on which no NCP opens; echoTimer is when silence
	// is looked at; heard is when the peer was last heard.
	networkLimit, echoTimer, heard time.Duration

	phase phase
	cause Cause
	// ended is true once LinkDown was reported.
	ended bool
	// echoes counts Echo-Requests since the peer was last heard.
	echoes, echoID uint8
	// rejectID is the Identifier of our last Code-Reject or Protocol-Reject.
	rejectID uint8
	// noEcho: the peer does not know Echo-Request. looped: our own came back.
	noEcho, looped bool
	// noAddress: IPCP was given up because of the peer's address.
	noAddress bool
}

// NewLink returns a closed link. random reads unpredictable bytes (magic numbers,
// challenges).
func NewLink(cfg *Config, random func([]byte)) *Link {
	return &Link{env: env{cfg: cfg, random: random}}
}

func (l *Link) at(now time.Time, out *Out) step { return step{now: now.Sub(l.epoch), out: out} }

// Start opens the link. proxy is nil when the LAC sent no proxy AVPs.
func (l *Link) Start(now time.Time, proxy *Proxy, out *Out) {
	if l.phase != phaseDead || l.ended {
		return
	}
	l.epoch = now
	s := l.at(now, out)
	l.phase = phaseEstablish
	l.lcp.begin(&l.env)
	if proxy != nil && !l.env.cfg.Client && l.takeProxy(s, proxy) {
		return
	}
	l.fire(s, lcp, stimulus{event: evOpen})
	l.fire(s, lcp, stimulus{event: evUp})
}

// Receive takes one PPP frame (never IPv4 or IPv6 packets).
func (l *Link) Receive(now time.Time, frame []byte, out *Out) {
	p, payload, ok := ParseFrame(frame)
	if !ok || l.phase == phaseDead {
		return
	}
	s := l.at(now, out)
	if p == ProtoLCP {
		l.receiveLCP(s, payload)
		return
	}
	// RFC 1661 sections 3.4 and 3.7: before LCP is opened, and once the link is
	// being terminated, any non-LCP packet is silently discarded. Here and below
	// that is before a byte of the packet is read.
	if l.automata[lcp].state != opened {
		return
	}
	l.alive(s)
	switch {
	case p == ProtoPAP:
		l.receivePAP(s, payload)
	case p == ProtoCHAP:
		l.receiveCHAP(s, payload)
	case l.phase != phaseNetwork:
		// RFC 1661 section 3.5: all other packets received during the
		// authentication phase are silently discarded.
	case p == ProtoIPCP && l.ipcp.enabled(l.env.cfg):
		l.receiveNCP(s, ipcp, payload)
	case p == ProtoIPV6CP && l.env.cfg.IPv6CP:
		if l.automata[ipv6cp].state == initial && l.env.cfg.IPv6CPPassive {
			l.openNCP(s, ipv6cp)
		}
		l.receiveNCP(s, ipv6cp, payload)
	case p == ProtoIPv4 || p == ProtoIPv6:
		// User traffic is none of the link's business.
	default:
		l.sendProtocolReject(s, p, payload)
	}
}

// Heard notes that user traffic came from the peer, which makes echoes needless.
func (l *Link) Heard(now time.Time) {
	if l.phase != phaseDead {
		l.alive(l.at(now, nil))
	}
}

// Close sends LCP Terminate-Request; LinkDown follows on its answer or time-out.
func (l *Link) Close(now time.Time, message string, out *Out) {
	if l.phase == phaseDead {
		l.finish(l.at(now, out), CauseClosed)
		return
	}
	l.shut(l.at(now, out), CauseClosed, message)
}

// Timer does what is due; call it at the time that Deadline says.
func (l *Link) Timer(now time.Time, out *Out) {
	if l.phase == phaseDead {
		return
	}
	s := l.at(now, out)
	// Each handler sets or clears its timer, and ending the link clears all.
	for k := range numLayers {
		if due(l.automata[k].timer, s.now) {
			l.restartExpired(s, k)
		}
	}
	if due(l.auth.limit, s.now) {
		l.shut(s, CauseAuthTimeout, "authentication timed out")
	}
	if due(l.networkLimit, s.now) {
		l.networkExpired(s)
	}
	if due(l.auth.timer, s.now) {
		l.authExpired(s)
	}
	if due(l.echoTimer, s.now) {
		l.echoExpired(s)
	}
}

func due(timer, now time.Duration) bool { return timer != 0 && timer <= now }

// Deadline is when to call Timer next, zero for never. It can become later by any
// call, and earlier by any call but Heard.
func (l *Link) Deadline() time.Time {
	timers := [...]time.Duration{
		l.automata[lcp].timer, l.automata[ipcp].timer, l.automata[ipv6cp].timer,
		l.auth.limit, l.auth.timer, l.networkLimit, l.echoTimer,
	}
	var first time.Duration
	for _, t := range timers {
		if t != 0 && (first == 0 || t < first) {
			first = t
		}
	}
	if first == 0 {
		return time.Time{}
	}
	return l.epoch.Add(first)
}

// Negotiated is the outcome of LCP; valid from LinkUp on.
func (l *Link) Negotiated() Negotiated {
	local, peer := &l.lcp.local, &l.lcp.peer
	return Negotiated{
		MRU: peer.mru, LocalMRU: local.mru,
		ACFC: peer.acfc, PFC: peer.pfc,
		LocalMagic: local.magic, PeerMagic: peer.magic,
		Auth: l.method(),
		// What the peer can't receive unescaped is what is sent to it escaped.
		SendACCM: peer.accm, ReceiveACCM: local.accm,
	}
}

// Cause is why the link is going down: known, for an orderly end, while LinkDown
// still waits for the peer or for a timer. CauseNone as long as it is not. message
// is what LinkDown will carry.
func (l *Link) Cause() (cause Cause, message string) {
	if l.cause == CauseNone {
		return CauseNone, ""
	}
	return l.cause, l.text
}

// Phase is the link's phase in one word: dead, establish, authenticate, network,
// terminate (RFC 1661 section 3).
func (l *Link) Phase() string {
	switch l.phase {
	case phaseEstablish:
		return "establish"
	case phaseAuthenticate:
		return "authenticate"
	case phaseNetwork:
		return "network"
	case phaseTerminate:
		return "terminate"
	default:
		return "dead"
	}
}
