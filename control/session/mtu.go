package session

import "net/netip"

// Sizes of what goes around an inner packet, in bytes.
const (
	outerIPv4   = 20
	outerIPv6   = 40
	outerUDP    = 8
	l2tpData    = 6 // flags, tunnel id, session id (RFC 2661 section 3.1)
	l2tpLength  = 2
	l2tpNsNr    = 4
	pppProtocol = 2
	pppAddrCtl  = 2
	innerIPTCP  = 40 // IPv4 and TCP headers without options
)

// innerMTU is the largest inner packet that the outer path carries whole and that
// the peer takes (its MRU; 0 is not known).
func (c *Config) innerMTU(peer netip.Addr, f Framing, mru uint16) uint16 {
	over := outerUDP + l2tpData + pppProtocol
	if peer.Unmap().Is4() {
		over += outerIPv4
	} else {
		over += outerIPv6
	}
	if f.Length {
		over += l2tpLength
	}
	if f.Sequence {
		over += l2tpNsNr
	}
	if f.AddressControl {
		over += pppAddrCtl
	}
	if f.CompressProtocol {
		over--
	}
	mtu := c.outerMTU() - over
	if mru != 0 && int(mru) < mtu {
		mtu = int(mru)
	}
	return uint16(mtu)
}

// clampMSS is the largest MSS whose segments fit both ways (RFC 6691 section 2).
func clampMSS(mtu, localMRU uint16) uint16 {
	if localMRU != 0 && localMRU < mtu {
		mtu = localMRU
	}
	if mtu <= innerIPTCP {
		return 0
	}
	return mtu - innerIPTCP
}
