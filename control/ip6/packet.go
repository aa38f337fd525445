// Package ip6 reads and writes the IPv6 packets that a router exchanges with a host
// on one link: the header, UDP and ICMPv6 with their checksums. Bytes in, bytes
// out.
package ip6

import (
	"encoding/binary"
	"net/netip"
)

// Sizes in bytes, and protocol numbers.
const (
	HeaderLen    = 40 // RFC 8200 section 3
	udpHeaderLen = 8

	ProtoUDP    = 17
	ProtoICMPv6 = 58

	version = 6 << 4
)

// Header is what matters of an IPv6 header.
type Header struct {
	Next     uint8
	HopLimit uint8
	Src, Dst netip.Addr
}

// Parse splits a packet; the payload aliases b and ends where Payload Length says.
// ok is false for what is no whole IPv6 packet.
func Parse(b []byte) (h Header, payload []byte, ok bool) {
	if len(b) < HeaderLen || b[0]&0xF0 != version {
		return Header{}, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if HeaderLen+n > len(b) {
		return Header{}, nil, false
	}
	h = Header{
		Next: b[6], HopLimit: b[7],
		Src: netip.AddrFrom16([16]byte(b[8:24])), Dst: netip.AddrFrom16([16]byte(b[24:40])),
	}
	return h, b[HeaderLen : HeaderLen+n], true
}

// LinkScope reports whether a means nothing beyond one link: link-local, or
// multicast, which is not routed here.
func LinkScope(a netip.Addr) bool { return a.IsLinkLocalUnicast() || a.IsMulticast() }

// LinkLocal is the link-local address of an interface identifier (RFC 4291 section
// 2.5.6).
func LinkLocal(id [8]byte) netip.Addr { return Join(netip.MustParsePrefix("fe80::/64"), id) }

// Join puts an interface identifier behind the first 64 bits of a prefix.
func Join(p netip.Prefix, id [8]byte) netip.Addr {
	a := p.Addr().As16()
	copy(a[8:], id[:])
	return netip.AddrFrom16(a)
}

// AppendICMP appends an ICMPv6 packet. message begins with type, code and two bytes
// for the checksum, which are filled in. The hop limit is 255: receivers take
// nothing else for a neighbour's (RFC 4861 section 6.1).
func AppendICMP(dst []byte, src, to netip.Addr, message []byte) []byte {
	dst = appendHeader(dst, ProtoICMPv6, 255, src, to, len(message))
	at := len(dst)
	dst = append(dst, message...)
	dst[at+2], dst[at+3] = 0, 0
	binary.BigEndian.PutUint16(dst[at+2:], Checksum(src, to, ProtoICMPv6, dst[at:]))
	return dst
}

// AppendUDP appends a UDP datagram.
func AppendUDP(dst []byte, src, to netip.AddrPort, data []byte) []byte {
	const hopLimit = 64
	length := udpHeaderLen + len(data)
	dst = appendHeader(dst, ProtoUDP, hopLimit, src.Addr(), to.Addr(), length)
	at := len(dst)
	dst = binary.BigEndian.AppendUint16(dst, src.Port())
	dst = binary.BigEndian.AppendUint16(dst, to.Port())
	dst = binary.BigEndian.AppendUint16(dst, uint16(length))
	dst = append(dst, 0, 0)
	dst = append(dst, data...)
	sum := Checksum(src.Addr(), to.Addr(), ProtoUDP, dst[at:])
	if sum == 0 {
		sum = 0xFFFF // RFC 8200 section 8.1: zero would mean none
	}
	binary.BigEndian.PutUint16(dst[at+6:], sum)
	return dst
}

func appendHeader(dst []byte, next, hops uint8, src, to netip.Addr, payload int) []byte {
	dst = append(dst, version, 0, 0, 0)
	dst = binary.BigEndian.AppendUint16(dst, uint16(payload))
	dst = append(dst, next, hops)
	s, d := src.As16(), to.As16()
	return append(append(dst, s[:]...), d[:]...)
}

// Checksum is the Internet checksum over a pseudo header and the upper-layer packet
// (RFC 8200 section 8.1). Over a packet that holds its right checksum it is 0.
func Checksum(src, dst netip.Addr, next uint8, upper []byte) uint16 {
	s, d := src.As16(), dst.As16()
	sum := uint32(len(upper)) + uint32(next)
	for _, b := range [...][]byte{s[:], d[:], upper} {
		for ; len(b) >= 2; b = b[2:] {
			sum += uint32(binary.BigEndian.Uint16(b))
		}
		if len(b) == 1 {
			sum += uint32(b[0]) << 8
		}
		sum = sum&0xFFFF + sum>>16
	}
	for sum > 0xFFFF {
		sum = sum&0xFFFF + sum>>16
	}
	return ^uint16(sum)
}

// ParseUDP splits a UDP datagram of a packet with header h. A wrong checksum, or
// none, which IPv6 does not allow (RFC 8200 section 8.1), makes it invalid.
func ParseUDP(h *Header, b []byte) (srcPort, dstPort uint16, data []byte, ok bool) {
	if h.Next != ProtoUDP || len(b) < udpHeaderLen {
		return 0, 0, nil, false
	}
	n := int(binary.BigEndian.Uint16(b[4:]))
	if n < udpHeaderLen || n > len(b) || binary.BigEndian.Uint16(b[6:]) == 0 ||
		Checksum(h.Src, h.Dst, ProtoUDP, b[:n]) != 0 {
		return 0, 0, nil, false
	}
	return binary.BigEndian.Uint16(b), binary.BigEndian.Uint16(b[2:]), b[udpHeaderLen:n], true
}
