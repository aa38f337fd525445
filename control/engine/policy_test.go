package engine

import (
	"net/netip"
	"testing"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

func testSession() *session.Config {
	return &session.Config{PPP: &ppp.Config{}, LocalAddress: testLocal.Addr()}
}

func TestPolicyMatch(t *testing.T) {
	a, b, c, def := &l2tp.Config{}, &l2tp.Config{}, &l2tp.Config{}, &l2tp.Config{}
	own := testSession()
	p := Policy{
		Default: def, Session: testSession(),
		Limits: Limits{TunnelsPerPeer: 7, SessionsPerTunnel: 9},
		LACs: []LAC{
			{Source: netip.MustParsePrefix("198.51.100.0/24"), HostName: "bras-?", L2TP: a, MaxTunnels: 2},
			{Source: netip.MustParsePrefix("198.51.100.0/25"), L2TP: b, Session: own},
			{HostName: "roaming-*", L2TP: c, MaxSessions: 3},
		},
	}
	if err := p.Validate(); err != nil {
		t.Fatal(err)
	}
	cases := []struct {
		addr, name        string
		want              *l2tp.Config
		tunnels, sessions int
	}{
		{"198.51.100.1", "bras-1", a, 2, 9},
		{"198.51.100.1", "bras-12", b, 7, 9},
		{"::ffff:198.51.100.1", "bras-1", a, 2, 9},
		{"198.51.100.200", "bras-12", def, 7, 9},
		{"203.0.113.1", "roaming-x", c, 7, 3},
		{"2001:db8::1", "roaming-x", c, 7, 3},
		{"203.0.113.1", "", def, 7, 9},
	}
	for _, x := range cases {
		l := p.match(netip.MustParseAddr(x.addr), x.name)
		if l.L2TP != x.want || l.MaxTunnels != x.tunnels || l.MaxSessions != x.sessions {
			t.Errorf("%s %q: wrong entry %+v", x.addr, x.name, l)
		}
		if (l.Session == own) != (x.want == b) {
			t.Errorf("%s %q: wrong session configuration", x.addr, x.name)
		}
	}
	p.Default = nil
	if l := p.match(netip.MustParseAddr("203.0.113.1"), "x"); l.L2TP != nil {
		t.Error("an unknown peer is not ignored")
	}
}

func TestPolicyValidate(t *testing.T) {
	bad := testSession()
	bad.LocalAddress = netip.Addr{}
	for name, p := range map[string]Policy{
		"no session":      {},
		"bad session":     {Session: bad},
		"no tunnel":       {Session: testSession(), LACs: []LAC{{}}},
		"bad glob":        {Session: testSession(), LACs: []LAC{{L2TP: &l2tp.Config{}, HostName: "[x"}}},
		"bad LAC session": {Session: testSession(), LACs: []LAC{{L2TP: &l2tp.Config{}, Session: bad}}},
	} {
		if p.Validate() == nil {
			t.Errorf("%s: taken", name)
		}
	}
}
