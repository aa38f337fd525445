package tun

import "encoding/binary"

// Offsets and sizes of the IPv4 header (RFC 791 section 3.1).
const (
	ipv4MinHeader = 20

	flagDF         = 0x4000
	flagMF         = 0x2000
	fragmentOffset = 0x1FFF

	protoICMP = 1
	protoTCP  = 6
)

// trimIPv4 checks what forwarding relies on (RFC 1812 section 5.2.2: version,
// header length, total length) and cuts off what follows the packet. The header
// checksum is left to the kernel, which verifies it again in any case.
func trimIPv4(b []byte) ([]byte, bool) {
	if len(b) < ipv4MinHeader || b[0]>>4 != 4 {
		return nil, false
	}
	header, total := headerLen(b), totalLen(b)
	if header < ipv4MinHeader || total < header || total > len(b) {
		return nil, false
	}
	return b[:total], true
}

// The accessors below take a packet that trimIPv4 has accepted. Addresses are
// numbers in host order.

func headerLen(p []byte) int       { return int(p[0]&0x0F) * 4 }
func totalLen(p []byte) int        { return int(binary.BigEndian.Uint16(p[2:])) }
func fragmentWord(p []byte) uint16 { return binary.BigEndian.Uint16(p[6:]) }
func protocol(p []byte) byte       { return p[9] }
func source(p []byte) uint32       { return binary.BigEndian.Uint32(p[12:]) }
func destination(p []byte) uint32  { return binary.BigEndian.Uint32(p[16:]) }

// checksum is the Internet checksum of b (RFC 1071).
func checksum(b []byte) uint16 {
	var sum uint32
	for len(b) >= 2 {
		sum += uint32(binary.BigEndian.Uint16(b))
		b = b[2:]
	}
	if len(b) == 1 {
		sum += uint32(b[0]) << 8
	}
	return ^fold(sum)
}

func fold(sum uint32) uint16 {
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return uint16(sum)
}

// setHeaderChecksum fills in the header checksum of a packet.
func setHeaderChecksum(p []byte) {
	p[10], p[11] = 0, 0
	binary.BigEndian.PutUint16(p[10:], checksum(p[:headerLen(p)]))
}
