package secrets

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"testing"
)

// words splits one file and renders the result, lines apart by "|".
func words(t *testing.T, text string) string {
	t.Helper()
	var out []string
	s := newScanner("f", []byte(text))
	for {
		w, ok, err := s.next()
		if err != nil {
			return err.Error()
		}
		if !ok {
			return strings.Join(out, " ")
		}
		if w.first && len(out) > 0 {
			out = append(out, "|")
		}
		out = append(out, fmt.Sprintf("%q", w.text))
	}
}

func TestWords(t *testing.T) {
	for _, c := range []struct{ name, in, want string }{
		{"empty file", "", ``},
		{"comments and blank lines", "# a b\n\n   \t\n#\n", ``},
		{"plain", "alice * secret\n", `"alice" "*" "secret"`},
		{"no newline at the end", "alice * secret", `"alice" "*" "secret"`},
		{"CR LF", "a b c\r\nd e f\r\n", `"a" "b" "c" | "d" "e" "f"`},
		{"comment after words", "a b c # d\ne f g", `"a" "b" "c" | "e" "f" "g"`},
		{"# ends a word", "a b c#d\n", `"a" "b" "c"`},
		{"# in quotes", `a b "c#d"`, `"a" "b" "c#d"`},
		{"# escaped", `a b \#d`, `"a" "b" "#d"`},
		{"quotes", `"a b" 'c "d"' e`, `"a b" "c \"d\"" "e"`},
		{"quotes within a word", `al"i c"e b c`, `"ali ce" "b" "c"`},
		{"empty quotes", `a b ""`, `"a" "b" ""`},
		{"escaped quote in quotes", `"a\"b" c d`, `"a\"b" "c" "d"`},
		{"escaped space", `a\ b c d`, `"a b" "c" "d"`},
		{"C escapes", `\a\b\f\n\r\s\t\v\q`, `"\a\b\f\n\r \t\vq"`},
		{"octal", `\1\12\1019`, `"\x01\nA9"`},
		{"hexadecimal", `\x4a\x4Az\x9g`, `"JJz\tg"`},
		{"backslash", `a\\b`, `"a\\b"`},
		{"continued line", "a b \\\n c\nd", `"a" "b" "c" | "d"`},
		{"continued word", "a b se\\\ncret\nd", `"a" "b" "secret" | "d"`},
		{"UTF-8", "jürgen * pässword", `"jürgen" "*" "pässword"`},
		{"open quote", "a b c\nd e \"f\ng", "f:2: quote \" is not closed on its line"},
		{"open quote at the end", "a 'b", "f:1: quote ' is not closed on its line"},
		{"trailing backslash", `a b c\`, "f:1: the file ends after a backslash"},
		{"zero byte", "a\x00b", "f:1: zero byte"},
		{"escaped zero byte", `"a\0b"`, "f:1: zero byte"},
		{"too large octal", `\777`, "f:1: escape 0777 is more than one byte"},
		{"hex without digits", `\xzz`, `f:1: \x is not followed by a hexadecimal digit`},
		{"long word", strings.Repeat("x", 1024), "f:1: word of 1024 bytes: at most 1023"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got := words(t, c.in); got != c.want {
				t.Errorf("%q:\n got %s\nwant %s", c.in, got, c.want)
			}
		})
	}
}

func TestAddressColumn(t *testing.T) {
	for _, c := range []struct{ column, want string }{
		{"", "pool"},
		{"*", "pool"},
		{"-", "refused"},
		{"- -- mtu 1400", "refused"},
		{"-- mtu 1400", "pool"},
		{"* -- mtu 1400", "pool"},
		{"10.0.0.7", "10.0.0.7"},
		{"10.0.0.7/32", "10.0.0.7"},
		{"10.0.0.7 10.0.0.8", "10.0.0.7"},
		{"* 10.0.0.7", "10.0.0.7"},
		{"10.1.0.0/16 10.0.0.7", "10.0.0.7"},
		{"!10.0.0.7 10.0.0.7 10.0.0.8", "10.0.0.8"},
		{"!10.0.0.0/24 10.0.0.7 10.0.1.8", "10.0.1.8"},
		{"!10.0.0.7 *", "pool"},
		{"10.1.0.0/16", "network 10.1.0.0/16 alone names no address: give one, or * for the pool"},
		{"!10.0.0.7", "no address is allowed: give one, * for the pool, or - to refuse"},
		{"10.0.0.7 -", `"-" allows no address: it must be the only one`},
		{"10.0.0", `"10.0.0" is not an IPv4 address or network, *, - or !address`},
		{"2001:db8::1", "2001:db8::1 is not an IPv4 address"},
		{"127.0.0.1", "127.0.0.1 cannot be a subscriber's address"},
		{"0.0.0.0", "0.0.0.0 cannot be a subscriber's address"},
		{"224.0.0.1", "224.0.0.1 cannot be a subscriber's address"},
	} {
		t.Run(c.column, func(t *testing.T) {
			var list [][]byte
			for _, f := range strings.Fields(c.column) {
				list = append(list, []byte(f))
			}
			address, refused, err := addresses(list)
			got := "pool"
			switch {
			case err != nil:
				got = err.Error()
			case refused:
				got = "refused"
			case address.IsValid():
				got = address.String()
			}
			if got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

// The order of preference is that of pppd's scan_authfile: a client that is named
// outranks *, then a server that is named, then the earlier line.
func TestBestMatch(t *testing.T) {
	for _, c := range []struct{ name, file, want string }{
		{"exact", "u lns s1", "s1"},
		{"other server", "u other s1", ""},
		{"other client", "v lns s1", ""},
		{"wildcard server", "u * s1", "s1"},
		{"wildcard client", "* lns s1", "s1"},
		{"both", "* * s1", "s1"},
		{"named server wins, earlier", "u lns s1\nu * s2", "s1"},
		{"named server wins, later", "u * s1\nu lns s2", "s2"},
		{"named client wins over named server", "* lns s1\nu * s2", "s2"},
		{"wildcards: named server wins", "* * s1\n* lns s2", "s2"},
		{"first among equals", "u * s1\nu * s2", "s1"},
		{"first among wildcards", "* * s1\n* * s2", "s1"},
		{"names are case-sensitive", "U * s1", ""},
		{"quoted * is a wildcard too", `u "*" s1`, "s1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			table, err := parse("f", []byte(c.file), "lns")
			if err != nil {
				t.Fatal(err)
			}
			e, ok := table.lookup("u")
			if ok != (c.want != "") || string(e.secret) != c.want {
				t.Errorf("got %q, %v, want %q", e.secret, ok, c.want)
			}
		})
	}
}

func TestSyntaxErrors(t *testing.T) {
	for _, c := range []struct {
		file string
		line int
	}{
		{"a b c\nd e\n", 2},
		{"a b c\n\n# x\nd\n", 4},
		{"a \\\n b\nc d e\n", 1},
		{"a b c 10.0.0.1\nd e f 10.0.0.256\n", 2},
		{"a other c nonsense\n", 1}, // checked though it is for another server
		{`"" * secret`, 1},
		{"a * @/etc/secret", 1},
	} {
		_, err := parse("dir/f", []byte(c.file), "lns")
		var s *SyntaxError
		if !errors.As(err, &s) || s.File != "dir/f" || s.Line != c.line {
			t.Errorf("%q: got %v, want a fault in line %d", c.file, err, c.line)
		}
	}
	_, err := parse("f", []byte("alice * topsecret nonsense"), "lns")
	if err == nil || strings.Contains(err.Error(), "topsecret") {
		t.Errorf("got %v, want an error without the secret", err)
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{
		"alice * secret 10.0.0.7\n", "a b \"c d\" * -- mtu 1400\n* * x -", `a b \x41\101\s`, "a \\\n b c", "'", "\\", "a b c !1.2.3.4 *",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		before := string(b)
		table, err := parse("f", b, "lns")
		if string(b) != before {
			t.Fatal("the input was changed")
		}
		if err != nil {
			var s *SyntaxError
			if !errors.As(err, &s) || s.Line < 1 || s.Line > 1+strings.Count(before, "\n") {
				t.Fatalf("error without a line of the file: %v", err)
			}
			return
		}
		for client, e := range table.clients {
			if client == "" || client == "*" || len(e.secret) > maxWord || e.refused && e.address.IsValid() {
				t.Fatalf("entry %q %+v", client, e)
			}
			if e.address.IsValid() && !e.address.Is4() {
				t.Fatalf("address %v", e.address)
			}
		}
	})
}

// Whatever a secret is, it can be written in quotes and read back.
func FuzzQuoted(f *testing.F) {
	f.Add("correct horse", byte('"'))
	f.Add(`\'"#`, byte('\''))
	f.Fuzz(func(t *testing.T, secret string, q byte) {
		if strings.Contains(secret, "\x00") || len(secret) > maxWord || q != '"' && q != '\'' || strings.HasPrefix(secret, "@/") {
			t.Skip()
		}
		quoted := strings.NewReplacer(`\`, `\\`, string(q), `\`+string(q), "\n", `\n`).Replace(secret)
		table, err := parse("f", fmt.Appendf(nil, "u * %c%s%c 10.0.0.1", q, quoted, q), "lns")
		if err != nil {
			t.Fatal(err)
		}
		if e, _ := table.lookup("u"); string(e.secret) != secret || e.address != netip.MustParseAddr("10.0.0.1") {
			t.Fatalf("got %q %v", e.secret, e.address)
		}
	})
}

func BenchmarkParse(b *testing.B) {
	var file []byte
	const entries = 10000
	for i := range entries {
		file = fmt.Appendf(file, "user%06d@example.net * secret%06d 10.%d.%d.%d\n", i, i, i>>16&255, i>>8&255, i&255)
	}
	b.SetBytes(int64(len(file)))
	for b.Loop() {
		if _, err := parse("f", file, "lns"); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)*entries/b.Elapsed().Seconds(), "entries/s")
}

func TestIPv6Words(t *testing.T) {
	parsed, err := parse("f", []byte(`
dual  * x 10.0.0.7 2001:db8:1::/64 2001:db8:100::/56 2001:db8:200::/48
pool  * x 2001:db8:2::/64
only  * x - 2001:db8:3::7
plain * x *
`), "lns")
	if err != nil {
		t.Fatal(err)
	}
	dual, pool, only := parsed.clients["dual"], parsed.clients["pool"], parsed.clients["only"]
	if dual.address.String() != "10.0.0.7" || len(dual.ipv6.Prefixes) != 1 || len(dual.ipv6.Delegated) != 2 || dual.ipv6.Only {
		t.Errorf("dual: %+v %+v", dual, dual.ipv6)
	}
	if pool.address.IsValid() || pool.refused || pool.ipv6.Prefixes[0].String() != "2001:db8:2::/64" {
		t.Errorf("pool: %+v %+v", pool, pool.ipv6)
	}
	if only.refused || !only.ipv6.Only || only.ipv6.Addresses[0].String() != "2001:db8:3::7" {
		t.Errorf("only: %+v %+v", only, only.ipv6)
	}
	if parsed.clients["plain"].ipv6 != nil {
		t.Error("plain has IPv6")
	}
	for _, words := range []string{"2001:db8::1/64", "fe80::1", "2001:db8::/129", "::", "ff02::1", "a:b", "::ffff:10.0.0.1"} {
		if _, err := parse("f", []byte("a * x "+words), "lns"); err == nil {
			t.Errorf("%s was accepted", words)
		}
	}
}
