package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/test/inventory"
)

// rows are what the inventory must have: what the manuals of l2tpns (N) and OpenL2TP (O)
// describe, and what other LNS have besides (B).
func rows() (all []string) {
	for _, r := range []struct {
		letter   string
		from, to int
	}{
		{"N", 10, 13}, {"N", 20, 44}, {"N", 50, 74}, {"N", 80, 85}, {"N", 90, 134}, {"N", 140, 143}, {"N", 150, 152},
		{"O", 1, 22}, {"O", 30, 44}, {"O", 50, 86}, {"O", 90, 101}, {"B", 110, 130},
	} {
		for n := r.from; n <= r.to; n++ {
			all = append(all, fmt.Sprintf("%s%d", r.letter, n))
		}
	}
	return all
}

// Every row is there, and every line of it is so.
func TestInventory(t *testing.T) {
	table := readInventory(t)
	for _, want := range rows() {
		i := slices.IndexFunc(table, func(r inventory.Row) bool { return r.ID == want })
		switch {
		case i < 0:
			t.Errorf("the inventory has no row %s", want)
		case len(table[i].Items) == 0:
			t.Errorf("%s says nothing", table[i])
		}
	}
	c := newChecks(t, table)
	for _, r := range table {
		if !slices.Contains(rows(), r.ID) {
			t.Errorf("%s is nobody's row", r)
		}
		for _, item := range r.Items {
			check := c.of[item.Kind]
			if check == nil {
				t.Errorf("%s:%d: unknown kind %s", inventory.File, item.Line, item.Kind)
			} else if err := check(item.What); err != nil {
				t.Errorf("%s:%d: %s: %s %s: %v", inventory.File, item.Line, r, item.Kind, item.What, err)
			}
		}
	}
}

// What is not there is found out, whatever it is.
func TestInventoryFindsWhatIsMissing(t *testing.T) {
	c := newChecks(t, readInventory(t))
	for kind, what := range map[string]string{
		"setting": "debugs", "accepted": "debug", "config": "lac nonsense", "profile": "tunnel persists",
		"unused": "tunnel secret", "command": "show sesion", "shell": "show session", "flag": "lnsctl --jason",
		"column": "show session: CID", "field": "show session 1: Stat", "json": "show session: sids", "shows": "uptime: UDP-ETHER",
		"metric": `lnsd_sessions{state="down"}`, "trace": "2 protocol", "test": "cli TestNothing",
		"doc": "docs/migration.md: nonsense of no document", "file": "nonsense",
	} {
		if c.of[kind](what) == nil {
			t.Errorf("%s %s passes", kind, what)
		}
	}
	for kind := range c.of {
		switch kind {
		case "counter", "with-radius": // held to a running daemon, end to end
			continue
		}
		if c.of[kind]("nonsense") == nil {
			t.Errorf("%s passes everything", kind)
		}
	}
}

func readInventory(t *testing.T) []inventory.Row {
	t.Helper()
	table, err := inventory.Read("../../" + inventory.File)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// golden is what a command prints, as the tests of cli hold it.
func golden(command, form string) (string, error) {
	name := strings.NewReplacer(" ", "_", "@", "_at_", "*", "ANY").Replace(strings.TrimSpace(command + " " + form))
	b, err := os.ReadFile(filepath.Join("../../cli/testdata", name+".golden"))
	return string(b), err
}

// inGolden makes a check of "COMMAND: TEXT".
func inGolden(form string, has func(output, text string) bool) func(string) error {
	return func(what string) error {
		command, text, ok := strings.Cut(what, ": ")
		if !ok {
			return fmt.Errorf("not COMMAND: TEXT")
		}
		output, err := golden(command, form)
		if err == nil && !has(output, text) {
			err = fmt.Errorf("not in what it prints")
		}
		return err
	}
}

// hasColumn reports whether the heading has a title between blanks.
func hasColumn(output, title string) bool {
	head, _, _ := strings.Cut(output, "\n")
	return regexp.MustCompile(`(^|\s)` + regexp.QuoteMeta(title) + `(\s|$)`).MatchString(head)
}

func hasField(output, title string) bool {
	return regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(title) + `: `).MatchString(output)
}

func hasMember(output, name string) bool { return strings.Contains(output, `"`+name+`":`) }
