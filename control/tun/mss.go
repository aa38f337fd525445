package tun

import "encoding/binary"

// Layout of the TCP header (RFC 9293 section 3.1).
const (
	tcpMinHeader = 20
	tcpFlagSYN   = 0x02

	optionEnd = 0
	optionNop = 1
	optionMSS = 2
)

// clampMSS lowers the Maximum Segment Size option of a TCP SYN or SYN-ACK to
// limit bytes, and reports whether it did. A SYN without the option is left
// alone: its sender has promised to take no more than 536 bytes (RFC 9293 section
// 3.7.1). Only the first fragment holds the TCP header.
func clampMSS(p []byte, limit uint16) bool {
	if limit == 0 || protocol(p) != protoTCP || fragmentWord(p)&fragmentOffset != 0 {
		return false
	}
	return clampTCP(p[headerLen(p):], limit)
}

// clampTCP does so in a segment.
func clampTCP(tcp []byte, limit uint16) bool {
	if len(tcp) < tcpMinHeader || tcp[13]&tcpFlagSYN == 0 {
		return false
	}
	end := int(tcp[12]>>4) * 4
	if end < tcpMinHeader || end > len(tcp) {
		return false
	}
	for i := tcpMinHeader; i < end; {
		switch tcp[i] {
		case optionEnd:
			return false
		case optionNop:
			i++
			continue
		}
		if i+1 >= end || tcp[i+1] < 2 || i+int(tcp[i+1]) > end {
			return false
		}
		if tcp[i] != optionMSS {
			i += int(tcp[i+1])
			continue
		}
		if tcp[i+1] != 4 || binary.BigEndian.Uint16(tcp[i+2:]) <= limit {
			return false
		}
		setTCPWord(tcp, i+2, limit)
		return true
	}
	return false
}

// setTCPWord stores v at offset at and updates the TCP checksum incrementally
// (RFC 1624 section 3, equation 3: HC' = ~(~HC + ~m + m')). A word that is not
// aligned counts with its bytes exchanged, as they belong to two words of the
// sum.
func setTCPWord(tcp []byte, at int, v uint16) {
	old := binary.BigEndian.Uint16(tcp[at:])
	binary.BigEndian.PutUint16(tcp[at:], v)
	if at%2 == 1 {
		old, v = old<<8|old>>8, v<<8|v>>8
	}
	sum := uint32(^binary.BigEndian.Uint16(tcp[16:])) + uint32(^old) + uint32(v)
	binary.BigEndian.PutUint16(tcp[16:], ^fold(sum))
}
