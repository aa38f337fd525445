package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/secrets"
	"github.com/lnsd/lnsd/control/session"
)

var fence = regexp.MustCompile("(?ms)^```\n(.*?)^```$")

// Every configuration in the documents is one that the daemon takes.
func TestConfigurationsInTheDocumentsLoad(t *testing.T) {
	found := 0
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range fence.FindAllStringSubmatch(string(b), -1) {
			text := m[1]
			switch {
			case strings.HasPrefix(text, "set "), strings.HasPrefix(text, "lac "), strings.HasPrefix(text, "pool "),
				strings.HasPrefix(text, "radius_"), strings.HasPrefix(text, "garden "), strings.HasPrefix(text, "ip "), strings.HasPrefix(text, "dae_client "):
				found++
				// A part of a configuration is not to be warned about for the rest.
				const rest = "set bind_address 192.0.2.1\nset l2tp_secret \"a secret\"\n"
				if _, warnings, err := config.Parse(file, rest+text, config.Options{}); err != nil || len(warnings) > 0 {
					t.Errorf("%s: %v %v\n%s", file, err, warnings, text)
				}
			case strings.HasPrefix(text, "# client"):
				found++
				path := filepath.Join(t.TempDir(), "chap-secrets")
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
				if _, err := secrets.Open(path, "lns", func(*session.AuthResult) {}); err != nil {
					t.Errorf("%s: %v", file, err)
				}
			}
		}
	}
	if found < 3 {
		t.Errorf("only %d examples found: the search is broken", found)
	}
}

// Every local link in the documents leads somewhere.
func TestLinksInTheDocuments(t *testing.T) {
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	found := 0
	for _, file := range documents(t) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(b), -1) {
			found++
			if _, err := os.Stat(filepath.Join(filepath.Dir(file), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", file, m[1], err)
			}
		}
	}
	if found < 5 {
		t.Errorf("only %d links found: the search is broken", found)
	}
}

// documents are the README and what is in docs.
func documents(t *testing.T) []string {
	t.Helper()
	files := []string{"../../README.md"}
	for _, pattern := range []string{"../../docs/*.md", "../../docs/operations/*.md"} {
		found, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, found...)
	}
	for i := range files {
		var err error
		if files[i], err = filepath.Abs(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	return files
}
