package session

import (
	"net/netip"

	"github.com/lnsd/lnsd/control/dhcp6"
	"github.com/lnsd/lnsd/control/nd"
)

// Config6 is the IPv6 part of a Config.
type Config6 struct {
	// Pool and PDPool are where the prefix of the link and the delegated one come
	// from when the profile names neither a prefix nor a pool; "" is nowhere.
	Pool, PDPool string
	// Shared is a prefix of 64 bits that is announced to all who have no prefix of
	// their own; each has the one address in it that follows from its IPv4 address.
	Shared netip.Prefix
	// DNS are the name servers for those whose profile names none.
	DNS  []netip.Addr
	RA   *nd.Config
	DHCP *dhcp6.Config
}

// Profile6 is the IPv6 part of a Profile. A value that a Profile points to is not
// changed.
type Profile6 struct {
	// Only: the session gets no IPv4.
	Only bool
	// InterfaceID is the identifier that IPV6CP is to give the subscriber
	// (Framed-Interface-Id, RFC 3162 section 2.2); all zeros leave it to the peer.
	InterfaceID [8]byte
	// Prefixes are those of the subscriber's link, announced by router
	// advertisements (Framed-IPv6-Prefix, RFC 3162 section 2.3). One of 128 bits is
	// an address that DHCPv6 gives out.
	Prefixes []netip.Prefix
	// Addresses are given out by DHCPv6 (Framed-IPv6-Address, RFC 6911 section 3.1).
	Addresses []netip.Addr
	// Delegated are the prefixes for DHCPv6 prefix delegation
	// (Delegated-IPv6-Prefix, RFC 4818).
	Delegated []netip.Prefix
	// Routes are further prefixes behind the subscriber (Framed-IPv6-Route, RFC
	// 3162 section 2.5), announced by nobody on the link.
	Routes []netip.Prefix
	// Pool names the pool of the link's prefix where Prefixes is empty
	// (Framed-IPv6-Pool), PDPool that of the delegated one where Delegated is
	// (Delegated-IPv6-Prefix-Pool, RFC 6911 section 3.4). AddressPool names one of
	// single addresses for DHCPv6 where Addresses is empty (Stateful-IPv6-Address-Pool,
	// RFC 6911 section 3.5).
	Pool, PDPool, AddressPool string
	// DNS are the name servers (DNS-Server-IPv6-Address, RFC 6911 section 3.2);
	// none: those of the configuration.
	DNS []netip.Addr
}

// Network6 is what a session has of IPv6. A value that a Session, a View or an
// AcctRecord points to is never changed, only replaced by another.
type Network6 struct {
	// InterfaceID is the subscriber's, agreed by IPV6CP; all zeros before.
	InterfaceID [8]byte
	// Prefixes are those of its link, Delegated those that it was delegated or may
	// ask for, Addresses those for DHCPv6 to give out, Routes what is routed to it
	// besides.
	Prefixes, Delegated []netip.Prefix
	Addresses           []netip.Addr
	Routes              []netip.Prefix
	DNS                 []netip.Addr
}

// All lists every prefix that is the subscriber's, single addresses as prefixes of
// 128 bits: what it may send from, and what is routed to it.
func (n *Network6) All() []netip.Prefix {
	if n == nil {
		return nil
	}
	all := make([]netip.Prefix, 0, len(n.Prefixes)+len(n.Delegated)+len(n.Addresses)+len(n.Routes))
	all = append(all, n.Prefixes...)
	all = append(all, n.Delegated...)
	for _, a := range n.Addresses {
		all = append(all, netip.PrefixFrom(a, a.BitLen()))
	}
	return append(all, n.Routes...)
}
