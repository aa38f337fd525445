package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/dhcp6"
	"github.com/lnsd/lnsd/control/ip6"
	"github.com/lnsd/lnsd/control/nd"
	"github.com/lnsd/lnsd/control/ppp"
)

// six is what a session needs for IPv6; it is made when IPV6CP opens for the first
// time, as many never ask for it.
type six struct {
	open        bool // IPV6CP is open
	asked       bool // the claim is out, or was
	local, peer [8]byte
	// network is what was granted, nil before. refused: the forwarding path has no
	// room for it.
	network *Network6
	refused bool
	// router and server speak on the link once the forwarding path knows the
	// prefixes: nobody shall use one that is not forwarded yet.
	router *nd.Router
	server *dhcp6.Server
}

// ready reports whether there are prefixes to be forwarded.
func (x *six) ready() bool {
	return x != nil && x.open && !x.refused && x.network != nil && len(x.network.All()) > 0
}

// wants6 reports whether there is more to be had than link-local addresses.
func (s *Session) wants6() bool {
	c := s.cfg.IPv6
	return c != nil && (c.Pool != "" || c.PDPool != "" || c.Shared.IsValid() || s.auth.Profile.IPv6 != nil)
}

// offer6 is what IPV6CP is to ask for.
func (s *Session) offer6() ppp.IPv6 {
	if !s.wants6() {
		return ppp.IPv6{}
	}
	v := ppp.IPv6{Open: true}
	switch p := s.auth.Profile.IPv6; {
	case p != nil && p.InterfaceID != [8]byte{}:
		v.Peer = p.InterfaceID
	case s.sharesPrefix():
		v.Peer = s.sharedID()
	}
	return v
}

// sharesPrefix reports whether the session gets an address in the prefix that many
// share, because there is none of its own.
func (s *Session) sharesPrefix() bool {
	c, p := s.cfg.IPv6, s.auth.Profile.IPv6
	return c.Shared.IsValid() && s.address.Is4() && c.Pool == "" && (p == nil || len(p.Prefixes) == 0 && len(p.Addresses) == 0 && p.Pool == "")
}

// sharedID is the identifier in the shared prefix: the IPv4 address and four zeros,
// as l2tpns makes it.
func (s *Session) sharedID() (id [8]byte) {
	a := s.address.As4()
	copy(id[:], a[:])
	return id
}

// ipv6Up takes the outcome of IPV6CP.
func (s *Session) ipv6Up(now time.Time, ids [2][8]byte, out *Out) {
	if s.six == nil {
		s.six = &six{}
	}
	x := s.six
	x.open, x.local, x.peer = true, ids[0], ids[1]
	switch {
	case x.network != nil:
		x.network = x.network.with(x.peer)
		s.refresh(now, out)
	case !x.asked && s.state < stateClosing && s.wants6():
		x.asked = true
		out.Claim6 = append(out.Claim6, s.claim6())
	}
}

func (s *Session) ipv6Down(now time.Time, out *Out) {
	if s.six == nil {
		return
	}
	s.six.open, s.six.router = false, nil
	s.refresh(now, out)
}

// claim6 asks for what the profile grants, and for what the configuration says
// where the profile is silent.
func (s *Session) claim6() Claim6 {
	p := s.auth.Profile.IPv6
	if p == nil {
		p = &Profile6{}
	}
	c := Claim6{
		User: s.user, Duplicates: s.cfg.Duplicates, VRF: s.cfg.VRF,
		Prefixes: append([]netip.Prefix(nil), p.Prefixes...), Delegated: p.Delegated,
	}
	if len(p.Addresses) == 0 {
		c.AddressPool = p.AddressPool
	}
	for _, a := range p.Addresses {
		c.Prefixes = append(c.Prefixes, netip.PrefixFrom(a, a.BitLen()))
	}
	if s.sharesPrefix() {
		c.Prefixes = append(c.Prefixes, netip.PrefixFrom(ip6.Join(s.cfg.IPv6.Shared, s.sharedID()), 128))
	}
	if len(c.Prefixes) == 0 {
		c.Pool = either6(p.Pool, s.cfg.IPv6.Pool)
	}
	if len(c.Delegated) == 0 {
		c.PDPool = either6(p.PDPool, s.cfg.IPv6.PDPool)
	}
	return c
}

func either6(a, b string) string {
	if a != "" {
		return a
	}
	return b
}

// Claimed6 takes the answer to a Claim6; r is not kept.
func (s *Session) Claimed6(now time.Time, r *ClaimResult6, out *Out) {
	x := s.six
	if x == nil || x.network != nil || s.state >= stateClosing {
		return
	}
	if r.Outcome != Granted {
		out.Events = append(out.Events, Event{Kind: ClaimFailed, Claim: r.Outcome, Detail: "IPv6: " + r.Outcome.String()})
	}
	n := Network6{InterfaceID: x.peer, Delegated: r.Network.Delegated, DNS: s.cfg.IPv6.DNS}
	for _, p := range r.Network.Prefixes {
		if p.Bits() == 128 {
			n.Addresses = append(n.Addresses, p.Addr())
		} else {
			n.Prefixes = append(n.Prefixes, p)
		}
	}
	if p := s.auth.Profile.IPv6; p != nil {
		n.Routes = p.Routes
		if len(p.DNS) > 0 {
			n.DNS = p.DNS
		}
	}
	x.network = &n
	if x.open {
		s.refresh(now, out)
	}
}

// with returns n with another interface identifier.
func (n *Network6) with(id [8]byte) *Network6 {
	next := *n
	next.InterfaceID = id
	return &next
}

// advertise begins to speak on the link, once the forwarding path knows it.
func (s *Session) advertise(now time.Time, out *Out) {
	x := s.six
	if !x.ready() || x.router != nil || s.cfg.IPv6 == nil {
		return
	}
	x.router = nd.NewRouter(s.cfg.IPv6.RA, s.linkOf(x), s.random, now)
	if x.server == nil {
		n := x.network
		x.server = dhcp6.New(s.cfg.IPv6.DHCP, dhcp6.Grant{
			Addresses: n.Addresses, Delegated: n.Delegated, Link: n.Prefixes, DNS: n.DNS,
		}, s.random)
	}
	s.speak(now, out)
}

// minMTU6 is the least MTU of a link with IPv6 (RFC 8200 section 5).
const minMTU6 = 1280

// linkOf is what the router is to say of the link.
func (s *Session) linkOf(x *six) nd.Link {
	l := nd.Link{ID: x.local, Prefixes: x.network.Prefixes, DNS: x.network.DNS, Managed: len(x.network.Addresses) > 0}
	if s.mtu >= minMTU6 {
		l.MTU = s.mtu
	}
	if s.sharesPrefix() {
		l.Prefixes = append([]netip.Prefix{s.cfg.IPv6.Shared}, l.Prefixes...)
	}
	return l
}

// speak sends the advertisement that is due, if one is.
func (s *Session) speak(now time.Time, out *Out) {
	if x := s.six; x != nil && x.router != nil {
		s.sendIPv6(x.router.Timer(now), out)
	}
}

// farewell tells the subscriber that the prefixes are not to be used any more.
func (s *Session) farewell(out *Out) {
	if x := s.six; x != nil && x.router != nil {
		s.sendIPv6(x.router.Close(), out)
		x.router = nil
	}
}

// sendIPv6 sends an IPv6 packet of our own to the subscriber; nil is none.
func (s *Session) sendIPv6(packet []byte, out *Out) {
	if packet == nil {
		return
	}
	frame := make([]byte, 0, 4+len(packet))
	if s.framing.AddressControl {
		frame = append(frame, 0xFF, 0x03)
	}
	if !s.framing.CompressProtocol {
		frame = append(frame, byte(ppp.ProtoIPv6>>8))
	}
	frame = append(frame, byte(ppp.ProtoIPv6&0xFF))
	s.send(append(frame, packet...), out)
}

// allServers is where clients send to (RFC 8415 section 7.1).
var allServers = netip.MustParseAddr("ff02::1:2")

// LinkPacket takes an IPv6 packet of the subscriber that is not for forwarding:
// from or to an address of the link alone. packet is not kept.
func (s *Session) LinkPacket(now time.Time, packet []byte, out *Out) {
	x := s.six
	if x == nil || !x.open || x.router == nil || s.link == nil {
		return
	}
	h, payload, ok := ip6.Parse(packet)
	if !ok {
		return
	}
	s.link.Heard(now)
	switch h.Next {
	case ip6.ProtoICMPv6:
		s.sendIPv6(x.router.Receive(now, &h, payload), out)
		s.speak(now, out)
	case ip6.ProtoUDP:
		s.dhcp(now, &h, payload, out)
	}
}

// dhcp takes a UDP packet of the link.
func (s *Session) dhcp(now time.Time, h *ip6.Header, payload []byte, out *Out) {
	us := ip6.LinkLocal(s.six.local)
	if !h.Src.IsLinkLocalUnicast() || h.Dst != allServers && h.Dst != us {
		return
	}
	_, to, data, ok := ip6.ParseUDP(h, payload)
	if !ok || to != dhcp6.ServerPort {
		return
	}
	answer := s.six.server.Receive(now, data, h.Dst == allServers)
	if answer == nil {
		return
	}
	s.sendIPv6(ip6.AppendUDP(nil, netip.AddrPortFrom(us, dhcp6.ServerPort),
		netip.AddrPortFrom(h.Src, dhcp6.ClientPort), answer), out)
}
