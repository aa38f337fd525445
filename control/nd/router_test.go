package nd

import (
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/ip6"
)

var start = time.Unix(1_700_000_000, 0)

var host = ip6.LinkLocal([8]byte{0, 0, 0, 0, 0, 0, 0, 9})

func testConfig() *Config {
	return &Config{
		Interval: 10 * time.Minute, Lifetime: 30 * time.Minute, Valid: Forever, Preferred: 7 * 24 * time.Hour,
		Other: true, Domains: []string{"example.net"}, DNSLifetime: time.Hour,
	}
}

func testLink(prefixes ...string) Link {
	l := Link{ID: [8]byte{7: 1}, MTU: 1456, DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}}
	for _, p := range prefixes {
		l.Prefixes = append(l.Prefixes, netip.MustParsePrefix(p))
	}
	return l
}

// half is randomness that always takes the middle.
func half(b []byte) {
	for i := range b {
		b[i] = 0x80
	}
}

// The whole of an advertisement, byte by byte.
func TestAdvertisement(t *testing.T) {
	r := NewRouter(testConfig(), testLink("2001:db8:1::/64", "2001:db8:2::/60"), half, start)
	b := r.Timer(start)
	h, m, ok := ip6.Parse(b)
	if !ok || h.HopLimit != 255 || h.Src != ip6.LinkLocal([8]byte{7: 1}) || h.Dst != netip.MustParseAddr("ff02::1") {
		t.Fatalf("header %+v %v", h, ok)
	}
	if ip6.Checksum(h.Src, h.Dst, h.Next, m) != 0 {
		t.Error("checksum")
	}
	m[2], m[3] = 0, 0
	want := strings.Join([]string{
		"86000000" + "40400708" + "0000000000000000", // hop limit 64, O, 1800 s
		"05010000" + "000005b0",
		"030440c0" + "ffffffff" + "00093a80" + "00000000" + "20010db8000100000000000000000000",
		"03043c80" + "ffffffff" + "00093a80" + "00000000" + "20010db8000200000000000000000000", // no addresses in a /60
		"19030000" + "00000e10" + "20010db8000000000000000000000053",
		"1f030000" + "00000e10" + "076578616d706c65" + "036e657400" + "000000",
	}, "")
	if got := hex.EncodeToString(m); got != want {
		t.Errorf("\n got %s\nwant %s", got, want)
	}
}

// lifetimes reads the router lifetime and the prefixes' valid and preferred ones.
func lifetimes(t *testing.T, b []byte) (router int, prefixes map[string][2]uint32) {
	t.Helper()
	h, m, ok := ip6.Parse(b)
	if !ok || h.Next != ip6.ProtoICMPv6 || m[0] != typeRouterAdvert {
		t.Fatalf("no advertisement: %x", b)
	}
	prefixes = map[string][2]uint32{}
	for o := m[16:]; len(o) > 0; o = o[int(o[1])*8:] {
		if o[0] == optPrefix {
			p := netip.PrefixFrom(netip.AddrFrom16([16]byte(o[16:])), int(o[2]))
			prefixes[p.String()] = [2]uint32{be32(o[4:]), be32(o[8:])}
		}
	}
	return int(m[6])<<8 | int(m[7]), prefixes
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}

// The first advertisements come soon one after the other, then at random between a
// third of the interval and the whole (RFC 4861 section 6.2.4).
func TestPace(t *testing.T) {
	for _, b := range []byte{0, 1, 127, 200, 255} {
		random := func(p []byte) {
			for i := range p {
				p[i] = b
			}
		}
		r := NewRouter(testConfig(), testLink(), random, start)
		last := start
		for i := range 6 {
			now := r.Deadline()
			if r.Timer(now.Add(-time.Millisecond)) != nil {
				t.Fatal("advertised before it was time")
			}
			if r.Timer(now) == nil {
				t.Fatal("nothing when it was time")
			}
			gap := now.Sub(last)
			last = now
			switch {
			case i == 0 && gap != 0, i > 0 && i < maxInitialAdverts && gap > maxInitialInterval:
				t.Errorf("advertisement %d after %v", i, gap)
			case i > maxInitialAdverts && (gap < 200*time.Second || gap > 600*time.Second):
				t.Errorf("advertisement %d after %v", i, gap)
			}
		}
	}
}

// solicit is a host's router solicitation.
func solicit(from netip.Addr) []byte {
	return ip6.AppendICMP(nil, from, netip.MustParseAddr("ff02::2"), make8(typeRouterSolicit))
}

func make8(kind byte) []byte { return append([]byte{kind}, make([]byte, 7)...) }

func receive(r *Router, now time.Time, b []byte) []byte {
	h, m, ok := ip6.Parse(b)
	if !ok {
		return nil
	}
	return r.Receive(now, &h, m)
}

func TestSolicitations(t *testing.T) {
	r := NewRouter(testConfig(), testLink("2001:db8:1::/64"), half, start)
	r.Timer(start)
	for range maxInitialAdverts {
		r.Timer(r.Deadline())
	}
	later := r.sent.Add(time.Minute)
	if receive(r, later, solicit(host)) != nil {
		t.Error("answered without a delay")
	}
	due := r.Deadline()
	if d := due.Sub(later); d < 0 || d > maxAnswerDelay {
		t.Errorf("answer after %v", d)
	}
	// Any number of them brings one answer.
	for range 100 {
		receive(r, later, solicit(netip.IPv6Unspecified()))
	}
	if r.Timer(due) == nil || r.Timer(due) != nil {
		t.Error("not one answer")
	}
	// The next answer keeps its distance.
	receive(r, due, solicit(host))
	if d := r.Deadline().Sub(due); d != minBetweenAdverts {
		t.Errorf("next answer after %v", d)
	}
}

func TestSolicitationsThatAreNone(t *testing.T) {
	r := NewRouter(testConfig(), testLink(), half, start)
	r.Timer(start)
	good := solicit(host)
	calm := r.Deadline()
	for name, spoil := range map[string]func([]byte) []byte{
		"hop limit": func(b []byte) []byte { b[7] = 254; return b },
		"checksum":  func(b []byte) []byte { b[42]++; return b },
		"code": func(b []byte) []byte {
			return ip6.AppendICMP(nil, host, allNodes, []byte{typeRouterSolicit, 1, 0, 0, 0, 0, 0, 0})
		},
		"short":         func(b []byte) []byte { return ip6.AppendICMP(nil, host, allNodes, []byte{typeRouterSolicit, 0, 0, 0}) },
		"empty option":  func(b []byte) []byte { return withOption(host, 1, 0) },
		"long option":   func(b []byte) []byte { return withOption(host, 1, 2) },
		"link from ::":  func(b []byte) []byte { return withOption(netip.IPv6Unspecified(), 1, 1) },
		"other message": func(b []byte) []byte { return ip6.AppendICMP(nil, host, allNodes, make8(typeRouterAdvert)) },
	} {
		if receive(r, start.Add(time.Second), spoil(append([]byte(nil), good...))) != nil || r.Deadline() != calm {
			t.Errorf("%s: taken for a solicitation", name)
		}
	}
}

func withOption(from netip.Addr, kind, length byte) []byte {
	return ip6.AppendICMP(nil, from, allNodes, append(make8(typeRouterSolicit), kind, length, 0, 0, 0, 0, 0, 0))
}

// Prefixes that are taken back are named three times with no lifetime left, and
// then no more.
func TestTakenBack(t *testing.T) {
	r := NewRouter(testConfig(), testLink("2001:db8:1::/64", "2001:db8:2::/64"), half, start)
	r.Timer(start)
	now := start.Add(time.Hour)
	r.Update(now, testLink("2001:db8:2::/64", "2001:db8:3::/64"))
	for i := range 5 {
		_, got := lifetimes(t, r.Timer(now))
		gone, told := got["2001:db8:1::/64"]
		if told != (i < withdrawals) || gone != [2]uint32{} {
			t.Errorf("advertisement %d: %v", i, got)
		}
		if got["2001:db8:2::/64"][0] == 0 || got["2001:db8:3::/64"][0] == 0 {
			t.Errorf("advertisement %d: %v", i, got)
		}
		now = r.Deadline()
	}
	// A prefix that comes back lives again.
	r.Update(now, testLink("2001:db8:1::/64"))
	if _, got := lifetimes(t, r.Timer(now)); got["2001:db8:1::/64"][0] == 0 || got["2001:db8:2::/64"][0] != 0 {
		t.Errorf("%v", got)
	}
}

func TestClose(t *testing.T) {
	r := NewRouter(testConfig(), testLink("2001:db8:1::/64"), half, start)
	router, prefixes := lifetimes(t, r.Close())
	if router != 0 || prefixes["2001:db8:1::/64"] != [2]uint32{} {
		t.Errorf("router %d, prefixes %v", router, prefixes)
	}
}

func TestNeighbourSolicitation(t *testing.T) {
	r := NewRouter(testConfig(), testLink(), half, start)
	us := ip6.LinkLocal([8]byte{7: 1}).As16()
	question := append(make8(typeNeighbourSolicit), us[:]...)
	for _, c := range []struct {
		from, to netip.Addr
		flags    byte
	}{{host, host, flagRouter | flagSolicited | flagOverride}, {netip.IPv6Unspecified(), allNodes, flagRouter | flagOverride}} {
		h, m, ok := ip6.Parse(receive(r, start, ip6.AppendICMP(nil, c.from, allNodes, question)))
		if !ok || h.Dst != c.to || m[0] != typeNeighbourAdvert || m[4] != c.flags || [16]byte(m[8:]) != us || ip6.Checksum(h.Src, h.Dst, h.Next, m) != 0 {
			t.Errorf("from %v: %+v %x", c.from, h, m)
		}
	}
	question[len(question)-1] = 9 // somebody else
	if receive(r, start, ip6.AppendICMP(nil, host, allNodes, question)) != nil {
		t.Error("answered for somebody else")
	}
}

func FuzzReceive(f *testing.F) {
	f.Add(solicit(host))
	us := ip6.LinkLocal([8]byte{7: 1}).As16()
	f.Add(ip6.AppendICMP(nil, host, allNodes, append(make8(typeNeighbourSolicit), us[:]...)))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewRouter(testConfig(), testLink("2001:db8:1::/64"), half, start)
		answer := receive(r, start, b)
		if answer == nil {
			return
		}
		if h, m, ok := ip6.Parse(answer); !ok || ip6.Checksum(h.Src, h.Dst, h.Next, m) != 0 {
			t.Fatalf("answer %x", answer)
		}
	})
}
