package tun

import (
	"slices"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/control/session"
)

// accessLists makes a set of each list, given as its name and its rules for IPv4,
// in which IPv6 has the rule of "permit ipv6 any any" alone.
func accessLists(t *testing.T, lists ...[]string) []acl.Set {
	t.Helper()
	var all []acl.List
	for _, words := range lists {
		l := acl.List{Name: words[0], Kind: acl.Extended}
		for _, text := range words[1:] {
			r, err := l.Rule(strings.Fields(text))
			if err != nil {
				t.Fatal(err)
			}
			l.Rules = append(l.Rules, r)
		}
		all = append(all, l, acl.List{Name: l.Name, Family: acl.IPv6, Kind: acl.Standard, Rules: []acl.Rule{{Permit: true, Protocol: acl.Any}}})
	}
	return acl.Sets(all)
}

func filteredRecord(up, down string) session.Record {
	r := record6()
	r.Services = &session.Services{FilterUp: up, FilterDown: down}
	return r
}

func TestFiltersInTheSlowPath(t *testing.T) {
	p, m := newPath6(t)
	p.SetFilters(accessLists(t, []string{"in", "deny udp any host 198.51.100.2", "permit ip any any"}, []string{"out"}))
	install(p, filteredRecord("in", "out"))
	u := p.NewUplink()
	for _, to := range []string{"198.51.100.2", "198.51.100.3"} {
		if !u.Packet(lns, lac, 0, data(udpPacket("10.64.0.7", to, 0, 30))) {
			t.Fatal("not taken")
		}
	}
	u.Packet(lns, lac, 0, data(packet6("2001:db8:d000::1", "2001:db8:ffff::1", 59, nil)))
	u.Flush()
	if len(m.written) != 2 {
		t.Errorf("%d packets went up, want 2", len(m.written))
	}
	d := p.down[0]
	small, big := udpPacket("198.51.100.2", "10.64.0.7", 0, 30), udpPacket("198.51.100.2", "10.64.0.7", 0, 1470)
	for _, b := range [][]byte{small, big} {
		if r := d.packet(b); r != downFiltered {
			t.Errorf("%d bytes downwards: %s", len(b), reasonNames[r])
		}
	}
	if len(m.sent)+len(m.icmp) != 0 {
		t.Errorf("%d sent, %d ICMP errors for what is denied", len(m.sent), len(m.icmp))
	}
	onlyCounts(t, p, map[reason]uint64{upForwarded: 2, upFiltered: 1})
	if hits := p.FilterHits("in"); !slices.Equal(hits[acl.IPv4], []uint64{1, 1, 0}) || !slices.Equal(hits[acl.IPv6], []uint64{1, 0}) {
		t.Errorf("in: %v", hits)
	}
	if hits := p.FilterHits("out"); !slices.Equal(hits[acl.IPv4], []uint64{2}) {
		t.Errorf("out: %v", hits)
	}
	if c := p.Counters(3); c.UpDropped != 1 || c.DownDropped != 2 || c.UpPackets != 2 {
		t.Errorf("%+v", c)
	}
}

func TestFiltersChangeUnderASession(t *testing.T) {
	p, _ := newPath6(t)
	p.SetFilters(accessLists(t, []string{"a"}, []string{"b", "permit udp any any"}))
	install(p, filteredRecord("", "a"))
	down := udpPacket("198.51.100.2", "10.64.0.7", 0, 30)
	step := func(name string, want reason) {
		t.Helper()
		if r := p.down[0].packet(down); r != want {
			t.Errorf("%s: %s, want %s", name, reasonNames[r], reasonNames[want])
		}
	}
	step("denied", downFiltered)
	p.SetFilters(accessLists(t, []string{"a", "permit ip any any"}, []string{"b", "permit udp any any"}))
	step("changed", downForwarded)
	install(p, filteredRecord("", "b"))
	step("another", downForwarded)
	p.SetFilters(nil)
	step("not configured any more", downForwarded)
	if hits := p.FilterHits("b"); hits[acl.IPv4][0] != 2 {
		t.Errorf("%v", hits)
	}
	install(p, filteredRecord("", "nobody knows"))
	step("unknown", downFiltered)
	install(p, filteredRecord("", ""))
	step("none", downForwarded)
}

// A packet that stands for many counts as many.
func TestFilterCountsSegments(t *testing.T) {
	p, _ := newPath6(t)
	p.SetFilters(accessLists(t, []string{"a", "deny tcp any any"}))
	install(p, filteredRecord("", "a"))
	p.down[0].frame(uncut(tcpPacket("198.51.100.2", "10.64.0.7", 1, tcpFlagACK, nil, counting(5000)), 1000))
	if hits := p.FilterHits("a"); hits[acl.IPv4][0] != 5 {
		t.Errorf("%v, want 5 packets", hits)
	}
	if n := p.Counters(3).DownDropped; n != 5 {
		t.Errorf("%d dropped, want 5", n)
	}
}
