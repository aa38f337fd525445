package tun

import (
	"encoding/binary"
	"net/netip"
)

// The IPv6 header (RFC 8200 section 3).
const (
	ipv6Header  = 40
	protoICMPv6 = 58

	// ipv6Extra is how much longer it is than IPv4's: a session's MSS limit is
	// for IPv4, and in IPv6 that much less (RFC 6691 section 2).
	ipv6Extra = ipv6Header - ipv4MinHeader
)

// trimIPv6 checks version and length and cuts off what follows the packet.
func trimIPv6(b []byte) ([]byte, bool) {
	if len(b) < ipv6Header || b[0]>>4 != 6 {
		return nil, false
	}
	total := ipv6Header + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return nil, false
	}
	return b[:total], true
}

// The accessors below take a packet that trimIPv6 has accepted.

func nextHeader(p []byte) byte         { return p[6] }
func source6(p []byte) netip.Addr      { return netip.AddrFrom16([16]byte(p[8:24])) }
func destination6(p []byte) netip.Addr { return netip.AddrFrom16([16]byte(p[24:40])) }

// linkScope is true of addresses that mean nothing beyond one link: link-local
// ones (RFC 4291 section 2.5.6) and, since nothing here routes them, multicast.
func linkScope(a netip.Addr) bool { return a.IsLinkLocalUnicast() || a.IsMulticast() }

// clampMSS6 does for an IPv6 packet what clampMSS does for IPv4; limit is that of
// IPv4. TCP behind extension headers, fragments with it, is left alone.
func clampMSS6(p []byte, limit uint16) bool {
	return limit > ipv6Extra && nextHeader(p) == protoTCP && clampTCP(p[ipv6Header:], limit-ipv6Extra)
}
