package inside

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"

	"github.com/lnsd/lnsd/control/l2tp"
)

// ipv4UDP builds an IPv4 packet with a UDP datagram, both with checksums.
func ipv4UDP(src, dst netip.AddrPort, ttl byte, payload []byte) []byte {
	const ipLen, udpLen = 20, 8
	b := make([]byte, ipLen+udpLen, ipLen+udpLen+len(payload))
	b[0] = 0x45
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	b[8], b[9] = ttl, 17
	copy(b[12:], src.Addr().AsSlice())
	copy(b[16:], dst.Addr().AsSlice())
	binary.BigEndian.PutUint16(b[20:], src.Port())
	binary.BigEndian.PutUint16(b[22:], dst.Port())
	binary.BigEndian.PutUint16(b[24:], uint16(udpLen+len(payload)))
	b = append(b, payload...)
	binary.BigEndian.PutUint16(b[10:], ^sum(0, b[:ipLen]))
	binary.BigEndian.PutUint16(b[26:], ^udpSum(b))
	return b
}

// sum is the Internet checksum's sum (RFC 1071), not inverted.
func sum(start uint32, b []byte) uint16 {
	for ; len(b) > 1; b = b[2:] {
		start += uint32(binary.BigEndian.Uint16(b))
	}
	if len(b) == 1 {
		start += uint32(b[0]) << 8
	}
	for start > 0xFFFF {
		start = start>>16 + start&0xFFFF
	}
	return uint16(start)
}

// udpSum sums the UDP datagram in an IPv4 packet without options, and its
// pseudo-header.
func udpSum(ip []byte) uint16 {
	return sum(uint32(sum(0, ip[12:20]))+17+uint32(len(ip)-20), ip[20:])
}

// checkInner holds the packet in an L2TP data message against what was sent to
// the subscriber: everything as it was, but for one hop less.
func checkInner(message []byte, tunnelID, sessionID uint16, src, dst netip.AddrPort, payload []byte) error {
	h, body, err := l2tp.ParseHeader(message)
	if err != nil {
		return err
	}
	if h.IsControl() || h.TunnelID != tunnelID || h.SessionID != sessionID {
		return fmt.Errorf("header %+v, want data of tunnel %d session %d", h, tunnelID, sessionID)
	}
	ip, ok := l2tp.DataIP(body)
	if !ok {
		return fmt.Errorf("no IP packet in % x", body)
	}
	want := ipv4UDP(src, dst, 63, payload)
	if len(ip) != len(want) {
		return fmt.Errorf("inner packet of %d bytes, want %d", len(ip), len(want))
	}
	if sum(0, ip[:20]) != 0xFFFF {
		return fmt.Errorf("wrong header checksum in % x", ip[:20])
	}
	if udpSum(ip) != 0xFFFF {
		return fmt.Errorf("wrong UDP checksum in % x", ip)
	}
	// The sender's kernel chooses identification and flags.
	for _, field := range []struct {
		name     string
		from, to int
	}{
		{"version to length", 0, 4}, {"TTL and protocol", 8, 10}, {"addresses", 12, 20}, {"UDP", 20, 26}, {"payload", 28, len(want)},
	} {
		if !bytes.Equal(ip[field.from:field.to], want[field.from:field.to]) {
			return fmt.Errorf("inner %s: % x, want % x", field.name, ip[field.from:field.to], want[field.from:field.to])
		}
	}
	return nil
}
