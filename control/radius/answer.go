package radius

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
	"net/netip"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

// Offsets in a RADIUS packet (RFC 2865 section 3).
const (
	atCode          = 0
	atIdentifier    = 1
	atLength        = 2
	atAuthenticator = 4
	headerLen       = 20
)

// finding is what was made of a received packet.
type finding uint8

const (
	valid finding = iota
	// late: its request has been answered already or is not waited for.
	late
	stranger
	malformed
	wrongCode
	wrongAuthenticator
	wrongMessageAuthenticator
	noMessageAuthenticator
	foreignProxyState
)

func (f finding) String() string {
	return [...]string{"valid", "late", "not from the server", "malformed", "unexpected code",
		"wrong response authenticator", "wrong message authenticator",
		"no message authenticator", "Proxy-State that was not sent"}[f]
}

// answer takes a packet that arrived on k. If it is a valid answer the request
// that it belongs to is returned, no longer in flight, with the packet cut to
// its length. Anything else leaves the state as it was: the answer may yet come
// (RFC 2865 section 3: silently discard).
func (x *exchange) answer(now time.Time, k *socket, from netip.AddrPort, b []byte, out *effects) (*request, []byte, finding) {
	s := k.server
	r, b, f := x.match(k, from, b)
	switch f {
	case valid:
	case late:
		x.late++
		return nil, nil, f
	default:
		s.badAnswers++
		return nil, nil, f
	}
	// Only a packet that was sent once tells the round trip time: of two, which
	// was answered cannot be known.
	if r.last.Equal(r.first) {
		s.rtt.add(now.Sub(r.first))
	}
	if r.statusServer() {
		s.statusAnswers++
		x.told(now, r)
		x.heard(now, s, out)
		return r, b, valid
	}
	switch radius.Code(b[atCode]) {
	case radius.CodeAccessAccept:
		s.accepts++
	case radius.CodeAccessReject, radius.CodeAccessChallenge:
		s.rejects++
	}
	s.responses++
	if x.purpose == authentication && !s.signs && !s.unsigned {
		s.unsigned = true
		out.unsigned = append(out.unsigned, s.addr)
	}
	x.land(now, r)
	x.heard(now, s, out)
	return r, b, valid
}

// match finds the request that b answers and checks that the server made it.
func (x *exchange) match(k *socket, from netip.AddrPort, b []byte) (*request, []byte, finding) {
	s := k.server
	if from != s.addr {
		return nil, nil, stranger
	}
	if len(b) < headerLen {
		return nil, nil, malformed
	}
	n := int(binary.BigEndian.Uint16(b[atLength:]))
	if n < headerLen || n > radius.MaxPacketLength || n > len(b) {
		return nil, nil, malformed
	}
	b = b[:n] // octets outside Length are padding (RFC 2865 section 3)
	r := k.flying[b[atIdentifier]]
	if !x.expects(r, radius.Code(b[atCode])) {
		return nil, nil, wrongCode
	}
	if r == nil {
		return nil, nil, late
	}
	if !x.authentic(s, r, b) {
		return nil, nil, wrongAuthenticator
	}
	return r, b, x.checkMessageAuthenticator(s, r, b)
}

// expects reports whether the code answers a request of this purpose; r may be nil.
func (x *exchange) expects(r *request, c radius.Code) bool {
	if r != nil && r.statusServer() {
		// Either will do, whatever the port (RFC 5997 section 4.1).
		return c == radius.CodeAccessAccept || c == radius.CodeAccountingResponse
	}
	if x.purpose == accounting {
		return c == radius.CodeAccountingResponse
	}
	return c == radius.CodeAccessAccept || c == radius.CodeAccessReject || c == radius.CodeAccessChallenge
}

// authentic checks the Response Authenticator: MD5 over Code, Identifier, Length,
// the request's authenticator, the attributes and the secret (RFC 2865 section 3).
func (x *exchange) authentic(s *server, r *request, b []byte) bool {
	x.md5.Reset()
	x.md5.Write(b[:atAuthenticator])
	x.md5.Write(r.wire[atAuthenticator:headerLen])
	x.md5.Write(b[headerLen:])
	x.md5.Write(s.secret)
	var sum [md5.Size]byte
	return subtle.ConstantTimeCompare(x.md5.Sum(sum[:0]), b[atAuthenticator:headerLen]) == 1
}

// checkMessageAuthenticator applies the server's rule. Without the attribute the
// Response Authenticator is all there is, and its MD5 can be forged by someone in
// the path who gets to choose a part of the packet that the server echoes: a
// Proxy-State in the request. We never send one, so an answer that holds one was
// made for a request that was tampered with.
func (x *exchange) checkMessageAuthenticator(s *server, r *request, b []byte) finding {
	at, count, proxyState, ok := findMessageAuthenticator(b)
	switch {
	case !ok || count > 1:
		return malformed
	case x.purpose == accounting:
		// Not defined for accounting (RFC 3579 section 3.3).
		return valid
	case count == 0 && r.statusServer():
		// Optional there (RFC 5997 section 3), and nobody is let in by it.
		return valid
	case count == 1:
		if !s.signed(r, b, at) {
			return wrongMessageAuthenticator
		}
		s.signs = true
		return valid
	case s.require == RequireYes, s.require == RequireAuto && s.signs:
		return noMessageAuthenticator
	case proxyState:
		return foreignProxyState
	}
	return valid
}

// findMessageAuthenticator walks the attributes of packet b. at is the offset of
// the last Message-Authenticator's value, count how many there are. ok is false
// when the attributes do not fill the packet exactly.
func findMessageAuthenticator(b []byte) (at, count int, proxyState, ok bool) {
	for i := headerLen; i < len(b); i += int(b[i+1]) {
		if len(b)-i < 2 || b[i+1] < 2 || int(b[i+1]) > len(b)-i {
			return 0, 0, false, false
		}
		switch radius.Type(b[i]) {
		case rfc2869.MessageAuthenticator_Type:
			if b[i+1] != 2+md5.Size {
				return 0, 0, false, false
			}
			at, count = i+2, count+1
		case rfc2865.ProxyState_Type:
			proxyState = true
		}
	}
	return at, count, proxyState, true
}

// signed checks the Message-Authenticator at offset at of answer b: HMAC-MD5 over
// the packet with the request's authenticator in place and the attribute's value
// zero (RFC 3579 section 3.2).
func (s *server) signed(r *request, b []byte, at int) bool {
	var zero, sum [md5.Size]byte
	s.mac.Reset()
	s.mac.Write(b[:atAuthenticator])
	s.mac.Write(r.wire[atAuthenticator:headerLen])
	s.mac.Write(b[headerLen:at])
	s.mac.Write(zero[:])
	s.mac.Write(b[at+md5.Size:])
	return subtle.ConstantTimeCompare(s.mac.Sum(sum[:0]), b[at:at+md5.Size]) == 1
}

// sign computes the Message-Authenticator of an Access-Request, whose value of
// zeros is at offset at of b, and puts it there (RFC 3579 section 3.2).
func (s *server) sign(b []byte, at int) {
	s.mac.Reset()
	s.mac.Write(b)
	s.mac.Sum(b[at:at])
}
