package ppp

import (
	"bytes"
	"crypto/des"
	"crypto/sha1"
	"crypto/subtle"
	"encoding/hex"
	"strings"
	"unicode/utf16"

	//lint:ignore SA1019 RFC 2759 section 8.3 is defined by MD4, however weak it is.
	"golang.org/x/crypto/md4"
)

// Layout of the response value (RFC 2759 section 4): peer challenge, 8 reserved
// bytes, NT-Response, flags.
const (
	msResponseSize = 49
	msNTResponse   = 24
	msNTSize       = 24
)

// successSize is the length of "S=" and 40 hexadecimal digits.
const successSize = 42

// VerifyMSCHAPv2 reports whether the 49-byte response answers the 16-byte
// challenge, and returns the "S=..." authenticator response (RFC 2759 section 8.7).
func VerifyMSCHAPv2(user string, challenge, response []byte, password string) (success string, ok bool) {
	if len(challenge) != challengeSize || len(response) != msResponseSize {
		return "", false
	}
	got := response[msNTResponse : msNTResponse+msNTSize]
	want := ntResponse(challenge, response[:challengeSize], user, password)
	if subtle.ConstantTimeCompare(want[:], got) != 1 {
		return "", false
	}
	text := authenticatorResponse(challenge, response[:challengeSize], want[:], user, password)
	return string(text[:]), true
}

// ntResponse is GenerateNTResponse (RFC 2759 section 8.1).
func ntResponse(challenge, peerChallenge []byte, user, password string) (response [msNTSize]byte) {
	clear := challengeHash(peerChallenge, challenge, user)
	// Section 8.5: the hash is padded with zeros to three DES keys of 7 bytes.
	var keys [21]byte
	hash := ntPasswordHash(password)
	copy(keys[:], hash[:])
	for i := range 3 {
		desEncrypt(keys[7*i:7*i+7], clear[:], response[8*i:8*i+8])
	}
	return response
}

// challengeHash is ChallengeHash (RFC 2759 section 8.2). Of the name only what
// follows the domain is hashed.
func challengeHash(peerChallenge, challenge []byte, user string) (c [8]byte) {
	if i := strings.LastIndexByte(user, '\\'); i >= 0 {
		user = user[i+1:]
	}
	h := sha1.New()
	h.Write(peerChallenge)
	h.Write(challenge)
	h.Write([]byte(user))
	copy(c[:], h.Sum(nil))
	return c
}

// ntPasswordHash is NtPasswordHash (RFC 2759 section 8.3): MD4 of the password in
// UTF-16, least significant byte first.
func ntPasswordHash(password string) (hash [md4.Size]byte) {
	units := utf16.Encode([]rune(password))
	b := make([]byte, 0, 2*len(units))
	for _, u := range units {
		b = append(b, byte(u), byte(u>>8))
	}
	return md4Sum(b)
}

func md4Sum(b []byte) (sum [md4.Size]byte) {
	h := md4.New()
	h.Write(b)
	h.Sum(sum[:0])
	return sum
}

// desEncrypt is DesEncrypt (RFC 2759 section 8.6) with a key of 7 bytes.
func desEncrypt(key, clear, cypher []byte) {
	k := desKey(key)
	block, err := des.NewCipher(k[:])
	if err != nil {
		panic("ppp: a DES key has 8 bytes") // the only error there is
	}
	block.Encrypt(cypher, clear)
}

// desKey spreads 56 bits over 8 bytes. The lowest bit of each is for parity,
// which DES ignores (RFC 2759 section 8.6).
func desKey(key []byte) (k [8]byte) {
	var bits uint64
	for _, b := range key[:7] {
		bits = bits<<8 | uint64(b)
	}
	for i := range k {
		k[i] = byte(bits>>(49-7*i)) << 1
	}
	return k
}

// authenticatorResponse is GenerateAuthenticatorResponse (RFC 2759 section 8.7).
func authenticatorResponse(challenge, peerChallenge, nt []byte, user, password string) (text [successSize]byte) {
	const (
		magic1 = "Magic server to client signing constant"
		magic2 = "Pad to make it do more than one iteration"
	)
	hash := ntPasswordHash(password)
	hashHash := md4Sum(hash[:])
	h := sha1.New()
	h.Write(hashHash[:])
	h.Write(nt)
	h.Write([]byte(magic1))
	digest := h.Sum(nil)

	clear := challengeHash(peerChallenge, challenge, user)
	h.Reset()
	h.Write(digest)
	h.Write(clear[:])
	h.Write([]byte(magic2))
	copy(text[:], "S=")
	hex.Encode(text[2:], h.Sum(nil))
	// Section 5: the digits A-F must be upper case.
	copy(text[2:], bytes.ToUpper(text[2:]))
	return text
}

// msFailureText puts text into the format of a Failure packet (RFC 2759
// section 6), unless it has it already: 691 is ERROR_AUTHENTICATION_FAILURE, and
// R=0 allows no retry.
func (l *Link) msFailureText(text string) string {
	if strings.HasPrefix(text, "E=") {
		return text
	}
	var fresh [challengeSize]byte
	l.env.random(fresh[:])
	return "E=691 R=0 C=" + strings.ToUpper(hex.EncodeToString(fresh[:])) + " V=3 M=" + text
}

// msResponse is a client's response, with what the authenticator must answer.
type msResponse struct {
	value     [msResponseSize]byte
	success   [successSize]byte
	id        uint8
	challenge [challengeSize]byte
}

// newMSResponse answers a challenge. A challenge that only repeats the last one
// gets the same response, so that a Success on its way stays valid.
func newMSResponse(e *env, id uint8, challenge []byte, last *msResponse) *msResponse {
	if last != nil && last.id == id && string(last.challenge[:]) == string(challenge) {
		return last
	}
	r := &msResponse{id: id}
	copy(r.challenge[:], challenge)
	e.random(r.value[:challengeSize])
	peer := r.value[:challengeSize]
	nt := ntResponse(challenge, peer, e.cfg.User, e.cfg.Password)
	copy(r.value[msNTResponse:], nt[:])
	r.success = authenticatorResponse(challenge, peer, nt[:], e.cfg.User, e.cfg.Password)
	return r
}

// proves reports whether a Success packet's message is the authenticator's proof
// that it knows the password too (RFC 2759 section 8.8).
func (r *msResponse) proves(message []byte) bool {
	return len(message) >= successSize &&
		subtle.ConstantTimeCompare(message[:successSize], r.success[:]) == 1
}
