package config

import (
	"os"
	"strings"
	"testing"
)

// Whatever the text: no panic, bounded output, and what is accepted is rendered
// and read back the same.
func FuzzParse(f *testing.F) {
	for _, file := range []string{"testdata/l2tpns/startup-config", "testdata/l2tpns-settings.txt"} {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(text))
	}
	f.Add("radius_server a address 192.0.2.1 secret x group g\nrealm *.x group g strip yes\nrate_profile p up 1.5M\nradius_map 9.1 rate kbit integer\nradius_map pair:x garden\nfilter_id a(.) rate $1 mbit\n")
	f.Add("ppp_profile p idle_timeout 9\nsession_profile s ppp_profile p\ntunnel_profile t session_profile s auth_mode challenge\npeer_profile x address 10.0.0.0/8 tunnel_profile t\n")
	f.Add("set l2tp_secret 'a b'\"c\"\nlac x address 10.0.0.0/8 hostname l* secret y mtu 1480\npool p add 10.9.0.0/16\n")
	f.Add("garden g portal http://x/?u=%u dns 192.0.2.1 allow 10.0.0.0/8\nset reject_garden g\nip access-list extended a\n permit tcp any gt 1 any\nipv6 access-list standard a\n deny any\n")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Parse("f", text, Options{HostName: "lns"})
		if err != nil {
			if n := len(err.(Errors)); n > maxFaults+100 {
				t.Fatalf("%d faults", n)
			}
			return
		}
		again(t, c)
	})
}

func FuzzPoolFile(f *testing.F) {
	f.Add("10.0.0.0/24\n10.0.1.1\n# x\n192.0.2.1:10.2.0.0/16\n")
	f.Add("10.0.0.0/8\n10.0.0.0/9")
	f.Fuzz(func(t *testing.T, text string) {
		c, _, err := Parse("f", "set bind_address 192.0.2.1\n", Options{HostName: "lns", Pool: text, PoolFile: "ip_pool"})
		if err != nil {
			return
		}
		n := 0
		for _, p := range c.Pools {
			n += len(p.Prefixes)
		}
		if n > strings.Count(text, "\n")+1 {
			t.Fatalf("%d prefixes of %q", n, text)
		}
		again(t, c)
	})
}
