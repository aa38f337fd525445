package packaging

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
)

// packages makes all packages, once: they are of the same programs.
var packages = sync.OnceValues(func() (string, error) {
	old, err := filepath.Glob("../../build/lnsd*.*")
	if err != nil {
		return "", err
	}
	for _, name := range old {
		if err := os.Remove(name); err != nil {
			return "", err
		}
	}
	out, err := exec.Command("make", "-C", "../..", "deb", "rpm").CombinedOutput()
	return string(out), err
})

// build makes the packages in their own build directory and returns the path of one.
func build(t *testing.T, kind string) string {
	t.Helper()
	if testing.Short() {
		t.Skip("building a package takes a while")
	}
	if out, err := packages(); err != nil {
		t.Fatalf("make: %v\n%s", err, out)
	}
	made, err := filepath.Glob("../../build/lnsd*." + kind)
	if err != nil || len(made) != 1 {
		t.Fatalf("make %s made %q: %v", kind, made, err)
	}
	return made[0]
}

// The Debian package installs, starts as its own user with the unit's rights, is
// replaced, removed and purged, and leaves nothing.
func TestDebianPackage(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("a root of its own needs root")
	}
	deb := build(t, "deb")
	cmd := exec.Command("unshare", "--mount", "--net", "testdata/in-a-root", deb, "testdata/life-of-a-package")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	_, left, ok := strings.Cut(string(out), "\nLEFT\n")
	if !ok {
		t.Fatalf("the script did not come to its end:\n%s", out)
	}
	if left != "" {
		t.Errorf("left after a purge:\n%s", left)
	}
}

// The package for rpm holds the same programs and files.
func TestRPM(t *testing.T) {
	if _, err := exec.LookPath("rpm"); err != nil {
		t.Skip("no rpm here")
	}
	name := build(t, "rpm")
	out, err := exec.Command("rpm", "-qp", "--nosignature", "--queryformat",
		"[%{FILEMODES:perms} %{FILEFLAGS:fflags} %{FILENAMES}\n]", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	files := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		files[f[len(f)-1]] = f[:len(f)-1]
	}
	for path, want := range map[string][]string{
		"/usr/sbin/lnsd":                                     {"-rwxr-xr-x"},
		"/usr/bin/lnsctl":                                    {"-rwxr-xr-x"},
		"/usr/bin/lacsim":                                    {"-rwxr-xr-x"},
		"/usr/lib/systemd/system/lnsd.service":               {"-rw-r--r--"},
		"/usr/lib/sysusers.d/lnsd.conf":                      {"-rw-r--r--"},
		"/usr/lib/tmpfiles.d/lnsd.conf":                      {"-rw-r--r--"},
		"/etc/lnsd/startup-config":                           {"-rw-r-----", "cn"},
		"/etc/lnsd/chap-secrets":                             {"-rw-r-----", "cn"},
		"/usr/share/man/man8/lnsd.8.gz":                      {"-rw-r--r--"},
		"/usr/share/zsh/site-functions/_lnsctl":              {"-rw-r--r--"},
		"/usr/share/doc/lnsd/examples/freeradius/dictionary": {"-rw-r--r--"},
	} {
		if got := files[path]; !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	scripts, err := exec.Command("rpm", "-qp", "--nosignature", "--scripts", name).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []string{"systemd-sysusers lnsd.conf", "lnsd --cleanup", "systemctl try-restart lnsd.service"} {
		if !strings.Contains(string(scripts), s) {
			t.Errorf("no script runs %q", s)
		}
	}
}
