// Package docs holds the documents to what the program does.
package docs

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/config"
)

var update = flag.Bool("update", false, "write the generated parts of the documents")

// The reference of settings is the table that the parser works by.
func TestSettingsReference(t *testing.T) {
	var b strings.Builder
	b.WriteString("# Settings\n\n`set NAME VALUE` in the startup-config. The column \"takes effect\" says when a changed\n" +
		"value counts: live, for tunnels and sessions set up from then on, or after a restart.\n\n" +
		"| Setting | Values | Default | Takes effect | Meaning |\n|---|---|---|---|---|\n")
	for _, s := range config.Settings() {
		help := s.Help
		if s.Alias != "" {
			help += " Another way of writing `" + s.Alias + "`."
		}
		fmt.Fprintf(&b, "| `%s` | %s | %s | %s | %s |\n", s.Name, values(s.Type, s.Unit, s.Range, s.Words), code(s.Default), s.Apply, help)
	}
	b.WriteString("\n# The lac command\n\n`lac NAME KEY VALUE ...` makes a policy for some LACs; several lines add up. What it leaves\n" +
		"out comes from the settings. The first policy that fits a LAC's address and host name decides.\n\n" +
		"| Key | Values | Meaning |\n|---|---|---|\n")
	for _, k := range config.LACKeys() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, values(k.Type, k.Unit, k.Range, k.Words), k.Help)
	}
	b.WriteString("\n# The garden command\n\n`garden NAME [KEY VALUE ...]` defines a walled garden; several lines add up. See\n" +
		"[operations/garden.md](operations/garden.md).\n\n| Key | Values | Meaning |\n|---|---|---|\n")
	for _, k := range config.GardenKeys() {
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", k.Name, k.Type, k.Help)
	}
	b.WriteString("\n# Access lists\n\n`ip access-list standard|extended NAME` and `ipv6 access-list standard|extended NAME`, followed by\n" +
		"lines of `permit` and `deny`: see [operations/filters.md](operations/filters.md).\n")
	compare(t, "../../docs/settings.md", b.String())
}

// The migration guide lists every name of l2tpns that has no effect.
func TestMigrationListsWhatHasNoEffect(t *testing.T) {
	const file, begin, end = "../../docs/migration.md", "<!-- begin: without effect -->\n", "<!-- end: without effect -->\n"
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	_, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has lost the marks of its generated part", file)
	}
	var table strings.Builder
	table.WriteString("| l2tpns | here |\n|---|---|\n")
	for _, l := range config.LegacySettings() {
		fmt.Fprintf(&table, "| `set %s` | %s |\n", l.Name, l.Note)
	}
	for _, l := range config.LegacyCommands() {
		fmt.Fprintf(&table, "| `%s` | %s |\n", l.Name, l.Note)
	}
	compare(t, file, head+begin+table.String()+end+tail)
}

func compare(t *testing.T, file, want string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s is stale: go test ./test/docs -update", file)
	}
}

func values(kind, unit, bounds string, words []string) string {
	v := kind
	if len(words) > 0 {
		v = code(strings.Join(words, "`, `"))
	}
	for _, more := range []string{unit, bounds} {
		if more != "" && len(words) == 0 {
			v += ", " + more
		}
	}
	return strings.ReplaceAll(v, "|", "\\|")
}

func code(s string) string {
	if s == "" {
		return ""
	}
	return "`" + s + "`"
}
