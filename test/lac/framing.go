package lac

import (
	"encoding/binary"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// appendHeader appends an L2TP data header (RFC 2661 section 3.1) for payload
// bytes of PPP, in the variant that f asks for. sequence puts ns in.
func (f *Framing) appendHeader(dst []byte, tunnelID, sessionID uint16, sequence bool, ns uint16, payload int) []byte {
	start := len(dst)
	flags := uint16(2) // version
	dst = append(dst, 0, 0)
	if f.Length {
		flags |= l2tp.FlagLength
		dst = append(dst, 0, 0)
	}
	be := binary.BigEndian
	dst = be.AppendUint16(dst, tunnelID)
	dst = be.AppendUint16(dst, sessionID)
	if sequence {
		flags |= l2tp.FlagSequence
		dst = be.AppendUint16(dst, ns)
		dst = be.AppendUint16(dst, 0) // Nr is reserved in data messages
	}
	if f.HasOffset {
		flags |= l2tp.FlagOffset
		dst = be.AppendUint16(dst, uint16(f.Offset))
		for i := range f.Offset {
			dst = append(dst, byte(i)|0x80) // the pad's content is undefined
		}
	}
	be.PutUint16(dst[start:], flags)
	if f.Length {
		be.PutUint16(dst[start+2:], uint16(len(dst)-start+payload))
	}
	return dst
}

// appendProtocol appends what PPP puts before a packet of IPv4 or IPv6: address and control
// unless they are compressed away, and the protocol number (RFC 1661 sections 6.5
// and 6.6).
func (f *Framing) appendProtocol(dst []byte, n *ppp.Negotiated, p ppp.Protocol) []byte {
	if f.AddressControl == Always || f.AddressControl == Auto && !n.ACFC {
		dst = append(dst, 0xff, 0x03)
	}
	if n.PFC {
		return append(dst, byte(p))
	}
	return binary.BigEndian.AppendUint16(dst, uint16(p))
}
