package config

import (
	"fmt"
	"net/netip"
	"strconv"
)

// pool6 runs "pool6 NAME add PREFIX LENGTH".
func (b *builder) pool6(args []token) {
	name, err := named("pool name", maxString).parse(args[0].text)
	if err != nil {
		b.fail(b.at(args[0]), "", "NAME %v", err)
		return
	}
	p, err := parsePrefix6(args[2].text)
	if err != nil {
		b.fail(b.at(args[2]), "", "PREFIX %v", err)
		return
	}
	length, err := strconv.Atoi(args[3].text)
	if err != nil || length < p.Bits() || length > 128 || length-p.Bits() > maxCut {
		b.fail(b.at(args[3]), "", "LENGTH must be a number from %d to %d", p.Bits(), min(128, p.Bits()+maxCut))
		return
	}
	b.addPrefix6(name, p, length, args)
}

// maxCut is how many bits longer the pieces of a prefix may be.
const maxCut = 39

func (b *builder) addPrefix6(name string, p netip.Prefix, length int, args []token) {
	i := -1
	for k := range b.c.Pools6 {
		pool := &b.c.Pools6[k]
		for _, q := range pool.Prefixes {
			switch {
			case pool.Name == name && q == p && pool.Length == length:
				return // the running configuration may repeat it
			case q.Overlaps(p):
				b.fail(b.at(args[2]), "", "%s overlaps %s of pool %s", p, q, pool.Name)
				return
			}
		}
		if pool.Name == name {
			i = k
		}
	}
	if i < 0 {
		i = len(b.c.Pools6)
		b.c.Pools6 = append(b.c.Pools6, Pool6{Name: name, Length: length})
	}
	pool := &b.c.Pools6[i]
	if pool.Length != length {
		b.fail(b.at(args[3]), "", "pool %s gives prefixes of %d bits already", name, pool.Length)
		return
	}
	pool.Prefixes = append(pool.Prefixes, p)
}

func parsePrefix6(s string) (netip.Prefix, error) {
	const shortest = 16
	p, err := netip.ParsePrefix(s)
	switch a := p.Addr(); {
	case err != nil || !a.Is6() || a.Is4In6():
		return netip.Prefix{}, fmt.Errorf("must be an IPv6 prefix, such as 2001:db8::/40")
	case p.Masked() != p:
		return netip.Prefix{}, fmt.Errorf("has bits set beyond its length: %s is meant", p.Masked())
	case p.Bits() < shortest:
		return netip.Prefix{}, fmt.Errorf("must not be larger than a /%d", shortest)
	case a.IsMulticast() || a.IsLinkLocalUnicast() || a.IsUnspecified() || a.IsLoopback():
		return netip.Prefix{}, fmt.Errorf("must be global or unique local")
	}
	return p, nil
}

// checkIPv6 checks what several settings say together.
func (b *builder) checkIPv6() {
	v := &b.c.IPv6
	for name, pool := range map[string]string{"ipv6_pool": v.Pool, "ipv6_pd_pool": v.PDPool} {
		if pos, given := b.seen[name]; given && !b.c.HasPool6(pool) {
			b.fail(pos, "pool6 "+pool+" add PREFIX LENGTH", "%s names pool %s, which has no prefixes", name, printable(pool))
		}
	}
	if v.Preferred > v.Valid {
		b.fail(b.where("dhcp6_preferred_lifetime", "dhcp6_valid_lifetime"), "", "dhcp6_preferred_lifetime must not be above dhcp6_valid_lifetime")
	}
	if v.RAPreferred > v.RAValid {
		b.fail(b.where("ipv6_ra_preferred_lifetime", "ipv6_ra_valid_lifetime"), "",
			"ipv6_ra_preferred_lifetime must not be above ipv6_ra_valid_lifetime")
	}
	if v.RALifetime < v.RAInterval {
		// RFC 4861 section 6.2.1: between MaxRtrAdvInterval and 9000 seconds.
		b.fail(b.where("ipv6_ra_lifetime", "ipv6_ra_interval"), "", "ipv6_ra_lifetime must not be below ipv6_ra_interval")
	}
}
