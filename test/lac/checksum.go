package lac

import (
	"encoding/binary"
	"math/bits"
)

// sum is the ones' complement sum of RFC 1071, kept in 64 bits until it is folded.
// b may follow on earlier data of even length.
func sum(acc uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 8 {
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(b), 0)
		acc += carry
		b = b[8:]
	}
	if len(b) > 0 {
		var tail [8]byte
		copy(tail[:], b)
		acc, carry = bits.Add64(acc, binary.BigEndian.Uint64(tail[:]), 0)
		acc += carry
	}
	return acc
}

// fold completes a sum to the checksum, which is its complement.
func fold(acc uint64) uint16 {
	acc = acc>>32 + acc&0xffffffff
	acc = acc>>16 + acc&0xffff
	for acc>>16 != 0 {
		acc = acc>>16 + acc&0xffff
	}
	return ^uint16(acc)
}

// ipChecksum is the checksum of an IPv4 header; 0 when the header includes a right
// one.
func ipChecksum(header []byte) uint16 { return fold(sum(0, header)) }

// udpChecksum is the checksum of a UDP datagram with the pseudo header of its IPv4
// addresses (src and dst adjacent, 8 bytes); 0 when it includes a right one.
func udpChecksum(addrs, datagram []byte) uint16 {
	acc := sum(0, addrs)
	acc = acc>>32 + acc&0xffffffff // room for the two words that follow
	acc += protoUDP + uint64(len(datagram))
	return fold(sum(acc, datagram))
}
