package cli_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/session"
)

func TestMain(m *testing.M) {
	if os.Getenv(shellVariable) != "" {
		shellMain()
	}
	goleak.VerifyTestMain(m)
}

func TestCommandsReachTheDaemon(t *testing.T) {
	b := daemon()
	socket := apitest.Start(t, b, now)
	for _, c := range []string{
		"drop session 1", "drop session 1 --cause nas-request", "drop tunnel 12",
		"drop user alice@example --cause admin-reboot", "reload", "shutdown",
	} {
		if out, code := lctl(socket, strings.Fields(c)...); code != 0 {
			t.Errorf("%s: %d\n%s", c, code, out)
		}
	}
	want := []string{
		"drop session 1 cause 6", "drop session 1 cause 10", "drop tunnel 12",
		"drop user alice@example cause 7", "reload", "shutdown",
	}
	if got := b.Calls(); !slices.Equal(got, want) {
		t.Errorf("calls:\n%s", strings.Join(got, "\n"))
	}
}

// Nothing that a subscriber or a LAC calls itself reaches the terminal raw.
func TestOutputHoldsNoControlCharacters(t *testing.T) {
	socket := apitest.Start(t, daemon(), now)
	for _, c := range []string{
		"show session", "show session 2", "show users", "show tunnel", "show tunnel 12", "show pool",
		"show session --json", "show tunnel --json", "show pool --json", "__complete drop user e",
	} {
		out, _ := lctl(socket, strings.Fields(c)...)
		for _, r := range out {
			if r < ' ' && r != '\n' && r != '\t' || r == 0x7f || r >= 0x80 && r < 0xa0 || !strings.Contains(c, "json") && r == '\u202e' {
				t.Errorf("%s prints %q:\n%q", c, r, out)
				break
			}
		}
	}
}

func TestJSONIsValid(t *testing.T) {
	socket := apitest.Start(t, daemon(), now)
	for _, c := range []string{
		"show session", "show session 1", "show users", "show tunnel", "show tunnel 12", "show pool",
		"show counters", "show radius", "show status", "show version", "show running-config", "uptime", "reload",
	} {
		out, _ := lctl(socket, append(strings.Fields(c), "--json")...)
		var v any
		if err := json.Unmarshal([]byte(out), &v); err != nil {
			t.Errorf("%s: %v\n%s", c, err, out)
		}
	}
}

func TestCompletionOffersWhatIs(t *testing.T) {
	socket := apitest.Start(t, daemon(), now)
	for args, want := range map[string][]string{
		"show session |":            {"1", "1048575", "2"},
		"show session 10|":          {"1048575"},
		"drop user |":               {"alice@example"}, // the other name would not survive a shell
		"show tunnel |":             {"12", "4711"},
		"show pool |":               {"business", "default", "pd"},
		"show |":                    {"access-list", "accounting", "bgp", "captures", "cluster", "counters", "garden", "histogram", "history", "hook", "intercept", "ipcache", "plugin", "pool", "radius", "running-config", "session", "status", "throttle", "tunnel", "users", "version"},
		"show session 1 |":          nil,
		"uptime |":                  nil,
		"drop session 1 --cause n|": {"nas-reboot", "nas-request"},
	} {
		words := strings.Fields(strings.Replace(args, "|", " ", 1))
		last := ""
		if !strings.HasSuffix(args, " |") {
			words, last = words[:len(words)-1], words[len(words)-1]
		}
		out, code := lctl(socket, append([]string{"__complete"}, append(words, last)...)...)
		out, _, _ = strings.Cut(out, "--- stderr")
		var got []string
		for line := range strings.Lines(out) {
			if word, _, _ := strings.Cut(strings.TrimSpace(line), "\t"); word != "" && !strings.HasPrefix(word, ":") && strings.HasPrefix(word, last) {
				got = append(got, word)
			}
		}
		slices.Sort(got)
		if code != 0 || !slices.Equal(got, want) {
			t.Errorf("%s offers %v, want %v (code %d)\n%s", args, got, want, code, out)
		}
	}
}

func TestCompletionWithoutDaemonIsSilent(t *testing.T) {
	out, code := lctl(filepath.Join(t.TempDir(), "none"), "__complete", "show", "session", "")
	if out, _, _ = strings.Cut(out, "--- stderr"); code != 0 || out != ":4\n" {
		t.Errorf("%d: %q", code, out)
	}
}

func TestCompletionScripts(t *testing.T) {
	for _, shell := range []string{"bash", "zsh", "fish"} {
		out, code := lctl("/none", "completion", shell)
		if code != 0 || !strings.Contains(out, "lnsctl") {
			t.Errorf("%s: %d\n%.200s", shell, code, out)
		}
	}
}

// A daemon that accepts and then says nothing.
func TestTimeout(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	out, code := lctl(path, "uptime", "--timeout", "50ms")
	if code != 6 || !strings.Contains(out, "no answer in time") {
		t.Errorf("%d: %s", code, out)
	}
}

func TestNobodyListens(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	ln.Close()
	out, code := lctl(path, "uptime")
	if code != 3 || !strings.Contains(out, "connection refused") {
		t.Errorf("%d: %s", code, out)
	}
}

func TestVersionWithoutDaemon(t *testing.T) {
	out, code := lctl(filepath.Join(t.TempDir(), "s"), "show", "version")
	if code != 3 || !strings.HasPrefix(out, "lnsctl 1.0-test\n") {
		t.Errorf("%d: %s", code, out)
	}
}

// full is a disk without room.
type full struct{}

func (full) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestLostOutputIsAFailure(t *testing.T) {
	b := daemon()
	for i := range 2000 { // more than any buffer on the way
		b.SessionList = append(b.SessionList, session.View{Slot: uint32(i + 10), User: "u", UserVerified: true})
	}
	socket := apitest.Start(t, b, now)
	for _, c := range []string{"uptime", "show session", "show session --json"} {
		var errs strings.Builder
		code := cli.Run(t.Context(), cli.Env{Out: full{}, Err: &errs, Socket: socket}, strings.Fields(c))
		if code != 1 || !strings.Contains(errs.String(), "no space left") {
			t.Errorf("%s: %d, %s", c, code, errs.String())
		}
	}
}

// Rows are printed as they come: the list of 50,000 sessions is never held whole,
// and takes as many rows as there are.
func TestManySessions(t *testing.T) {
	const n = 50_000
	b := &apitest.Backend{SessionList: make([]session.View, n)}
	for i := range b.SessionList {
		b.SessionList[i] = session.View{Slot: uint32(i + 1), User: fmt.Sprintf("user%d", i), UserVerified: true, State: "up", Opened: ago(time.Minute)}
	}
	out, code := lctl(apitest.Start(t, b, now), "show", "session")
	if lines := strings.Count(out, "\n"); code != 0 || lines != n+1 {
		t.Errorf("%d lines, code %d", lines, code)
	}
}

func TestNotAllowed(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("root may open every socket")
	}
	socket := apitest.Start(t, daemon(), now)
	if err := os.Chmod(socket, 0); err != nil {
		t.Fatal(err)
	}
	if out, code := lctl(socket, "uptime"); code != 5 {
		t.Errorf("%d: %s", code, out)
	}
}
