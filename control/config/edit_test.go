package config

import (
	"errors"
	"slices"
	"strings"
	"testing"
)

const editable = `# our LNS
set debug 3   
#set hostname "localhost"

set l2tp_secret "s"
  set allow_duplicate_users yes
! pools
pool a add 10.0.0.0/24
lac one address 192.0.2.1 secret x
lac one mtu 1400
# lists
ip access-list extended web
 # who may surf
 permit tcp any any eq 80
ip access-list standard none
set throttle_speed 28
`

func TestEditChangesOneLine(t *testing.T) {
	for _, c := range []struct{ within, line, gone, come string }{
		{"", "set debug 4", "set debug 3   \n", "set debug 4\n"},
		{"", "set debug 3", "", ""},
		{"", `set l2tp_secret "a b"`, "set l2tp_secret \"s\"\n", "set l2tp_secret \"a b\"\n"},
		{"", "set hostname lns1", "", "set hostname lns1\n"},
		{"", "set duplicate_users refuse", "  set allow_duplicate_users yes\n", "  set duplicate_users refuse\n"},
		{"", "no set duplicate_users", "  set allow_duplicate_users yes\n", ""},
		{"", "no set allow_duplicate_users", "  set allow_duplicate_users yes\n", ""},
		{"", "pool a add 10.0.0.0/24", "", ""},
		{"", "pool a add 10.0.1.0/24", "", "pool a add 10.0.1.0/24\n"},
		{"", "no pool a", "pool a add 10.0.0.0/24\n", ""},
		{"", "lac one mtu 1450", "lac one mtu 1400\n", "lac one mtu 1450\n"},
		{"", "lac one secret y", "lac one address 192.0.2.1 secret x\n", "lac one address 192.0.2.1 secret y\n"},
		{"", "lac one address 192.0.2.2", "lac one mtu 1400\n", "lac one mtu 1400 address 192.0.2.2\n"},
		{"", "lac two address 192.0.2.9", "", "lac two address 192.0.2.9\n"},
		{"", "no lac one mtu", "lac one mtu 1400\n", ""},
		{"", "no lac one secret", "lac one address 192.0.2.1 secret x\n", "lac one address 192.0.2.1\n"},
		{"", "no lac one", "lac one address 192.0.2.1 secret x\nlac one mtu 1400\n", ""},
		{"ip access-list extended web", "permit tcp any any eq 443", "", " permit tcp any any eq 443\n"},
		{"ip access-list extended web", "permit tcp any any eq 80", "", ""},
		{"ip access-list extended web", "no permit tcp any any eq 80", " permit tcp any any eq 80\n", ""},
		{"", "no ip access-list extended web", "ip access-list extended web\n permit tcp any any eq 80\n", ""},
		{"", "ip access-list extended web", "", ""},
		{"", "", "", ""},
	} {
		got, err := Edit(editable, Line{c.within, c.line})
		if err != nil {
			t.Errorf("%s: %v", c.line, err)
			continue
		}
		gone, come := lineDiff(editable, got)
		if gone != c.gone || come != c.come {
			t.Errorf("%s:\ngone %q, want %q\ncome %q, want %q", c.line, gone, c.gone, come, c.come)
		}
	}
}

func TestEditPutsLinesWhereTheyBelong(t *testing.T) {
	for line, before := range map[string]string{
		"set hostname lns1":         "#set hostname \"localhost\"",
		"pool b add 10.9.0.0/24":    "pool a add 10.0.0.0/24",
		"lac two address 192.0.2.9": "lac one mtu 1400",
		"set ecn yes":               "set throttle_speed 28",
	} {
		got, err := Edit(editable, Line{Text: line})
		if err != nil || !strings.Contains(got, before+"\n"+line+"\n") {
			t.Errorf("%s does not stand behind %s (%v):\n%s", line, before, err, got)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	for _, c := range []struct{ within, line string }{
		{"", "no"}, {"", "no set ecn"}, {"", "no lac three"}, {"", "no lac one pool"}, {"", "no set debug 3"},
		{"", "permit ip any any"}, {"ip access-list extended mail", "permit ip any any"},
		{"", "lac one mtu"}, {"", `set debug "3`}, {"ip access-list extended web", "no deny ip any any"},
	} {
		got, err := Edit(editable, Line{c.within, c.line})
		if err == nil {
			gone, come := lineDiff(editable, got)
			t.Errorf("%s is taken: gone %q, come %q", c.line, gone, come)
		}
	}
	if _, err := Edit(editable, Line{Text: "no set ecn"}); !errors.Is(err, ErrNothing) {
		t.Error(err)
	}
}

// What "show running-config" prints can be entered again, line by line.
func TestRunningConfigCanBeEnteredAgain(t *testing.T) {
	c, _, err := Parse("f", editable, Options{HostName: "h"})
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"", editable} {
		text, within := base, ""
		for line := range strings.Lines(c.Running()) {
			l := Line{Text: strings.TrimSpace(line)}
			if strings.HasPrefix(l.Text, "permit") || strings.HasPrefix(l.Text, "deny") {
				l.Within = within
			} else {
				within = l.Text
			}
			if text, err = Edit(text, l); err != nil {
				t.Fatalf("%s: %v", l.Text, err)
			}
		}
		again, _, err := Parse("f", text, Options{HostName: "h"})
		if err != nil {
			t.Fatalf("%v:\n%s", err, text)
		}
		if again.Running() != c.Running() {
			t.Errorf("got\n%s\nwant\n%s", again.Running(), c.Running())
		}
	}
}

// lineDiff is the lines of a that b does not have, and the other way around.
func lineDiff(a, b string) (gone, come string) {
	count := map[string]int{}
	for l := range strings.Lines(a) {
		count[l]++
	}
	for l := range strings.Lines(b) {
		if count[l] > 0 {
			count[l]--
			continue
		}
		come += l
	}
	for l := range strings.Lines(a) {
		if count[l] > 0 {
			count[l]--
			gone += l
		}
	}
	return gone, come
}

func FuzzEdit(f *testing.F) {
	f.Add(editable, "", "set debug 4")
	f.Add(editable, "ip access-list extended web", "no permit tcp any any eq 80")
	f.Add("lac a b", "", "no lac a b")
	f.Fuzz(func(t *testing.T, text, within, line string) {
		got, err := Edit(text, Line{within, line})
		if err != nil {
			return
		}
		// Comments outlive every change.
		comments := func(text string) (out []string) {
			for l := range strings.Lines(text) {
				if l = strings.TrimRight(l, "\r\n"); strings.HasPrefix(l, "#") {
					out = append(out, l)
				}
			}
			return out
		}
		if a, b := comments(text), comments(got); !slices.Equal(a, b) {
			t.Errorf("comments %q became %q", a, b)
		}
	})
}
