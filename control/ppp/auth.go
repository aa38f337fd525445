package ppp

import "time"

// authState is where the authentication of the link stands.
type authState uint8

const (
	authIdle authState = iota
	// authWaiting: for the peer, that is for its credentials (LNS) or for its
	// answer to ours (client).
	authWaiting
	// authAsked: the owner has the credentials and is to give the verdict.
	authAsked
	authPassed
)

// authentication is the state of PAP and CHAP on one link. At the LNS end id and
// challenge are those of the last challenge sent, or id is that of the last PAP
// request; at the client's end they are our last response's.
type authentication struct {
	// timer repeats a packet or brings the next challenge; limit is when an
	// unfinished authentication ends the link.
	timer, limit time.Duration
	// ms is what the client must remember of MS-CHAPv2 until Success.
	ms *msResponse
	// challenge is our challenge (LNS) or our CHAP-MD5 response (client).
	challenge [challengeSize]byte
	state     authState
	id        uint8
	// passed: the peer has been authenticated once since LCP opened.
	passed bool
}

// method is the method in force: the one we asked for, or, for a client, the one
// that it was asked for.
func (l *Link) method() Auth {
	if l.env.cfg.Client {
		return l.lcp.peer.auth
	}
	return l.lcp.local.auth
}

// protocol is the PPP protocol of a method, zero for NoAuth.
func (a Auth) protocol() Protocol {
	switch a {
	case PAP:
		return ProtoPAP
	case CHAPMD5, MSCHAPv2:
		return ProtoCHAP
	default:
		return 0
	}
}

// startAuth enters the authentication phase (RFC 1661 section 3.5).
func (l *Link) startAuth(s step) {
	l.limitAuth(s)
	if l.env.cfg.Client {
		l.startClientAuth(s)
		return
	}
	l.auth.state = authWaiting
	switch l.method() {
	case PAP:
		// The peer is in control of the attempts (RFC 1334 section 2).
	case CHAPMD5, MSCHAPv2:
		l.sendChallenge(s)
	default:
		l.ask(s, Credentials{})
	}
}

func (l *Link) limitAuth(s step) {
	if d := l.env.cfg.AuthTimeout; d > 0 {
		l.auth.limit = s.now + d
	}
}

// ask hands the credentials to the owner. Repeating packets ends here: the peer
// has done its part.
func (l *Link) ask(s step, c Credentials) {
	l.auth.state, l.auth.timer = authAsked, 0
	c.Method = l.method()
	c.ID = l.auth.id
	c.Again = l.auth.passed
	s.out.event(Event{Kind: AuthRequested, Auth: &c})
}

// Authenticated answers an AuthRequested event. Without one it does nothing, so
// that an answer that comes too late is harmless.
func (l *Link) Authenticated(now time.Time, v AuthVerdict, out *Out) {
	if l.auth.state != authAsked || l.phase == phaseDead {
		return
	}
	s := l.at(now, out)
	if !v.OK {
		text := l.failureText(v.Message)
		l.sendVerdict(s, false, text)
		// RFC 1661 section 4.3: the link is terminated to prevent attack by
		// repetition.
		l.shut(s, CauseAuthFailed, v.Message)
		return
	}
	l.text = v.Message
	l.sendVerdict(s, true, l.text)
	l.auth.state, l.auth.limit = authPassed, 0
	if d := l.env.cfg.Rechallenge; d > 0 && l.method().protocol() == ProtoCHAP {
		l.auth.timer = s.now + d
	}
	if l.auth.passed {
		return
	}
	l.auth.passed = true
	l.ipcp.offer(v.IPv4)
	l.ipv6cp.offer(v.IPv6)
	l.enterNetwork(s)
}

// sendVerdict tells the peer, in the words of its protocol and with the
// Identifier of what it sent.
func (l *Link) sendVerdict(s step, ok bool, text string) {
	switch l.method() {
	case PAP:
		l.sendPAPVerdict(s, ok, text)
	case CHAPMD5, MSCHAPv2:
		l.sendCHAPVerdict(s, ok, text)
	}
}

// authExpired is the timer: the LNS challenges again, the client repeats itself.
func (l *Link) authExpired(s step) {
	l.auth.timer = 0
	switch {
	case l.env.cfg.Client:
		l.repeatCredentials(s)
	case l.auth.state == authPassed:
		// A new round. The network protocols stay open meanwhile.
		l.auth.state = authWaiting
		l.limitAuth(s)
		l.sendChallenge(s)
	case l.auth.state == authWaiting:
		l.sendChallenge(s)
	}
}

// startClientAuth does what LCP has agreed on; a peer that asks for nothing lets
// us straight into the network phase.
func (l *Link) startClientAuth(s step) {
	switch l.method() {
	case PAP:
		l.auth.state = authWaiting
		l.sendPAPRequest(s)
	case CHAPMD5, MSCHAPv2:
		l.auth.state = authWaiting // for the challenge
	default:
		l.clientPassed(s)
	}
}

// repeatCredentials covers the loss of our packet and of the answer to it.
func (l *Link) repeatCredentials(s step) {
	if l.auth.state != authWaiting {
		return
	}
	if l.method() == PAP {
		l.sendPAPRequest(s)
	} else {
		l.sendResponse(s)
	}
}

// clientPassed is the authenticator's yes, the first one or one more.
func (l *Link) clientPassed(s step) {
	l.auth.state, l.auth.timer, l.auth.limit, l.auth.ms = authPassed, 0, 0, nil
	if !l.auth.passed {
		l.auth.passed = true
		l.enterNetwork(s)
	}
}

// clientFailed is the authenticator's no. To terminate the link is up to the one
// that refused (RFC 1661 section 3.5); the time limit is left running in case it
// does not.
func (l *Link) clientFailed(text string) {
	l.auth.state, l.auth.timer, l.auth.ms = authIdle, 0, nil
	l.blame(CauseAuthFailed, text)
}
