package l2tp

import "encoding/binary"

// PPP protocol numbers of what a data message carries without the control
// plane's help.
const (
	ProtocolIPv4 uint16 = 0x0021
	ProtocolIPv6 uint16 = 0x0057
)

// Framing is how data messages to one peer look. Every variant is legal on the
// way in; on the way out it is the peer's choice or what LCP negotiated.
type Framing struct {
	// Length and Sequence put the optional header fields in.
	Length, Sequence bool
	// AddressControl sends FF 03 before the protocol (no ACFC).
	AddressControl bool
	// ShortProtocol sends one byte for protocols below 0x100 (PFC).
	ShortProtocol bool
}

// Overhead is the number of bytes between the UDP header and a packet of protocol.
func (f Framing) Overhead(protocol uint16) int {
	n := 6 + 2
	if f.Length {
		n += 2
	}
	if f.Sequence {
		n += 4
	}
	if f.AddressControl {
		n += 2
	}
	if f.ShortProtocol && protocol <= 0xFF {
		n--
	}
	return n
}

// AppendPPP appends the start of a PPP frame up to the protocol field.
func AppendPPP(dst []byte, protocol uint16, addressControl, shortProtocol bool) []byte {
	if addressControl {
		dst = append(dst, 0xFF, 0x03)
	}
	if shortProtocol && protocol <= 0xFF {
		return append(dst, byte(protocol))
	}
	return binary.BigEndian.AppendUint16(dst, protocol)
}

// ParsePPP splits a PPP frame as L2TP carries it, without flags and CRC. FF 03
// may be there or not and the protocol may have one byte or two, in any packet,
// whatever was negotiated. ok is false when the frame ends before the protocol
// does, or when the protocol is not a legal number (RFC 1661 section 2: the low
// bit of the last octet is 1, that of the first of two is 0).
func ParsePPP(frame []byte) (protocol uint16, payload []byte, ok bool) {
	if len(frame) >= 2 && frame[0] == 0xFF && frame[1] == 0x03 {
		frame = frame[2:]
	}
	if len(frame) == 0 {
		return 0, nil, false
	}
	if frame[0]&1 != 0 {
		return uint16(frame[0]), frame[1:], true
	}
	if len(frame) < 2 || frame[1]&1 == 0 {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(frame), frame[2:], true
}

// AppendDataIP appends a whole data message with the IP packet ip, whose first
// byte says whether it is IPv4 or IPv6. ns is used when f.Sequence is set.
func AppendDataIP(dst []byte, f Framing, tunnelID, sessionID, ns uint16, ip []byte) []byte {
	protocol := ProtocolIPv4
	if len(ip) > 0 && ip[0]>>4 == 6 {
		protocol = ProtocolIPv6
	}
	return AppendData(dst, f, tunnelID, sessionID, ns, protocol, ip)
}

// AppendData appends a whole data message with a PPP frame of protocol.
func AppendData(dst []byte, f Framing, tunnelID, sessionID, ns, protocol uint16, payload []byte) []byte {
	ppp := 2
	if f.AddressControl {
		ppp += 2
	}
	if f.ShortProtocol && protocol <= 0xFF {
		ppp--
	}
	dst = AppendDataHeader(dst, tunnelID, sessionID, f.Length, f.Sequence, ns, ppp+len(payload))
	dst = AppendPPP(dst, protocol, f.AddressControl, f.ShortProtocol)
	return append(dst, payload...)
}

// DataIP returns the IP packet in a data message's PPP frame (the body that
// ParseHeader returned). ok is false when the frame carries something else, or
// when the packet's version contradicts the protocol. ip aliases frame; its
// length fields are not looked at.
func DataIP(frame []byte) (ip []byte, ok bool) {
	protocol, ip, ok := ParsePPP(frame)
	if !ok || len(ip) == 0 {
		return nil, false
	}
	switch {
	case protocol == ProtocolIPv4 && ip[0]>>4 == 4:
		return ip, true
	case protocol == ProtocolIPv6 && ip[0]>>4 == 6:
		return ip, true
	}
	return nil, false
}
