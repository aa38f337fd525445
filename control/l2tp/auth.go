package l2tp

import (
	"crypto/md5"
	"crypto/subtle"
)

// challengeLen is the length of the challenges that we send.
const challengeLen = 16

// challengeResponse is the Challenge Response to challenge (RFC 2661 section
// 4.4.3): a CHAP response whose id is the type of the message that carries it.
func challengeResponse(carrier MessageType, secret, challenge []byte) [md5.Size]byte {
	var buf [128]byte
	b := append(buf[:0], byte(carrier))
	b = append(b, secret...)
	return md5.Sum(append(b, challenge...))
}

// responseMatches compares in constant time, so that the time taken tells nothing
// of the wanted response.
func responseMatches(carrier MessageType, secret, challenge, response []byte) bool {
	want := challengeResponse(carrier, secret, challenge)
	return subtle.ConstantTimeCompare(want[:], response) == 1
}
