package radius

import (
	"encoding/binary"
	"net/netip"

	"layeh.com/radius"
	"layeh.com/radius/rfc3162"
	"layeh.com/radius/rfc4818"
	"layeh.com/radius/rfc6911"

	"github.com/lnsd/lnsd/control/session"
)

// No RFC counts IPv6 apart. Juniper's attributes for it are those that servers and
// billing systems know best (dictionary.erx).
const (
	vendorERX = 4874

	erxInputOctets6    = 151
	erxOutputOctets6   = 152
	erxInputPackets6   = 153
	erxOutputPackets6  = 154
	erxInputGigaword6  = 155
	erxOutputGigaword6 = 156
)

// network6 appends what the subscriber has of IPv6.
func (q *requests) network6(n *session.Network6) {
	if n == nil {
		return
	}
	a := q.attrs
	if n.InterfaceID != [8]byte{} {
		a.raw(rfc3162.FramedInterfaceID_Type, n.InterfaceID[:])
	}
	for _, p := range n.Prefixes {
		a.prefix6(rfc3162.FramedIPv6Prefix_Type, p)
	}
	for _, x := range n.Addresses {
		a.address(0, rfc6911.FramedIPv6Address_Type, x)
	}
	for _, p := range n.Delegated {
		a.prefix6(rfc4818.DelegatedIPv6Prefix_Type, p)
	}
	for _, p := range n.Routes {
		start := len(a.values)
		// Gateway :: is the subscriber (RFC 3162 section 2.5).
		a.values = append(p.AppendTo(a.values), " :: 1"...)
		a.add(rfc3162.FramedIPv6Route_Type, start)
	}
}

// prefix6 appends a prefix: a reserved byte, the length, and as many bytes as hold it
// (RFC 3162 section 2.3, RFC 4818 section 3).
func (a *attributes) prefix6(t radius.Type, p netip.Prefix) {
	b := p.Masked().Addr().As16()
	start := len(a.values)
	a.values = append(a.values, 0, byte(p.Bits()))
	a.values = append(a.values, b[:(p.Bits()+7)/8]...)
	a.add(t, start)
}

// usage6 appends the part of the traffic that is IPv6, which the totals include.
func (q *requests) usage6(c *session.Counters) {
	for _, n := range [...]struct {
		attribute byte
		value     uint32
	}{
		{erxInputOctets6, uint32(c.UpBytes6)}, {erxOutputOctets6, uint32(c.DownBytes6)},
		{erxInputPackets6, uint32(c.UpPackets6)}, {erxOutputPackets6, uint32(c.DownPackets6)},
		{erxInputGigaword6, uint32(c.UpBytes6 >> 32)}, {erxOutputGigaword6, uint32(c.DownBytes6 >> 32)},
	} {
		q.attrs.vendor(vendorERX, n.attribute, binary.BigEndian.AppendUint32(nil, n.value))
	}
}
