package acl

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"
)

// set makes a set of an extended list for each family from the same rules, in which
// "ip" means either and addresses are IPv4's.
func set(rules ...string) *Set {
	s := &Set{Name: "x"}
	for f := range Families {
		l := list(f, Extended)
		for _, text := range rules {
			if f == IPv6 {
				text = strings.Replace(text, " ip ", " ipv6 ", 1)
			}
			r, err := l.Rule(strings.Fields(text))
			if err != nil {
				if f == IPv6 {
					continue // has IPv4 addresses
				}
				panic(err)
			}
			l.Rules = append(l.Rules, r)
		}
		s.Lists[f] = l
	}
	return s
}

// packet4 makes an IPv4 packet of 10.0.0.1 to 192.0.2.9.
func packet4(protocol byte, offset uint16, payload []byte) []byte {
	b := make([]byte, 20, 20+len(payload))
	b[0], b[8], b[9] = 0x45, 64, protocol
	binary.BigEndian.PutUint16(b[2:], uint16(20+len(payload)))
	binary.BigEndian.PutUint16(b[6:], offset)
	copy(b[12:], []byte{10, 0, 0, 1, 192, 0, 2, 9})
	return append(b, payload...)
}

// packet6 makes an IPv6 packet; chain is the extension headers and the payload.
func packet6(next byte, chain []byte) []byte {
	b := make([]byte, 40, 40+len(chain))
	b[0], b[6], b[7] = 0x60, next, 64
	binary.BigEndian.PutUint16(b[4:], uint16(len(chain)))
	src, dst := netip.MustParseAddr("2001:db8::1").As16(), netip.MustParseAddr("2001:db8:1::9").As16()
	copy(b[8:], src[:])
	copy(b[24:], dst[:])
	return append(b, chain...)
}

func udp(source, destination uint16) []byte {
	b := make([]byte, 8)
	binary.BigEndian.PutUint16(b, source)
	binary.BigEndian.PutUint16(b[2:], destination)
	return b
}

func tcp(source, destination uint16, flags byte) []byte {
	b := append(udp(source, destination), make([]byte, 12)...)
	b[12], b[13] = 0x50, flags
	return b
}

func TestDecisions(t *testing.T) {
	const moreFragments = 0x2000
	web := tcp(40000, 80, SYN)
	for _, c := range []struct {
		name   string
		rules  []string
		packet []byte
		rule   int // that decides; -1 for none
		permit bool
	}{
		{"implicit deny", []string{"permit udp any any"}, packet4(6, 0, web), -1, false},
		{"first match", []string{"deny ip any any", "permit ip any any"}, packet4(6, 0, web), 0, false},
		{"source", []string{"deny ip host 10.0.0.2 any", "permit ip 10.0.0.0 0.0.0.3 any"}, packet4(6, 0, web), 1, true},
		{"wildcard with holes", []string{"permit ip 10.99.0.1 0.255.0.0 any"}, packet4(6, 0, web), 0, true},
		{"destination", []string{"permit ip any host 192.0.2.8", "deny ip any 192.0.2.0/28"}, packet4(6, 0, web), 1, false},
		{"eq", []string{"permit tcp any any eq 80"}, packet4(6, 0, web), 0, true},
		{"neq", []string{"permit tcp any any neq 80"}, packet4(6, 0, web), -1, false},
		{"gt, lt", []string{"permit tcp any gt 40000 any", "permit tcp any lt 40000 any"}, packet4(6, 0, web), -1, false},
		{"range", []string{"permit tcp any range 40000 40001 any range 80 80"}, packet4(6, 0, web), 0, true},
		{"not UDP's port", []string{"permit udp any any eq 80"}, packet4(6, 0, web), -1, false},
		{"established", []string{"permit tcp any any established"}, packet4(6, 0, tcp(1, 2, ACK)), 0, true},
		{"reset is established", []string{"permit tcp any any established"}, packet4(6, 0, tcp(1, 2, RST)), 0, true},
		{"SYN is not", []string{"permit tcp any any established"}, packet4(6, 0, tcp(1, 2, SYN|ACK)), -1, false},
		{"match-all", []string{"permit tcp any any match-all +syn -ack"}, packet4(6, 0, tcp(1, 2, SYN|PSH)), 0, true},
		{"not all", []string{"permit tcp any any match-all +syn -ack"}, packet4(6, 0, tcp(1, 2, SYN|ACK)), -1, false},
		{"match-any", []string{"permit tcp any any match-any +fin -ack"}, packet4(6, 0, tcp(1, 2, SYN)), 0, true},
		{"not any", []string{"permit tcp any any match-any +fin -ack"}, packet4(6, 0, tcp(1, 2, ACK)), -1, false},
		{"ICMP", []string{"permit icmp any any"}, packet4(1, 0, nil), 0, true},

		{"first fragment has ports", []string{"permit udp any any eq 53"}, packet4(17, moreFragments, udp(1, 53)), 0, true},
		{"later fragment: permit by addresses", []string{"permit udp any any eq 53"}, packet4(17, 5, udp(1, 54)), 0, true},
		{"later fragment: deny of ports does not count", []string{"deny udp any any eq 53", "permit ip any any"}, packet4(17, 5, udp(1, 53)), 1, true},
		{"fragments", []string{"deny ip any any fragments", "permit ip any any"}, packet4(17, 5, nil), 0, false},
		{"whole packet is no fragment", []string{"deny ip any any fragments", "permit ip any any"}, packet4(17, 0, udp(1, 2)), 1, true},
		{"TCP's flags in a fragment of their own", []string{"permit ip any any"}, packet4(6, 1, make([]byte, 8)), -1, false},
		{"TCP's head cut short", []string{"permit ip any any"}, packet4(6, moreFragments, web[:8]), -1, false},
		{"UDP without ports", []string{"permit ip any any"}, packet4(17, 0, []byte{0, 1, 0}), -1, false},

		{"IPv6 ports", []string{"permit tcp any any eq 80"}, packet6(6, web), 0, true},
		{"IPv6 options before TCP", []string{"permit tcp any any eq 80"}, packet6(60, append([]byte{6, 0, 1, 4, 0, 0, 0, 0}, web...)), 0, true},
		{"long options", []string{"permit tcp any any eq 80"}, packet6(0, append(append([]byte{6, 1}, make([]byte, 14)...), web...)), 0, true},
		{"IPv6 first fragment", []string{"permit tcp any any eq 80"}, packet6(44, append([]byte{6, 0, 0, 1, 0, 0, 0, 0}, web...)), 0, true},
		{"IPv6 later fragment", []string{"deny tcp any any eq 80", "permit tcp any any neq 80"}, packet6(44, []byte{6, 0, 1, 0, 0, 0, 0, 0}), 1, true},
		{"IPv6 flags in a fragment of their own", []string{"permit ip any any"}, packet6(44, []byte{6, 0, 0, 8, 0, 0, 0, 0}), -1, false},
		{"chain cut short", []string{"permit ip any any"}, packet6(60, []byte{6, 3, 0, 0, 0, 0, 0, 0}), -1, false},
		{"chain too long", []string{"permit ip any any"}, packet6(60, append([]byte(strings.Repeat("\x3c\x00\x00\x00\x00\x00\x00\x00", MaxExtensions)), web...)), -1, false},
		{"nothing", []string{"permit ip any any"}, nil, -1, false},
	} {
		s := set(c.rules...)
		d := s.Decide(c.packet)
		want := c.rule
		if want < 0 {
			want = len(s.Rules(d.Family))
		}
		if d.Rule != want || d.Permit != c.permit {
			t.Errorf("%s: %+v, want rule %d, permit %v", c.name, d, want, c.permit)
		}
	}
}

func TestAFamilyWithoutAListIsDenied(t *testing.T) {
	s := set("permit ip any any")
	s.Lists[IPv6] = nil
	if d := s.Decide(packet6(6, tcp(1, 2, 0))); d.Permit || d.Rule != 0 || d.Family != IPv6 {
		t.Errorf("%+v", d)
	}
}

func TestSetsShareANameAcrossFamilies(t *testing.T) {
	lists := []List{{Name: "b"}, {Name: "a", Family: IPv6}, {Name: "b", Family: IPv6}}
	sets := Sets(lists)
	if len(sets) != 2 || sets[0].Name != "a" || sets[1].Name != "b" || sets[1].Lists[IPv4] != &lists[0] ||
		sets[1].Lists[IPv6] != &lists[2] || sets[0].Lists[IPv4] != nil {
		t.Errorf("%+v", sets)
	}
	if !sets[1].Equal(&sets[1]) || sets[0].Equal(&sets[1]) {
		t.Error("Equal is wrong")
	}
}
