package ppp

import (
	"crypto/md5"
	"crypto/subtle"
)

// CHAP codes (RFC 1994 section 4).
const (
	chapChallenge = 1
	chapResponse  = 2
	chapSuccess   = 3
	chapFailure   = 4
)

// challengeSize is the length of our challenges: what MS-CHAPv2 demands (RFC 2759
// section 3), and as long as an MD5 value.
const challengeSize = 16

// responseSize is the length of a method's response value, in bytes.
func (a Auth) responseSize() int {
	if a == MSCHAPv2 {
		return msResponseSize
	}
	return md5.Size
}

// VerifyCHAP reports whether response answers challenge with secret (RFC 1994
// section 4.1), in constant time. An empty secret is never right (section 2.3).
func VerifyCHAP(id uint8, challenge, response, secret []byte) bool {
	if len(secret) == 0 || len(challenge) == 0 {
		return false
	}
	want := chapValue(id, challenge, secret)
	return subtle.ConstantTimeCompare(want[:], response) == 1
}

// chapValue hashes Identifier, secret and challenge (RFC 1994 section 4.1).
func chapValue(id uint8, challenge, secret []byte) (sum [md5.Size]byte) {
	h := md5.New()
	h.Write([]byte{id})
	h.Write(secret)
	h.Write(challenge)
	h.Sum(sum[:0])
	return sum
}

// receiveCHAP takes a CHAP packet. Unless CHAP was negotiated it is dropped
// unread; so is a packet of the other end's part.
func (l *Link) receiveCHAP(s step, payload []byte) {
	if l.method().protocol() != ProtoCHAP {
		return
	}
	p, ok := parsePacket(payload)
	if !ok {
		return
	}
	if !l.env.cfg.Client {
		if p.code == chapResponse {
			l.receiveResponse(s, p)
		}
		return
	}
	switch p.code {
	case chapChallenge:
		l.receiveChallenge(s, p)
	case chapSuccess:
		l.receiveSuccess(s, p)
	case chapFailure:
		if l.auth.state == authWaiting && p.id == l.auth.id {
			l.clientFailed(printable(p.data))
		}
	}
}

// sendChallenge sends a challenge that was never sent before: Identifier and
// value change each time (RFC 1994 section 4.1).
func (l *Link) sendChallenge(s step) {
	l.auth.id++
	l.env.random(l.auth.challenge[:])
	l.auth.timer = s.now + l.env.cfg.restartTimer()
	b := s.out.build(ProtoCHAP, l.lcp.peer.acfc, chapChallenge, l.auth.id)
	b.bytes(challengeSize).bytes(l.auth.challenge[:]...).text(l.env.cfg.Name).send(l.limit())
}

// receiveResponse takes the peer's response to our current challenge; any other
// Identifier is silently discarded. A peer that has passed and answers an older
// challenge heard two in the wrong order: it waits for a Success that can't come, and
// drops the one that we sent. It is soon challenged anew (RFC 1994 section 2), which
// both ends agree on.
func (l *Link) receiveResponse(s step, p packet) {
	if p.id != l.auth.id {
		if soon := s.now + l.env.cfg.restartTimer(); l.auth.state == authPassed && (l.auth.timer == 0 || l.auth.timer > soon) {
			l.auth.timer = soon
		}
		return
	}
	value, name, ok := counted(p.data)
	if !ok || len(value) != l.method().responseSize() {
		return
	}
	switch l.auth.state {
	case authWaiting:
		l.ask(s, Credentials{
			Name:      string(name),
			Challenge: s.out.keep(l.auth.challenge[:]),
			Response:  s.out.keep(value),
		})
	case authPassed:
		// RFC 1994 section 4.1: Success may have been lost; the same reply is
		// due to the same Identifier, whatever the value is now.
		l.sendCHAPVerdict(s, true, l.text)
	}
}

func (l *Link) sendCHAPVerdict(s step, ok bool, text string) {
	code := uint8(chapFailure)
	if ok {
		code = chapSuccess
	}
	s.out.build(ProtoCHAP, l.lcp.peer.acfc, code, l.auth.id).text(text).send(l.limit())
}

// failureText is what a Failure packet says: for MS-CHAPv2 it has a format.
func (l *Link) failureText(text string) string {
	if l.method() == MSCHAPv2 {
		return l.msFailureText(text)
	}
	return text
}

// receiveChallenge: whenever a Challenge is received, a Response must be sent, in
// the network phase too (RFC 1994 section 4.1).
func (l *Link) receiveChallenge(s step, p packet) {
	value, _, ok := counted(p.data)
	if !ok || len(value) == 0 || l.cause != CauseNone {
		return
	}
	if l.method() == MSCHAPv2 {
		if len(value) != challengeSize {
			return
		}
		l.auth.ms = newMSResponse(&l.env, p.id, value, l.auth.ms)
	} else {
		l.auth.challenge = chapValue(p.id, value, []byte(l.env.cfg.Password))
	}
	l.auth.id = p.id
	l.auth.state = authWaiting
	if l.auth.limit == 0 {
		l.limitAuth(s)
	}
	l.sendResponse(s)
}

// sendResponse sends the response to the last challenge, the first time or again:
// it is how a lost Success is asked for (RFC 1994 section 4.1).
func (l *Link) sendResponse(s step) {
	l.auth.timer = s.now + l.env.cfg.restartTimer()
	b := s.out.build(ProtoCHAP, l.lcp.peer.acfc, chapResponse, l.auth.id)
	if ms := l.auth.ms; ms != nil {
		b = b.bytes(msResponseSize).bytes(ms.value[:]...)
	} else {
		b = b.bytes(md5.Size).bytes(l.auth.challenge[:]...)
	}
	b.text(l.env.cfg.User).send(noLimit)
}

func (l *Link) receiveSuccess(s step, p packet) {
	if l.auth.state != authWaiting || p.id != l.auth.id || l.auth.timer == 0 {
		return // no response of ours is on its way
	}
	if ms := l.auth.ms; ms != nil && !ms.proves(p.data) {
		// RFC 2759 section 5: the session must be ended when the authenticator
		// response is missing or incorrect.
		l.shut(s, CauseAuthFailed, "authenticator did not prove itself")
		return
	}
	l.clientPassed(s)
}
