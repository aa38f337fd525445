package session

// The ECN field of the TOS or traffic class byte (RFC 3168 section 5).
const (
	ecnMask   = 0x03
	ecnNotECT = 0
	ecnECT1   = 1
	ecnECT0   = 2
	ecnCE     = 3
)

// CombineECN returns the inner TOS or traffic class of a packet that is taken out
// of one with the outer byte (RFC 6040 section 4.2, figure 4). ok is false for a
// packet to be dropped: it is marked outside, and inside it can't be.
func CombineECN(outer, inner byte) (_ byte, ok bool) {
	o, i := outer&ecnMask, inner&ecnMask
	switch {
	case o == ecnCE && i == ecnNotECT:
		return inner, false
	case o == ecnCE, o == ecnECT1 && i == ecnECT0:
		return inner&^ecnMask | o, true
	}
	return inner, true
}
