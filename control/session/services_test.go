package session

import (
	"net/netip"
	"testing"
)

func TestChangeServices(t *testing.T) {
	to := netip.MustParseAddrPort("192.0.2.9:4000")
	rate, none, garden, out := Rate{Bits: 8_000_000}, Rate{}, "unpaid", ""
	before := &Services{Up: Rate{Bits: 64_000}, Intercept: to}
	for _, c := range []struct {
		name   string
		from   *Services
		change Change
		want   *Services
	}{
		{"nothing of nothing", nil, Change{}, nil},
		{"nothing of something", before, Change{}, before},
		{"from nothing", nil, Change{Down: &rate, Garden: &garden}, &Services{Down: rate, Garden: garden}},
		{"one of two", before, Change{Up: &rate}, &Services{Up: rate, Intercept: to}},
		{"taken back", before, Change{Up: &none}, &Services{Intercept: to}},
		{"all taken back", before, Change{Up: &none, Intercept: new(netip.AddrPort), Garden: &out}, nil},
	} {
		kept := *before
		got := c.change.Services(c.from)
		if (got == nil) != (c.want == nil) || got != nil && *got != *c.want {
			t.Errorf("%s: %+v, want %+v", c.name, got, c.want)
		}
		if *before != kept {
			t.Fatalf("%s: changed the value that it began from", c.name)
		}
	}
}
