package session

// DSCP says which differentiated services code point (RFC 2474) data packets to
// the peer carry outside. The zero value is 0, best effort.
type DSCP struct {
	// Copy takes the code point of each inner packet (RFC 2983, uniform model).
	Copy bool
	// Value is that of all packets otherwise, 0..63.
	Value uint8
}

// dscpMask is where the code point lies in the TOS or traffic class byte.
const dscpMask = 0xFC

// TOS returns the code point's part of Framing.TOS.
func (d DSCP) TOS(ip []byte) byte {
	if !d.Copy {
		return d.Value << 2
	}
	return trafficClass(ip) & dscpMask
}

// trafficClass returns the TOS byte of an IPv4 packet, the traffic class of an
// IPv6 one.
func trafficClass(ip []byte) byte {
	if ip[0]>>4 == 6 {
		return ip[0]<<4 | ip[1]>>4
	}
	return ip[1]
}
