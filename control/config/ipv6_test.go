package config

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"
)

const ipv6Config = `set bind_address 192.0.2.1
set l2tp_secret s
set primary_ipv6_dns 2001:db8::53
set default_ipv6_domain_list "example.net example.org"
set dhcp6_server_duid 000400112233445566778899aabbccddeeff
set dhcp6_preferred_lifetime 1800
set ipv6_pd_pool big
pool6 default add 2001:db8:1::/48 64
pool6 big add 2001:db8:100::/40 48
pool6 default add 2001:db8:2::/48 64
lac acme address 10.0.0.0/8 ipv6_pd_pool big secret x
`

func TestIPv6(t *testing.T) {
	c, _, err := Parse("f", ipv6Config, Options{})
	if err != nil {
		t.Fatal(err)
	}
	v := c.IPv6
	if !c.ServesIPv6() || v.Servers[0] != netip.MustParseAddr("2001:db8::53") || v.Servers[1].IsValid() ||
		!slices.Equal(v.Domains, []string{"example.net", "example.org"}) || v.Preferred != 30*time.Minute || v.PDPool != "big" ||
		!bytes.Equal(v.DUID[:3], []byte{0, 4, 0}) || c.LACs[0].Pool6 != "default" || c.LACs[0].PDPool != "big" {
		t.Errorf("%+v", v)
	}
	if len(c.Pools6) != 2 || c.Pools6[0].Length != 64 || len(c.Pools6[0].Prefixes) != 2 || c.Pools6[1].Name != "big" {
		t.Errorf("pools %+v", c.Pools6)
	}
	again, _, err := Parse("f", c.Running(), Options{})
	if err != nil || again.Running() != c.Running() || len(Diff(c, again)) != 0 {
		t.Errorf("what is written is not what is read: %v\n%s", err, c.Running())
	}
}

func TestIPv6IsOnWhereThereIsSomethingToGive(t *testing.T) {
	for text, want := range map[string]bool{
		"":                                   false,
		"set ipv6 yes":                       true,
		"pool6 default add 2001:db8::/48 64": true,
		"set ipv6_prefix 2001:db8::":         true,
		"set primary_radius 192.0.2.9\nset radius_secret x":                true,
		"set ipv6 no\nset primary_radius 192.0.2.9\nset radius_secret x\n": false,
	} {
		c, _, err := Parse("f", text, Options{})
		if err != nil || c.ServesIPv6() != want {
			t.Errorf("%q: %v, want %v", text, err, want)
		}
	}
}

func TestIPv6Refusals(t *testing.T) {
	for text, want := range map[string]string{
		"pool6 a add 2001:db8::/48 40":                               "f:1:27: LENGTH must be a number from 48 to 87",
		"pool6 a add 2001:db8::1/48 64":                              "f:1:13: PREFIX has bits set beyond its length: 2001:db8::/48 is meant",
		"pool6 a add 10.0.0.0/8 64":                                  "f:1:13: PREFIX must be an IPv6 prefix, such as 2001:db8::/40",
		"pool6 a add fe80::/64 64":                                   "f:1:13: PREFIX must be global or unique local",
		"pool6 a add 2000::/3 48":                                    "f:1:13: PREFIX must not be larger than a /16",
		"pool6 a add 2001:db8::/48 64\npool6 b add 2001:db8::/56 64": "f:2:13: 2001:db8::/56 overlaps 2001:db8::/48 of pool a",
		"pool6 a add 2001:db8::/48 64\npool6 a add 2001:db9::/48 56": "f:2:27: pool a gives prefixes of 64 bits already",
		"set ipv6_pool x":                                            "f:1:15: ipv6_pool names pool \"x\", which has no prefixes (pool6 x add PREFIX LENGTH)",
		"set primary_ipv6_dns 192.0.2.1":                             "f:1:22: primary_ipv6_dns must be an IPv6 address",
		"set default_ipv6_domain_list a..b":                          "f:1:30: default_ipv6_domain_list must be a list of domain names; \"a..b\" is none",
		"set dhcp6_server_duid xyz":                                  "f:1:23: dhcp6_server_duid must be 6 to 130 bytes in hexadecimal",
		"set dhcp6_valid_lifetime 600":                               "f:1:26: dhcp6_preferred_lifetime must not be above dhcp6_valid_lifetime",
		"set ipv6_ra_lifetime 60":                                    "f:1:22: ipv6_ra_lifetime must not be below ipv6_ra_interval",
		"lac x address 10.0.0.0/8 ipv6_pool y":                       "f:1:5: lac x takes prefixes from pool \"y\", which has none",
	} {
		_, _, err := Parse("f", text, Options{})
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}
