package main

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/dhcp6"
	"github.com/lnsd/lnsd/control/nd"
	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// servesIPv6 reports whether subscribers' IPv6 is carried: as configured, and where
// that is left open, if there is something to give and the kernel knows IPv6.
func servesIPv6(c *config.Config, s *subscribers) bool {
	if c.IPv6.On != config.Automatic {
		return c.IPv6.On == config.Yes
	}
	if _, err := os.Stat("/proc/sys/net/ipv6"); err != nil {
		return false
	}
	return c.ServesIPv6() || s != nil && s.secrets != nil && s.secrets.GrantsIPv6()
}

// prefixPools makes the pools of IPv6 prefixes. The one with our own address is never
// given out.
func prefixPools(c *config.Config) ([]*pool.Prefixes, error) {
	var own []netip.Prefix
	if a := address6(c); a.IsValid() {
		own = append(own, netip.PrefixFrom(a, a.BitLen()))
	}
	var out []*pool.Prefixes
	for _, p := range c.Pools6 {
		made, err := pool.NewPrefixes(pool.PrefixConfig{Name: p.Name, Prefixes: p.Prefixes, Length: p.Length, Exclude: own})
		if err != nil {
			return nil, fmt.Errorf("pool6 %s: %w", p.Name, err)
		}
		out = append(out, made)
	}
	return out, nil
}

// routes6 are the prefixes that subscribers' addresses come from, each of which gets
// one route.
func routes6(c *config.Config) []netip.Prefix {
	var out []netip.Prefix
	for _, p := range c.Pools6 {
		out = append(out, p.Prefixes...)
	}
	if p := sharedPrefix(c); p.IsValid() {
		out = append(out, p)
	}
	return out
}

func sharedPrefix(c *config.Config) netip.Prefix {
	if !c.IPv6.Prefix.IsValid() {
		return netip.Prefix{}
	}
	return netip.PrefixFrom(c.IPv6.Prefix, 64).Masked()
}

// address6 is our address on the subscribers' side: as configured, else the first of
// the first pool, else one of the host's, without which subscribers would not hear
// of packets that are too big. The zero address where there is none.
func address6(c *config.Config) netip.Addr {
	if c.IPv6.Address.IsValid() {
		return c.IPv6.Address
	}
	if p := routes6(c); len(p) > 0 {
		return p[0].Addr().Next()
	}
	addrs, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}
	}
	for _, a := range addrs {
		p, err := netip.ParsePrefix(a.String())
		if err == nil && p.Addr().Is6() && p.Addr().IsGlobalUnicast() {
			return p.Addr()
		}
	}
	return netip.Addr{}
}

// sessionConfig6 is what subscribers of a LAC get of IPv6.
func sessionConfig6(c *config.Config, lac config.LAC) *session.Config6 {
	v := &c.IPv6
	s := &session.Config6{
		Shared: sharedPrefix(c),
		RA: &nd.Config{
			Interval: v.RAInterval, Lifetime: v.RALifetime, Valid: v.RAValid, Preferred: v.RAPreferred,
			Managed: v.Managed, Other: true, Domains: v.Domains, DNSLifetime: v.DNSLifetime,
		},
		DHCP: &dhcp6.Config{DUID: serverDUID(c), Preferred: v.Preferred, Valid: v.Valid, Domains: v.Domains},
	}
	if c.HasPool6(lac.Pool6) {
		s.Pool = lac.Pool6
	}
	if c.HasPool6(lac.PDPool) {
		s.PDPool = lac.PDPool
	}
	for _, a := range v.Servers {
		if a.IsValid() {
			s.DNS = append(s.DNS, a)
		}
	}
	return s
}

// serverDUID names the DHCPv6 server. Without one configured it follows from the
// machine's own id, so that it outlives restarts and needs no file: a DUID-UUID
// (RFC 6355), as nothing tells that the id was hashed.
func serverDUID(c *config.Config) []byte {
	if len(c.IPv6.DUID) > 0 {
		return c.IPv6.DUID
	}
	id, err := os.ReadFile("/etc/machine-id")
	if id = bytes.TrimSpace(id); err != nil || len(id) == 0 {
		id = []byte(c.Hostname)
	}
	sum := sha256.Sum256(slices.Concat([]byte("lnsd DHCPv6 server\x00"), id))
	uuid := sum[:16]
	uuid[6], uuid[8] = uuid[6]&0x0F|0x80, uuid[8]&0x3F|0x80 // version 8, RFC 9562 section 5.8
	return append([]byte{0, 4}, uuid...)
}
