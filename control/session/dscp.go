package session

// DSCP says which differentiated services code point (RFC 2474) data packets to
// the peer carry outside. The zero value is 0, best effort. The two bits beside
// it are always 0, Not-ECT: whether the other end combines them with those inside
// as RFC 6040 demands is not known, and a mark that it ignored would be lost.
type DSCP struct {
	// Copy takes the code point of each inner packet (RFC 2983, uniform model).
	Copy bool
	// Value is that of all packets otherwise, 0..63.
	Value uint8
}

// dscpMask is where the code point lies in the TOS or traffic class byte.
const dscpMask = 0xFC

// TOS returns the byte for the outer header around the IP packet ip, of whose
// header the first two bytes must be there.
func (d DSCP) TOS(ip []byte) byte {
	switch {
	case !d.Copy:
		return d.Value << 2
	case ip[0]>>4 == 6:
		return (ip[0]<<4 | ip[1]>>4) & dscpMask
	default:
		return ip[1] & dscpMask
	}
}
