package config

import (
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

const outgoingText = `set l2tp_secret common
set session_persist_pend_timeout 30
tunnel_profile carrier secret "s3 cr" hello_timeout 20 persist yes framing_caps sync ppp_profile slow
session_profile lines called_number 42 sequencing_required yes
ppp_profile slow lcp_echo_interval 33
tunnel north dest_ipaddr 203.0.113.7 profile carrier udp_port 1702 use_tiebreaker no idle_timeout 90 max_sessions 4 trace_flags protocol
tunnel south dest_ipaddr 203.0.113.8 role lns auth_mode none src_ipaddr 192.0.2.1
session one tunnel north session_profile lines user_name "a b" user_password "p w" routes 10.0.0.0/8,192.168.0.0/24 persist yes connect_speed 1000:2000
session two tunnel south called_number 99 min_bps 64000 max_bps 128000 framing_type any bearer_type analog
`

func TestOutgoing(t *testing.T) {
	c, warnings, err := Parse("f", outgoingText, Options{HostName: "h"})
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range warnings {
		if !strings.Contains(w.Message, "any LAC") {
			t.Errorf("warning: %v", w)
		}
	}
	north, south := c.Outgoing.Tunnels[0].Effective, c.Outgoing.Tunnels[1].Effective
	d := north.Dial
	if d.Peer.String() != "203.0.113.7" || d.Port != 1702 || d.Role != RoleLAC || d.TieBreaker || !d.Persist || d.Wait != 300*time.Second ||
		d.FramingCaps != syncFraming || d.BearerCaps != 3 || d.IdleTimeout != 90*time.Second || d.Trace != session.TraceProtocol {
		t.Errorf("north is dialed so: %+v", d)
	}
	if l := north.LAC; l.Secret.Reveal() != "s3 cr" || !l.Challenge || l.MaxSessions != 4 || north.Config.L2TP.HelloInterval != 20*time.Second {
		t.Errorf("north has %+v", l)
	}
	if d := south.Dial; d.Role != RoleLNS || d.Source.String() != "192.0.2.1" || d.Port != 1701 || !d.TieBreaker || d.Persist || south.LAC.Challenge {
		t.Errorf("south is dialed so: %+v", d)
	}
	if len(c.CallsIn("north")) != 1 || len(c.CallsIn("south")) != 1 {
		t.Fatalf("calls: %+v", c.Outgoing.Calls)
	}
	one, two := c.CallsIn("north")[0].Effective, c.CallsIn("south")[0].Effective
	x := one.Call
	if x.User != "a b" || x.Password.Reveal() != "p w" || len(x.Routes) != 2 || !x.Persist || x.Wait != 30*time.Second ||
		x.Params.CalledNumber != "42" || !x.Params.SequencingRequired || x.Params.TxSpeed != 1000 || x.Params.RxSpeed != 2000 {
		t.Errorf("one is placed so: %+v", x)
	}
	if one.Config.PPP.EchoTimeout != 33*time.Second || !one.Config.L2TP.SendSequence {
		t.Error("one does not inherit from its tunnel's profiles")
	}
	if p := two.Call.Params; p.CalledNumber != "99" || p.MinBPS != 64000 || p.MaxBPS != 128000 || p.FramingType != 3 || p.BearerType != 2 {
		t.Errorf("two is placed so: %+v", p)
	}

	// What is written is read again as the same, and secrets are shown to nobody.
	again, _, err := Parse("f", c.Running(), Options{HostName: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if len(Diff(c, again)) != 0 || again.Running() != c.Running() {
		t.Errorf("read again:\n%s", again.Running())
	}
	for _, text := range []string{c.Show(), Hide(outgoingText)} {
		if strings.Contains(text, "p w") || strings.Contains(text, "s3 cr") || !strings.Contains(text, "user_name") {
			t.Errorf("shown:\n%s", text)
		}
	}
	other, _, err := Parse("f", strings.Replace(outgoingText, "called_number 99", "called_number 98", 1), Options{HostName: "h"})
	if err != nil {
		t.Fatal(err)
	}
	if d := Diff(c, other); len(d) != 1 || d[0].Name != "tunnel" || d[0].Apply != Live {
		t.Errorf("the difference is %v", d)
	}
	if c.Outgoing.Calls[1].Said() == other.Outgoing.Calls[1].Said() {
		t.Error("two says the same as before")
	}
	for _, v := range c.OutgoingViews("session") {
		for _, x := range append(v.Values, v.Effective(c)...) {
			if x.Value == "p w" || x.Value == "s3 cr" {
				t.Errorf("%s of %s is shown", x.Name, v.Name)
			}
		}
	}
}

func TestOutgoingFaults(t *testing.T) {
	const tunnel = "tunnel a dest_ipaddr 203.0.113.7\n"
	for text, want := range map[string]string{
		"tunnel a persist yes":                                     "has no dest_ipaddr",
		"tunnel a dest_ipaddr 127.0.0.1":                           "must be the address of another host",
		"tunnel a dest_ipaddr 203.0.113.7 dest_ipaddr 203.0.113.8": "given twice",
		"tunnel a dest_ipaddr 2001:db8::1":                         "bind_address6 is needed",
		"tunnel a dest_ipaddr 203.0.113.7 src_ipaddr 2001:db8::1":  "different versions of IP",
		"tunnel a dest_ipaddr 203.0.113.7 auth_mode challenge":     "has no secret",
		"tunnel a dest_ipaddr 203.0.113.7 profile b":               "there is no tunnel profile b",
		"tunnel a dest_ipaddr 203.0.113.7 role both":               "must be one of lac, lns",
		"tunnel a dest_ipaddr 203.0.113.7 persits yes":             "did you mean persist?",
		"tunnel a":                                                                        "KEY VALUE is missing",
		tunnel + "session s tunnel b":                                                     "there is no tunnel \"b\"",
		tunnel + "session s user_name x":                                                  "there is no tunnel",
		tunnel + "session s tunnel a session_type lnoc":                                   "can't be of type lnoc",
		tunnel + "session s tunnel a session_type lnic":                                   "begun by the peer",
		tunnel + "session s tunnel a routes 203.0.113.0/24":                               "into itself",
		tunnel + "session s tunnel a routes 0.0.0.0/0":                                    "larger than a /8",
		tunnel + "session s tunnel a no_ppp yes":                                          "a session without PPP",
		tunnel + "session s tunnel a connect_speed fast":                                  "must be a number of bit/s",
		"tunnel a dest_ipaddr 203.0.113.7 role lns\nsession s tunnel a routes 10.0.0.0/8": "come from the authentication",
		"tunnel_profile p idle_timeout soon":                                              "must be a number",
	} {
		_, _, err := Parse("f", text, Options{HostName: "h"})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
