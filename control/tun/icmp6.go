package tun

import (
	"encoding/binary"
	"net/netip"
)

// ICMPv6 errors in use (RFC 4443 sections 3.1 and 3.2).
const (
	icmp6Unreachable = 1
	icmp6TooBig      = 2

	code6Address = 3 // address unreachable
)

// icmp6Max is the longest ICMPv6 error, in bytes with its IP header: the minimum
// IPv6 MTU (RFC 4443 section 2.4 (c)).
const icmp6Max = 1280

// Types from here on are no errors, but redirects must not be answered either.
const (
	icmp6FirstQuery = 128
	icmp6Redirect   = 137
)

// mayAnswer6 says whether an ICMPv6 error of a type may be sent about packet p
// (RFC 4443 section 2.4 (e)): never about another error or a redirect, to a source
// that is not one host, or about a multicast, too-big apart.
func mayAnswer6(p []byte, typ byte) bool {
	if nextHeader(p) == protoICMPv6 {
		body := p[ipv6Header:]
		if len(body) == 0 || body[0] < icmp6FirstQuery || body[0] == icmp6Redirect {
			return false
		}
	}
	src := source6(p)
	if src.IsUnspecified() || src.IsLoopback() || linkScope(src) {
		return false
	}
	return typ == icmp6TooBig || !destination6(p).IsMulticast()
}

// appendICMP6 appends an ICMPv6 error about packet p, as an IPv6 packet from the
// address from to p's source. mtu is for icmp6TooBig, else 0.
func appendICMP6(dst []byte, from netip.Addr, p []byte, typ, code byte, mtu uint32) []byte {
	quote := p[:min(len(p), icmp6Max-ipv6Header-icmpHeader)]
	start := len(dst)
	src := from.As16()
	dst = append(dst, 0x60, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(icmpHeader+len(quote)))
	dst = append(dst, protoICMPv6, icmpTTL)
	dst = append(dst, src[:]...)
	dst = append(dst, p[8:24]...)
	dst = append(dst, typ, code, 0, 0)
	dst = binary.BigEndian.AppendUint32(dst, mtu)
	dst = append(dst, quote...)

	// The checksum covers a pseudo header (RFC 8200 section 8.1), whose
	// addresses stand before the message as they should: length and next header
	// are what is missing.
	out := dst[start:]
	body := out[ipv6Header:]
	sum := uint32(^checksum(out[8:])) + uint32(len(body)) + protoICMPv6
	binary.BigEndian.PutUint16(body[2:], ^fold(sum))
	return dst
}
