package l2tp

import "encoding/binary"

// The first word of an AVP (RFC 2661 section 4.1).
const (
	avpMandatory  uint16 = 0x8000 // M
	avpHidden     uint16 = 0x4000 // H
	avpReserved   uint16 = 0x3C00
	avpLengthMask uint16 = 0x03FF

	avpHeaderLen = 6
	// avpMaxValue is what the 10-bit Length leaves for the value.
	avpMaxValue = int(avpLengthMask) - avpHeaderLen
)

// rawAVP is an AVP as it lies in a message; value aliases it.
type rawAVP struct {
	flags, vendor, typ uint16
	value              []byte
}

// nextAVP cuts the first AVP off b. ok is false when b is not empty and does not
// begin with a well-formed AVP: nothing behind that point can be read. a.flags is
// valid even then, as far as b reaches.
func nextAVP(b []byte) (a rawAVP, rest []byte, ok bool) {
	if len(b) < avpHeaderLen {
		if len(b) > 0 {
			a.flags = uint16(b[0]) << 8
		}
		return a, nil, false
	}
	a.flags = binary.BigEndian.Uint16(b)
	a.vendor = binary.BigEndian.Uint16(b[2:])
	a.typ = binary.BigEndian.Uint16(b[4:])
	n := int(a.flags & avpLengthMask)
	// Section 4.1: the minimum Length of an AVP is 6.
	if n < avpHeaderLen || n > len(b) {
		return a, nil, false
	}
	a.value = b[avpHeaderLen:n]
	return a, b[n:], true
}

// appendAVPHeader appends an AVP header for a value of n bytes.
func appendAVPHeader(dst []byte, flags, vendor, typ uint16, n int) []byte {
	dst = binary.BigEndian.AppendUint16(dst, flags|uint16(avpHeaderLen+n)&avpLengthMask)
	dst = binary.BigEndian.AppendUint16(dst, vendor)
	return binary.BigEndian.AppendUint16(dst, typ)
}
