package docs

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/metrics"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/test/inventory"
)

var errNotThere = errors.New("there is none")

// checks hold the lines of the inventory to the program, by their kinds.
type checks struct {
	of       map[string]func(what string) error
	lnsctl   *cobra.Command
	settings []config.Setting
	metrics  string // as a collection has them
	lnsd     string // the program's own source
}

func newChecks(t *testing.T, table []inventory.Row) *checks {
	t.Helper()
	lnsd, err := os.ReadFile("../../cmd/lnsd/main.go")
	if err != nil {
		t.Fatal(err)
	}
	c := &checks{lnsctl: cli.Command(cli.Env{}), settings: config.Settings(), lnsd: string(lnsd), metrics: collected(table)}
	c.of = map[string]func(string) error{
		"setting": c.setting, "accepted": accepted, "config": configured,
		"profile": profileKey(func(k config.ProfileKey) bool { return k.Note == "" && k.Refused == "" }),
		"unused":  profileKey(func(k config.ProfileKey) bool { return k.Note != "" || k.Refused != "" }),
		"command": c.command, "shell": inShell, "flag": c.flag,
		"column": inGolden("", hasColumn), "field": inGolden("", hasField), "json": inGolden("--json", hasMember), "shows": inGolden("", strings.Contains),
		"counter": c.counter, "with-radius": c.counter, "metric": c.metric, "trace": traced,
		"test": tested, "doc": inDocument, "file": exists,
	}
	return c
}

func (c *checks) setting(name string) error {
	if !slices.ContainsFunc(c.settings, func(s config.Setting) bool { return s.Name == name && s.Help != "" }) {
		return errNotThere
	}
	return nil
}

func accepted(name string) error {
	if !slices.ContainsFunc(config.LegacySettings(), func(l config.Legacy) bool { return l.Name == name && l.Note != "" }) {
		return errNotThere
	}
	return nil
}

func configured(what string) error {
	word, key, hasKey := strings.Cut(what, " ")
	for _, cmd := range config.Commands() {
		if cmd.Name == word && (!hasKey || slices.ContainsFunc(cmd.Keys, func(a config.Arg) bool { return a.Name == key })) {
			return nil
		}
	}
	return errNotThere
}

func profileKey(is func(config.ProfileKey) bool) func(string) error {
	return func(what string) error {
		word, name, _ := strings.Cut(what, " ")
		for _, layer := range []config.Layer{config.PPPLayer, config.SessionLayer, config.TunnelLayer} {
			for _, k := range config.ProfileKeys(layer) {
				if layer.String() == word && (k.Name == name || slices.Contains(k.Alias, name)) {
					if is(k) {
						return nil
					}
					return fmt.Errorf("it is there, with the note %q", k.Note+k.Refused)
				}
			}
		}
		return errNotThere
	}
}

// find is a command of lnsctl by all of its words.
func (c *checks) find(words []string) (*cobra.Command, error) {
	cmd, rest, err := c.lnsctl.Find(words)
	switch {
	case err != nil:
		return nil, err
	case len(rest) > 0:
		return nil, fmt.Errorf("%s is no word of a command", rest[0])
	}
	return cmd, nil
}

func (c *checks) command(what string) error {
	cmd, err := c.find(strings.Fields(what))
	if err == nil && (cmd.HasSubCommands() && cmd.ValidArgsFunction == nil || cmd.Short == "") {
		err = errors.New("not a command, or one without help")
	}
	return err
}

// inShell is for commands that the shell carries out itself, which want a terminal.
func inShell(what string) error {
	var out bytes.Buffer
	env := cli.ShellEnv{Out: &out, Size: func() (int, int) { return 0, 0 }, Dial: func(cli.Standing) (*api.Client, error) { return nil, errors.New("no daemon") }}
	for _, enabled := range []bool{true, false} {
		cli.Exec(context.Background(), env, enabled, what)
	}
	if !strings.Contains(out.String(), "needs a terminal") {
		return errors.New(strings.TrimSpace(out.String()))
	}
	return nil
}

func (c *checks) flag(what string) error {
	words := strings.Fields(what)
	program, flag := words[0], words[len(words)-1]
	name := strings.TrimLeft(flag, "-")
	if program == "lnsd" {
		if !regexp.MustCompile(`Flags\(\)\.\w+\([^)]*"` + regexp.QuoteMeta(name) + `"`).MatchString(c.lnsd) {
			return errNotThere
		}
		return nil
	}
	cmd := c.lnsctl
	if program != "lnsctl" {
		var err error
		if cmd, err = c.find(words[:len(words)-1]); err != nil {
			return err
		}
	}
	if cmd.Flag(name) == nil {
		return errNotThere
	}
	return nil
}

// A counter is held to a running daemon, end to end; here, to what becomes of it.
func (c *checks) counter(name string) error {
	if regexp.MustCompile(`^(ctl_(sent|received|discarded)_|session_setup_failed_in_|xdp_(sent|pass|punt|drop)_)`).MatchString(name) {
		return nil // with labels
	}
	if !regexp.MustCompile(`(?m)^lnsd_` + name + `(_total)? `).MatchString(c.metrics) {
		return errors.New("no metric becomes of it")
	}
	return nil
}

func (c *checks) metric(what string) error {
	name, labels, _ := strings.Cut(strings.TrimSuffix(what, "}"), "{")
	for line := range strings.Lines(c.metrics) {
		if !regexp.MustCompile(`^` + regexp.QuoteMeta(name) + `(_bucket|_count|_sum)?[{ ]`).MatchString(line) {
			continue
		}
		if strings.Contains(line, labels) {
			return nil
		}
	}
	return errNotThere
}

func traced(what string) error {
	bit, name, _ := strings.Cut(what, " ")
	n, err := strconv.ParseUint(bit, 10, 16)
	if err != nil {
		return err
	}
	if got := session.TraceMask(n).String(); got != name {
		return fmt.Errorf("it is %s", got)
	}
	m, err := session.ParseTraceMask(bit)
	if err == nil && m != session.TraceMask(n) {
		err = fmt.Errorf("the number is read as %v", m)
	}
	return err
}

func tested(what string) error {
	dir, name, _ := strings.Cut(what, " ")
	files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
	if err != nil {
		return err
	}
	for _, f := range files {
		if b, err := os.ReadFile(f); err == nil && strings.Contains(string(b), "\nfunc "+name+"(t ") {
			return nil
		}
	}
	return errNotThere
}

func inDocument(what string) error {
	file, text, _ := strings.Cut(what, ": ")
	b, err := os.ReadFile("../../" + file)
	if err == nil && !strings.Contains(string(b), text) {
		err = errNotThere
	}
	return err
}

func exists(name string) error {
	_, err := os.Stat("../../" + name)
	return err
}

// collected is what a daemon shows Prometheus that has the counters of the inventory.
func collected(table []inventory.Row) string {
	w := httptest.NewRecorder()
	metrics.Handler(inventoried{inventory.Counters(table, true)}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	return w.Body.String()
}

type inventoried struct{ counters []string }

func (i inventoried) Counters() (out []session.Count) {
	for _, n := range append(i.counters, "ctl_sent_zlb") {
		out = append(out, session.Count{Name: n})
	}
	return out
}

func (inventoried) Histograms() []session.Histogram {
	one := session.Histogram{Bounds: []time.Duration{time.Second}, Counts: []uint64{0, 0}}
	setup, open, idle := one, one, one
	setup.Name, setup.Label, setup.Value, open.Name, idle.Name = "session_setup", "stage", "all", "session_open", "session_idle"
	return []session.Histogram{setup, open, idle}
}

func (inventoried) Servers() []session.AuthServerView {
	return []session.AuthServerView{{Name: "192.0.2.10:1812", Purpose: "auth", State: "up",
		RTT: session.Histogram{Bounds: []time.Duration{time.Second}, Counts: []uint64{0, 0}}}}
}

func (inventoried) Pools() []session.PoolView { return []session.PoolView{{Name: "default", Size: 1}} }

func (inventoried) Gauges() metrics.Gauges { return metrics.Gauges{Started: time.Unix(1, 0)} }
