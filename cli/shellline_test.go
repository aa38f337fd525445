package cli

import (
	"errors"
	"io"
	"slices"
	"strings"
	"testing"

	"golang.org/x/term"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func TestWordsAndFilters(t *testing.T) {
	for line, want := range map[string]string{
		`show session`:                         `show,session`,
		`show users "a b" 'c"d'e`:              `show,users,a b,c"de`,
		`show session | include a|b`:           `show,session;include a|b`,
		`show session|inc x y | exc z | count`: `show,session;include x y;exclude z;count`,
		`show session | include a | b`:         `show,session;include a | b`,
		`show session | begin "^ *5 "`:         `show,session;begin ^ *5 `,
		`drop user "a|b"`:                      `drop,user,a|b`,
		`show session | count`:                 `show,session;count`,
		`show "open`:                           "error",
		`show session | include`:               "error",
		`show session | e`:                     "error",
		`show session | include (`:             "error",
		`show session | sort`:                  "error",
	} {
		command, filters, err := splitPipes(line)
		var words []string
		if err == nil {
			words, err = splitWords(command)
		}
		got := strings.Join(words, ",")
		for _, f := range filters {
			got += ";" + f.verb
			if f.pattern != nil {
				got += " " + f.pattern.String()
			}
		}
		if err != nil {
			got = "error"
		}
		if got != want {
			t.Errorf("%s\n\tis %s (%v)\n\twant %s", line, got, err, want)
		}
	}
}

func TestAbbreviations(t *testing.T) {
	for _, c := range []struct {
		enabled bool
		line    string
		want    string
	}{
		{false, "sh sess", "show session"}, {false, "sh sess 5", "show session 5"}, {false, "show sessions", "show session"},
		{false, "sh ver", "show version"}, {false, "upt", "uptime"}, {false, "sh rad down", "show radius down"},
		{false, "drop session 1", ""}, {false, "sh s", ""}, {false, "", ""}, {false, "show", ""}, {false, "sh nothing", ""},
		{true, "dr s 5", "drop session 5"}, {true, "no thr bob", "no throttle bob"}, {true, "wr m", "write memory"},
		{true, "conf t", "configure terminal"}, {true, "shut", ""}, {true, "shutdown", "shutdown"}, {true, "exit now", ""},
	} {
		s := newShell(ShellEnv{OnHost: true})
		s.enabled = c.enabled
		words, err := splitWords(c.line)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if r, err := s.tree().resolve(words); err == nil {
			got = strings.Join(append(r.words, r.args...), " ")
		}
		if got != c.want {
			t.Errorf("%q is %q, want %q", c.line, got, c.want)
		}
	}
}

// What operators of l2tpns type is there, and shown by who may only look or by who is
// enabled.
func TestCommandsOfL2tpns(t *testing.T) {
	looks := []string{
		"show session", "show session 1", "show users", "show users bob", "show tunnel", "show tunnel 1", "show pool", "show radius",
		"show running-config", "show counters", "show cluster", "show bgp", "show version", "show throttle", "show tbf",
		"show access-list", "uptime", "help", "exit", "clear counters", "enable",
	}
	changes := []string{
		"configure terminal", "write memory", "snoop bob 192.0.2.1 4000", "no snoop bob", "throttle bob", "throttle bob in 100",
		"no throttle bob", "drop session 1", "drop tunnel 1", "drop user bob", "filter bob in web", "no filter bob",
		"debug", "no debug", "reload", "shutdown", "garden bob g", "no garden bob",
	}
	for _, enabled := range []bool{false, true} {
		s := newShell(ShellEnv{})
		s.enabled = enabled
		for _, line := range append(slices.Clone(looks), changes...) {
			want := enabled || slices.Contains(looks, line)
			if enabled && line == "enable" {
				continue
			}
			if _, err := s.tree().resolve(strings.Fields(line)); (err == nil) != want {
				t.Errorf("%s, enabled %v: %v", line, enabled, err)
			}
		}
	}
}

// The daemon's own shells offer nothing that touches files of its host.
func TestNoHostCommandsByNetwork(t *testing.T) {
	s := newShell(ShellEnv{})
	s.enabled = true
	for _, line := range []string{"support-bundle", "make-certificates d", "password bob", "config load f", "config save f", "hook load up f"} {
		if r, err := s.tree().resolve(strings.Fields(line)); err == nil {
			t.Errorf("%s is %v", line, r.words)
		}
	}
	for _, c := range s.app(io.Discard).root().Commands() {
		if c.Name() == "support-bundle" || c.Flags().Lookup("socket") != nil || c.InheritedFlags().Lookup("server") != nil {
			t.Errorf("%s can reach elsewhere", c.Name())
		}
	}
}

func FuzzShellLine(f *testing.F) {
	f.Add("sh sess 5 | inc a|b | count")
	f.Add(`drop user "a b`)
	f.Add("no ")
	s := newShell(ShellEnv{Dial: nil})
	s.enabled = true
	tree := s.tree()
	f.Fuzz(func(t *testing.T, line string) {
		command, _, err := splitPipes(line)
		if err != nil {
			return
		}
		words, err := splitWords(command)
		if err != nil {
			return
		}
		r, err := tree.resolve(words)
		if err != nil {
			return
		}
		// Written out, the line is the same command.
		again, err := tree.resolve(append(slices.Clone(r.words), r.args...))
		if err != nil || again.branch != r.branch || !slices.Equal(again.args, r.args) {
			t.Errorf("%q is %v %v, which is %v, %v", line, r.words, r.args, again, err)
		}
	})
}

// Whatever stands on a line, ? and Tab answer, and what is completed stays.
func FuzzCompletion(f *testing.F) {
	for _, line := range []string{"", "sh", "show session | inc", "drop user \"a b", "trace set user x ppp,", "conf", "no ", "set de", "set debug ", "ip access-list ", "do sh", "lac a mtu "} {
		f.Add(line, true)
		f.Add(line, false)
	}
	grammar := &lnsv1.GrammarReply{
		Commands: []*lnsv1.GrammarCommand{
			{Name: "set", Args: []*lnsv1.GrammarArg{{Name: "NAME"}, {Name: "VALUE"}}},
			{Name: "lac", Args: []*lnsv1.GrammarArg{{Name: "NAME"}, {Name: "KEY VALUE", Rest: true}}, Keys: []*lnsv1.GrammarArg{{Name: "mtu"}}},
			{Name: "ip", Args: []*lnsv1.GrammarArg{{Name: "access-list", Words: []string{"access-list"}}, {Name: "NAME"}}},
		},
		Settings: []*lnsv1.GrammarSetting{{Name: "debug", Words: []string{"yes", "no"}}},
	}
	nobody := func(Standing) (*api.Client, error) { return nil, errors.New("no daemon") }
	f.Fuzz(func(t *testing.T, line string, configuring bool) {
		s := newShell(ShellEnv{Out: io.Discard, Dial: nobody, Size: func() (int, int) { return 80, 24 }})
		s.term = term.NewTerminal(struct {
			io.Reader
			io.Writer
		}{strings.NewReader(""), io.Discard}, "")
		s.enabled = true
		if configuring {
			s.mode, s.grammar = modeConfig, grammar
		}
		choices, last := s.choices(t.Context(), line)
		for _, c := range choices {
			if !strings.HasPrefix(c.word, last) && !strings.HasPrefix(c.word, "<") && c.word != "|" {
				t.Errorf("%q offers %q for %q", line, c.word, last)
			}
		}
		if done := s.complete(t.Context(), line); len(done) < len(line) {
			t.Errorf("%q becomes %q", line, done)
		}
	})
}
