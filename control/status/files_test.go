package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// world is what the files tell of.
type world struct {
	mu    sync.Mutex
	texts map[string]string
}

func (w *world) set(name, text string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if text == "" {
		delete(w.texts, name)
	} else {
		w.texts[name] = text
	}
}

func (w *world) Names(context.Context) ([]string, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.texts)), nil
}

func (w *world) Text(_ context.Context, name string) ([]byte, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if t, ok := w.texts[name]; ok {
		return []byte(t), nil
	}
	return nil, ErrGone
}

// tree reads all files below dir.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[strings.TrimPrefix(path, dir+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func expect(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := tree(t, dir); !maps.Equal(got, want) {
		t.Errorf("files %q, want %q", got, want)
	}
}

// run runs f until the test's bubble ends, and returns what stops it.
func run(f *Files) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); f.Run(ctx) }()
	return func() { cancel(); <-done }
}

func TestFilesFollow(t *testing.T) {
	dir := t.TempDir()
	if err := os.MkdirAll(filepath.Join(dir, Sessions), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, Sessions, "77.json"), []byte("of an earlier daemon"), 0o600); err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		w := &world{texts: map[string]string{"system": "s", "policies/../../etc/passwd": "p"}}
		changes := NewChanges()
		f, err := Open(dir, 100, changes, w, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		stop := run(f)
		time.Sleep(time.Second + tick/2) // always between two ticks
		base := map[string]string{"system.json": "s", "policies/_._.._etc_passwd.json": "p"}
		expect(t, dir, base)

		w.set("tunnels/5", "five")
		w.set("peers/192.0.2.1", "lac")
		changes.Observe(session.Notice{Kind: session.TunnelUp, Ref: session.Ref{TunnelID: 5}, LAC: netip.MustParseAddrPort("192.0.2.1:1701")})
		w.set("sessions/9", "nine")
		changes.Observe(session.Notice{Kind: session.SessionUp, Ref: session.Ref{TunnelID: 5, SessionID: 1}, Slot: 9})
		time.Sleep(200 * time.Millisecond)
		up := maps.Clone(base)
		maps.Copy(up, map[string]string{"tunnels/5.json": "five", "peers/192.0.2.1.json": "lac", "sessions/9.json": "nine"})
		expect(t, dir, up)

		// Without a word, too: in turn.
		w.set("sessions/9", "nine, later")
		time.Sleep(time.Second)
		up["sessions/9.json"] = "nine, later"
		expect(t, dir, up)

		w.set("sessions/9", "")
		changes.Observe(session.Notice{Kind: session.SessionDown, Ref: session.Ref{TunnelID: 5, SessionID: 1}, Slot: 9})
		time.Sleep(200 * time.Millisecond)
		delete(up, "sessions/9.json")
		expect(t, dir, up)
		stop()
		expect(t, dir, map[string]string{})
	})
}

// However much happens, no more files are written than the rate allows, and what has
// happened comes before the rest.
func TestRateIsBounded(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		w := &world{texts: map[string]string{}}
		for i := 1; i <= 1000; i++ {
			w.set(fmt.Sprintf("sessions/%d", i), "x")
		}
		changes := NewChanges()
		f, err := Open(dir, 50, changes, w, zap.NewNop())
		if err != nil {
			t.Fatal(err)
		}
		for i := 951; i <= 1000; i++ {
			changes.Observe(session.Notice{Kind: session.SessionUp, Slot: uint32(i)})
		}
		stop := run(f)
		defer stop()
		time.Sleep(time.Second + tick/2)
		first := tree(t, dir)
		if n := len(first); n < 40 || n > 50 {
			t.Errorf("%d files in a second, the rate is 50", n)
		}
		for name := range first {
			if len(name) < len("sessions/951.json") {
				t.Errorf("%s was written before those that something has happened to", name)
			}
		}
		time.Sleep(20*time.Second + tick)
		if n := len(tree(t, dir)); n != 1000 {
			t.Errorf("%d files after twenty seconds, want 1000", n)
		}
	})
}

// A directory that cannot be written is said once, and is no reason to stop.
func TestUnwritable(t *testing.T) {
	dir := t.TempDir()
	w := &world{texts: map[string]string{"tunnels/1": "x"}}
	f, err := Open(dir, 10, NewChanges(), w, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(filepath.Join(dir, Tunnels)); err != nil {
		t.Fatal(err)
	}
	if err := f.update(t.Context(), "tunnels/1"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%v", err)
	}
	if err := os.Mkdir(filepath.Join(dir, Tunnels), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := f.update(t.Context(), "tunnels/1"); err != nil {
		t.Error(err)
	}
	expect(t, dir, map[string]string{"tunnels/1.json": "x"})
}
