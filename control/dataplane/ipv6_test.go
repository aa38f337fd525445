package dataplane

import (
	"net/netip"
	"slices"
	"testing"
)

// TestIPv6Records: prefixes reach the maps where these have room, a session may
// live on them alone, and without room the slow path has the session whole.
func TestIPv6Records(t *testing.T) {
	ours := []netip.Prefix{netip.MustParsePrefix("2001:db8:64:7::/64"), netip.MustParsePrefix("2001:db8:d000::/56")}
	both, alone, none := record(1), record(2), record(3)
	both.Prefixes6, alone.Prefixes6 = ours, ours[1:]
	alone.Address, none.Address = netip.Addr{}, netip.Addr{}
	with, without := Config{IPv6: true}, Config{}
	if !with.eligible(&both) || !with.eligible(&alone) || with.eligible(&none) {
		t.Error("with IPv6: what has an address or a prefix is served, and no other")
	}
	if without.eligible(&both) || without.eligible(&alone) {
		t.Error("without IPv6 a session with prefixes is served")
	}
	if s := with.entry(&both); !slices.Equal(s.Prefixes6, ours) || s.Policy.Address != both.Address.As4() {
		t.Errorf("%+v", s)
	}
	if s := with.entry(&alone); s.Policy.Address != [4]uint8{} {
		t.Errorf("%+v", s)
	}
}
