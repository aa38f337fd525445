package policy

import (
	"net/netip"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

func TestParseRate(t *testing.T) {
	for _, c := range []struct {
		text string
		unit Unit
		want uint64
	}{
		{"64000", Bit, 64000}, {"64", Kbit, 64000}, {"64k", Bit, 64000}, {"64K", Mbit, 64000},
		{"2M", Bit, 2e6}, {"2m", Kbit, 2e6}, {"1.5M", Bit, 1.5e6}, {"1G", Bit, 1e9}, {"0.1T", Bit, 100e9},
		{"2", Mbit, 2e6}, {"1", Gbit, 1e9}, {"1000", Byte, 8000}, {" 5 ", Bit, 5}, {"0", Bit, 0},
		{"64kbit", Bit, 64000}, {"64 kbit/s", Bit, 64000}, {"64kbps", Mbit, 64000}, {"64 bit/s", Mbit, 64}, {"10Mb/s", Bit, 10e6},
		{"100T", Bit, 100e12},
	} {
		if got, err := ParseRate(c.text, c.unit); err != nil || got != c.want {
			t.Errorf("%q in %d: %d, %v, want %d", c.text, c.unit, got, err, c.want)
		}
	}
	for _, text := range []string{"", " ", "k", ".", "1.2.3", "-1", "+1", "1e3", "0x10", "1_000", "Inf", "NaN", "1kk", "101T", "1 2", "fast", "99999999999999999999", "１"} {
		if got, err := ParseRate(text, Bit); err == nil {
			t.Errorf("%q was taken as %d", text, got)
		}
	}
}

func TestParsePairs(t *testing.T) {
	for text, want := range map[string][]session.Pair{
		"throttle=yes":                     {{Key: "throttle", Value: "yes"}},
		"throttle=yes,intercept=1.2.3.4:5": {{Key: "throttle", Value: "yes"}, {Key: "intercept", Value: "1.2.3.4:5"}},
		` a = "b c" , d=e`:                 {{Key: "a", Value: "b c"}, {Key: "d", Value: "e"}},
		"a=1,2,3,b=4":                      {{Key: "a", Value: "1,2,3"}, {Key: "b", Value: "4"}},
		"a*optional":                       {{Key: "a", Value: "optional"}},
		"a=b=c":                            {{Key: "a", Value: "b=c"}},
		"a=":                               {{Key: "a", Value: ""}},
		"=b":                               nil,
		"nothing":                          nil,
		",,a=1":                            {{Key: "a", Value: "1"}},
	} {
		if got := parsePairs(text); !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %q, want %q", text, got, want)
		}
	}
}

// All pairs go to the hooks, in their order, known or not.
func TestPairsOfProfile(t *testing.T) {
	var p session.Profile
	ignored, err := testTable(t, testConfig()).Profile(packet(radius.CodeAccessAccept, pair("shop=open,throttle=no"), pair("LCP:Interface-Config#7=service-policy in 64")), &p)
	want := []session.Pair{{Key: "shop", Value: "open"}, {Key: "throttle", Value: "no"}, {Key: "LCP:Interface-Config#7", Value: "service-policy in 64"}}
	if err != nil || !reflect.DeepEqual(p.Pairs, want) || !slices.Equal(ignored, []string{"26.9.1 shop"}) {
		t.Errorf("pairs %q, ignored %q, %v", p.Pairs, ignored, err)
	}
	if p.Services == nil || *p.Services != (session.Services{Up: rate(64e3), Down: session.Rate{Unlimited: true}}) {
		t.Errorf("services %+v", p.Services)
	}
}

func addr16(s string) []byte { return netip.MustParseAddr(s).AsSlice() }

func TestIPv6(t *testing.T) {
	table := testTable(t, testConfig())
	var p session.Profile
	ignored, err := table.Profile(packet(radius.CodeAccessAccept,
		attr(96, 0, 1, 2, 3, 4, 5, 6, 7),
		attr(97, append([]byte{0, 64}, addr16("2001:db8:1::")...)...),
		attr(97, 0, 48, 0x20, 1, 0x0d, 0xb8, 0, 2),                          // only as much as is not zero
		attr(97, 0, 64, 0x20, 1, 0x0d, 0xb8, 0, 3),                          // even less
		attr(97, append([]byte{0, 60}, addr16("2001:db8:4:ffff::1")...)...), // with bits beyond
		attr(123, 0, 56, 0x20, 1, 0x0d, 0xb8, 1, 0, 0), attr(123, 0, 56, 0x20, 1, 0x0d, 0xb8, 2, 0, 0),
		attr(168, addr16("2001:db8::99")...), attr(169, addr16("2001:db8::53")...),
		str(99, "2001:db8:300::/48 :: 1"), str(99, "2001:db8:301::/48"), str(99, "nonsense"), str(99, "::/0 :: 1"), str(99, "10.0.0.0/8"), str(99, "2001:db8:302::/48 10.0.0.1"),
		str(100, "links"), str(171, "homes\x00"), str(172, "addresses"),
		vsa(4874, 47, addr16("2001:db8::54")...),
	), &p)
	want := &session.Profile6{
		InterfaceID: [8]byte{0, 1, 2, 3, 4, 5, 6, 7}, Pool: "links", PDPool: "homes", AddressPool: "addresses",
		Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::99")},
		DNS:       []netip.Addr{netip.MustParseAddr("2001:db8::53"), netip.MustParseAddr("2001:db8::54")},
	}
	for to, list := range map[*[]netip.Prefix][]string{
		&want.Prefixes:  {"2001:db8:1::/64", "2001:db8:2::/48", "2001:db8:3::/64", "2001:db8:4:fff0::/60"},
		&want.Delegated: {"2001:db8:100::/56", "2001:db8:200::/56"},
		&want.Routes:    {"2001:db8:300::/48", "2001:db8:301::/48"},
	} {
		for _, s := range list {
			*to = append(*to, netip.MustParsePrefix(s))
		}
	}
	if err != nil || !reflect.DeepEqual(p.IPv6, want) {
		t.Errorf("got %+v, %v\nwant %+v", p.IPv6, err, want)
	}
	if len(ignored) != 4 {
		t.Errorf("ignored %q", ignored)
	}
	for _, a := range []radius.AVP{
		attr(96, 1, 2, 3), attr(97), attr(97, 0), attr(97, 0, 129), attr(97, append([]byte{0, 64, 0}, make([]byte, 16)...)...),
		attr(97, 0, 64), attr(97, 0, 0), attr(123, 0, 64, 0xff), attr(123, 0, 64, 0xfe, 0x80), attr(168, 1, 2, 3, 4), attr(168, make([]byte, 16)...),
		attr(169, addr16("::1")...), attr(97, append([]byte{0, 128}, addr16("::ffff:10.0.0.1")...)...),
	} {
		p := session.Profile{}
		if _, err := table.Profile(packet(radius.CodeAccessAccept, a), &p); err == nil {
			t.Errorf("%d %x was taken: %+v", a.Type, a.Attribute, p.IPv6)
		}
	}
	// No identifier is none.
	p = session.Profile{}
	if _, err := table.Profile(packet(radius.CodeAccessAccept, attr(96, make([]byte, 8)...)), &p); err != nil || p.IPv6 != nil {
		t.Errorf("%+v, %v", p, err)
	}
	// A profile that was there before is not changed under its owner.
	mine := &session.Profile6{Pool: "mine"}
	p = session.Profile{IPv6: mine}
	if _, err := table.Profile(packet(radius.CodeAccessAccept, str(171, "pd")), &p); err != nil || mine.PDPool != "" || p.IPv6.Pool != "mine" || p.IPv6.PDPool != "pd" {
		t.Errorf("%+v becomes %+v, %v", mine, p.IPv6, err)
	}
}

// An operator's rows: attributes of any vendor, in any unit, to any target, in the
// place of what they mean otherwise.
func TestOwnRules(t *testing.T) {
	cfg := testConfig()
	at := func(vendor uint32, n byte) Attribute { return Attribute{Vendor: vendor, Type: n} }
	own := Attribute{Vendor: 9, Type: 1, Pair: "speed"}
	cfg.Rules = []Rule{
		{Attribute: at(0, 200), Target: RateDown, Unit: Kbit, Integer: true},
		{Attribute: at(99999, 1), Target: RateUp, Unit: Mbit},
		{Attribute: at(99999, 2), Target: RatesDownUp, Unit: Kbit},
		{Attribute: at(99999, 3), Target: RatesUpDown, Unit: Byte},
		{Attribute: at(99999, 4), Target: SessionTimeout}, {Attribute: at(99999, 5), Target: IdleTimeout, Integer: true},
		{Attribute: at(99999, 6), Target: Pool}, {Attribute: at(99999, 7), Target: PDPool},
		{Attribute: at(99999, 8), Target: FilterUp}, {Attribute: at(99999, 9), Target: Garden}, {Attribute: at(99999, 10), Target: ProfileDown},
		{Attribute: at(99999, 11), Target: Rate, Unit: Kbit},
		{Attribute: own, Target: RatesDownUp},
		{Attribute: at(0, 11), Target: Profile},   // Filter-Id
		{Attribute: at(14122, 7), Target: Ignore}, // WISPr up
		{Attribute: at(14122, 8), Target: Refuse}, // WISPr down
	}
	table := testTable(t, cfg)
	type S = session.Services
	for _, c := range []struct {
		attrs []radius.AVP
		want  S
	}{
		{[]radius.AVP{num(200, 5000)}, S{Down: rate(5e6)}},
		{[]radius.AVP{attr(200, 0, 0, 0, 1, 0, 0, 0, 0)}, S{Down: rate(1 << 32 * 1000)}},
		{[]radius.AVP{vstr(99999, 1, "5")}, S{Up: rate(5e6)}},
		{[]radius.AVP{vstr(99999, 2, "4000/400")}, S{Up: rate(400e3), Down: rate(4e6)}},
		{[]radius.AVP{vstr(99999, 3, "1000/2000")}, S{Up: rate(8000), Down: rate(16000)}},
		{[]radius.AVP{vstr(99999, 8, "a"), vstr(99999, 9, "g"), vstr(99999, 10, "gold")}, S{FilterUp: "a", Garden: "g", Down: rate(100e6, 250000)}},
		{[]radius.AVP{vstr(99999, 11, "64")}, S{Up: rate(64e3), Down: rate(64e3)}},
		{[]radius.AVP{pair("speed=8M/1M")}, S{Up: rate(1e6), Down: rate(8e6)}},
		{[]radius.AVP{str(11, "gold")}, S{Up: rate(20e6, 50000), Down: rate(100e6, 250000)}},
		{[]radius.AVP{vnum(14122, 7, 1000)}, S{}},
	} {
		var p session.Profile
		if _, err := table.Profile(packet(radius.CodeAccessAccept, c.attrs...), &p); err != nil {
			t.Errorf("%q: %v", c.attrs[0].Attribute, err)
			continue
		}
		got := S{}
		if p.Services != nil {
			got = *p.Services
		}
		if got != c.want {
			t.Errorf("%q: %+v, want %+v", c.attrs[0].Attribute, got, c.want)
		}
	}
	var p session.Profile
	if _, err := table.Profile(packet(radius.CodeAccessAccept, vstr(99999, 4, "3600"), vnum(99999, 5, 60), vstr(99999, 6, "gold"), vstr(99999, 7, "homes")), &p); err != nil ||
		p.SessionTimeout.Seconds() != 3600 || p.IdleTimeout.Seconds() != 60 || p.Pool != "gold" || p.IPv6.PDPool != "homes" {
		t.Errorf("%+v, %v", p, err)
	}
	cfg.Strict = true
	if _, err := testTable(t, cfg).Profile(packet(radius.CodeAccessAccept, vnum(14122, 8, 1000)), &p); err == nil || !strings.Contains(err.Error(), "26.14122.8") {
		t.Errorf("what is to be refused was taken: %v", err)
	}
}

func TestNewRefuses(t *testing.T) {
	at := Attribute{Type: 200}
	for name, cfg := range map[string]Config{
		"preset":            {Presets: []string{"nobody"}},
		"no target":         {Rules: []Rule{{Attribute: at, Target: "mikrotik-rate-limit"}}},
		"takes no integer":  {Rules: []Rule{{Attribute: at, Target: Garden, Integer: true}}},
		"no such attribute": {Rules: []Rule{{Attribute: Attribute{Type: 26}, Target: Garden}}},
		"Filter-Id cannot":  {FilterIDs: []FilterID{{Pattern: regexp.MustCompile("x"), Target: "filter-id"}}},
	} {
		if _, err := New(cfg); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
