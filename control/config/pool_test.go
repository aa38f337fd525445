package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPoolFile(t *testing.T) {
	const text = `# comment
! another
10.0.0.0/24

  10.0.1.5
192.0.2.1:10.0.2.0/24
192.0.2.2:10.0.3.0/24
10.0.0.0/24
`
	c, _, err := Parse("f", "set bind_address 192.0.2.1\nset l2tp_secret s\n", Options{Pool: text, PoolFile: "ip_pool"})
	if err != nil {
		t.Fatal(err)
	}
	want := []netip.Prefix{
		netip.MustParsePrefix("10.0.0.0/24"), netip.MustParsePrefix("10.0.1.5/32"), netip.MustParsePrefix("10.0.2.0/24"),
	}
	if len(c.Pools) != 1 || c.Pools[0].Name != DefaultPool || !slices.Equal(c.Pools[0].Prefixes, want) {
		t.Errorf("pools %v", c.Pools)
	}
}

func TestPoolFileRefusals(t *testing.T) {
	for text, want := range map[string]string{
		"10.0.0.0/33":              "ip_pool:1:1: the entry must be an IPv4 address or prefix, such as 192.0.2.0/24 (one address or prefix a line)",
		"10.0.0.0/24 10.1.0.0/24":  "ip_pool:1:1: the entry must be an IPv4 address or prefix, such as 192.0.2.0/24 (one address or prefix a line)",
		"\n  10.0.0.1/24":          "ip_pool:2:3: the entry has bits set beyond its length: 10.0.0.0/24 is meant, or 10.0.0.1/32 (one address or prefix a line)",
		"2001:db8::/64":            "ip_pool:1:1: what stands before the colon must be an IPv4 address of a server",
		"0.0.0.0/0":                "ip_pool:1:1: the entry must not be larger than a /8 (one address or prefix a line)",
		"10.0.0.0/24\n10.0.0.0/25": "ip_pool:2:1: 10.0.0.0/25 overlaps 10.0.0.0/24 of pool default (ip_pool:1:1)",
	} {
		_, _, err := Parse("f", "", Options{Pool: text, PoolFile: "ip_pool"})
		if err == nil || err.Error() != want {
			t.Errorf("%q:\n got %v\nwant %s", text, err, want)
		}
	}
}

// A pool of single addresses is a long file; reading it must not take long.
func TestPoolFileOfManyAddresses(t *testing.T) {
	var text strings.Builder
	for i := range 60_000 {
		fmt.Fprintf(&text, "10.%d.%d.%d\n", i>>16, i>>8&255, i&255)
	}
	begun := time.Now()
	c, _, err := Parse("f", "", Options{Pool: text.String(), PoolFile: "ip_pool"})
	if err != nil || len(c.Pools[0].Prefixes) != 60_000 {
		t.Fatalf("%v", err)
	}
	// Quadratic reading would take minutes.
	if took := time.Since(begun); took > 20*time.Second {
		t.Errorf("took %v", took)
	}
}
