package l2tp

import (
	"crypto/md5"
	"crypto/subtle"
	"encoding/binary"
)

// hideVectorLen is the length of the Random Vectors that we send; section 4.4.1
// recommends at least 16 octets.
const hideVectorLen = 16

// appendHidden appends the hidden form of value (RFC 2661 section 4.3): its
// length, itself and pad, XORed block by block with MD5 digests. pad masks the
// length and should be random.
func appendHidden(dst []byte, typ uint16, secret, vector, value, pad []byte) []byte {
	start := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(value)))
	dst = append(dst, value...)
	dst = append(dst, pad...)
	sub := dst[start:]
	key := firstHideKey(typ, secret, vector)
	for len(sub) > 0 {
		n := subtle.XORBytes(sub, sub, key[:])
		if n == len(key) {
			key = nextHideKey(secret, sub[:n])
		}
		sub = sub[n:]
	}
	return dst
}

// unhide returns the original value of a hidden AVP's value v. ok is false when
// the length in it is impossible, which is what a wrong secret looks like as a
// rule. The result is a copy.
func unhide(typ uint16, secret, vector, v []byte) (value []byte, ok bool) {
	if len(v) < 2 {
		return nil, false
	}
	plain := make([]byte, len(v))
	key := firstHideKey(typ, secret, vector)
	for p := 0; p < len(v); p += md5.Size {
		n := subtle.XORBytes(plain[p:], v[p:], key[:])
		if n == md5.Size {
			// Keyed by the cipher block, not by the plain one.
			key = nextHideKey(secret, v[p:p+n])
		}
	}
	n := int(binary.BigEndian.Uint16(plain))
	if n > len(plain)-2 {
		return nil, false
	}
	return plain[2 : 2+n], true
}

// firstHideKey is b1 = MD5(AV + S + RV), AV being the Attribute Type alone.
func firstHideKey(typ uint16, secret, vector []byte) [md5.Size]byte {
	var buf [128]byte
	b := binary.BigEndian.AppendUint16(buf[:0], typ)
	b = append(b, secret...)
	return md5.Sum(append(b, vector...))
}

// nextHideKey is bi = MD5(S + c(i-1)).
func nextHideKey(secret, cipher []byte) [md5.Size]byte {
	var buf [128]byte
	b := append(buf[:0], secret...)
	return md5.Sum(append(b, cipher...))
}

// hidePadLen is how much padding brings a hidden value to whole blocks, so that
// its length tells little, within what an AVP can hold.
func hidePadLen(valueLen int) int {
	n := valueLen + 2
	return max(0, min((md5.Size-n%md5.Size)%md5.Size, avpMaxValue-n))
}
