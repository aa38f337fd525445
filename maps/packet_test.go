package maps

import (
	"encoding/binary"
	"net/netip"
	"slices"

	"github.com/lnsd/lnsd/control/session"
)

// The addresses of the tests' one subscriber and its surroundings.
var (
	local      = netip.MustParseAddrPort("192.0.2.1:1701")
	peer       = netip.MustParseAddrPort("192.0.2.2:17010")
	subscriber = netip.MustParseAddr("10.64.0.7")
	server     = netip.MustParseAddr("192.168.77.1") // by the default route
)

// subscriberSession is what the tests install unless they say otherwise.
func subscriberSession() Session {
	return Session{Slot: 7, Policy: Policy{
		Flags:    FlagLength | FlagAddressControl | FlagDontFragment | FlagUDPChecksum,
		TunnelId: 0x1234, SessionId: 0x5678,
		PeerTunnelId: 0x9ABC, PeerSessionId: 0xDEF0,
		Local: local.Addr().As4(), LocalPort: local.Port(),
		Peer: peer.Addr().As4(), PeerPort: peer.Port(),
		Address: subscriber.As4(), Mtu: 1460, ClampMss: 1380,
	}}
}

// tag is a VLAN tag in a test frame.
type tag struct{ protocol, tci uint16 }

func ether(dst, src []byte, protocol uint16, payload []byte, tags ...tag) []byte {
	b := slices.Concat(dst, src)
	for _, t := range tags {
		b = binary.BigEndian.AppendUint16(b, t.protocol)
		b = binary.BigEndian.AppendUint16(b, t.tci)
	}
	return append(binary.BigEndian.AppendUint16(b, protocol), payload...)
}

// header is the IPv4 header of a test packet; zero fields get usual values, and
// lengths and checksum are right unless change spoils them.
type header struct {
	src, dst netip.Addr
	protocol byte
	ttl      byte // 0 means 64
	tos      byte
	id, frag uint16
	options  []byte
	change   func(h []byte)
	// resum computes the checksum once more after change.
	resum bool
}

func (h header) packet(payload []byte) []byte {
	b := make([]byte, 20, 20+len(h.options)+len(payload))
	b[0] = 0x45 + byte(len(h.options)/4)
	b[1] = h.tos
	binary.BigEndian.PutUint16(b[2:], uint16(cap(b)))
	binary.BigEndian.PutUint16(b[4:], h.id)
	binary.BigEndian.PutUint16(b[6:], h.frag)
	if b[8] = h.ttl; h.ttl == 0 {
		b[8] = 64
	}
	b[9] = h.protocol
	copy(b[12:], h.src.AsSlice())
	copy(b[16:], h.dst.AsSlice())
	b = append(b, h.options...)
	putHeaderChecksum(b)
	if h.change != nil {
		h.change(b)
		if h.resum {
			putHeaderChecksum(b)
		}
	}
	return append(b, payload...)
}

func putHeaderChecksum(h []byte) {
	h[10], h[11] = 0, 0
	binary.BigEndian.PutUint16(h[10:], ^onesSum(0, h))
}

// onesSum is the plain Internet checksum sum of RFC 1071.
func onesSum(seed uint32, b []byte) uint16 {
	sum := seed
	for i := 0; i+1 < len(b); i += 2 {
		sum += uint32(b[i])<<8 | uint32(b[i+1])
	}
	if len(b)%2 == 1 {
		sum += uint32(b[len(b)-1]) << 8
	}
	for sum > 0xFFFF {
		sum = sum>>16 + sum&0xFFFF
	}
	return uint16(sum)
}

// l4Sum is the checksum of a transport segment with its pseudo header.
func l4Sum(src, dst netip.Addr, protocol byte, segment []byte) uint16 {
	pseudo := slices.Concat(src.AsSlice(), dst.AsSlice(), []byte{0, protocol})
	pseudo = binary.BigEndian.AppendUint16(pseudo, uint16(len(segment)))
	return ^onesSum(uint32(onesSum(0, pseudo)), segment)
}

func udp(src, dst netip.AddrPort, payload []byte) []byte {
	b := make([]byte, 8, 8+len(payload))
	binary.BigEndian.PutUint16(b[0:], src.Port())
	binary.BigEndian.PutUint16(b[2:], dst.Port())
	binary.BigEndian.PutUint16(b[4:], uint16(cap(b)))
	b = append(b, payload...)
	sum := l4Sum(src.Addr(), dst.Addr(), 17, b)
	if sum == 0 {
		sum = 0xFFFF
	}
	binary.BigEndian.PutUint16(b[6:], sum)
	return b
}

// syn is a TCP segment with flags and options, whose length is padded to four.
func syn(src, dst netip.Addr, flags byte, options []byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	b := make([]byte, 20, 20+len(options))
	binary.BigEndian.PutUint16(b[0:], 40000)
	binary.BigEndian.PutUint16(b[2:], 443)
	binary.BigEndian.PutUint32(b[4:], 0x01020304)
	b[12] = byte(20+len(options)) / 4 << 4
	b[13] = flags
	binary.BigEndian.PutUint16(b[14:], 0xFFFF)
	b = append(b, options...)
	binary.BigEndian.PutUint16(b[16:], l4Sum(src, dst, 6, b))
	return b
}

// data is a payload that tells a shifted byte from a right one.
func data(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// fromSubscriber is a UDP packet of n payload bytes towards the server.
func fromSubscriber(n int) []byte {
	return header{src: subscriber, dst: server, protocol: 17, id: 0x4242}.packet(
		udp(netip.AddrPortFrom(subscriber, 5000), netip.AddrPortFrom(server, 53), data(n)))
}

// toSubscriber is the answer to it.
func toSubscriber(n int) []byte {
	return header{src: server, dst: subscriber, protocol: 17, id: 0x2424}.packet(
		udp(netip.AddrPortFrom(server, 53), netip.AddrPortFrom(subscriber, 5000), data(n)))
}

// l2tpData is a data message of the session: the flags choose the header's
// fields, pad is the offset padding, ppp what stands before the packet.
type l2tpData struct {
	length, sequence, priority bool
	offset                     int    // -1: no Offset Size field
	ppp                        []byte // with its number, where sequence says so
	ns                         uint16
}

var (
	longPPP  = []byte{0xFF, 0x03, 0x00, 0x21}
	allPPP   = [][]byte{longPPP, {0x00, 0x21}, {0xFF, 0x03, 0x21}, {0x21}}
	usualPPP = l2tpData{length: true, offset: -1, ppp: longPPP}
)

func (d l2tpData) message(payload []byte) []byte {
	flags := uint16(2)
	var b []byte
	if d.length {
		flags |= 0x4000
		b = binary.BigEndian.AppendUint16(b, 0)
	}
	b = binary.BigEndian.AppendUint16(b, 0x1234)
	b = binary.BigEndian.AppendUint16(b, 0x5678)
	if d.sequence {
		flags |= 0x0800
		b = append(binary.BigEndian.AppendUint16(b, d.ns), 0, 0)
	}
	if d.offset >= 0 {
		flags |= 0x0200
		b = binary.BigEndian.AppendUint16(b, uint16(d.offset))
		b = append(b, make([]byte, d.offset)...)
	}
	if d.priority {
		flags |= 0x0100
	}
	b = slices.Concat(binary.BigEndian.AppendUint16(nil, flags), b, d.ppp, payload)
	if d.length {
		binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
	}
	return b
}

// fromPeer carries an L2TP message from the LAC to us.
func fromPeer(message []byte) []byte {
	return ether(lacMAC, peerMAC, 0x0800,
		header{src: peer.Addr(), dst: local.Addr(), protocol: 17}.packet(udp(peer, local, message)))
}

// uplinkFrame is the valid packet that the uplink cases are mutations of.
func uplinkFrame(inner []byte) []byte { return fromPeer(usualPPP.message(inner)) }

// downlinkFrame is the same for the downlink.
func downlinkFrame(inner []byte) []byte { return ether(coreMAC, gwMAC, 0x0800, inner) }

// routed is what a router makes of packet: TTL one less.
func routed(packet []byte) []byte {
	out := slices.Clone(packet)
	out[8]--
	putHeaderChecksum(out[:20])
	return out
}

// toCore is the frame that carries an uplink packet on.
func toCore(inner []byte) []byte { return ether(gwMAC, coreMAC, 0x0800, routed(inner)) }

// toPeer is the frame that carries a downlink packet to the session's peer.
func toPeer(p Policy, inner []byte) []byte { return toPeerAs(p, 0, inner) }

// toPeerAs is the same with a sequence number, for a session that has them.
func toPeerAs(p Policy, ns uint16, inner []byte) []byte {
	var ppp []byte
	if p.Flags&FlagAddressControl != 0 {
		ppp = append(ppp, 0xFF, 0x03)
	}
	if p.Flags&FlagPFC == 0 {
		ppp = append(ppp, 0)
	}
	if inner[0]>>4 == 6 {
		ppp = append(append(ppp, 0x57), hopped(inner)...)
	} else {
		ppp = append(append(ppp, 0x21), routed(inner)...)
	}
	outer := session.Framing{
		DSCP: session.DSCP{Copy: p.Flags&FlagCopyDSCP != 0, Value: p.OuterTos >> 2}, ECN: p.Flags&FlagECN != 0,
	}
	return carriedAs(p, outer.TOS(inner), ns, ppp)
}

// carried is the frame that carries a frame of PPP itself to the session's peer.
func carried(p Policy, ppp []byte) []byte { return carriedWith(p, p.OuterTos, ppp) }

// carriedWith is the frame that carries a PPP frame to the session's peer with a TOS.
func carriedWith(p Policy, tos byte, ppp []byte) []byte { return carriedAs(p, tos, 0, ppp) }

// carriedAs is the same with a sequence number, for a session that has them.
func carriedAs(p Policy, tos byte, ns uint16, ppp []byte) []byte {
	message := binary.BigEndian.AppendUint16(nil, 0x0002)
	if p.Flags&FlagLength != 0 {
		message = []byte{0x40, 0x02, 0, 0}
	}
	if p.Flags&FlagSequence != 0 {
		message[0] |= 0x08
	}
	message = binary.BigEndian.AppendUint16(message, p.PeerTunnelId)
	message = binary.BigEndian.AppendUint16(message, p.PeerSessionId)
	if p.Flags&FlagSequence != 0 {
		message = append(binary.BigEndian.AppendUint16(message, ns), 0, 0)
	}
	message = append(message, ppp...)
	if p.Flags&FlagLength != 0 {
		binary.BigEndian.PutUint16(message[2:], uint16(len(message)))
	}
	datagram := udp(local, peer, message)
	if p.Flags&FlagUDPChecksum == 0 {
		datagram[6], datagram[7] = 0, 0
	}
	h := header{src: local.Addr(), dst: peer.Addr(), protocol: 17, tos: tos}
	if p.Flags&FlagDontFragment != 0 {
		h.frag = 0x4000
	}
	return ether(peerMAC, lacMAC, 0x0800, h.packet(datagram))
}
