package config

import (
	"encoding/hex"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// IPv6 holds what subscribers get of IPv6.
type IPv6 struct {
	// On carries IPv6. Auto does so where there is something to give: a pool6
	// command, ipv6_prefix, or a RADIUS server, who may grant prefixes.
	On Auto
	// Prefix is l2tpns' one prefix for all who have none of their own.
	Prefix netip.Addr
	// Pool and PDPool name the pools for those whose profile names none: of the
	// link's prefixes and of delegated ones.
	Pool, PDPool string
	Servers      [2]netip.Addr
	Domains      []string
	// DNSLifetime is that of name servers and domains in advertisements.
	DNSLifetime time.Duration
	// RAInterval is the longest time between router advertisements, RALifetime for
	// how long each makes us the default router.
	RAInterval, RALifetime time.Duration
	// RAValid and RAPreferred are the lifetimes of the link's prefixes.
	RAValid, RAPreferred time.Duration
	// Managed sends hosts to DHCPv6 for addresses although they could make their own.
	Managed bool
	// Valid and Preferred are the lifetimes of what DHCPv6 gives out.
	Valid, Preferred time.Duration
	// DUID names the DHCPv6 server; empty derives one from the machine.
	DUID []byte
	// Address is that of the TUN device; zero takes one of the first pool.
	Address netip.Addr
}

// Pool6 is one named pool of IPv6 prefixes, in the order of the file.
type Pool6 struct {
	Name     string
	Prefixes []netip.Prefix
	// Length is that of the prefixes given out.
	Length int
}

// The pools that are taken from where nothing names another.
const (
	DefaultPool6  = "default"
	DefaultPDPool = "pd"
)

// ServesIPv6 reports whether subscribers' IPv6 is carried.
func (c *Config) ServesIPv6() bool {
	return c.IPv6.On.Or(len(c.Pools6) > 0 || c.IPv6.Prefix.IsValid() || len(c.RADIUS.Servers()) > 0)
}

// HasPool6 reports whether there is a pool of IPv6 prefixes of that name.
func (c *Config) HasPool6(name string) bool {
	return slices.ContainsFunc(c.Pools6, func(p Pool6) bool { return p.Name == name })
}

func ipv6Settings() []Setting {
	dns := func(i int) func(*Config) *netip.Addr {
		return func(c *Config) *netip.Addr { return &c.IPv6.Servers[i] }
	}
	const infinity = 0xFFFFFFFF * time.Second
	return []Setting{
		row("ipv6", auto(), func(c *Config) *Auto { return &c.IPv6.On }, "auto", Restart,
			"Carry subscribers' IPv6; auto does so with a pool6 command, ipv6_prefix or a RADIUS server."),
		row("ipv6_prefix", address6(), func(c *Config) *netip.Addr { return &c.IPv6.Prefix }, "::", Restart,
			"Prefix of 64 bits that all share who have none of their own; each has one address in it, made of its IPv4 address. :: for none."),
		row("ipv6_pool", named("pool name", maxString), func(c *Config) *string { return &c.IPv6.Pool }, DefaultPool6, NewOnly,
			"Pool of the link's prefix where RADIUS gives neither a prefix nor a pool."),
		row("ipv6_pd_pool", named("pool name", maxString), func(c *Config) *string { return &c.IPv6.PDPool }, DefaultPDPool, NewOnly,
			"Pool of the delegated prefix where RADIUS gives neither a prefix nor a pool."),
		row("primary_ipv6_dns", address6(), dns(0), "::", NewOnly, "First IPv6 name server for subscribers; :: for none."),
		row("secondary_ipv6_dns", address6(), dns(1), "::", NewOnly, "Second IPv6 name server for subscribers; :: for none."),
		row("default_ipv6_domain_list", domains(), func(c *Config) *[]string { return &c.IPv6.Domains }, "", NewOnly,
			"Domains that subscribers search names in, for advertisements and DHCPv6."),
		row("dns6_lifetime", seconds(time.Minute, infinity), func(c *Config) *time.Duration { return &c.IPv6.DNSLifetime }, "1800", NewOnly,
			"Lifetime of name servers and domains in router advertisements."),
		row("ipv6_ra_interval", seconds(4*time.Second, 1800*time.Second), func(c *Config) *time.Duration { return &c.IPv6.RAInterval }, "600", NewOnly,
			"Longest time between router advertisements; they come at random from a third of it on."),
		row("ipv6_ra_lifetime", seconds(4*time.Second, 9000*time.Second), func(c *Config) *time.Duration { return &c.IPv6.RALifetime }, "1800", NewOnly,
			"Time for which an advertisement makes us the default router."),
		row("ipv6_ra_valid_lifetime", seconds(time.Minute, infinity), func(c *Config) *time.Duration { return &c.IPv6.RAValid }, "2592000", NewOnly,
			"Valid lifetime of prefixes in router advertisements."),
		row("ipv6_ra_preferred_lifetime", seconds(time.Minute, infinity), func(c *Config) *time.Duration { return &c.IPv6.RAPreferred }, "604800", NewOnly,
			"Preferred lifetime of prefixes in router advertisements."),
		row("ipv6_managed", boolean(), func(c *Config) *bool { return &c.IPv6.Managed }, "no", NewOnly,
			"Set the M flag: send hosts to DHCPv6 for addresses. It is set anyway where RADIUS gives an address."),
		row("dhcp6_preferred_lifetime", seconds(time.Minute, infinity), func(c *Config) *time.Duration { return &c.IPv6.Preferred }, "3600", NewOnly,
			"Preferred lifetime of what DHCPv6 gives out; clients renew after half of it."),
		row("dhcp6_valid_lifetime", seconds(time.Minute, infinity), func(c *Config) *time.Duration { return &c.IPv6.Valid }, "7200", NewOnly,
			"Valid lifetime of what DHCPv6 gives out."),
		row("dhcp6_server_duid", duid(), func(c *Config) *[]byte { return &c.IPv6.DUID }, "", NewOnly,
			"DUID of the DHCPv6 server in hexadecimal; none derives one from the machine. l2tpns' number is taken, too."),
		row("iftun_address6", address6(), func(c *Config) *netip.Addr { return &c.IPv6.Address }, "::", Restart,
			"IPv6 address of the TUN device, the source of ICMPv6 errors; :: takes the first of the first pool6, else one of the host's."),
	}
}

// address6 is an IPv6 address; :: is none.
func address6() kind[netip.Addr] {
	return kind[netip.Addr]{
		name: "IPv6 address",
		parse: func(s string) (netip.Addr, error) {
			a, err := netip.ParseAddr(s)
			switch {
			case err != nil, a.Zone() != "", !a.Is6(), a.Is4In6():
				return netip.Addr{}, fmt.Errorf("must be an IPv6 address")
			case a.IsUnspecified():
				return netip.Addr{}, nil
			case a.IsMulticast(), a.IsLinkLocalUnicast(), a.IsLoopback():
				return netip.Addr{}, fmt.Errorf("must be a global or unique local address")
			}
			return a, nil
		},
		format: func(a netip.Addr) string {
			if !a.IsValid() {
				return "::"
			}
			return a.String()
		},
	}
}

// domains are domain names, separated by commas or blanks.
func domains() kind[[]string] {
	const most = 6 // they go into every advertisement
	return kind[[]string]{
		name: "list of domain names", bounds: fmt.Sprintf("up to %d", most),
		parse: func(s string) ([]string, error) {
			names := strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
			for _, n := range names {
				if !isDomain(n) {
					return nil, fmt.Errorf("must be a list of domain names; %s is none", printable(n))
				}
			}
			if len(names) > most {
				return nil, fmt.Errorf("must not name more than %d domains", most)
			}
			if len(names) == 0 {
				return nil, nil
			}
			return names, nil
		},
		format: func(names []string) string { return strings.Join(names, ", ") },
	}
}

// isDomain checks the lengths of RFC 1035 section 2.3.4 and that labels are letters,
// digits and hyphens.
func isDomain(name string) bool {
	name = strings.TrimSuffix(name, ".")
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' ||
			strings.ContainsFunc(label, func(r rune) bool { return !isLabelRune(r) }) {
			return false
		}
	}
	return true
}

func isLabelRune(r rune) bool {
	return r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_'
}

// duid is a DHCP Unique Identifier (RFC 8415 section 11).
func duid() kind[[]byte] {
	const least, most = 6, 130
	return kind[[]byte]{
		name: "hexadecimal digits", bounds: fmt.Sprintf("%d to %d bytes", least, most),
		parse: func(s string) ([]byte, error) {
			if s == "" {
				return nil, nil
			}
			// What l2tpns takes is a number, too short to be a DUID.
			if n, err := strconv.ParseUint(s, 0, 32); err == nil {
				// A DUID-LL (section 11.4) of hardware type 1, with the number for an address.
				return []byte{0, 3, 0, 1, byte(n >> 24), byte(n >> 16), byte(n >> 8), byte(n)}, nil
			}
			b, err := hex.DecodeString(strings.ReplaceAll(s, ":", ""))
			if err != nil || len(b) < least || len(b) > most {
				return nil, fmt.Errorf("must be %d to %d bytes in hexadecimal", least, most)
			}
			return b, nil
		},
		format: func(b []byte) string { return hex.EncodeToString(b) },
	}
}
