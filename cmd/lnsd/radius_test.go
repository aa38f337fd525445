package main

import (
	"reflect"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// What a configuration can name is what there is.
func TestConfiguredPolicyExists(t *testing.T) {
	if !slices.Equal(config.Presets(), policy.Presets()) {
		t.Errorf("presets %v are configured, %v exist", config.Presets(), policy.Presets())
	}
	for _, target := range policy.Targets() {
		text := "set primary_radius 192.0.2.1\nset radius_secret x\nradius_map 200 " + string(target) + "\n"
		c, _, err := config.Parse("f", text, config.Options{HostName: "lns"})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := policy.New(policyConfig(c)); err != nil {
			t.Error(err)
		}
	}
}

// The commands about RADIUS end where they should.
func TestRouterConfig(t *testing.T) {
	c, _, err := config.Parse("f", `set radius_secret main
set primary_radius 192.0.2.1
set secondary_radius 192.0.2.2
set radius_status_server yes
set default_realm example.net
set radius_down last_good
set radius_down_garden lost
garden lost
garden lost
set radius_nas_port_type xdsl
set radius_request_cui yes
radius_server w1 group wholesale address 2001:db8::1 secret other weight 3
radius_server w2 group wholesale address 2001:db8::2 acct_port 0 priority 2 status_server yes message_authenticator yes
radius_server third address 192.0.2.3 priority 9
realm *.wholesale.example group wholesale strip yes
realm none refuse yes
rate_profile gold up 20M down 1.5G down_burst 250000
radius_map 14988.99 rate_down kbit integer
radius_map pair:speed rates_down_up kbit
filter_id up-([0-9]+) rate_up $1 mbit
`, config.Options{HostName: "lns"})
	if err != nil {
		t.Fatal(err)
	}
	r := routerConfig(c, c.ServerGroups(), zap.NewNop())
	type server struct {
		address, secret  string
		auth, acct       uint16
		priority, weight int
		status           bool
		rule             int
	}
	want := map[string][]server{
		"default": {
			{"192.0.2.1", "main", 1812, 1813, 1, 1, true, 0}, {"192.0.2.2", "main", 1812, 1813, 2, 1, true, 0},
			{"192.0.2.3", "main", 1812, 1813, 9, 1, false, 0},
		},
		"wholesale": {
			{"2001:db8::1", "other", 1812, 1813, 1, 3, false, 0}, {"2001:db8::2", "main", 1812, 0, 2, 1, true, 1},
		},
	}
	got := map[string][]server{}
	for _, g := range r.Groups {
		for _, s := range g.Servers {
			got[g.Group] = append(got[g.Group], server{s.Addr.String(), string(s.Secret), s.AuthPort, s.AcctPort, s.Priority, s.Weight, s.StatusServer, int(s.MessageAuthenticator)})
		}
		if g.NASPortType != 16 || !g.RequestCUI {
			t.Errorf("NAS-Port-Type %d, CUI %v", g.NASPortType, g.RequestCUI)
		}
	}
	if !reflect.DeepEqual(got, want) || r.Groups[0].Group != "default" {
		t.Errorf("servers %+v\nwant %+v", got, want)
	}
	if r.Realms[1].Pattern != "" || !r.Realms[0].Strip || r.Realms[0].Group != "wholesale" || r.DefaultRealm != "example.net" {
		t.Errorf("realms %+v", r.Realms)
	}
	p := policyConfig(c)
	if want := (policy.RateProfile{Name: "gold", Up: session.Rate{Bits: 20e6}, Down: session.Rate{Bits: 1.5e9, Burst: 250000}}); p.Profiles[0] != want {
		t.Errorf("profile %+v", p.Profiles)
	}
	if want := (policy.Rule{Attribute: policy.Attribute{Vendor: 14988, Type: 99}, Target: policy.RateDown, Unit: policy.Kbit, Integer: true}); p.Rules[0] != want {
		t.Errorf("rules %+v", p.Rules)
	}
	if _, err := policy.New(p); err != nil {
		t.Error(err)
	}
	// It comes back from its own text.
	again, _, err := config.Parse("f", c.Running(), config.Options{HostName: "lns"})
	if err != nil {
		t.Fatalf("%v in\n%s", err, c.Running())
	}
	if again.Running() != c.Running() || !reflect.DeepEqual(again.AAA, c.AAA) {
		t.Errorf("running configuration\n%s\nbecomes\n%s", c.Running(), again.Running())
	}
}
