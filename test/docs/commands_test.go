package docs

import (
	"bytes"
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/trace"
)

// placeholders are the words that stand for something in the documents.
var placeholders = map[string]string{
	"SID": "1", "ID": "1", "TID": "4711", "USER": "alice@example", "NAME": "default", "FILE": "bundle.tar.gz",
	"IP": "192.0.2.9", "PORT": "4000", "RATE": "512", "NUMBER": "0301234567", "ADDRESS": "192.0.2.9", "CATEGORIES": "ppp,fsm",
}

// Every lnsctl command that a document shows is one that there is: it is run against a
// daemon that has what the documents speak of.
func TestCommandsInTheDocuments(t *testing.T) {
	files := documents(t)
	env := newCommandEnv(t)
	seen := map[string]bool{}
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, c := range commandsIn(string(b)) {
			for _, variant := range variants(c) {
				if seen[variant] {
					continue
				}
				seen[variant] = true
				if out, code := env.run(variant); code != 0 {
					t.Errorf("%s: %s\nexit code %d: %s", file, variant, code, out)
				}
			}
		}
	}
	if len(seen) < 40 {
		t.Errorf("only %d commands found: the search is broken", len(seen))
	}
}

var (
	// A command in the text, or on a line of a block; a line may show several.
	inText = regexp.MustCompile("`(lnsctl [^`]+)`")
	inLine = regexp.MustCompile(`(?:^|\s)(lnsctl(?: [^\s#]+)+)`)
)

// commandsIn finds the commands of a document, without the comments behind them.
func commandsIn(text string) []string {
	var out []string
	for _, m := range inText.FindAllStringSubmatch(text, -1) {
		out = append(out, strings.ReplaceAll(m[1], `\|`, "|"))
	}
	text = strings.ReplaceAll(text, "\\\n", " ")
	text = regexp.MustCompile(` {2,}(--)`).ReplaceAllString(text, " $1")
	block := false
	for line := range strings.Lines(text) {
		if strings.HasPrefix(line, "```") {
			block = !block
			continue
		}
		line = strings.TrimLeft(strings.TrimSpace(line), "$# ")
		if !block || !strings.HasPrefix(line, "lnsctl ") {
			continue
		}
		line, _, _ = strings.Cut(line, " #")
		line, _, _ = strings.Cut(line, " | ")
		for _, m := range inLine.FindAllStringSubmatch(line, -1) {
			out = append(out, m[1])
		}
	}
	return slices.DeleteFunc(out, func(c string) bool {
		return len(strings.Fields(c)) == 2 && !whole[c] || strings.HasPrefix(c, "lnsctl completion")
	})
}

// whole are the commands of one word; any other word alone stands for a group of them.
var whole = map[string]bool{"lnsctl uptime": true, "lnsctl reload": true, "lnsctl shutdown": true, "lnsctl watch": true, "lnsctl top": true}

// variants writes a command with and without its optional parts, with a choice made.
func variants(c string) []string {
	optional := regexp.MustCompile(`\[([^][]*)\]`)
	m := optional.FindStringSubmatchIndex(c)
	if m == nil {
		words := strings.Fields(c)
		for i, w := range words {
			if strings.HasPrefix(w, "-") && !strings.Contains(w, "|") {
				continue
			}
			w, _, _ = strings.Cut(w, "|")
			if v, ok := placeholders[w]; ok {
				w = v
			}
			words[i] = w
		}
		return []string{strings.Join(words, " ")}
	}
	with := c[:m[0]] + c[m[2]:m[3]] + c[m[1]:]
	without := c[:m[0]] + c[m[1]:]
	return append(variants(with), variants(without)...)
}

// commandEnv is where the commands are run.
type commandEnv struct {
	t              *testing.T
	socket, remote string
	dir            string
}

func newCommandEnv(t *testing.T) *commandEnv {
	e := &commandEnv{t: t, dir: t.TempDir()}
	now := time.Now()
	b := documented()
	e.socket = apitest.Start(t, b, now, api.Events(noEvents{}),
		api.Traces(trace.New(zap.NewNop(), time.Now)), api.History(someHistory{}))
	t.Chdir(e.dir)
	if err := os.WriteFile("dns_count.o", []byte("an object"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, code := e.run("lnsctl make-certificates tls --server server,127.0.0.1 --client alice=admin"); code != 0 {
		t.Fatal(out)
	}
	e.remote = apitest.StartRemote(t, b, now, api.Identity{Certificate: "tls/server.crt", Key: "tls/server.key", Authority: "tls/ca.crt"})
	return e
}

// documented is a daemon with the things that the documents name.
func documented() *apitest.Backend {
	b := &apitest.Backend{
		TunnelList: []session.TunnelView{{TunnelID: 4711, State: "established"}},
		PoolList:   []session.PoolView{{Name: "default"}},
		Lists:      []api.AccessList{{Command: "ip access-list extended", Name: "no-mail"}},
		GardenList: []api.Garden{{Name: "default"}, {Name: "unpaid"}},
		Default:    session.Rate{Bits: 1_000_000},

		CommitList:  []api.ConfigCommit{{Number: 2}, {Number: 1, Steps: 1}},
		ProfileList: []api.Profile{{Layer: "ppp", Name: "business"}},
		Wanted:      []session.OutgoingView{{Name: "south", Calls: []session.PlacedView{{Name: "office"}}}},
	}
	for i, user := range []string{"alice@example", "alice", "default"} {
		b.SessionList = append(b.SessionList, session.View{
			Ref: session.Ref{TunnelID: 4711, SessionID: uint16(i + 1)}, Slot: uint32(i + 1), State: "up", User: user,
			Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}),
		})
	}
	for _, slot := range []uint32{12, 17} {
		b.SessionList = append(b.SessionList, session.View{Ref: session.Ref{TunnelID: 4711, SessionID: uint16(slot)}, Slot: slot, State: "up"})
	}
	return b
}

// someHistory has a story of whatever is asked for.
type someHistory struct{}

func (someHistory) Stories(slot uint32, user string, tunnel uint16, _ bool) []session.Story {
	return []session.Story{{
		Ref: session.Ref{TunnelID: tunnel}, Slot: slot, User: user, State: "failed", Stage: "lcp", Reason: "LCP did not converge",
		Events: []session.StoryEvent{{At: time.Now(), What: "session-failed"}},
	}}
}

// noEvents is an event log of a daemon in which nothing happens.
type noEvents struct{}

func (noEvents) Epoch() int64 { return 1 }
func (noEvents) Last() uint64 { return 0 }

func (noEvents) Follow(ctx context.Context, _ uint64, _ func([]api.Event, uint64) error) error {
	<-ctx.Done()
	return ctx.Err()
}

func (e *commandEnv) run(command string) (string, int) {
	args := strings.Fields(command)[1:]
	for i, a := range args {
		switch {
		case a == "/etc/lnsd/tls":
			args[i] = filepath.Join(e.dir, "tls")
		case a == "~/.lnsd/alice":
			args[i] = filepath.Join(e.dir, "tls", "alice")
		case i > 0 && args[i-1] == "--server" && args[0] != "make-certificates":
			args[i] = e.remote
		case strings.HasSuffix(a, ".tar.gz"):
			args[i] = filepath.Join(e.t.TempDir(), a)
		}
	}
	// What runs until it is interrupted is, and ends well then.
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	if args[0] == "watch" || args[0] == "capture" || args[0] == "top" || args[0] == "trace" && args[1] == "follow" {
		time.AfterFunc(500*time.Millisecond, cancel)
	}
	var out bytes.Buffer
	code := cli.Run(ctx, cli.Env{Out: &out, Err: &out, Version: "test", Socket: e.socket}, args)
	return out.String(), code
}

func TestVariants(t *testing.T) {
	got := variants("lnsctl throttle USER [in|out] [RATE]")
	want := []string{
		"lnsctl throttle alice@example in 512", "lnsctl throttle alice@example in",
		"lnsctl throttle alice@example 512", "lnsctl throttle alice@example",
	}
	if !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
