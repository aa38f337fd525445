package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func write(t *testing.T, dir, name, text string, mode fs.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil { // whatever the umask
		t.Fatal(err)
	}
	return path
}

func TestLoadFindsTheFilesBeside(t *testing.T) {
	dir := t.TempDir()
	path := write(t, dir, "startup-config", "set l2tp_secret s\n", 0o640)
	write(t, dir, "ip_pool", "10.0.0.0/24\n", 0o644)
	secrets := write(t, dir, "chap-secrets", "", 0o600)
	c, warnings, err := Load(path)
	if err != nil || len(warnings) > 0 {
		t.Fatalf("%v, %v", warnings, err)
	}
	host, _ := os.Hostname()
	if len(c.Pools) != 1 || c.Files.ChapSecrets != secrets || c.Files.StartupConfig != path || c.Hostname != host {
		t.Errorf("%+v", c)
	}
}

func TestLoadNeedsNothingBeside(t *testing.T) {
	c, _, err := Load(write(t, t.TempDir(), "startup-config", "", 0o640))
	if err != nil || c.Files.ChapSecrets != "" || c.Files.IPPool != "" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestLoadWarnsOfOpenSecrets(t *testing.T) {
	for _, c := range []struct {
		text string
		mode fs.FileMode
		want int
	}{
		{"set l2tp_secret s\n", 0o644, 1},
		{"set l2tp_secret s\n", 0o640, 0},
		{"lac a hostname b secret s\n", 0o604, 1},
		{"set debug 3\n", 0o644, 0}, // holds none
	} {
		path := write(t, t.TempDir(), "startup-config", c.text, c.mode)
		_, warnings, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		for _, w := range warnings {
			if strings.Contains(w.Message, "open to everybody") {
				n++
			}
		}
		if n != c.want {
			t.Errorf("%q with mode %o: %v", c.text, c.mode, warnings)
		}
	}
	dir := t.TempDir()
	path := write(t, dir, "startup-config", "set l2tp_secret s\n", 0o600)
	write(t, dir, "chap-secrets", "a * b *\n", 0o644)
	if _, warnings, _ := Load(path); len(warnings) != 1 || warnings[0].File != filepath.Join(dir, "chap-secrets") {
		t.Errorf("chap-secrets: %v", warnings)
	}
}

func TestLoadFails(t *testing.T) {
	dir := t.TempDir()
	if _, _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("missing file: %v", err)
	}
	path := write(t, dir, "startup-config", "set debug 9\n", 0o644)
	_, _, err := Load(path)
	var faults Errors
	if !errors.As(err, &faults) || !strings.HasPrefix(err.Error(), path+":1:11: ") {
		t.Errorf("faulty file: %v", err)
	}
	write(t, dir, "startup-config", "", 0o644)
	write(t, dir, "ip_pool", "nonsense", 0o644)
	if _, _, err := Load(path); err == nil || !strings.HasPrefix(err.Error(), filepath.Join(dir, "ip_pool")+":1:1: ") {
		t.Errorf("faulty ip_pool: %v", err)
	}
}

// The files that are installed load, apart from what a site has to fill in.
func TestPackagedFilesLoad(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"startup-config", "ip_pool", "chap-secrets"} {
		text, err := os.ReadFile(filepath.Join("../../packaging", name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, dir, name, string(text), 0o640)
	}
	c, _, err := Load(filepath.Join(dir, "startup-config"))
	if err != nil || len(c.Pools) != 1 {
		t.Errorf("%+v, %v", c, err)
	}
	// And with every commented-out example in force.
	text, _ := os.ReadFile(filepath.Join(dir, "startup-config"))
	var lines []string
	for line := range strings.Lines(string(text)) {
		for _, command := range []string{"#set ", "#lac ", "#pool "} {
			if strings.HasPrefix(line, command) {
				line = line[1:]
			}
		}
		lines = append(lines, line)
	}
	path := write(t, dir, "startup-config", strings.Join(lines, ""), 0o640)
	if _, warnings, err := Load(path); err != nil || len(warnings) > 0 {
		t.Errorf("examples: %v, %v", warnings, err)
	}
}
