package tun

import "github.com/lnsd/lnsd/control/session"

// markIPv4 carries what the outer header was marked with into a packet; false says
// that it must be dropped. The kernel verifies the header checksum, which is why it
// is mended and not made anew.
func markIPv4(p []byte, outer byte) bool {
	tos, ok := session.CombineECN(outer, p[1])
	if tos == p[1] {
		return ok
	}
	// RFC 1624 section 3, equation 3.
	sum := uint32(^(uint16(p[10])<<8 | uint16(p[11]))) + uint32(^(uint16(p[0])<<8 | uint16(p[1])))
	p[1] = tos
	sum += uint32(p[0])<<8 | uint32(tos)
	check := ^fold(sum)
	p[10], p[11] = byte(check>>8), byte(check)
	return ok
}

// markIPv6 does the same in IPv6.
func markIPv6(p []byte, outer byte) bool {
	class, ok := session.CombineECN(outer, p[0]<<4|p[1]>>4)
	p[1] = p[1]&0x0F | class<<4
	return ok
}
