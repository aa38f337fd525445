package acl

import (
	"errors"
	"strings"
	"testing"
)

func list(f Family, k Kind) *List { return &List{Name: "x", Family: f, Kind: k} }

func TestRulesAreReadAndWritten(t *testing.T) {
	for _, c := range []struct {
		list       *List
		text, want string // want "" is text itself
	}{
		{list(IPv4, Standard), "permit any", ""},
		{list(IPv4, Standard), "deny 10.1.0.0 0.0.255.255", ""},
		{list(IPv4, Standard), "permit host 10.1.2.3 host 192.0.2.1", ""},
		{list(IPv4, Standard), "permit 10.1.2.3 0.0.0.0", "permit host 10.1.2.3"},
		{list(IPv4, Standard), "permit 10.1.2.3 255.255.255.255", "permit any"},
		{list(IPv4, Standard), "PERMIT Any", "permit any"},
		{list(IPv4, Standard), "permit 10.1.2.3 0.255.0.255", "permit 10.0.2.0 0.255.0.255"},
		{list(IPv4, Extended), "deny ip any any", ""},
		{list(IPv4, Extended), "permit tcp any host 192.0.2.1 eq 80", ""},
		{list(IPv4, Extended), "permit tcp any 192.0.2.77/24 eq 80", "permit tcp any 192.0.2.0 0.0.0.255 eq 80"},
		{list(IPv4, Extended), "permit udp any range 1024 65535 any neq 53", ""},
		{list(IPv4, Extended), "permit udp any gt 1023 any lt 2", "permit udp any range 1024 65535 any range 0 1"},
		{list(IPv4, Extended), "permit tcp any any established", ""},
		{list(IPv4, Extended), "deny tcp any any match-all +syn -ack", ""},
		{list(IPv4, Extended), "deny tcp any any eq 7 match-any +urg +fin -ack", "deny tcp any any eq 7 match-any +fin -ack +urg"},
		{list(IPv4, Extended), "deny ip any any fragments", ""},
		{list(IPv4, Extended), "permit icmp any any", ""},
		{list(IPv4, Extended), "permit 47 any any", "permit gre any any"},
		{list(IPv4, Extended), "permit 89 any any", ""},
		{list(IPv6, Extended), "permit icmp any any", ""},
		{list(IPv6, Extended), "permit 58 any any", "permit icmp any any"},
		{list(IPv6, Extended), "permit tcp 2001:db8::1/32 host 2001:db8::5 eq 443", "permit tcp 2001:db8::/32 host 2001:db8::5 eq 443"},
		{list(IPv6, Standard), "permit ::/0", "permit any"},
		{list(IPv6, Extended), "deny ipv6 any any", ""},
	} {
		r, err := c.list.Rule(strings.Fields(c.text))
		if err != nil {
			t.Errorf("%s: %v", c.text, err)
			continue
		}
		want := c.want
		if want == "" {
			want = c.text
		}
		if got := c.list.Text(r); got != want {
			t.Errorf("%s: written as %q, want %q", c.text, got, want)
		}
		again, err := c.list.Rule(strings.Fields(want))
		if err != nil || again != r {
			t.Errorf("%s: read again as %+v (%v), not %+v", want, again, err, r)
		}
	}
}

func TestFaultsNameTheWord(t *testing.T) {
	for _, c := range []struct {
		list *List
		text string
		word int
		says string
	}{
		{list(IPv4, Standard), "allow any", 0, "permit or deny"},
		{list(IPv4, Standard), "permit", 1, "source address is missing"},
		{list(IPv4, Standard), "permit 10.0.0.1", 2, "wildcard"},
		{list(IPv4, Standard), "permit host", 2, "missing"},
		{list(IPv4, Standard), "permit any any any", 3, "nothing more"},
		{list(IPv4, Standard), "permit 2001:db8::1 ::", 1, "IPv4"},
		{list(IPv4, Extended), "permit any any", 1, "protocol"},
		{list(IPv4, Extended), "permit tpc any any", 1, "protocol"},
		{list(IPv4, Extended), "permit 256 any any", 1, "protocol"},
		{list(IPv4, Extended), "permit ip any eq 5 any", 3, "TCP and UDP"},
		{list(IPv4, Extended), "permit tcp any any eq 65536", 5, "65535"},
		{list(IPv4, Extended), "permit tcp any any gt 65535", 5, "above"},
		{list(IPv4, Extended), "permit tcp any any lt 0", 5, "below"},
		{list(IPv4, Extended), "permit tcp any any range 5 4", 6, "below the first"},
		{list(IPv4, Extended), "permit udp any any established", 4, "TCP only"},
		{list(IPv4, Extended), "permit tcp any any match-all", 5, "missing"},
		{list(IPv4, Extended), "permit tcp any any match-all syn", 5, "+ or -"},
		{list(IPv4, Extended), "permit tcp any any match-all +syn -syn", 6, "twice"},
		{list(IPv4, Extended), "permit tcp any any eq 5 fragments", 6, "together"},
		{list(IPv4, Extended), "permit tcp any any establishd", 4, "flags"},
		{list(IPv4, Extended), "permit ip any any log", 4, "the end"},
		{list(IPv6, Extended), "permit ipv6 2001:db8::1 any", 2, "LENGTH"},
		{list(IPv6, Extended), "permit ip any any", 1, "ipv6"},
		{list(IPv6, Extended), "permit ipv6 ::ffff:10.0.0.1/128 any", 2, "IPv6"},
	} {
		_, err := c.list.Rule(strings.Fields(c.text))
		var fault *Error
		if !errors.As(err, &fault) {
			t.Errorf("%s: accepted", c.text)
			continue
		}
		if fault.Word != c.word || !strings.Contains(fault.Message, c.says) {
			t.Errorf("%s: word %d: %s; want word %d, %q", c.text, fault.Word, fault.Message, c.word, c.says)
		}
	}
}

func TestNames(t *testing.T) {
	for _, good := range []string{"a", "users.in", "A-b_9", strings.Repeat("n", MaxName)} {
		if err := CheckName(good); err != nil {
			t.Errorf("%q: %v", good, err)
		}
	}
	for _, bad := range []string{"", "a b", `a"`, "ä", "a\x00", strings.Repeat("n", MaxName+1)} {
		if CheckName(bad) == nil {
			t.Errorf("%q is accepted", bad)
		}
	}
}

// Whatever the words: no panic, and what is accepted reads back the same.
func FuzzRule(f *testing.F) {
	f.Add(byte(0), "permit 10.0.0.0 0.255.255.255")
	f.Add(byte(1), "deny tcp any range 1 5 host 1.2.3.4 neq 80 match-any +syn -ack")
	f.Add(byte(3), "permit udp 2001:db8::/32 any eq 53")
	f.Add(byte(1), "permit ip any any fragments")
	f.Fuzz(func(t *testing.T, kind byte, text string) {
		l := list(Family(kind>>1&1), Kind(kind&1))
		words := strings.Fields(text)
		r, err := l.Rule(words)
		if err != nil {
			var fault *Error
			if !errors.As(err, &fault) || fault.Word < 0 || fault.Word > len(words) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		written := l.Text(r)
		again, err := l.Rule(strings.Fields(written))
		if err != nil || again != r {
			t.Fatalf("%q is written as %q, which reads as %+v (%v), not %+v", text, written, again, err, r)
		}
	})
}

// Whatever the packet: no panic.
func FuzzDecide(f *testing.F) {
	f.Add([]byte{0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0, 53, 0, 53})
	f.Add(append([]byte{0x60, 0, 0, 0, 0, 8, 44, 64}, make([]byte, 40)...))
	s := set("permit tcp any eq 5 any", "deny udp any any lt 100", "permit ip any any")
	f.Fuzz(func(t *testing.T, packet []byte) {
		d := s.Decide(packet)
		if d.Rule < 0 || d.Rule > len(s.Rules(d.Family)) || d.Permit && d.Rule == len(s.Rules(d.Family)) {
			t.Fatalf("%+v", d)
		}
	})
}
