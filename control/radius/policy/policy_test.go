package policy

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// testConfig has every preset and something behind each name.
func testConfig() Config {
	return Config{
		Presets: Presets(),
		Profiles: []RateProfile{
			{Name: "gold", Up: session.Rate{Bits: 20e6, Burst: 50000}, Down: session.Rate{Bits: 100e6, Burst: 250000}},
			{Name: "down-only", Down: session.Rate{Bits: 5e6}},
			{Name: "512", Up: session.Rate{Bits: 7}, Down: session.Rate{Bits: 8}},
		},
		FilterIDs: []FilterID{
			{Pattern: regexp.MustCompile(`^up-([0-9]+)k$`), Target: RateUp, Value: "$1", Unit: Kbit},
			{Pattern: regexp.MustCompile(`^unpaid$`), Target: Garden, Value: "bills"},
		},
		Throttle:  session.Rate{Bits: 64e3},
		Intercept: netip.MustParseAddrPort("192.0.2.99:9999"), Garden: "garden",
		ZeroTimeoutRejects: true,
	}
}

func testTable(t testing.TB, cfg Config) *Table {
	t.Helper()
	table, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

func packet(code radius.Code, attrs ...radius.AVP) *radius.Packet {
	p := &radius.Packet{Code: code}
	for _, a := range attrs {
		p.Add(a.Type, a.Attribute)
	}
	return p
}

func attr(t radius.Type, v ...byte) radius.AVP { return radius.AVP{Type: t, Attribute: v} }
func str(t radius.Type, s string) radius.AVP   { return attr(t, []byte(s)...) }
func num(t radius.Type, n uint32) radius.AVP {
	return attr(t, binary.BigEndian.AppendUint32(nil, n)...)
}

func vsa(vendor uint32, t byte, v ...byte) radius.AVP {
	b := binary.BigEndian.AppendUint32(nil, vendor)
	return attr(26, append(append(b, t, byte(2+len(v))), v...)...)
}
func vstr(vendor uint32, t byte, s string) radius.AVP { return vsa(vendor, t, []byte(s)...) }
func vnum(vendor uint32, t byte, n uint32) radius.AVP {
	return vsa(vendor, t, binary.BigEndian.AppendUint32(nil, n)...)
}
func pair(s string) radius.AVP { return vstr(9, 1, s) }

func rate(bits uint64, bytes ...uint32) session.Rate {
	r := session.Rate{Bits: bits}
	if len(bytes) > 0 {
		r.Burst = bytes[0]
	}
	return r
}

// presetCases say what each attribute of the presets means: golden.
func presetCases() []struct {
	name  string
	attrs []radius.AVP
	want  session.Services
} {
	type S = session.Services
	return []struct {
		name  string
		attrs []radius.AVP
		want  session.Services
	}{
		{"l2tpns throttle yes", []radius.AVP{pair("throttle=yes")}, S{Up: rate(64e3), Down: rate(64e3)}},
		{"l2tpns throttle no", []radius.AVP{pair("throttle=no")}, S{Up: session.Rate{Unlimited: true}, Down: session.Rate{Unlimited: true}}},
		{"l2tpns throttle, kbit/s", []radius.AVP{pair("throttle=512")}, S{Up: rate(512e3), Down: rate(512e3)}},
		{"throttle with a suffix", []radius.AVP{pair("throttle=2M")}, S{Up: rate(2e6), Down: rate(2e6)}},
		{"throttle both ways, up first", []radius.AVP{pair("throttle=512/2048")}, S{Up: rate(512e3), Down: rate(2048e3)}},
		{"l2tpns several pairs", []radius.AVP{pair("throttle=512,intercept=192.0.2.7:4000,garden=bills")},
			S{Up: rate(512e3), Down: rate(512e3), Intercept: netip.MustParseAddrPort("192.0.2.7:4000"), Garden: "bills"}},
		{"intercept yes", []radius.AVP{pair("intercept=yes")}, S{Intercept: netip.MustParseAddrPort("192.0.2.99:9999")}},
		{"intercept IPv6", []radius.AVP{pair("intercept=[2001:db8::1]:5000")}, S{Intercept: netip.MustParseAddrPort("[2001:db8::1]:5000")}},
		{"intercept no, the last counts", []radius.AVP{pair("intercept=yes"), pair("intercept=no")}, S{}},
		{"garden yes", []radius.AVP{pair("garden=yes")}, S{Garden: "garden"}},
		{"garden no", []radius.AVP{pair("garden=yes"), pair("garden=no")}, S{}},
		{"quotes", []radius.AVP{pair(`throttle="512"`)}, S{Up: rate(512e3), Down: rate(512e3)}},
		{"l2tpns service-policy, kbit/s", []radius.AVP{pair("lcp:interface-config#1=service-policy input 256"), pair("lcp:interface-config#2=service-policy output 1024")},
			S{Up: rate(256e3), Down: rate(1024e3)}},
		{"service-policy of a name", []radius.AVP{pair("lcp:interface-config#1=service-policy input gold")}, S{Up: rate(20e6, 50000)}},
		{"a profile whose name is a number", []radius.AVP{pair("lcp:interface-config=service-policy output 512")}, S{Down: rate(8)}},
		{"Cisco rate-limit, bit/s and bytes", []radius.AVP{
			pair("lcp:interface-config#1=rate-limit input 512000 96000 192000 conform-action transmit exceed-action drop"),
			pair("lcp:interface-config#2=rate-limit output 2048000 384000 768000 conform-action transmit exceed-action drop")},
			S{Up: rate(512e3, 96000), Down: rate(2048e3, 384000)}},
		{"Cisco words shortened", []radius.AVP{pair("lcp:interface-config=rate-lim out 64000 8000 8000")}, S{Down: rate(64e3, 8000)}},
		{"Cisco rate-limit as a pair", []radius.AVP{pair("rate-limit=input 64000 8000 8000 conform-action transmit exceed-action drop")}, S{Up: rate(64e3, 8000)}},
		{"Cisco sub-qos-policy", []radius.AVP{pair("ip:sub-qos-policy-in=gold"), pair("ip:sub-qos-policy-out=down-only")}, S{Up: rate(20e6, 50000), Down: rate(5e6)}},
		{"Cisco sub-qos-policy, out alone", []radius.AVP{pair("ip:sub-qos-policy-out=gold")}, S{Down: rate(100e6, 250000)}},
		{"upper case", []radius.AVP{pair("IP:Sub-QoS-Policy-Out=gold")}, S{Down: rate(100e6, 250000)}},

		{"Mikrotik both", []radius.AVP{vstr(14988, 8, "2M")}, S{Up: rate(2e6), Down: rate(2e6)}},
		{"Mikrotik rx/tx", []radius.AVP{vstr(14988, 8, "512k/4M")}, S{Up: rate(512e3), Down: rate(4e6)}},
		{"Mikrotik bit/s", []radius.AVP{vstr(14988, 8, "64000/1000000000")}, S{Up: rate(64e3), Down: rate(1e9)}},
		{"Mikrotik G", []radius.AVP{vstr(14988, 8, "1G/2.5G")}, S{Up: rate(1e9), Down: rate(2.5e9)}},
		// Nothing but a burst rate: threshold as the rate, 1 s. From rest the burst
		// holds 1M*1/2M = 0.5 s, in which 0.5 Mbit more than the rate pass.
		{"Mikrotik burst rate", []radius.AVP{vstr(14988, 8, "1M/1M 2M/2M")}, S{Up: rate(1e6, 62500), Down: rate(1e6, 62500)}},
		// Up: (256k-64k)*128k*10/256k/8 = 120000. Down: (512k-128k)*256k*8/512k/8 = 192000.
		{"Mikrotik all of it", []radius.AVP{vstr(14988, 8, "64k/128k 256k/512k 128k/256k 10/8 5 32k/64k")}, S{Up: rate(64e3, 120000), Down: rate(128e3, 192000)}},
		{"Mikrotik time with s", []radius.AVP{vstr(14988, 8, "64k 256k 128k 10s")}, S{Up: rate(64e3, 120000), Down: rate(64e3, 120000)}},
		{"Mikrotik up unlimited", []radius.AVP{vstr(14988, 8, "0/4M 0/8M")}, S{Up: session.Rate{Unlimited: true}, Down: rate(4e6, 250000)}},

		{"WISPr, bit/s", []radius.AVP{vnum(14122, 7, 512000), vnum(14122, 8, 4096000)}, S{Up: rate(512e3), Down: rate(4096e3)}},
		{"WISPr down alone", []radius.AVP{vnum(14122, 8, 4_000_000_000)}, S{Down: rate(4e9)}},

		{"Filter-Id in and out", []radius.AVP{str(11, "guests.in"), str(11, "all.out")}, S{FilterUp: "guests", FilterDown: "all"}},
		{"Filter-Id of a name", []radius.AVP{str(11, "guests")}, S{FilterUp: "guests", FilterDown: "guests"}},
		{"Filter-Id of a rate profile", []radius.AVP{str(11, "gold")}, S{Up: rate(20e6, 50000), Down: rate(100e6, 250000)}},
		{"Filter-Id down/up, kbit/s", []radius.AVP{str(11, "4096/512")}, S{Up: rate(512e3), Down: rate(4096e3)}},
		{"Filter-Id by a pattern", []radius.AVP{str(11, "up-256k")}, S{Up: rate(256e3)}},
		{"Filter-Id for the garden", []radius.AVP{str(11, "unpaid")}, S{Garden: "bills"}},

		{"ERX policies", []radius.AVP{vstr(4874, 10, "gold"), vstr(4874, 11, "down-only")}, S{Up: rate(20e6, 50000), Down: rate(5e6)}},
		{"ERX QoS profile", []radius.AVP{vstr(4874, 26, "gold")}, S{Up: rate(20e6, 50000), Down: rate(100e6, 250000)}},
		{"ERX ingress alone", []radius.AVP{vstr(4874, 10, "gold")}, S{Up: rate(20e6, 50000)}},

		{"Ascend, both", []radius.AVP{vnum(529, 197, 512000), vnum(529, 255, 4096000)}, S{Up: rate(512e3), Down: rate(4096e3)}},
		{"Ascend, the other order", []radius.AVP{vnum(529, 255, 4096000), vnum(529, 197, 512000)}, S{Up: rate(512e3), Down: rate(4096e3)}},
		{"Ascend, transmit alone", []radius.AVP{vnum(529, 255, 4096000)}, S{Down: rate(4096e3)}},
		{"Ascend, data rate alone", []radius.AVP{vnum(529, 197, 512000)}, S{Up: rate(512e3), Down: rate(512e3)}},
		{"Ascend, data rate twice: transmit first", []radius.AVP{vnum(529, 197, 4096000), vnum(529, 197, 512000)}, S{Up: rate(512e3), Down: rate(4096e3)}},
		{"Ascend before vendors", []radius.AVP{num(197, 512000), num(255, 4096000)}, S{Up: rate(512e3), Down: rate(4096e3)}},

		{"Nokia SLA profile", []radius.AVP{vstr(6527, 13, "gold")}, S{Up: rate(20e6, 50000), Down: rate(100e6, 250000)}},
		{"the last of several vendors", []radius.AVP{vstr(14988, 8, "1M/2M"), vnum(14122, 8, 3_000_000)}, S{Up: rate(1e6), Down: rate(3e6)}},
		{"two attributes in one VSA", []radius.AVP{attr(26, 0, 0, 0x37, 0x2a, 7, 6, 0, 0, 0x03, 0xe8, 8, 6, 0, 0, 0x07, 0xd0)}, S{Up: rate(1000), Down: rate(2000)}},
		{"several VSAs of a vendor", []radius.AVP{vnum(14122, 1, 1), vnum(14122, 7, 1000), vnum(14122, 8, 2000)}, S{Up: rate(1000), Down: rate(2000)}},
	}
}

// Each attribute means the same at login and for a session that is up.
func TestPresets(t *testing.T) {
	table := testTable(t, testConfig())
	for _, c := range presetCases() {
		t.Run(c.name, func(t *testing.T) {
			var p session.Profile
			if _, err := table.Profile(packet(radius.CodeAccessAccept, c.attrs...), &p); err != nil {
				t.Fatal(err)
			}
			got := session.Services{}
			if p.Services != nil {
				got = *p.Services
			}
			if got != c.want {
				t.Errorf("login: %+v, want %+v", got, c.want)
			}
			change, _, err := table.Change(packet(radius.CodeCoARequest, c.attrs...))
			if err != nil {
				t.Fatal(err)
			}
			got = session.Services{}
			if s := change.Services(nil); s != nil {
				got = *s
			}
			if got != c.want {
				t.Errorf("change: %+v, want %+v", got, c.want)
			}
		})
	}
}

// A value without a sense refuses a login and a change alike; or, by setting, is left
// out of a login.
func TestMalformed(t *testing.T) {
	cfg := testConfig()
	table := testTable(t, cfg)
	cfg.IgnoreMalformed = true
	lenient := testTable(t, cfg)
	for _, a := range []radius.AVP{
		pair("throttle=fast"), pair("throttle=1e9"), pair("throttle=-5"), pair("throttle="), pair("throttle=1/x"),
		pair("intercept=192.0.2.7"), pair("intercept=0.0.0.0:5"), pair("intercept=192.0.2.7:0"), pair("intercept=224.0.0.1:9"),
		pair("lcp:interface-config=rate-limit input fast"), pair("lcp:interface-config=rate-limit input 1000 lots"),
		pair("lcp:interface-config=service-policy input nobody"), pair("ip:sub-qos-policy-in=nobody"),
		vstr(14988, 8, ""), vstr(14988, 8, "1M/"), vstr(14988, 8, "1M/2M 1x"), vstr(14988, 8, "1M 1M 1M 1 9"),
		vstr(14988, 8, "1M 1M 1M x"), vstr(14988, 8, "1 2 3 4 5 6 7"), vstr(14988, 8, "999999999G"), vstr(14988, 8, "0x10"),
		vsa(14122, 7, 1, 2, 3), vsa(14122, 8), str(11, ""), str(11, "12/x"), vstr(4874, 26, "nobody"), vsa(529, 197, 1),
		attr(27, 1), attr(28, 1, 2, 3, 4, 5), attr(85, 1), attr(29, 1),
	} {
		name := string(a.Attribute)
		var p session.Profile
		if _, err := table.Profile(packet(radius.CodeAccessAccept, a), &p); err == nil || !reflect.DeepEqual(p, session.Profile{}) {
			t.Errorf("%d %q: login got %+v, error %v", a.Type, name, p, err)
		}
		var bad *Error
		if c, _, err := table.Change(packet(radius.CodeCoARequest, a)); !errors.As(err, &bad) || c != nil {
			t.Errorf("%d %q: change got %+v, error %v", a.Type, name, c, err)
		}
		p = session.Profile{}
		ignored, err := lenient.Profile(packet(radius.CodeAccessAccept, a, num(28, 60)), &p)
		if err != nil || len(ignored) != 1 || p.Services != nil || p.IdleTimeout != time.Minute && a.Type != 28 {
			t.Errorf("%d %q: lenient login got %+v, %v, ignored %q", a.Type, name, p, err, ignored)
		}
		for _, text := range ignored {
			if strings.Contains(text, "192.0.2.7") {
				t.Errorf("the log says where to: %q", text)
			}
		}
	}
}

// A service that is not provided is refused whatever the setting.
func TestService(t *testing.T) {
	cfg := testConfig()
	cfg.IgnoreMalformed = true
	table := testTable(t, cfg)
	for _, a := range []radius.AVP{num(6, 1), num(7, 2)} {
		if _, err := table.Profile(packet(radius.CodeAccessAccept, a), &session.Profile{}); err == nil {
			t.Errorf("attribute %d was taken", a.Type)
		}
	}
}

func TestChange(t *testing.T) {
	table := testTable(t, testConfig())
	c, unsupported, err := table.Change(packet(radius.CodeCoARequest,
		str(1, "alice"), attr(8, 10, 0, 0, 7), str(44, "5F3A"), num(55, 1), attr(80, make([]byte, 16)...), attr(33, 1), attr(24, 2), attr(97, 0, 64, 1),
		num(27, 3600), num(28, 0), num(85, 900), str(25, "a"), str(25, "b"), pair("garden=no,throttle=512")))
	if err != nil || unsupported != nil {
		t.Fatal(unsupported, err)
	}
	hour, none, quarter, kbit, out := time.Hour, time.Duration(0), 15*time.Minute, rate(512e3), ""
	want := &session.Change{
		SessionTimeout: &hour, IdleTimeout: &none, InterimInterval: &quarter, Garden: &out, Up: &kbit, Down: &kbit,
		Class: [][]byte{[]byte("a"), []byte("b")},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v", c)
	}
	// No limit of time is a change too, not a reject.
	if c, _, err = table.Change(packet(radius.CodeCoARequest, num(27, 0))); err != nil || c.SessionTimeout == nil || *c.SessionTimeout != 0 {
		t.Errorf("got %+v, %v", c, err)
	}
	for _, a := range []radius.AVP{
		str(22, "10.1.0.0/16"), str(88, "pool"), attr(9, 255, 255, 255, 0), vsa(311, 28, 8, 8, 8, 8), num(12, 1400), attr(200, 1), vsa(99999, 1, 1),
		pair("unknown=1"), pair("nothing"), attr(26, 1, 2), num(85, 10), num(29, 1), str(92, "deny all"), vstr(4874, 1, "vr2"), pair("ip:vrf-id=red"),
		attr(123, 0, 56, 0x20, 1, 0xd, 0xb8), str(99, "2001:db8::/48"), str(100, "p"), str(171, "p"), attr(169, netip.MustParseAddr("2001:db8::53").AsSlice()...),
		vnum(311, 7, 1), num(64, 3),
	} {
		if _, unsupported, err := table.Change(packet(radius.CodeCoARequest, a, num(28, 9))); err != nil || !reflect.DeepEqual(unsupported, []radius.Type{a.Type}) {
			t.Errorf("%d %q: unsupported %v, error %v", a.Type, a.Attribute, unsupported, err)
		}
	}
}
