package config

import (
	"fmt"
	"strings"
	"testing"
)

// Each text is refused with these lines, in the order of the file.
func TestRefusals(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"set l2tp_mut 1500", `f:1:5: unknown setting "l2tp_mut" (did you mean l2tp_mtu?)`},
		{"set quite_other 1", `f:1:5: unknown setting "quite_other"`},
		{"set l2tp_mtu 12", `f:1:14: l2tp_mtu must be a whole number from 576 to 65535 (bytes)`},
		{"set l2tp_mtu abc", `f:1:14: l2tp_mtu must be a whole number from 576 to 65535 (bytes)`},
		{"set l2tp_mtu 99999999999999999999", `f:1:14: l2tp_mtu must be a whole number from 576 to 65535 (bytes)`},
		{"set echo_timeout 1e3", `f:1:18: echo_timeout must be a number from 0 to 86400 (seconds)`},
		{"set echo_timeout -1", `f:1:18: echo_timeout must be a number from 0 to 86400 (seconds)`},
		{"set echo_timeout 1.2345", `f:1:18: echo_timeout must be a number from 0 to 86400 (seconds)`},
		{"set radius_accounting maybe", `f:1:23: radius_accounting must be yes or no`},
		{"set l2tp_challenge maybe", `f:1:20: l2tp_challenge must be one of auto, yes, no`},
		{"set xdp_mode natve", `f:1:14: xdp_mode must be one of auto, native, generic, none (did you mean native?)`},
		{"set bind_address 10.0.0", `f:1:18: bind_address must be an IPv4 address`},
		{"set bind_address 2001:db8::1", `f:1:18: bind_address must be an IPv4 address`},
		{"set bind_address 224.0.0.1", `f:1:18: bind_address must not be a multicast address`},
		{"set primary_radius fe80::1%eth0", `f:1:20: primary_radius must be an IP address`},
		{`set radius_authtypes "pap,eap"`, `f:1:22: radius_authtypes must be a comma-separated list; each item must be one of pap, chap, mschapv2`},
		{`set radius_authtypes "pap, pap"`, `f:1:22: radius_authtypes must not name anything twice`},
		{`set radius_authtypes ""`, `f:1:22: radius_authtypes must be a comma-separated list; each item must be one of pap, chap, mschapv2`},
		{"set socket run/lnsd.sock", `f:1:12: socket must be an absolute path`},
		{"set log_file syslog:local9", `f:1:14: log_file must name a syslog facility, such as syslog:local5`},
		{"set tundevicename a-name-that-is-long", `f:1:19: tundevicename must not be longer than 15 bytes`},
		{"set hostname \"a\x07b\"", `f:1:14: hostname must not hold control characters`},
		{"set hostname \xff", `f:1:14: hostname must be valid UTF-8`},
		{"set radius_bind_min 80", `f:1:21: radius_bind_min must be a whole number from 1024 to 65535, or 0 for any port`},
		{"set debug", `f:1:5: VALUE is missing (usage: set NAME VALUE)`},
		{"set", `f:1:1: NAME is missing (usage: set NAME VALUE)`},
		{"set debug 3 # comment", `f:1:13: nothing more can follow here (a comment stands on a line of its own)`},
		{"set hostname my host", `f:1:17: nothing more can follow here (put a value with blanks in quotes)`},
		{"set hostname 'my host", `f:1:14: the quote ' is not closed`},
		{"l2tp_mtu 1500", `f:1:1: l2tp_mtu is a setting, not a command (did you mean "set l2tp_mtu VALUE"?)`},
		{"sett l2tp_mtu 1500", `f:1:1: unknown command (did you mean set?)`},
		{"load plugin stripdomian", "f:1:13: there is no plugin \"stripdomian\" (did you mean stripdomain?)"},
		{"plugin x timeout 1", "f:1:8: plugin \"x\" has no path"},
		{"plugin x path y", "f:1:8: plugin \"x\" has no path\nf:1:15: path must be an absolute path"},
		{"hook up count.o", "f:1:9: FILE must be an absolute path"},
		{"hook up /x\nhook up /y", "f:2:6: there are two functions for packets up"},
		{"hook up /x y z", "f:1:14: there is a word too many"},
		{"\t frobnicate", `f:1:3: unknown command (commands are set, pool, pool6, lac, radius_server, realm, rate_profile, radius_map, filter_id, dae_client, garden, hook, plugin, load, remove, peer_profile, tunnel_profile, session_profile, ppp_profile, tunnel, session, ip, ipv6)`},

		{"pool a remove 10.0.0.0/8", `f:1:8: must be add here (usage: pool NAME add PREFIX)`},
		{"pool a add 10.0.0.1/8", `f:1:12: PREFIX has bits set beyond its length: 10.0.0.0/8 is meant, or 10.0.0.1/32`},
		{"pool a add 2001:db8::/32", `f:1:12: PREFIX must be an IPv4 address or prefix, such as 192.0.2.0/24`},
		{"pool a add 10.0.0.0/8\npool b add 10.1.0.0/16", `f:2:12: 10.1.0.0/16 overlaps 10.0.0.0/8 of pool a (f:1:12)`},

		{"lac x secert y", `f:1:7: unknown key in a lac command (did you mean secret?)`},
		{"lac x", `f:1:5: KEY VALUE is missing (usage: lac NAME KEY VALUE...)`},
		{"lac x address", `f:1:7: the value of address is missing`},
		{"lac x mtu 1500", `f:1:5: lac x has neither address nor hostname`},
		{"lac x address 10.0.0.0/8 mtu 1", `f:1:30: mtu must be a whole number from 576 to 65535 (bytes)`},
		{"lac x address 10.0.0.0/8 mtu 1500\nlac x mtu 1400", `f:2:7: mtu is given twice for lac x`},
		{"lac x address 10.0.0.0/8 address 10.0.0.0/8", `f:1:34: address is given twice`},
		{"lac x address 10.0.0.0/8 challenge yes", `f:1:5: lac x is to be challenged but has no secret (give it a secret, or challenge no)`},
		{"lac x address 10.0.0.0/8 pool nowhere", `f:1:5: lac x takes addresses from pool "nowhere", which has none`},
		{"lac x hostname [", `f:1:16: hostname must be a pattern of letters, * and ?`},

		{"permit ip any any", `f:1:1: permit belongs to no access list (begin with "ip access-list extended NAME")`},
		{"ip access-list extended a\nset debug 1\npermit ip any any", `f:3:1: permit belongs to no access list (begin with "ip access-list extended NAME")`},
		{"ip acces-list extended a", `f:1:4: must be access-list here (usage: ip access-list standard|extended NAME)`},
		{"ip access-list extra a", `f:1:16: must be standard or extended here (usage: ip access-list standard|extended NAME)`},
		{"ip access-list extended", `f:1:16: NAME is missing (usage: ip access-list standard|extended NAME)`},
		{"ip access-list standard a\nipv6 access-list standard a\nip access-list extended a", `f:3:16: access list a was begun as standard`},
		{"ip access-list extended a\n permit tpc any any", `f:2:9: must be a protocol: ahp, esp, gre, icmp, ip, tcp, udp or a number up to 255 (did you mean tcp?)`},
		{"ip access-list extended a\n deny tcp any any eq 80 establishd", `f:2:25: must be ports, TCP flags or fragments, or the end (did you mean established?)`},
		{"ip access-list standard a\n deny 10.0.0.1", `f:2:7: the wildcard (0.0.0.0 for the one address) is missing`},
		{"ip access-list standard a\n" + strings.Repeat("permit any\n", 65), `f:66:1: access list a has more than 64 rules`},
		{"ip access-list standard " + strings.Repeat("a", 32), `f:1:25: NAME must have 1 to 31 characters`},

		{"garden wal.led", `f:1:8: NAME must be 1 to 20 letters, digits, - and _`},
		{"garden g portl http://x/", `f:1:10: unknown key in a garden command (did you mean portal?)`},
		{"garden g portal ftp://x/", `f:1:17: portal must be a URL of http or https`},
		{"garden g portal", `f:1:10: the value of portal is missing`},
		{"garden g dns 192.0.2.1 dns 192.0.2.2", `f:1:28: dns is given twice for one version of IP`},
		{"garden g allow 10.1.2.3/8", `f:1:16: allow has bits set beyond its length: 10.0.0.0/8 is meant`},
		{"set reject_garden waled\ngarden walled", `f:1:19: there is no garden "waled" (did you mean walled?)`},

		{"set primary_radius 192.0.2.1", `f:1:20: RADIUS servers need a secret (set radius_secret)`},
		{"set radius_accounting yes", `f:1:23: radius_accounting needs a RADIUS server (set primary_radius)`},
		{"set radius_bind_min 2000", `f:1:21: radius_bind_min and radius_bind_max must make a range (set both, the lower first)`},
		{"set radius_interim 30", `f:1:20: radius_interim must be 0 or at least 60 seconds`},
		{"set l2tp_challenge yes", `f:1:20: l2tp_challenge needs a secret (set l2tp_secret)`},
		{"set l2tp_retry_cap 4", `f:1:20: l2tp_retry_cap must be a number from 8 to 600 (seconds)`},
		{"set l2tp_retry_interval 30", `f:1:25: l2tp_retry_interval must not be above l2tp_retry_cap`},
		{"set idle_echo_timeout 5", `f:1:23: idle_echo_timeout must not be below echo_timeout: sessions would end before the first echo`},

		{"dae_client b address 192.0.2.1", `f:1:12: dae_client b has no secret (give it a secret)`},
		{"dae_client b secret s", `f:1:12: dae_client b has no address`},
		{"dae_client b adress 192.0.2.1", "f:1:12: dae_client b has no address\nf:1:14: unknown key (did you mean address?)"},
		{"dae_client b address 192.0.2.1,192.0.2 secret s", "f:1:12: dae_client b has no address\nf:1:22: address must be a comma-separated list; each item must be an IPv4 address or prefix, such as 192.0.2.0/24"},
		{"set radius_dae_window 0", `f:1:23: radius_dae_window must be a number from 1 to 3600 (seconds)`},

		{"lac x mtu 1500\nset debug 9\n", "f:1:5: lac x has neither address nor hostname\nf:2:11: debug must be a whole number from 0 to 5"},
	} {
		_, _, err := Parse("f", c.text, Options{})
		if err == nil {
			t.Errorf("%q is accepted", c.text)
		} else if err.Error() != c.want {
			t.Errorf("%q:\n got %s\nwant %s", c.text, err, c.want)
		}
	}
}

func TestReadingEndsAfterManyFaults(t *testing.T) {
	_, _, err := Parse("f", strings.Repeat("nonsense\n", 1000), Options{})
	if n := len(err.(Errors)); n != maxFaults {
		t.Errorf("%d faults reported, want %d", n, maxFaults)
	}
}

// Whatever is wrong with a line that holds a secret, what is said never shows it.
func TestFaultsNeverShowSecrets(t *testing.T) {
	const secret = "SESAME"
	long := strings.Repeat(secret, 100)
	for i, line := range []string{
		"set l2tp_secret " + long,
		"set l2tp_secret 'x" + secret,
		"set l2tp_secret \"" + secret + "\x01\"",
		"set l2tp_secret a " + secret,
		"set l2tp_secrt " + secret,
		"set radius_secret " + secret + " " + secret,
		"l2tp_secret " + secret,
		secret,
		"sett l2tp_secret " + secret,
		"lac x address 10.0.0.0/8 secret " + long,
		"lac x address 10.0.0.0/8 " + secret + " y",
		"lac x address 10.0.0.0/8 secrt " + secret,
		"lac x secret " + secret,
		"lac x hostname y secret " + secret + " secret " + secret,
	} {
		_, warnings, err := Parse("f", line, Options{})
		if err == nil {
			t.Errorf("line %d is accepted", i)
		} else if strings.Contains(err.Error()+fmt.Sprint(warnings), secret) {
			t.Errorf("line %d: %v", i, err)
		}
	}
}

func TestPrintingNeverShowsSecrets(t *testing.T) {
	c, _ := parse(t, "set l2tp_secret SESAME\nset radius_secret SESAME\nlac a hostname x secret SESAME\n")
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q"} {
		if s := fmt.Sprintf(verb, c); strings.Contains(s, "SESAME") {
			t.Errorf("%s: %s", verb, s)
		}
	}
	if s := c.Show(); strings.Contains(s, "SESAME") {
		t.Errorf("Show:\n%s", s)
	}
	if s := c.Running(); strings.Count(s, "SESAME") != 3 {
		t.Errorf("Running leaves secrets out:\n%s", s)
	}
}

func TestNearest(t *testing.T) {
	names := []string{"primary_dns", "primary_radius", "radius_secret", "set"}
	for s, want := range map[string]string{
		"primary_dn": "primary_dns", "prmiary_dns": "primary_dns", "raduis_secret": "radius_secret",
		"xyz": "", "": "", "se": "set", "primary": "",
	} {
		if got := nearest(s, names); got != want {
			t.Errorf("%q: %q, want %q", s, got, want)
		}
	}
}
