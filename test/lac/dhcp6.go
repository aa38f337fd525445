package lac

import (
	"encoding/binary"
	"net/netip"
)

// dhcpClient is a DHCPv6 client that solicits and requests, and then keeps what it
// has got (RFC 8415 section 18.2). It is a writing of its own, so that a mistake of
// the server's is not made here, too.
type dhcpClient struct {
	server  []byte // of the offer that is being taken
	offered []byte // its identity associations, to be asked for as they are
	done    bool
	prefix  netip.Prefix
	address netip.Addr
}

const (
	dhcpSolicit, dhcpAdvertise, dhcpRequest, dhcpReply = 1, 2, 3, 7

	dhcpClientID, dhcpServerID, dhcpIANA, dhcpIAAddr, dhcpORO, dhcpIAPD, dhcpIAPrefix = 1, 2, 3, 5, 6, 25, 26
)

// message is what is to be sent now: a Solicit, or a Request once there is an offer.
func (c *dhcpClient) message(id uint32, need Need6) []byte {
	kind := byte(dhcpSolicit)
	if c.server != nil {
		kind = dhcpRequest
	}
	be := binary.BigEndian
	m := []byte{kind, byte(id >> 16), byte(id >> 8), byte(id)}
	option := func(code uint16, data []byte) {
		m = be.AppendUint16(m, code)
		m = be.AppendUint16(m, uint16(len(data)))
		m = append(m, data...)
	}
	// A DUID-EN (RFC 8415 section 11.3) of the enterprise number for documentation.
	option(dhcpClientID, be.AppendUint32([]byte{0, 2, 0, 0, 0x7E, 0xD9}, id))
	option(dhcpORO, []byte{0, 23, 0, 24})
	if c.server != nil {
		option(dhcpServerID, c.server)
		return append(m, c.offered...)
	}
	empty := func(iaid byte) []byte { return []byte{0, 0, 0, iaid, 0, 0, 0, 0, 0, 0, 0, 0} }
	if need&NeedAddress != 0 {
		option(dhcpIANA, empty(1))
	}
	if need&NeedDelegated != 0 {
		option(dhcpIAPD, empty(2))
	}
	return m
}

// answer takes a server's message; next is whether there is something more to be
// sent.
func (c *dhcpClient) answer(m []byte) (next bool) {
	if c.done || len(m) < 4 || m[0] != dhcpAdvertise && m[0] != dhcpReply {
		return false
	}
	var server, ias []byte
	var prefix netip.Prefix
	var address netip.Addr
	walk(m[4:], func(code uint16, whole, data []byte) {
		switch {
		case code == dhcpServerID:
			server = data
		case (code == dhcpIANA || code == dhcpIAPD) && len(data) >= 12:
			ias = append(ias, whole...)
			walk(data[12:], func(inner uint16, _, d []byte) {
				switch {
				case inner == dhcpIAAddr && len(d) >= 24 && binary.BigEndian.Uint32(d[20:]) > 0:
					address = netip.AddrFrom16([16]byte(d))
				case inner == dhcpIAPrefix && len(d) >= 25 && binary.BigEndian.Uint32(d[4:]) > 0 && d[8] <= 128:
					prefix = netip.PrefixFrom(netip.AddrFrom16([16]byte(d[9:])), int(d[8]))
				}
			})
		}
	})
	if server == nil || !prefix.IsValid() && !address.IsValid() {
		return false
	}
	if m[0] == dhcpAdvertise {
		if c.server != nil {
			return false
		}
		c.server, c.offered = append([]byte(nil), server...), append([]byte(nil), ias...)
		return true
	}
	c.done, c.prefix, c.address = true, prefix, address
	return false
}

// walk calls f with each whole option and its data, as long as they are well formed.
func walk(b []byte, f func(code uint16, whole, data []byte)) {
	for len(b) >= 4 {
		n := 4 + int(binary.BigEndian.Uint16(b[2:]))
		if n > len(b) {
			return
		}
		f(binary.BigEndian.Uint16(b), b[:n], b[4:n])
		b = b[n:]
	}
}
