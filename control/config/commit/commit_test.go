package commit

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"pgregory.net/rapid"

	"github.com/lnsd/lnsd/control/config"
)

// target is a daemon: it holds what was put in force, and refuses what it is told to.
type target struct {
	inForce string
	impact  Impact
	refuse  error
	dropped int
}

func (t *target) Check(context.Context, *config.Config) (Impact, error) { return t.impact, nil }

func (t *target) Apply(_ context.Context, c *config.Config, drop bool) (Impact, []string, error) {
	if t.refuse != nil {
		return Impact{}, nil, t.refuse
	}
	t.inForce = c.Running()
	if !drop {
		return Impact{}, nil, nil
	}
	t.dropped += t.impact.Sessions
	return t.impact, nil, nil
}

// host is a host with a daemon that may be started again.
type host struct {
	t    rapid.TB
	dir  string
	file string
	now  time.Time
	d    *target
	m    *Manager
}

const first = "# ours\nset idle_timeout 600\nset l2tp_secret s\n"

func newHost(t rapid.TB, dir string) *host {
	h := &host{t: t, dir: dir, file: filepath.Join(dir, "startup-config"), now: time.Unix(1e9, 0)}
	h.write(first + "set config_archive " + filepath.Join(dir, "archive") + "\n")
	h.start()
	return h
}

func (h *host) write(text string) {
	if err := os.WriteFile(h.file, []byte(text), 0o600); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) read() string {
	b, err := os.ReadFile(h.file)
	if err != nil {
		h.t.Fatal(err)
	}
	return string(b)
}

func (h *host) load(text string) (*config.Config, []config.Warning, error) {
	return config.Parse(h.file, text, config.Options{HostName: "h"})
}

// start starts the daemon, whatever was there before.
func (h *host) start() {
	if _, err := Recover(h.file, h.now, func(text string) error { _, _, err := h.load(text); return err }); err != nil {
		h.t.Fatal(err)
	}
	text := h.read()
	c, _, err := h.load(text)
	if err != nil {
		h.t.Fatalf("the startup-config is broken: %v\n%s", err, text)
	}
	h.d = &target{inForce: c.Running()}
	h.m = New(Config{File: h.file, Target: h.d, Load: h.load, Now: func() time.Time { return h.now }, Log: zap.NewNop()}, c, text)
	h.m.expire(context.Background())
}

func (h *host) means(text string) string {
	c, _, err := h.load(text)
	if err != nil {
		h.t.Fatal(err)
	}
	return c.Running()
}

func (h *host) edit(lines ...string) {
	if _, _, err := h.m.Edit(nil, lines); err != nil {
		h.t.Fatal(err)
	}
}

func (h *host) commit(o Options) Report {
	r, err := h.m.Commit(context.Background(), o)
	if err != nil {
		h.t.Fatal(err)
	}
	return r
}

func TestCommitIsInForceAndInTheFile(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.edit("set idle_timeout 900")
	if strings.Contains(h.d.inForce, "900") || strings.Contains(h.read(), "900") {
		t.Fatal("an edit is in force without a commit")
	}
	lines, changes, err := h.m.Diff(nil)
	if err != nil || strings.Join(lines, "|") != "  # ours|- set idle_timeout 600|+ set idle_timeout 900|  set l2tp_secret (hidden)|  set config_archive "+h.dir+"/archive" ||
		len(changes) != 1 || changes[0] != (config.Change{Name: "idle_timeout", Apply: config.NewOnly}) {
		t.Errorf("%q %v %v", lines, changes, err)
	}
	h.commit(Options{By: "me", Comment: "longer"})
	if !strings.HasPrefix(h.read(), "# ours\nset idle_timeout 900\n") || !strings.Contains(h.d.inForce, "900") {
		t.Errorf("file:\n%s\nin force:\n%s", h.read(), h.d.inForce)
	}
	entries, _, _, err := h.m.History()
	if err != nil || len(entries) != 2 || entries[0].By != "me" || entries[0].Comment != "longer" || entries[1].By != "startup" {
		t.Errorf("%+v %v", entries, err)
	}
	if info, err := os.Stat(filepath.Join(h.dir, "archive", commitName(2))); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("commits hold secrets: %v %v", info, err)
	}
}

func TestRefusals(t *testing.T) {
	h := newHost(t, t.TempDir())
	for _, line := range []string{"set nonsense 1", "sit idle_timeout 1", "set idle_timeout x", "no set ecn", "permit ip any any"} {
		if _, _, err := h.m.Edit(nil, []string{"set debug 4", line}); !errors.Is(err, ErrRefused) {
			t.Errorf("%s: %v", line, err)
		}
	}
	if _, edited := h.m.Candidate(); edited {
		t.Error("what was refused is in the candidate")
	}
	shown := config.Hide(h.read())
	if _, _, err := h.m.Edit(&shown, nil); !errors.Is(err, ErrRefused) {
		t.Errorf("a text without its secrets is taken: %v", err)
	}
	// Right line by line, wrong together.
	h.edit("set l2tp_retry_interval 30")
	if _, err := h.m.Commit(context.Background(), Options{}); !errors.Is(err, ErrRefused) {
		t.Errorf("a faulty candidate is committed: %v", err)
	}
	h.m.Discard()

	h.edit("set debug 5")
	h.d.refuse = errors.New("no memory")
	before := h.read()
	if _, err := h.m.Commit(context.Background(), Options{Confirm: time.Minute}); err == nil || !strings.Contains(err.Error(), "no memory") {
		t.Error(err)
	}
	if entries, waiting, _, _ := h.m.History(); h.read() != before || waiting != 0 || len(entries) != 1 {
		t.Errorf("a commit that failed has left something: %v %d\n%s", entries, waiting, h.read())
	}
}

func TestCommitThatDisconnectsTakesForce(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.d.impact = Impact{Sessions: 7, Tunnels: 2}
	h.edit("set debug 5")
	if _, err := h.m.Commit(context.Background(), Options{}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "7 sessions of 2 tunnels") {
		t.Error(err)
	}
	if r, err := h.m.Check(context.Background()); err != nil || r.Impact.Sessions != 7 {
		t.Errorf("%+v %v", r, err)
	}
	if r := h.commit(Options{Force: true}); r.Impact.Sessions != 7 || h.d.dropped != 7 {
		t.Errorf("%+v, dropped %d", r, h.d.dropped)
	}
	// A reload has nobody to ask: nobody is disconnected.
	h.write(strings.Replace(h.read(), "debug 5", "debug 4", 1))
	if notes, err := h.m.Reload(context.Background(), "SIGHUP"); err != nil || h.d.dropped != 7 || !strings.Contains(strings.Join(notes, "\n"), "7 sessions of 2 tunnels go on") {
		t.Errorf("%v %v", notes, err)
	}
}

func TestUnconfirmedIsUndone(t *testing.T) {
	for name, restart := range map[string]bool{"by the timer": false, "after a restart": true} {
		t.Run(name, func(t *testing.T) {
			h := newHost(t, t.TempDir())
			before := h.read()
			h.edit("set idle_timeout 900")
			h.commit(Options{Confirm: 5 * time.Minute})
			if !strings.Contains(h.read(), "900") {
				t.Fatal("not in the file: a restart could not try it")
			}
			h.now = h.now.Add(4 * time.Minute)
			h.start()
			if !strings.Contains(h.d.inForce, "900") {
				t.Fatal("undone too early")
			}
			h.now = h.now.Add(2 * time.Minute)
			if restart {
				h.start()
			} else {
				h.m.expire(context.Background())
			}
			if h.read() != before || h.d.inForce != h.means(before) {
				t.Errorf("file:\n%s\nin force:\n%s", h.read(), h.d.inForce)
			}
			if _, err := h.m.Confirm(); !errors.Is(err, ErrNothing) {
				t.Error(err)
			}
		})
	}
}

func TestConfirmedStays(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.edit("set idle_timeout 900")
	h.commit(Options{Confirm: time.Minute})
	if n, err := h.m.Confirm(); err != nil || n != 2 {
		t.Fatal(n, err)
	}
	h.now = h.now.Add(time.Hour)
	h.m.expire(context.Background())
	h.start()
	if !strings.Contains(h.d.inForce, "900") {
		t.Error("undone although it was confirmed")
	}
}

// A commit that nothing can be started with is undone by the next start.
func TestUnloadableIsUndone(t *testing.T) {
	h := newHost(t, t.TempDir())
	before := h.read()
	h.edit("set idle_timeout 900")
	h.commit(Options{Confirm: time.Hour})
	h.write(h.read() + "nonsense\n")
	h.start()
	if h.read() != before {
		t.Errorf("started with\n%s", h.read())
	}
}

func TestFileThatOthersChanged(t *testing.T) {
	h := newHost(t, t.TempDir())
	h.write("# a new comment\n" + h.read())
	h.edit("set idle_timeout 900")
	h.commit(Options{})
	if !strings.HasPrefix(h.read(), "# a new comment\n# ours\nset idle_timeout 900\n") {
		t.Errorf("a comment is lost:\n%s", h.read())
	}
	h.write(h.read() + "set debug 5\n")
	h.edit("set idle_timeout 1000")
	if _, err := h.m.Commit(context.Background(), Options{}); !errors.Is(err, ErrRefused) || !strings.Contains(err.Error(), "another hand") {
		t.Errorf("a change by hand is overwritten: %v", err)
	}
	if _, err := h.m.Reload(context.Background(), "SIGHUP"); err != nil || !strings.Contains(h.d.inForce, "debug 5") {
		t.Error(err)
	}
	if entries, _, _, _ := h.m.History(); entries[0].By != "SIGHUP" {
		t.Errorf("%+v", entries[0])
	}
}

func TestVolatileIsWrittenOnRequest(t *testing.T) {
	h := newHost(t, t.TempDir())
	before := h.read()
	if _, err := h.m.Change(context.Background(), []string{"set debug 5"}, Options{Volatile: true}); err != nil {
		t.Fatal(err)
	}
	if h.read() != before || !strings.Contains(h.d.inForce, "debug 5") {
		t.Error("a volatile change is in the file, or not in force")
	}
	if n, err := h.m.Save("me", false); err != nil || n != 1 || !strings.Contains(h.read(), "debug 5") {
		t.Errorf("%d %v\n%s", n, err, h.read())
	}
}

// Whatever is done in whatever order, what is in force is what was committed last, and
// so is the file, also when the daemon dies at any write of a commit.
func TestRunningIsTheLastCommit(t *testing.T) {
	// Each commit waits for the disk several times.
	if err := flag.Set("rapid.checks", "15"); err != nil {
		t.Fatal(err)
	}
	rapid.Check(t, func(t *rapid.T) {
		dir, err := os.MkdirTemp("", "commit")
		if err != nil {
			t.Fatal(err)
		}
		defer os.RemoveAll(dir)
		h := newHost(t, dir)
		ctx := context.Background()
		history := []string{h.read()} // what was in force, as texts
		back := -1                    // where an unconfirmed commit goes back to
		var until time.Time
		last := func() string { return history[len(history)-1] }
		t.Repeat(map[string]func(*rapid.T){
			"edit": func(t *rapid.T) {
				h.edit(fmt.Sprintf("set idle_timeout %d", rapid.IntRange(1, 99).Draw(t, "n")))
			},
			"commit": func(t *rapid.T) {
				draft, edited := h.m.Candidate()
				var o Options
				if rapid.Bool().Draw(t, "confirmed") {
					o.Confirm = time.Minute
				}
				r, err := h.m.Commit(ctx, o)
				if errors.Is(err, ErrRefused) {
					h.m.Discard() // what is in force has changed since
					return
				}
				if err != nil || edited != (r.Number != 0) {
					t.Fatalf("%+v %v", r, err)
				}
				if !edited {
					return
				}
				switch {
				case o.Confirm == 0:
					back = -1
				default:
					if back < 0 {
						back = len(history) - 1
					}
					until = h.now.Add(o.Confirm)
				}
				history = append(history, draft)
			},
			"rollback": func(t *rapid.T) {
				n := rapid.IntRange(1, 4).Draw(t, "steps")
				_, err := h.m.Rollback(ctx, n, Options{})
				if at := len(history) - 1 - n; at >= 0 && err == nil {
					history, back = append(history, history[at]), -1
				} else if !errors.Is(err, ErrNothing) {
					t.Fatalf("%d of %d: %v", n, len(history), err)
				}
			},
			"confirm": func(t *rapid.T) {
				if _, err := h.m.Confirm(); (err == nil) != (back >= 0) {
					t.Fatal(err)
				}
				back = -1
			},
			"wait": func(t *rapid.T) {
				h.now = h.now.Add(40 * time.Second)
				h.m.expire(ctx)
				if back >= 0 && !h.now.Before(until) {
					history, back = append(history, history[back]), -1
				}
			},
			"restart": func(t *rapid.T) { h.start() },
			"die": func(t *rapid.T) {
				// The archive and the record of what is to be undone are written, the
				// startup-config is not.
				h.edit("set debug 5")
				draft, _ := h.m.Candidate()
				if draft == h.m.Text() {
					return
				}
				if err := h.m.begin(); err != nil {
					t.Fatal(err)
				}
				tr := trial{m: h.m, was: h.m.pending}
				if err := tr.announce(draft, 50, Options{}); err != nil {
					t.Fatal(err)
				}
				h.start()
				// What was announced and not done is a commit that nobody sees in force.
				history = append(history, draft, last())
				if err := h.m.begin(); err != nil {
					t.Fatal(err)
				}
			},
			"": func(t *rapid.T) {
				if h.read() != last() || h.m.Text() != last() || h.d.inForce != h.means(last()) {
					t.Fatalf("file:\n%s\nin force:\n%s\nwant:\n%s", h.read(), h.d.inForce, last())
				}
			},
		})
	})
}

func TestWriteFileLeavesTheOldOneOnAnyError(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "f")
	if err := WriteFile(path, "old", 0o640); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := WriteFile(filepath.Join(dir, "none", "f"), "x", 0o640); err == nil {
		t.Error("written where there is no directory")
	}
	if err := WriteFile(path, "new", 0o644); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	b, _ := os.ReadFile(path)
	if err != nil || info.Mode().Perm() != 0o600 || string(b) != "new" {
		t.Errorf("%v %v %q", info.Mode(), err, b)
	}
	if files, _ := os.ReadDir(dir); len(files) != 1 {
		t.Errorf("left behind: %v", files)
	}
}
