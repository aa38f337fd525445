package dhcp6

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"time"
)

var start = time.Unix(1_700_000_000, 0)

func pfx(s string) netip.Prefix { return netip.MustParsePrefix(s) }

func testConfig() *Config {
	return &Config{DUID: []byte{0, 4, 1, 2, 3}, Preferred: time.Hour, Valid: 2 * time.Hour, Domains: []string{"example.net"}}
}

func counting() func([]byte) {
	n := byte(0)
	return func(b []byte) {
		for i := range b {
			n++
			b[i] = n
		}
	}
}

func server(g Grant) *Server { return New(testConfig(), g, counting()) }

// oneLink is a usual grant: a /64 on the link, a /56 behind it.
func oneLink() Grant {
	return Grant{Link: []netip.Prefix{pfx("2001:db8:1::/64")}, Delegated: []netip.Prefix{pfx("2001:db8:100::/56")},
		DNS: []netip.Addr{netip.MustParseAddr("2001:db8::53")}}
}

// wish is a client's message in the making.
type wish struct{ b []byte }

func ask(kind uint8) *wish { return &wish{begin(nil, kind, [3]byte{7, 8, 9})} }

func (w *wish) from(duid string) *wish {
	w.b = appendOption(w.b, optClientID, []byte(duid)...)
	return w
}

func (w *wish) to(duid []byte) *wish { w.b = appendOption(w.b, optServerID, duid...); return w }

func (w *wish) option(code uint16, data ...byte) *wish {
	w.b = appendOption(w.b, code, data...)
	return w
}

func (w *wish) ia(option uint16, id uint32, leases ...string) *wish {
	b, at := openIA(w.b, &ia{option: option, id: id}, 0, 0)
	for _, l := range leases {
		b = appendLease(b, option, pfx(l), 0, 0, netip.Prefix{})
	}
	w.b = shut(b, at)
	return w
}

// show writes an answer as text: kind, then options in their order.
func show(b []byte) string {
	if b == nil {
		return "silence"
	}
	kinds := map[byte]string{typeAdvertise: "advertise", typeReply: "reply"}
	out := []string{kinds[b[0]]}
	if [3]byte(b[1:4]) != [3]byte{7, 8, 9} {
		out = append(out, "wrong transaction")
	}
	out = append(out, showOptions(b[4:])...)
	return strings.Join(out, " ")
}

func showOptions(b []byte) (out []string) {
	err := options(b, func(code uint16, d []byte) error {
		switch code {
		case optClientID, optServerID:
		case optIANA, optIAPD, optIATA:
			name, fixed := map[uint16]string{optIANA: "na", optIAPD: "pd", optIATA: "ta"}[code], 12
			times := ""
			if code == optIATA {
				fixed = 4
			} else {
				times = fmt.Sprintf(" %d/%d", be32(d[4:]), be32(d[8:]))
			}
			out = append(out, fmt.Sprintf("%s%d{%s}", name, be32(d), strings.TrimSpace(times+" "+strings.Join(showOptions(d[fixed:]), " "))))
		case optAddress:
			out = append(out, fmt.Sprintf("%s:%d/%d", netip.AddrFrom16([16]byte(d)), be32(d[16:]), be32(d[20:])))
		case optPrefix:
			out = append(out, fmt.Sprintf("%s/%d:%d/%d", netip.AddrFrom16([16]byte(d[9:])), d[8], be32(d), be32(d[4:])))
			out = append(out, showOptions(d[25:])...)
		case optStatus:
			out = append(out, fmt.Sprintf("status%d", int(d[0])<<8|int(d[1])))
		default:
			out = append(out, fmt.Sprintf("%d=%s", code, hex.EncodeToString(d)))
		}
		return nil
	})
	if err != nil {
		out = append(out, err.Error())
	}
	return out
}

func be32(b []byte) int { return int(b[0])<<24 | int(b[1])<<16 | int(b[2])<<8 | int(b[3]) }

const (
	alice = "\x00\x03\x00\x01alice!"
	bob   = "\x00\x03\x00\x01bobbob"
)

func duid() []byte { return testConfig().DUID }

func TestExchanges(t *testing.T) {
	type step struct {
		ask  *wish
		want string
	}
	for name, c := range map[string]struct {
		grant Grant
		steps []step
	}{
		"prefix and address": {oneLink(), []step{
			{ask(typeSolicit).from(alice).ia(optIANA, 1).ia(optIAPD, 2),
				"advertise na1{1800/2880 2001:db8:1:0:1102:304:506:708:3600/7200} pd2{1800/2880 2001:db8:100::/56:3600/7200}"},
			{ask(typeRequest).from(alice).to(duid()).ia(optIANA, 1, "2001:db8:1:0:1102:304:506:708/128").ia(optIAPD, 2),
				"reply na1{1800/2880 2001:db8:1:0:1102:304:506:708:3600/7200} pd2{1800/2880 2001:db8:100::/56:3600/7200}"},
			{ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 2, "2001:db8:100::/56"),
				"reply pd2{1800/2880 2001:db8:100::/56:3600/7200}"},
			{ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 2, "2001:db8:100::/56", "2001:db8:999::/56"),
				"reply pd2{1800/2880 2001:db8:100::/56:3600/7200 2001:db8:999::/56:0/0}"},
			{ask(typeRelease).from(alice).to(duid()).ia(optIAPD, 2, "2001:db8:100::/56"), "reply status0"},
			{ask(typeRelease).from(alice).to(duid()).ia(optIAPD, 2, "2001:db8:100::/56"), "reply status0 pd2{0/0 status3}"},
		}},
		"rapid commit": {oneLink(), []step{
			{ask(typeSolicit).from(alice).option(optRapidCommit).ia(optIAPD, 1), "reply 14= pd1{1800/2880 2001:db8:100::/56:3600/7200}"},
			{ask(typeRebind).from(alice).ia(optIAPD, 1, "2001:db8:100::/56"), "reply pd1{1800/2880 2001:db8:100::/56:3600/7200}"},
		}},
		"one prefix for two associations": {oneLink(), []step{
			{ask(typeSolicit).from(alice).ia(optIAPD, 1).ia(optIAPD, 2), "advertise pd1{1800/2880 2001:db8:100::/56:3600/7200} pd2{0/0 status6}"},
		}},
		"two prefixes for one association": {Grant{Delegated: []netip.Prefix{pfx("2001:db8:1::/56"), pfx("2001:db8:2::/60")}}, []step{
			{ask(typeSolicit).from(alice).ia(optIAPD, 1), "advertise pd1{1800/2880 2001:db8:1::/56:3600/7200 2001:db8:2::/60:3600/7200}"},
		}},
		"two prefixes for two associations by hint": {Grant{Delegated: []netip.Prefix{pfx("2001:db8:1::/56"), pfx("2001:db8:2::/60")}}, []step{
			{ask(typeSolicit).from(alice).ia(optIAPD, 1, "::/60").ia(optIAPD, 2),
				"advertise pd1{1800/2880 2001:db8:2::/60:3600/7200} pd2{1800/2880 2001:db8:1::/56:3600/7200}"},
		}},
		"a hint that can't be met": {oneLink(), []step{
			{ask(typeSolicit).from(alice).ia(optIAPD, 1, "::/48"), "advertise pd1{1800/2880 2001:db8:100::/56:3600/7200}"},
		}},
		"nothing to give": {Grant{}, []step{
			{ask(typeSolicit).from(alice).ia(optIANA, 1).ia(optIAPD, 2).ia(optIATA, 3), "advertise na1{0/0 status2} pd2{0/0 status6} ta3{status2}"},
		}},
		"static address": {Grant{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::7")}}, []step{
			{ask(typeSolicit).from(alice).ia(optIANA, 1), "advertise na1{1800/2880 2001:db8::7:3600/7200}"},
		}},
		"declined": {oneLink(), []step{
			{ask(typeRequest).from(alice).to(duid()).ia(optIANA, 1), "reply na1{1800/2880 2001:db8:1:0:1102:304:506:708:3600/7200}"},
			{ask(typeDecline).from(alice).to(duid()).ia(optIANA, 1, "2001:db8:1:0:1102:304:506:708/128"), "reply status0"},
			{ask(typeRequest).from(alice).to(duid()).ia(optIANA, 1), "reply na1{1800/2880 2001:db8:1:0:190a:b0c:d0e:f10:3600/7200}"},
		}},
		"declined static address": {Grant{Addresses: []netip.Addr{netip.MustParseAddr("2001:db8::7")}}, []step{
			{ask(typeRequest).from(alice).to(duid()).ia(optIANA, 1), "reply na1{1800/2880 2001:db8::7:3600/7200}"},
			{ask(typeDecline).from(alice).to(duid()).ia(optIANA, 1, "2001:db8::7/128"), "reply status0"},
			{ask(typeRequest).from(alice).to(duid()).ia(optIANA, 1), "reply na1{0/0 status2}"},
		}},
		"a server that has forgotten": {oneLink(), []step{
			{ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 5, "2001:db8:100::/56").ia(optIANA, 6, "2001:db8:1::abcd/128"),
				"reply pd5{1800/2880 2001:db8:100::/56:3600/7200} na6{1800/2880 2001:db8:1::abcd:3600/7200}"},
			{ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 5), "reply pd5{1800/2880 2001:db8:100::/56:3600/7200}"},
		}},
		"a stranger's prefix": {oneLink(), []step{
			{ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 5, "2001:db8:777::/56"), "reply pd5{0/0 status3}"},
			{ask(typeRebind).from(alice).ia(optIAPD, 5, "2001:db8:777::/56"), "reply pd5{1800/2880 2001:db8:777::/56:0/0}"},
		}},
		"another router at the same line": {oneLink(), []step{
			{ask(typeRequest).from(alice).to(duid()).ia(optIAPD, 1), "reply pd1{1800/2880 2001:db8:100::/56:3600/7200}"},
			{ask(typeRequest).from(bob).to(duid()).ia(optIAPD, 9), "reply pd9{1800/2880 2001:db8:100::/56:3600/7200}"},
			{ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 1), "reply pd1{0/0 status3}"},
		}},
		"confirm": {oneLink(), []step{
			{ask(typeConfirm).from(alice).ia(optIANA, 1, "2001:db8:1::1/128"), "reply status0"},
			{ask(typeConfirm).from(alice).ia(optIANA, 1, "2001:db8:2::1/128"), "reply status4"},
			{ask(typeConfirm).from(alice).ia(optIANA, 1), "silence"},
		}},
		"information": {oneLink(), []step{
			{ask(typeInformation).option(optRequest, 0, optDNS, 0, optDomains),
				"reply 23=20010db8000000000000000000000053 24=076578616d706c65036e657400"},
			{ask(typeInformation), "reply"},
			{ask(typeInformation).ia(optIANA, 1), "silence"},
		}},
		"exclude": {Grant{Link: []netip.Prefix{pfx("2001:db8:100:f::/64")}, Delegated: []netip.Prefix{pfx("2001:db8:100::/60")}}, []step{
			{ask(typeSolicit).from(alice).option(optRequest, 0, optPDExclude).ia(optIAPD, 1), "advertise pd1{1800/2880 2001:db8:100::/60:3600/7200 67=40f0}"},
			{ask(typeSolicit).from(alice).ia(optIAPD, 1), "advertise pd1{1800/2880 2001:db8:100::/60:3600/7200}"},
		}},
		"not for us, or not allowed": {oneLink(), []step{
			{ask(typeSolicit).ia(optIAPD, 1), "silence"},
			{ask(typeSolicit).from(alice).to(duid()).ia(optIAPD, 1), "silence"},
			{ask(typeRequest).from(alice).ia(optIAPD, 1), "silence"},
			{ask(typeRequest).from(alice).to([]byte("other")).ia(optIAPD, 1), "silence"},
			{ask(typeRebind).from(alice).to(duid()).ia(optIAPD, 1), "silence"},
			{ask(typeReply).from(alice), "silence"},
			{ask(12).from(alice), "silence"}, // Relay-forward
			{ask(typeSolicit).from(alice).option(optIAPD, 1, 2, 3), "silence"},
		}},
	} {
		t.Run(name, func(t *testing.T) {
			s := server(c.grant)
			for i, x := range c.steps {
				b := s.Receive(start, x.ask.b, true)
				if got := show(b); got != x.want {
					t.Errorf("step %d:\n got %s\nwant %s", i, got, x.want)
				}
				if b == nil {
					continue
				}
				m, err := parse(b)
				asked, _ := parse(x.ask.b)
				if err != nil || !bytes.Equal(m.server, duid()) || !bytes.Equal(m.client, asked.client) {
					t.Errorf("step %d: answer from %x to %x, %v", i, m.server, m.client, err)
				}
			}
		})
	}
}

// An offer binds nothing, what is given lasts as long as its lifetime.
func TestLeases(t *testing.T) {
	s := server(oneLink())
	s.Receive(start, ask(typeSolicit).from(alice).ia(optIAPD, 1).b, true)
	if got := s.Leases(); len(got) != 0 {
		t.Errorf("after the offer: %v", got)
	}
	s.Receive(start, ask(typeRequest).from(alice).to(duid()).ia(optIAPD, 1).b, true)
	if got := s.Leases(); len(got) != 1 || got[0].Prefix != pfx("2001:db8:100::/56") || !got[0].Until.Equal(start.Add(2*time.Hour)) {
		t.Errorf("leases %v", got)
	}
	s.Receive(start.Add(time.Hour), ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 1).b, true)
	if got := s.Leases(); len(got) != 1 || !got[0].Until.Equal(start.Add(3*time.Hour)) {
		t.Errorf("renewed %v", got)
	}
	s.Receive(start, ask(typeRelease).from(alice).to(duid()).ia(optIAPD, 1, "2001:db8:100::/56").b, true)
	if got := s.Leases(); len(got) != 0 {
		t.Errorf("released %v", got)
	}
}

func TestUnicastIsRefused(t *testing.T) {
	s := server(oneLink())
	if got := show(s.Receive(start, ask(typeRequest).from(alice).to(duid()).ia(optIAPD, 1).b, false)); got != "reply status5" {
		t.Error(got)
	}
	if got := show(s.Receive(start, ask(typeSolicit).from(alice).b, false)); got != "silence" {
		t.Error(got)
	}
}

// A client that declines whatever it gets does not make the server grow.
func TestDecliningEverythingEnds(t *testing.T) {
	s := server(oneLink())
	given := 0
	for range 100 {
		s.Receive(start, ask(typeRequest).from(alice).to(duid()).ia(optIANA, 1).b, true)
		bound := s.Leases()
		if len(bound) == 0 {
			break
		}
		given++
		s.Receive(start, ask(typeDecline).from(alice).to(duid()).ia(optIANA, 1, bound[0].Prefix.String()).b, true)
	}
	if given != madeUp || len(s.leases) > madeUp+1 {
		t.Errorf("%d addresses given, %d leases kept", given, len(s.leases))
	}
}

func FuzzServer(f *testing.F) {
	f.Add(ask(typeSolicit).from(alice).ia(optIANA, 1).ia(optIAPD, 2, "::/60").option(optRequest, 0, optDNS).b)
	f.Add(ask(typeRenew).from(alice).to(duid()).ia(optIAPD, 5, "2001:db8:100::/56").b)
	f.Add(ask(typeDecline).from(alice).to(duid()).ia(optIANA, 6, "2001:db8:1::abcd/128").b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s := server(oneLink())
		for range 2 {
			answer := s.Receive(start, b, true)
			if answer == nil {
				continue
			}
			if _, err := parse(answer); err != nil {
				t.Fatalf("our own answer %x: %v", answer, err)
			}
		}
		for _, l := range s.Leases() {
			p := l.Prefix
			if !pfx("2001:db8:1::/64").Contains(p.Addr()) && p != pfx("2001:db8:100::/56") {
				t.Fatalf("gave away %v", p)
			}
		}
	})
}
