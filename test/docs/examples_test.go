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
			case strings.HasPrefix(text, "set "), strings.HasPrefix(text, "lac "), strings.HasPrefix(text, "pool "):
				found++
				if _, warnings, err := config.Parse(file, text, config.Options{}); err != nil || len(warnings) > 0 {
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
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	return append(files, "../../README.md")
}
