package tun

import "encoding/binary"

// Destination Unreachable and the codes in use (RFC 792, RFC 1191).
const (
	icmpUnreachable = 3

	codeHost         = 1
	codeFragmentNeed = 4
)

// icmpMax is the longest ICMP error that is sent, in bytes with its IP header:
// "as much of the original datagram as possible without the length of the ICMP
// datagram exceeding 576 bytes" (RFC 1812 section 4.3.2.3).
const icmpMax = 576

const (
	icmpHeader = 8
	icmpTTL    = 64
	// icmpPrecedence: error messages travel with precedence internetwork
	// control (RFC 1812 section 4.3.2.5).
	icmpPrecedence = 0xC0
	tosBits        = 0x1E
)

// mayAnswer says whether an ICMP error may be sent about packet p (RFC 1812
// section 4.3.2.7): never about another ICMP error, a fragment other than the
// first, a destination that is not one host, or a source that is not one host.
func mayAnswer(p []byte) bool {
	if fragmentWord(p)&fragmentOffset != 0 {
		return false
	}
	if protocol(p) == protoICMP {
		body := p[headerLen(p):]
		if len(body) == 0 || isICMPError(body[0]) {
			return false
		}
	}
	return isHost(source(p)) && isHost(destination(p))
}

// isICMPError tells error messages from queries (RFC 1122 section 3.2.2).
func isICMPError(typ byte) bool {
	switch typ {
	case icmpUnreachable, 4, 5, 11, 12: // source quench, redirect, time exceeded, parameter problem
		return true
	}
	return false
}

// isHost is false for addresses that don't name one host somewhere else:
// 0.0.0.0/8, 127.0.0.0/8 and everything from 224.0.0.0 on.
func isHost(a uint32) bool {
	top := a >> 24
	return top != 0 && top != 127 && top < 224
}

// appendUnreachable appends an ICMP Destination Unreachable about packet p, as an
// IPv4 packet from the address from to p's source. mtu is the next hop's MTU for
// codeFragmentNeed (RFC 1191 section 4), else 0.
func appendUnreachable(dst []byte, from uint32, p []byte, code byte, mtu uint16) []byte {
	quote := p[:min(len(p), icmpMax-ipv4MinHeader-icmpHeader)]
	start := len(dst)
	dst = append(dst, 0x45, p[1]&tosBits|icmpPrecedence)
	dst = binary.BigEndian.AppendUint16(dst, uint16(ipv4MinHeader+icmpHeader+len(quote)))
	dst = append(dst, 0, 0, 0, 0, icmpTTL, protoICMP, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, from)
	dst = binary.BigEndian.AppendUint32(dst, source(p))
	dst = append(dst, icmpUnreachable, code, 0, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, mtu)
	dst = append(dst, quote...)

	out := dst[start:]
	setHeaderChecksum(out)
	body := out[ipv4MinHeader:]
	binary.BigEndian.PutUint16(body[2:], checksum(body))
	return dst
}
