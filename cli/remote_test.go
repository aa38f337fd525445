package cli_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
)

// certificates makes those of a test.
func certificates(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "tls")
	out, code := lctl("/none", "make-certificates", dir, "--server", "lns1,127.0.0.1", "--client", "alice=admin",
		"--client", "bob=viewer", "--client", "judge=intercept")
	if code != 0 || strings.Count(out, "\n") != 5 {
		t.Fatalf("exit code %d:\n%s", code, out)
	}
	return dir
}

func serverIdentity(dir string) api.Identity {
	return api.Identity{
		Certificate: filepath.Join(dir, "lns1.crt"), Key: filepath.Join(dir, "lns1.key"), Authority: filepath.Join(dir, "ca.crt"),
	}
}

func TestRemoteRoles(t *testing.T) {
	dir := certificates(t)
	b := daemon()
	server := apitest.StartRemote(t, b, now, serverIdentity(dir))
	as := func(who string, args ...string) (string, int) {
		return lctl("/none", append(args, "--server", server, "--identity", filepath.Join(dir, who))...)
	}
	for _, c := range []struct {
		who     string
		command string
		code    int
		want    string
	}{
		{"alice", "show session", 0, "alice@example"},
		{"alice", "reload", 0, ""},
		{"bob", "show session", 0, "alice@example"},
		{"bob", "drop user alice@example", 5, "no right to operate"},
		{"bob", "reload", 5, "no right to admin"},
		{"judge", "drop user alice@example", 5, "no right"},
	} {
		out, code := as(c.who, strings.Fields(c.command)...)
		if code != c.code || !strings.Contains(out, c.want) {
			t.Errorf("%s: %s: exit code %d, want %d:\n%s", c.who, c.command, code, c.code, out)
		}
	}
	if calls := b.Calls(); len(calls) != 1 {
		t.Errorf("commands that were carried out: %q", calls)
	}
}

// Who was not signed by the authority is not talked to, by either end; nor is a
// server's certificate one of an operator.
func TestRemoteStrangers(t *testing.T) {
	dir, other := certificates(t), certificates(t)
	server := apitest.StartRemote(t, daemon(), now, serverIdentity(dir))
	for name, args := range map[string][]string{
		"a certificate of another authority": {"--identity", filepath.Join(other, "alice"), "--authority", filepath.Join(dir, "ca.crt")},
		"another authority's server":         {"--identity", filepath.Join(dir, "alice"), "--authority", filepath.Join(other, "ca.crt")},
		"a server's certificate":             {"--identity", filepath.Join(dir, "lns1")},
	} {
		if out, code := lctl("/none", append(args, "show", "session", "--server", server, "--timeout", "5s")...); code != 3 {
			t.Errorf("%s: exit code %d:\n%s", name, code, out)
		}
	}
	if out, code := lctl("/none", "show", "session", "--server", server); code != 2 || !strings.Contains(out, "--identity") {
		t.Errorf("without an identity: exit code %d:\n%s", code, out)
	}
}

// New certificates count from the next connection on; half a replacement changes
// nothing.
func TestRemoteCertificatesAreReadAgain(t *testing.T) {
	dir, next := certificates(t), certificates(t)
	server := apitest.StartRemote(t, daemon(), now, serverIdentity(dir))
	works := func(dir string) bool {
		_, code := lctl("/none", "uptime", "--server", server, "--identity", filepath.Join(dir, "alice"), "--timeout", "5s")
		return code == 0
	}
	move := func(name string) {
		if err := os.Rename(filepath.Join(next, name), filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	old := t.TempDir()
	for _, name := range []string{"ca.crt", "alice.crt", "alice.key"} {
		b, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(old, name), b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	move("lns1.crt") // and the key does not fit
	if !works(old) {
		t.Error("in the middle of a replacement: not served")
	}
	for _, name := range []string{"lns1.key", "ca.crt", "alice.crt", "alice.key"} {
		move(name)
	}
	if !works(dir) {
		t.Error("the new certificates are not taken")
	}
	if works(old) {
		t.Error("the old ones are")
	}
}

// One command for several daemons: a result for each, and the worst exit code.
func TestSeveralServers(t *testing.T) {
	dir := certificates(t)
	first := apitest.StartRemote(t, daemon(), now, serverIdentity(dir))
	second := apitest.StartRemote(t, &apitest.Backend{}, now, serverIdentity(dir))
	const dead = "127.0.0.1:1"
	args := []string{"show", "users", "--server", first + "," + dead, "--server=" + second, "--identity", filepath.Join(dir, "bob")}
	out, code := lctl("/none", args...)
	heads := []string{"== " + first + " ==", "alice@example", "== " + dead + " ==", "== " + second + " ==", "--- stderr", dead + ": lnsctl: "}
	at := 0
	for _, h := range heads {
		i := strings.Index(out[at:], h)
		if i < 0 {
			t.Fatalf("no %q behind the others:\n%s", h, out)
		}
		at += i
	}
	if code != 3 {
		t.Errorf("exit code %d", code)
	}
	out, code = lctl("/none", append(args, "--json")...)
	var nodes []struct {
		Server   string
		ExitCode int `json:"exit_code"`
		Error    string
		Result   []map[string]any
	}
	if err := json.Unmarshal([]byte(out), &nodes); err != nil || code != 3 || len(nodes) != 3 {
		t.Fatalf("exit code %d, %v:\n%s", code, err, out)
	}
	if len(nodes[0].Result) == 0 || nodes[1].ExitCode != 3 || nodes[1].Error == "" || nodes[2].ExitCode != 0 {
		t.Errorf("%+v", nodes)
	}
	if out, code := lctl("/none", "watch", "--server", first+","+second); code != 2 {
		t.Errorf("watch of two: exit code %d:\n%s", code, out)
	}
}

func TestMakeCertificatesRefuses(t *testing.T) {
	dir := certificates(t)
	for _, args := range [][]string{
		{"--client", "eve"}, {"--client", "eve=root"}, {"--client", "../eve=viewer"}, {"--client", "ca=viewer"}, {"--server", ""}, {}, {"--server", "x", "--days", "0"},
	} {
		if out, code := lctl("/none", append([]string{"make-certificates", dir}, args...)...); code != 2 {
			t.Errorf("%q: exit code %d:\n%s", args, code, out)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "alice.key"))
	if err != nil {
		t.Fatal(err)
	}
	if out, code := lctl("/none", "make-certificates", dir, "--client", "alice=viewer"); code != 0 || !strings.Contains(out, "already") {
		t.Errorf("again: exit code %d:\n%s", code, out)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "alice.key")); err != nil || string(after) != string(before) {
		t.Error("a key was overwritten")
	}
	if fi, err := os.Stat(filepath.Join(dir, "alice.key")); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("mode of a key: %v, %v", fi.Mode(), err)
	}
}
