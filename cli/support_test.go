package cli_test

import (
	"archive/tar"
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/api/apitest"
)

// unpack reads an archive of the disk.
func unpack(t *testing.T, name string) map[string]string {
	t.Helper()
	f, err := os.Open(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	gz, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	files := map[string]string{}
	for r := tar.NewReader(gz); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return files
		}
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		files[strings.TrimPrefix(h.Name, "lnsd-support/")] = string(b)
	}
}

// A bundle holds what the commands show, and is for its owner's eyes.
func TestSupportBundle(t *testing.T) {
	socket := apitest.Start(t, daemon(), now)
	name := filepath.Join(t.TempDir(), "bundle.tar.gz")
	if out, code := lctl(socket, "support-bundle", name); code != 0 || out != name+"\n" {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	if fi, err := os.Stat(name); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode %v: %v", fi.Mode(), err)
	}
	files := unpack(t, name)
	for file, want := range map[string]string{
		"lnsctl/show-session.json":        "alice@example",
		"lnsctl/show-tunnel.json":         "lac-5",
		"lnsctl/show-running-config.json": "(hidden)",
		"lnsctl/show-counters.json":       "tunnel_created",
		"lnsctl/show-radius.json":         "192.0.2.10:1812",
		"host/uname-a.txt":                "Linux",
	} {
		if !strings.Contains(files[file], want) {
			t.Errorf("%s has no %q:\n%s", file, want, files[file])
		}
	}
	if out, code := lctl(socket, "support-bundle", name); code != 1 || !strings.Contains(out, "exists") {
		t.Errorf("over an older file: exit code %d:\n%s", code, out)
	}
}

// Without a daemon the bundle still has the host's side, and says what is missing.
func TestSupportBundleWithoutDaemon(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "bundle.tar.gz")
	if out, code := lctl(filepath.Join(dir, "no.sock"), "support-bundle", name); code != 0 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	files := unpack(t, name)
	if !strings.Contains(files["errors.txt"], "show-status") || !strings.Contains(files["host/uname-a.txt"], "Linux") {
		t.Errorf("errors.txt:\n%s", files["errors.txt"])
	}
}
