package ppp

import "encoding/binary"

// Protocol is a PPP protocol number (RFC 1661 section 2).
type Protocol uint16

// Protocol numbers in use.
const (
	ProtoIPv4   Protocol = 0x0021
	ProtoIPv6   Protocol = 0x0057
	ProtoIPCP   Protocol = 0x8021
	ProtoIPV6CP Protocol = 0x8057
	ProtoCCP    Protocol = 0x80FD
	ProtoLCP    Protocol = 0xC021
	ProtoPAP    Protocol = 0xC023
	ProtoCHAP   Protocol = 0xC223
)

// Address and Control field values (RFC 1662 section 3.1).
const (
	allStations = 0xFF
	unnumbered  = 0x03
)

// ParseFrame splits a PPP frame as it arrives in an L2TP data message: address
// and control (FF 03) may be there or not, the protocol number may be compressed.
// payload aliases b. ok is false when b is too short or the protocol is not valid.
func ParseFrame(b []byte) (p Protocol, payload []byte, ok bool) {
	if len(b) >= 2 && b[0] == allStations && b[1] == unnumbered {
		b = b[2:]
	}
	if len(b) == 0 {
		return 0, nil, false
	}
	// RFC 1661 section 6.5: the least significant bit of each octet says whether
	// the protocol number ends there.
	if b[0]&1 != 0 {
		// FF alone is never a protocol: it is how an address field starts.
		if b[0] == allStations {
			return 0, nil, false
		}
		return Protocol(b[0]), b[1:], true
	}
	// RFC 1661 section 2: the first octet is even, the second odd; anything else
	// is a frame with an unrecognised protocol.
	if len(b) < 2 || b[1]&1 == 0 {
		return 0, nil, false
	}
	return Protocol(binary.BigEndian.Uint16(b)), b[2:], true
}

// packetHeader is the length of Code, Identifier and Length, which LCP, the NCPs,
// PAP and CHAP all begin with (RFC 1661 section 5).
const packetHeader = 4

// packet is one control protocol packet; its slices alias the frame.
type packet struct {
	code, id uint8
	data     []byte
	// whole is the packet with its header and without padding.
	whole []byte
}

// parsePacket reads the common header. A packet with an invalid Length is to be
// silently discarded; octets beyond Length are padding (RFC 1661 section 5).
func parsePacket(b []byte) (p packet, ok bool) {
	if len(b) < packetHeader {
		return packet{}, false
	}
	length := int(binary.BigEndian.Uint16(b[2:]))
	if length < packetHeader || length > len(b) {
		return packet{}, false
	}
	return packet{code: b[0], id: b[1], data: b[packetHeader:length], whole: b[:length]}, true
}
