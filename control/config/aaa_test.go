package config

import (
	"strings"
	"testing"
)

func TestRADIUSRefusals(t *testing.T) {
	const server = "set radius_secret x\nset primary_radius 192.0.2.1\n"
	for _, c := range []struct{ text, want string }{
		{"radius_server", `f:1:1: NAME is missing (usage: radius_server NAME KEY VALUE...)`},
		{"radius_server a", `f:1:15: KEY VALUE is missing (usage: radius_server NAME KEY VALUE...)`},
		{"radius_server a adress 192.0.2.1", `f:1:17: unknown key (did you mean address?)`},
		{"radius_server a address", `f:1:17: the value of address is missing`},
		{"radius_server a address nowhere", `f:1:25: address must be an IP address`},
		{"radius_server a address 192.0.2.1 weight 0", `f:1:42: weight must be a whole number from 1 to 1000`},
		{"radius_server a address 192.0.2.1\nradius_server a address 192.0.2.2", `f:2:17: address is given twice for "a"`},
		{"radius_server a address 192.0.2.1", `f:1:15: radius_server a has no secret (give it a secret, or set radius_secret)`},
		{"radius_server a secret x", `f:1:15: radius_server a has no address`},
		{"radius_server a secret x address 192.0.2.1 auth_port 0 acct_port 0", `f:1:15: radius_server a has no port`},
		{server + "realm [ strip yes", `f:3:7: PATTERN must be a pattern of letters, * and ?`},
		{server + "realm a group nowhere", `f:3:7: realm a is for server group nowhere, which has no server`},
		{server + "realm a strip maybe", `f:3:15: strip must be yes or no`},
		{"rate_profile a up fast", `f:1:19: up must be a rate in bit/s, such as 512k, 20M or 1G, or 0 for no limit`},
		{"rate_profile a up 1e9", `f:1:19: up must be a rate in bit/s, such as 512k, 20M or 1G, or 0 for no limit`},
		{"rate_profile a up_burst 1k", `f:1:25: up_burst must be a whole number of bytes`},
		{"radius_map 26 rate", `f:1:12: ATTRIBUTE must be a number, VENDOR.NUMBER or pair:KEY`},
		{"radius_map 0.5 rate", `f:1:12: ATTRIBUTE must be a number, VENDOR.NUMBER or pair:KEY`},
		{"radius_map 256 rate", `f:1:12: ATTRIBUTE must be a number, VENDOR.NUMBER or pair:KEY`},
		{"radius_map pair:a#1 rate", `f:1:12: ATTRIBUTE must name a key behind pair:, without #N`},
		{"radius_map 11 gardn", `f:1:15: TARGET is not known (did you mean garden?)`},
		{"radius_map 11 rate furlong", `f:1:20: UNIT must be one of bit, byte, kbit, mbit, gbit, or integer`},
		{"radius_map 11 garden integer", `f:1:15: garden takes no integer`},
		{"filter_id ( garden x", `f:1:11: REGEXP must be a regular expression`},
		{"filter_id a garden", `f:1:13: VALUE is missing (usage: filter_id REGEXP TARGET VALUE [UNIT])`},
		{"filter_id a rate 1 bit more", `f:1:24: nothing more can follow here`},
		{"set radius_down garden", `f:1:17: radius_down garden needs the name of a garden (set radius_down_garden)`},
		{"set radius_down_garden lost", `f:1:24: there is no garden "lost" (define it by a garden command)`},
		{"set radius_presets cisco,nobody", `f:1:20: radius_presets must be a comma-separated list; each item must be one of cisco, mikrotik, wispr, filter-id, erx, ascend, nokia`},
		{"set radius_accounting yes", `f:1:23: radius_accounting needs a RADIUS server (set primary_radius)`},
	} {
		_, _, err := Parse("f", c.text, Options{HostName: "lns"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q:\n got %v\nwant %s", c.text, err, c.want)
		}
	}
}

// The secret of a server is for files alone; accounting may go to a server that no
// setting names.
func TestRADIUSServerSecrets(t *testing.T) {
	const text = "set radius_accounting yes\nradius_server a address 192.0.2.1 secret s3cret weight 2\n"
	c, _, err := Parse("f", text, Options{HostName: "lns"})
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(c.Running(), "secret s3cret") || !c.holdsSecrets() {
		t.Errorf("running configuration\n%s", c.Running())
	}
	if shown := c.Show(); strings.Contains(shown, "s3cret") || !strings.Contains(shown, "# radius_server a secret (hidden)\nradius_server a address 192.0.2.1 weight 2\n") {
		t.Errorf("shown as\n%s", shown)
	}
	for _, other := range []string{text + "rate_profile a up 1M\n", strings.Replace(text, "weight 2", "weight 3", 1)} {
		d, _, err := Parse("f", other, Options{HostName: "lns"})
		if err != nil {
			t.Fatal(err)
		}
		if changes := Diff(c, d); len(changes) != 1 || changes[0] != (Change{"radius", Restart}) {
			t.Errorf("%q: changes %v", other, changes)
		}
	}
}
