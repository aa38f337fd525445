// Package l2tp is the L2TPv2 protocol of RFC 2661 without any input or output:
// bytes, calls and a clock go in, bytes and events come out.
package l2tp

import (
	"encoding/binary"
	"errors"
)

// Header is a parsed L2TP header, control or data (RFC 2661 section 3.1).
type Header struct {
	Flags               uint16 // the first 16 bits as received, see the Flag constants
	Length              uint16 // of the whole message; the datagram's length when L is 0
	TunnelID, SessionID uint16 // assigned by the receiver of the packet
	Ns, Nr              uint16 // valid when FlagSequence is set
}

// Bits of the first header word.
const (
	FlagControl  uint16 = 0x8000 // T
	FlagLength   uint16 = 0x4000 // L
	FlagSequence uint16 = 0x0800 // S
	FlagOffset   uint16 = 0x0200 // O
	FlagPriority uint16 = 0x0100 // P
	VersionMask  uint16 = 0x000F
)

const (
	version = 2 // Ver of every L2TPv2 header

	// controlHeaderLen is the length of a control header: flags, Length, both ids,
	// Ns and Nr, all of them required (section 3.1).
	controlHeaderLen = 12
	// Where the fields of a control header lie.
	offLength, offNs, offNr = 2, 8, 10
)

// Errors of ParseHeader. A datagram that has one is discarded, never answered.
var (
	ErrShort = errors.New("l2tp: datagram ends inside the header")
	// ErrL2F and ErrL2TPv3 are the other protocols that share the port.
	ErrL2F     = errors.New("l2tp: L2F packet (version 1)")
	ErrL2TPv3  = errors.New("l2tp: L2TPv3 packet (version 3)")
	ErrVersion = errors.New("l2tp: unknown version")
	ErrLength  = errors.New("l2tp: Length does not fit the datagram")
	ErrOffset  = errors.New("l2tp: Offset Size points beyond the message")
	// ErrControlFlags is a control message without L or S, or with O.
	ErrControlFlags = errors.New("l2tp: control message with illegal flags")
)

// IsControl reports whether the T bit is set.
func (h *Header) IsControl() bool { return h.Flags&FlagControl != 0 }

// ParseHeader parses the header of datagram b and returns it with what follows:
// the AVPs of a control message, or the PPP frame of a data message (offset
// padding skipped, bytes beyond Length cut off). body aliases b. The error is one
// of the package's Err values and never allocates.
func ParseHeader(b []byte) (h Header, body []byte, err error) {
	if len(b) < 6 {
		return h, nil, ErrShort
	}
	h.Flags = binary.BigEndian.Uint16(b)
	// Section 3.1: packets with an unknown Ver are discarded. Reserved bits are
	// ignored.
	if h.Flags&VersionMask != version {
		return h, nil, versionError(h.Flags & VersionMask)
	}
	if h.IsControl() {
		return parseControlHeader(h, b)
	}
	return parseDataHeader(h, b)
}

func versionError(v uint16) error {
	switch v {
	case 1:
		return ErrL2F
	case 3:
		return ErrL2TPv3
	}
	return ErrVersion
}

func parseControlHeader(h Header, b []byte) (Header, []byte, error) {
	// Section 3.1: L and S MUST be 1 and O MUST be 0. P must be 0 as well, but it
	// changes neither the layout nor the meaning and is let through.
	if h.Flags&(FlagLength|FlagSequence|FlagOffset) != FlagLength|FlagSequence {
		return h, nil, ErrControlFlags
	}
	if len(b) < controlHeaderLen {
		return h, nil, ErrShort
	}
	h.Length = binary.BigEndian.Uint16(b[offLength:])
	if int(h.Length) < controlHeaderLen || int(h.Length) > len(b) {
		return h, nil, ErrLength
	}
	h.TunnelID = binary.BigEndian.Uint16(b[4:])
	h.SessionID = binary.BigEndian.Uint16(b[6:])
	h.Ns = binary.BigEndian.Uint16(b[offNs:])
	h.Nr = binary.BigEndian.Uint16(b[offNr:])
	return h, b[controlHeaderLen:h.Length], nil
}

func parseDataHeader(h Header, b []byte) (Header, []byte, error) {
	p := 2
	if len(b) > 0xFFFF {
		return h, nil, ErrLength
	}
	h.Length = uint16(len(b))
	if h.Flags&FlagLength != 0 {
		h.Length = binary.BigEndian.Uint16(b[offLength:])
		// What lies behind Length is padding of the carrier, not payload.
		if int(h.Length) > len(b) {
			return h, nil, ErrLength
		}
		b = b[:h.Length]
		p += 2
	}
	if len(b) < p+4 {
		return h, nil, ErrShort
	}
	h.TunnelID = binary.BigEndian.Uint16(b[p:])
	h.SessionID = binary.BigEndian.Uint16(b[p+2:])
	p += 4
	if h.Flags&FlagSequence != 0 {
		if len(b) < p+4 {
			return h, nil, ErrShort
		}
		h.Ns = binary.BigEndian.Uint16(b[p:])
		h.Nr = binary.BigEndian.Uint16(b[p+2:])
		p += 4
	}
	if h.Flags&FlagOffset != 0 {
		if len(b) < p+2 {
			return h, nil, ErrShort
		}
		// Section 3.1: counted from the end of the Offset Size field.
		p += 2 + int(binary.BigEndian.Uint16(b[p:]))
		if p > len(b) {
			return h, nil, ErrOffset
		}
	}
	return h, b[p:], nil
}

// AppendDataHeader appends a data header. payload is the number of bytes that
// will follow; it is used when length is true. With sequence, ns goes into the
// header (Nr is 0, section 5.4).
func AppendDataHeader(dst []byte, tunnelID, sessionID uint16, length, sequence bool, ns uint16, payload int) []byte {
	flags, size := uint16(version), 6
	if length {
		flags, size = flags|FlagLength, size+2
	}
	if sequence {
		flags, size = flags|FlagSequence, size+4
	}
	dst = binary.BigEndian.AppendUint16(dst, flags)
	if length {
		dst = binary.BigEndian.AppendUint16(dst, uint16(size+payload))
	}
	dst = binary.BigEndian.AppendUint16(dst, tunnelID)
	dst = binary.BigEndian.AppendUint16(dst, sessionID)
	if sequence {
		dst = binary.BigEndian.AppendUint16(dst, ns)
		dst = binary.BigEndian.AppendUint16(dst, 0)
	}
	return dst
}

// appendControlHeader appends a control header. Length, and for queued messages
// Ns and Nr, are filled in later.
func appendControlHeader(dst []byte, tunnelID, sessionID, ns, nr uint16) []byte {
	dst = binary.BigEndian.AppendUint16(dst, FlagControl|FlagLength|FlagSequence|version)
	dst = binary.BigEndian.AppendUint16(dst, controlHeaderLen)
	dst = binary.BigEndian.AppendUint16(dst, tunnelID)
	dst = binary.BigEndian.AppendUint16(dst, sessionID)
	dst = binary.BigEndian.AppendUint16(dst, ns)
	return binary.BigEndian.AppendUint16(dst, nr)
}
