package config

import (
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

func parse(t *testing.T, text string) (*Config, []Warning) {
	t.Helper()
	c, warnings, err := Parse("startup-config", text, Options{HostName: "lns"})
	if err != nil {
		t.Fatalf("refused:\n%v", err)
	}
	return c, warnings
}

func TestFiveLinesAreEnough(t *testing.T) {
	c, warnings := parse(t, `
set bind_address 192.0.2.1
set l2tp_secret "open sesame"
set primary_dns 192.0.2.53
set radius_authtypes "pap, chap"
pool default add 10.0.0.0/16
`)
	if len(warnings) > 0 {
		t.Errorf("warnings: %v", warnings)
	}
	lac := c.Unknown()
	for _, check := range []struct {
		what      string
		got, want any
	}{
		{"secret", lac.Secret.Reveal(), "open sesame"},
		{"challenge follows from the secret", lac.Challenge, true},
		{"unknown LACs are let in without lac commands", c.AllowsUnknown(), true},
		{"authentication", lac.AuthTypes, []session.AuthMethod{session.AuthPAP, session.AuthCHAP}},
		{"pool", c.Pools, []Pool{{"default", []netip.Prefix{netip.MustParsePrefix("10.0.0.0/16")}}}},
		{"name servers", c.DNS.Servers, [2]netip.Addr{netip.MustParseAddr("192.0.2.53")}},
		{"gateway is the bind address", c.Gateway(), netip.MustParseAddr("192.0.2.1")},
		{"host name", c.Hostname, "lns"},
		{"port", c.L2TP.Port, uint16(1701)},
		{"duplicates", c.Sessions.Duplicates, session.KickOld},
		{"echo", c.PPP.EchoTimeout, 10 * time.Second},
		{"no RADIUS", len(c.RADIUS.Servers()), 0},
	} {
		if !reflect.DeepEqual(check.got, check.want) {
			t.Errorf("%s: %v, want %v", check.what, check.got, check.want)
		}
	}
}

func TestUnitsAndMeanings(t *testing.T) {
	c, _ := parse(t, `
set l2tp_secret s
set primary_radius 192.0.2.10
set primary_radius_port 1645
set secondary_radius 2001:db8::1
set radius_secret r
set radius_interim 600
set ppp_restart_time 2.5
set allow_duplicate_users yes
set l2tp_mtu 1480
set disable_sending_hello true
set xdp_interfaces "eth0,eth1"
set log_file "syslog:local5"
`)
	want := []RADIUSServer{
		{netip.MustParseAddrPort("192.0.2.10:1645"), netip.MustParseAddrPort("192.0.2.10:1646")},
		{netip.MustParseAddrPort("[2001:db8::1]:1812"), netip.MustParseAddrPort("[2001:db8::1]:1813")},
	}
	if got := c.RADIUS.Servers(); !slices.Equal(got, want) {
		t.Errorf("servers %v, want %v", got, want)
	}
	if c.RADIUS.Interim != 10*time.Minute || c.PPP.RestartTimer != 2500*time.Millisecond {
		t.Errorf("interim %v, restart timer %v", c.RADIUS.Interim, c.PPP.RestartTimer)
	}
	if c.Sessions.Duplicates != session.AllowDuplicates {
		t.Errorf("duplicates %v", c.Sessions.Duplicates)
	}
	if got := MRU(c.L2TP.MTU); got != 1440 {
		t.Errorf("MRU %d, want 1440", got)
	}
	if got := MRU(9000); got != 1492 {
		t.Errorf("MRU on a path for jumbo frames %d, want 1492", got)
	}
	if !c.L2TP.NoHello || c.Log.File != "syslog:local5" || !slices.Equal(c.XDP.Interfaces, []string{"eth0", "eth1"}) {
		t.Errorf("%+v %+v %+v", c.L2TP, c.Log, c.XDP)
	}
}

func TestLACPolicies(t *testing.T) {
	c, _ := parse(t, `
set l2tp_mtu 1460
set l2tp_secret "for all"
lac carrier address 198.51.100.0/24 secret 'their own'
lac carrier address 203.0.113.7 mtu 1500 authtypes chap
lac lab hostname "lab-*" challenge no pool lab
pool lab add 10.9.0.0/24
set ppp_proxy no
`)
	if len(c.LACs) != 2 || c.AllowsUnknown() {
		t.Fatalf("%d policies, unknown allowed: %v", len(c.LACs), c.AllowsUnknown())
	}
	carrier, lab := c.LACs[0], c.LACs[1]
	wantAddresses := []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24"), netip.MustParsePrefix("203.0.113.7/32")}
	if !slices.Equal(carrier.Addresses, wantAddresses) {
		t.Errorf("addresses %v", carrier.Addresses)
	}
	if carrier.Secret != "their own" || !carrier.Challenge || carrier.MTU != 1500 || len(carrier.AuthTypes) != 1 {
		t.Errorf("carrier: %+v", carrier)
	}
	if lab.Secret != "for all" || lab.Challenge || lab.MTU != 1460 || lab.Pool != "lab" || lab.HostName != "lab-*" {
		t.Errorf("lab: %+v", lab)
	}
	if carrier.Proxy || lab.Proxy {
		t.Error("a setting below the lac command is not inherited")
	}
}

func TestTableIsSound(t *testing.T) {
	seen := map[string]bool{}
	legacy := newLegacy()
	def := Default("lns")
	for _, s := range Settings() {
		switch {
		case seen[s.Name]:
			t.Errorf("%s twice", s.Name)
		case s.Help == "" || !strings.HasSuffix(s.Help, "."):
			t.Errorf("%s: help %q is not a sentence", s.Name, s.Help)
		case s.Name != "hostname" && s.Default != s.format(def):
			t.Errorf("%s: default %q is rendered as %q", s.Name, s.Default, s.format(def))
		}
		if _, ok := legacy.settings[s.Name]; ok {
			t.Errorf("%s is both known and said to have no effect", s.Name)
		}
		if s.Alias != "" && !seen[s.Alias] {
			t.Errorf("%s is an alias of %s, which is not above it", s.Name, s.Alias)
		}
		seen[s.Name] = true
	}
}

// Every name that l2tpns knows is either ours with the same meaning, or accepted
// with a warning.
func TestEveryL2tpnsSettingIsKnownOrWarned(t *testing.T) {
	known := map[string]bool{}
	for _, s := range Settings() {
		known[s.Name] = true
	}
	text, err := os.ReadFile("testdata/l2tpns-settings.txt")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(text)) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		n++
		name := strings.Fields(line)[1]
		b := newBuilder("f", Options{})
		b.line(1, strings.TrimSuffix(line, "\n"))
		if len(b.errs) > 0 {
			t.Errorf("%s", b.errs)
		}
		if known[name] == (len(b.warnings) > 0) {
			t.Errorf("%s: known %v, warnings %v", name, known[name], b.warnings)
		}
	}
	if n < 75 {
		t.Errorf("only %d names in the list", n)
	}
}

// Names that older releases had and later ones dropped.
func TestOlderL2tpnsSettingsAreWarnedOf(t *testing.T) {
	for _, name := range []string{
		"setuid", "cleanup_interval", "as_number", "snoop_host", "snoop_port",
		"bgp_peer1", "bgp_peer1_as", "bgp_peer2", "bgp_peer2_as",
	} {
		b := newBuilder("f", Options{})
		b.line(1, "set "+name+" 1")
		if len(b.errs) > 0 || len(b.warnings) != 1 {
			t.Errorf("%s: errors %v, warnings %v", name, b.errs, b.warnings)
		}
	}
}

// What has no effect warns, unless it asks for what happens anyway.
func TestLegacyWarnings(t *testing.T) {
	for text, want := range map[string]string{
		"set ppp_keepalive yes":       "",
		"set ppp_keepalive no":        "f:1:5: ppp_keepalive is not used: echoes are sent only in silence",
		"set throttle_speed 0":        "",
		"set throttle_speed 128":      "",
		"router bgp 64512":            "f:1:1: router is ignored: BGP is not available in this version",
		"exit":                        "",
		"set cluster_hb_timeout 150":  "f:1:5: cluster_hb_timeout is not used: clustering is not available in this version",
		"set bind_multi_address 1, 2": "",
	} {
		b := newBuilder("f", Options{})
		b.line(1, text)
		got := ""
		if len(b.warnings) > 0 {
			got = b.warnings[0].String()
		}
		if got != want {
			t.Errorf("%s: warned %q, want %q", text, got, want)
		}
	}
}

func TestWithoutSecretsOneIsWarned(t *testing.T) {
	_, warnings := parse(t, "pool default add 10.0.0.0/24\n")
	if len(warnings) != 1 || !strings.Contains(warnings[0].Message, "without a secret") {
		t.Errorf("warnings: %v", warnings)
	}
}
