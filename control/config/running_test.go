package config

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// again parses what c renders and reports any difference.
func again(t rapid.TB, c *Config) {
	t.Helper()
	text := c.Running()
	back, _, err := Parse("running", text, Options{HostName: "another host", Files: c.Files})
	if err != nil {
		t.Fatalf("what was rendered is refused:\n%v\n%s", err, text)
	}
	if !reflect.DeepEqual(c, back) {
		t.Fatalf("what was rendered means something else:\n%s\n%+v\n%+v", text, c, back)
	}
}

// Property: a configuration is what its rendering says.
func TestRunningIsReadBack(t *testing.T) {
	value := rapid.OneOf(
		rapid.SampledFrom([]string{
			"yes", "no", "auto", "0", "1", "8", "30", "600", "1500", "2.5", "0.125", "65535",
			"192.0.2.1", "2001:db8::1", "0.0.0.0", "chap", "pap, chap", "mschapv2,pap", "kick", "refuse", "allow",
			"always", "generic", "/run/x y.sock", "eth0, eth1", "syslog:local3", "", `both " and '`, "#", "!x", "a,b",
		}),
		rapid.StringMatching(`[a-z "'#!,\\]{1,20}`),
	)
	settings, keys := Settings(), LACKeys()
	rapid.Check(t, func(t *rapid.T) {
		text := "set radius_secret s\n"
		try := func(line string) {
			if _, _, err := Parse("f", text+line+"\n", Options{}); err == nil {
				text += line + "\n"
			}
		}
		for range rapid.IntRange(0, 10).Draw(t, "settings") {
			s := rapid.SampledFrom(settings).Draw(t, "setting")
			try("set " + s.Name + " " + quoted(value.Draw(t, "value")))
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "pools") {
			try(fmt.Sprintf("pool %s add 10.%d.0.0/16", quoted(value.Draw(t, "pool")), i))
		}
		for i := range rapid.IntRange(0, 4).Draw(t, "lacs") {
			line := fmt.Sprintf("lac l%d address 172.16.%d.0/24", i/2, i)
			for range rapid.IntRange(0, 3).Draw(t, "keys") {
				k := rapid.SampledFrom(keys).Draw(t, "key")
				line += " " + k.Name + " " + quoted(value.Draw(t, "value"))
			}
			try(line)
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "gardens") {
			try(fmt.Sprintf("garden g%d portal http://192.0.2.%d/?from=%%u allow 10.%d.0.0/16 dns 192.0.2.%d allow 2001:db8::/32", i, i, i, i))
		}
		for i := range rapid.IntRange(0, 3).Draw(t, "access lists") {
			try(fmt.Sprintf("ip access-list extended l%d\n permit tcp any eq %d host 192.0.2.1 established\n deny ip any any fragments", i/2, i))
			try(fmt.Sprintf("ipv6 access-list standard l%d\n deny 2001:db8::/32", i/2))
		}
		c, _, err := Parse("f", text, Options{HostName: "lns"})
		if err != nil {
			t.Fatalf("%v\n%s", err, text)
		}
		again(t, c)
	})
}

// The addresses of an ip_pool file are in the rendering; both together are one.
func TestRunningWithPoolFile(t *testing.T) {
	o := Options{HostName: "lns", Pool: "10.1.0.0/16\n10.2.0.1\n", PoolFile: "ip_pool"}
	c, _, err := Parse("f", "pool other add 10.3.0.0/24\n", o)
	if err != nil {
		t.Fatal(err)
	}
	again(t, c)
	if back, _, err := Parse("f", c.Running(), o); err != nil || !reflect.DeepEqual(c, back) {
		t.Errorf("with the file beside it: %v", err)
	}
}

func TestQuotedIsOneWord(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringMatching(`[a-z "'\t#!,]{0,12}`).Draw(t, "text")
		toks, err := words("x " + quoted(s))
		if err != nil || len(toks) != 2 || toks[1].text != s {
			t.Fatalf("%q is written %s and read %v, %v", s, quoted(s), toks, err)
		}
	})
}

func TestShowIsTheFileWithoutSecrets(t *testing.T) {
	c, _ := parse(t, "set hostname x\nset l2tp_secret a\nset debug 4\nlac c address 10.0.0.1 secret 'b c' mtu 1400\npool p add 10.0.0.0/24\n")
	want := `# set l2tp_secret (hidden)
set hostname x
set debug 4
pool p add 10.0.0.0/24
# lac c secret (hidden)
lac c address 10.0.0.1/32 mtu 1400
`
	if got := c.Show(); got != want {
		t.Errorf("got:\n%swant:\n%s", got, want)
	}
}

func TestDiffSaysWhatNeedsARestart(t *testing.T) {
	from, _ := parse(t, "set hostname x\nset l2tp_secret a\n")
	to, _ := parse(t, "set hostname x\nset l2tp_secret b\nset debug 5\nset bind_address 192.0.2.1\nset allow_duplicate_users yes\npool p add 10.0.0.0/24\nlac c hostname y\n")
	var got []string
	for _, c := range Diff(from, to) {
		got = append(got, c.Name+" "+c.Apply.String())
	}
	want := "bind_address restart, l2tp_secret new sessions, duplicate_users new sessions, debug live, pool restart, lac new sessions"
	if s := strings.Join(got, ", "); s != want {
		t.Errorf("got %s\nwant %s", s, want)
	}
	if d := Diff(to, to); len(d) > 0 {
		t.Errorf("differs from itself: %v", d)
	}
}
