package lac

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/ip6"
	"github.com/lnsd/lnsd/control/ppp"
)

// Need6 is what a subscriber must have got of IPv6 to count as up.
type Need6 uint8

// What can be needed.
const (
	NeedPrefix    Need6 = 1 << iota // an address by a router advertisement
	NeedDelegated                   // a prefix by DHCPv6
	NeedAddress                     // an address by DHCPv6
)

var needWords = []struct {
	word string
	need Need6
}{{"prefix", NeedPrefix}, {"delegated", NeedDelegated}, {"address", NeedAddress}}

// ParseNeed6 reads a list of prefix, delegated and address.
func ParseNeed6(words []string) (n Need6, err error) {
	for _, w := range words {
		i := slices.IndexFunc(needWords, func(x struct {
			word string
			need Need6
		}) bool {
			return x.word == strings.TrimSpace(w)
		})
		if i < 0 {
			return 0, fmt.Errorf("%q is none of prefix, delegated, address", w)
		}
		n |= needWords[i].need
	}
	return n, nil
}

// subscriber6 is the IPv6 of a subscriber: a host that listens to advertisements
// and a DHCPv6 client.
type subscriber6 struct {
	open      bool // IPV6CP
	id        [8]byte
	prefix    netip.Prefix
	address   netip.Addr // made in prefix
	delegated netip.Prefix
	leased    netip.Addr // by DHCPv6
	dns       []netip.Addr
	mtu       uint32

	client dhcpClient
	// next is when to solicit again, 0 for never.
	next  time.Duration
	tries int
}

// solicitEvery is the wait before a solicitation is repeated; it doubles.
const (
	solicitEvery = time.Second
	maxSolicits  = 8
)

// ipv6Up is called when IPV6CP has opened; the first solicitations leave at once.
func (s *session) ipv6Up(ids [2][8]byte) {
	s.six = subscriber6{open: true, id: ids[0]}
	if tun := s.t.w.tun; tun != nil && s.index == 0 {
		tun.attach6(s)
		return // the programs behind the interface ask themselves
	}
	s.solicit()
}

// solicit asks for what is still missing.
func (s *session) solicit() {
	x := &s.six
	w := s.t.w
	if !x.prefix.IsValid() {
		us := ip6.LinkLocal(x.id)
		s.sendLink(ip6.AppendICMP(nil, us, netip.MustParseAddr("ff02::2"), []byte{133, 0, 0, 0, 0, 0, 0, 0}))
	}
	if need := w.cfg.Need6; need&(NeedDelegated|NeedAddress) != 0 && !x.client.done {
		s.sendDHCP(x.client.message(uint32(s.number()), need))
	}
	x.tries++
	x.next = 0
	if x.tries < maxSolicits && (!x.prefix.IsValid() || !x.client.done) {
		x.next = w.clock + solicitEvery<<min(x.tries-1, 3)
	}
}

func (s *session) sendDHCP(m []byte) {
	from := netip.AddrPortFrom(ip6.LinkLocal(s.six.id), 546)
	s.sendLink(ip6.AppendUDP(nil, from, netip.MustParseAddrPort("[ff02::1:2]:547"), m))
}

// sendLink sends a packet of the link; it may be damaged on purpose, like PPP's own.
func (s *session) sendLink(p []byte) {
	frame := s.t.w.cfg.Framing.appendProtocol(nil, &s.n, ppp.ProtoIPv6)
	s.transmit(append(frame, p...))
}

// ip6 takes an IPv6 packet for the subscriber.
func (s *session) ip6(p []byte) {
	st := &s.t.w.stats
	h, m, ok := ip6.Parse(p)
	if !ok {
		st.wrong[faultHeader]++
		return
	}
	if s.toTUN(p) {
		return
	}
	if ip6.LinkScope(h.Dst) {
		s.linkPacket(&h, m)
		return
	}
	s.flow6.receivedPackets++
	s.flow6.receivedBytes += uint64(len(p))
	e, f := s.flow6.check6(p, &h, m)
	switch f {
	case faultNone:
		s.echoed(&s.flow6, e, len(p))
		st.received6++
	case faultForeign:
		if h.Next == ip6.ProtoICMPv6 && len(m) >= 8 && m[0] < 128 {
			st.icmpErrors[icmpKind{m[0], m[1]}]++
			return
		}
		st.foreign++
	default:
		st.wrong[f]++
	}
}

// linkPacket takes what the router says on the link.
func (s *session) linkPacket(h *ip6.Header, m []byte) {
	switch {
	case h.Next == ip6.ProtoICMPv6 && h.HopLimit == 255 && len(m) >= 16 && m[0] == 134 &&
		ip6.Checksum(h.Src, h.Dst, h.Next, m) == 0:
		s.advertised(m[16:])
	case h.Next == ip6.ProtoUDP:
		if _, to, data, ok := ip6.ParseUDP(h, m); ok && to == 546 {
			s.dhcpAnswer(data)
		}
	}
	s.got6()
}

// advertised takes the options of a router advertisement.
func (s *session) advertised(options []byte) {
	x := &s.six
	for len(options) >= 8 && options[1] > 0 && int(options[1])*8 <= len(options) {
		o := options[:int(options[1])*8]
		options = options[len(o):]
		switch {
		case o[0] == 3 && len(o) == 32 && o[3]&0x40 != 0 && binary.BigEndian.Uint32(o[4:]) > 0:
			p := netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:])), int(o[2]))
			if !x.prefix.IsValid() && p.Bits() == 64 {
				x.prefix, x.address = p, ip6.Join(p, x.id)
			}
		case o[0] == 5 && len(o) == 8:
			x.mtu = binary.BigEndian.Uint32(o[4:])
		case o[0] == 25 && len(o) >= 24 && len(x.dns) == 0:
			for a := o[8:]; len(a) >= 16; a = a[16:] {
				x.dns = append(x.dns, netip.AddrFrom16([16]byte(a)))
			}
		}
	}
}

func (s *session) dhcpAnswer(data []byte) {
	x := &s.six
	if next := x.client.answer(data); next {
		s.sendDHCP(x.client.message(uint32(s.number()), s.t.w.cfg.Need6))
	}
	x.delegated, x.leased = x.client.prefix, x.client.address
}

// got6 looks whether the subscriber has come up by what arrived.
func (s *session) got6() {
	if !s.flow6.ready {
		s.initFlow6()
	}
	s.comeUp()
}

// has reports whether the subscriber has got what it needs.
func (x *subscriber6) has(n Need6) bool {
	return (n&NeedPrefix == 0 || x.address.IsValid()) && (n&NeedDelegated == 0 || x.delegated.IsValid()) &&
		(n&NeedAddress == 0 || x.leased.IsValid())
}

// identifier is the interface identifier in hexadecimal; empty without IPV6CP.
func (x *subscriber6) identifier() string {
	if !x.open {
		return ""
	}
	return hex.EncodeToString(x.id[:])
}

// source is the address that traffic is sent from: the subscriber's own, or one in
// what was delegated to it.
func (x *subscriber6) source() netip.Addr {
	switch {
	case x.address.IsValid():
		return x.address
	case x.leased.IsValid():
		return x.leased
	case x.delegated.IsValid():
		return x.delegated.Addr().Next()
	}
	return netip.Addr{}
}
