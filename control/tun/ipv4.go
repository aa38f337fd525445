package tun

import (
	"encoding/binary"
	"math/bits"
)

// Offsets and sizes of the IPv4 header (RFC 791 section 3.1).
const (
	ipv4MinHeader = 20

	flagDF         = 0x4000
	flagMF         = 0x2000
	fragmentOffset = 0x1FFF

	protoICMP = 1
	protoTCP  = 6
	protoUDP  = 17
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
func checksum(b []byte) uint16 { return ^onesSum(b) }

// onesSum is the ones' complement sum of the 16-bit words of b. It adds words of
// 64 bits as they lie in memory, which gives the same (RFC 1071 section 2(B)).
func onesSum(b []byte) uint16 {
	var sum, carry uint64
	for len(b) >= 64 {
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[8:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[16:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[24:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[32:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[40:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[48:]), carry)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b[56:]), carry)
		b = b[64:]
	}
	for len(b) >= 8 {
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(b), carry)
		b = b[8:]
	}
	if len(b) > 0 {
		var rest [8]byte
		copy(rest[:], b)
		sum, carry = bits.Add64(sum, binary.NativeEndian.Uint64(rest[:]), carry)
	}
	// A carry out of the last sum can't be followed by another.
	sum, carry = bits.Add64(sum, 0, carry)
	sum += carry
	sum = sum>>32 + sum&0xFFFFFFFF
	sum = sum>>32 + sum&0xFFFFFFFF
	var word [2]byte
	binary.NativeEndian.PutUint16(word[:], fold(uint32(sum)))
	return binary.BigEndian.Uint16(word[:])
}

// pseudoSum is the sum of the pseudo header of packet p (RFC 9293 section 3.1),
// without the length that belongs to it.
func pseudoSum(p []byte) uint32 {
	a, b := source(p), destination(p)
	return a>>16 + a&0xFFFF + b>>16 + b&0xFFFF + uint32(protocol(p))
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
