package ppp

// takeProxy goes straight to LCP opened when the LAC has negotiated LCP and its
// outcome may stand (RFC 2661 section 4.4.5). It reports whether it did, or
// whether the link was ended because of what the LAC said.
func (l *Link) takeProxy(s step, p *Proxy) bool {
	cfg := l.env.cfg
	// The Identifier of our first challenge must not be the LAC's, whatever is
	// taken over: a response to the LAC's may still be on its way.
	l.auth.id = p.AuthID
	if cfg.Renegotiate == Always || !p.usable() {
		return false
	}
	if !l.proxyFits(s, p) && cfg.Renegotiate == OnMismatch {
		return false
	}
	l.lcp.local = lcpDefaults()
	forOptions(p.LastSent, l.lcp.local.set)
	l.lcp.adopt(p.LastReceived)
	l.lcp.peer.pfc = l.lcp.peer.pfc && cfg.PFC
	l.lcp.peer.acfc = l.lcp.peer.acfc && cfg.ACFC

	a := &l.automata[lcp]
	a.state = opened
	a.answered = true // there is no Configure-Request of ours to be answered
	if !l.methodAllowed() {
		// Only under the policy never: LCP is not to be negotiated again, and
		// nobody gets in on a weaker method than configured.
		l.shut(s, CauseAuthRefused, "authentication required")
		return true
	}
	l.phase = phaseAuthenticate
	s.out.event(Event{Kind: LinkUp})
	l.startEcho(s)
	if !l.takeProxyAuth(s, p) {
		l.startAuth(s)
	}
	return true
}

// usable: an outcome needs both final requests, and sound ones.
func (p *Proxy) usable() bool {
	return p.LastSent != nil && p.LastReceived != nil && wellFormed(p.LastSent) && wellFormed(p.LastReceived)
}

func forOptions(b []byte, do func(option)) {
	for len(b) > 0 {
		o, rest, ok := nextOption(b)
		if !ok {
			return
		}
		do(o)
		b = rest
	}
}

// methodAllowed reports whether the method in force satisfies the configuration.
func (l *Link) methodAllowed() bool {
	m := l.method()
	if m == NoAuth {
		return l.env.cfg.open()
	}
	return l.env.cfg.allows(m)
}

// proxyFits reports whether we could have negotiated the same: the LAC promised
// nothing that we do not keep, and the peer asked for nothing that we reject.
func (l *Link) proxyFits(s step, p *Proxy) bool {
	saved := l.lcp
	defer func() { l.lcp = saved }()
	fits := true
	sent := lcpDefaults()
	forOptions(p.LastSent, func(o option) {
		sent.set(o)
		switch o.kind {
		case optMRU, optACCM, optMagic, optPFC, optACFC:
			// Compressed fields are always understood.
		case optAuth:
			fits = fits && l.env.cfg.allows(parseAuth(o.data))
		default:
			fits = false
		}
	})
	if sent.auth == NoAuth && !l.env.cfg.open() || sent.mru > l.env.cfg.mru() {
		return false
	}
	l.lcp.local = sent
	forOptions(p.LastReceived, func(o option) {
		v, _ := l.lcp.examine(&l.env, o, s.out.naks[:0])
		// What the peer can receive need not be made use of.
		unused := len(o.data) == 0 && (o.kind == optPFC || o.kind == optACFC)
		fits = fits && (v == accept || unused)
	})
	return fits
}

// takeProxyAuth uses the credentials that the LAC has collected. The peer still
// waits for the answer under the Identifier that it knows.
func (l *Link) takeProxyAuth(s step, p *Proxy) bool {
	method := l.method()
	if !p.HasAuth || method == NoAuth || !p.answers(method) {
		return false
	}
	c := Credentials{Name: p.AuthName, Proxied: true}
	if method == PAP {
		c.Password = s.out.keep(p.AuthResponse)
	} else {
		c.Challenge, c.Response = s.out.keep(p.AuthChallenge), s.out.keep(p.AuthResponse)
	}
	l.limitAuth(s)
	l.ask(s, c)
	return true
}

// answers reports whether the proxied credentials are of the method that LCP
// agreed on. There is no Proxy Authen Type for MS-CHAPv2 (RFC 2661 section 4.4.5);
// LACs use the one of CHAP, and the lengths tell.
func (p *Proxy) answers(method Auth) bool {
	switch method {
	case PAP:
		return p.Auth == PAP
	case CHAPMD5, MSCHAPv2:
		return (p.Auth == method || p.Auth == CHAPMD5) &&
			len(p.AuthResponse) == method.responseSize() &&
			(len(p.AuthChallenge) == challengeSize || method == CHAPMD5 && len(p.AuthChallenge) > 0)
	default:
		return false
	}
}
