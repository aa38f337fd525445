package status

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.uber.org/zap"
)

// ErrGone is a Source's answer for what is not there any more.
var ErrGone = errors.New("gone")

// Source knows what goes into the files.
type Source interface {
	// Names lists what there is, as paths below the directory without ".json".
	Names(ctx context.Context) ([]string, error)
	// Text is the contents of a file, or ErrGone.
	Text(ctx context.Context, name string) ([]byte, error)
}

// The directories.
const (
	Policies = "policies"
	Peers    = "peers"
	Tunnels  = "tunnels"
	Sessions = "sessions"
)

const (
	suffix = ".json"
	// fileMode: names of subscribers are for the daemon's group.
	fileMode, dirMode = 0o640, 0o750
	tick              = 100 * time.Millisecond
)

// Files keeps the files of a directory.
type Files struct {
	dir    string
	rate   int // files in a second
	source Source
	log    *zap.Logger

	changes *Changes
	// Of Run alone: what is written, and whether the last write failed.
	have map[string]bool
	bad  bool
}

// Open takes over dir, and removes what an earlier daemon left there. rate bounds how
// many files are written in a second, changes says which come first.
func Open(dir string, rate int, changes *Changes, source Source, log *zap.Logger) (*Files, error) {
	for _, d := range []string{Policies, Peers, Tunnels, Sessions} {
		if err := os.RemoveAll(filepath.Join(dir, d)); err != nil {
			return nil, fmt.Errorf("status files: %w", err)
		}
		if err := os.MkdirAll(filepath.Join(dir, d), dirMode); err != nil {
			return nil, fmt.Errorf("status files: %w", err)
		}
	}
	return &Files{dir: dir, rate: max(rate, 1), source: source, log: log, changes: changes, have: make(map[string]bool)}, nil
}

// Run writes files until ctx ends, and then removes them: nobody keeps them current.
func (f *Files) Run(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	credit := 0.0
	last := time.Now()
	for {
		select {
		case <-ctx.Done():
			f.clear()
			return
		case now := <-ticker.C:
			// A second's worth at most, also after the machine has slept.
			credit = min(credit+now.Sub(last).Seconds()*float64(f.rate), float64(f.rate))
			last = now
		}
		credit -= float64(f.round(ctx, int(credit)))
	}
}

// round writes at most n files and returns how many it did.
func (f *Files) round(ctx context.Context, n int) int {
	if n == 0 {
		return 0
	}
	names := f.changes.take(n, func() []string { return f.all(ctx) })
	for _, name := range names {
		f.report(f.update(ctx, name))
	}
	return len(names)
}

// all lists what there is, and what there are files of.
func (f *Files) all(ctx context.Context) []string {
	names, err := f.source.Names(ctx)
	if err != nil {
		return nil
	}
	listed := make(map[string]bool, len(names))
	for _, n := range names {
		listed[n] = true
	}
	for n := range f.have {
		if !listed[n] {
			names = append(names, n)
		}
	}
	return names
}

// update writes one file, or removes it.
func (f *Files) update(ctx context.Context, name string) error {
	text, err := f.source.Text(ctx, name)
	path := filepath.Join(f.dir, filepath.FromSlash(clean(name))) + suffix
	switch {
	case errors.Is(err, ErrGone):
		delete(f.have, name)
		if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	case err != nil:
		return nil // the daemon is on its way down, or busy: next time
	}
	if err := replace(path, text); err != nil {
		return err
	}
	f.have[name] = true
	return nil
}

// clean makes a name fit to be a path below the directory: names of policies are the
// operator's choice.
func clean(name string) string {
	dir, base, ok := strings.Cut(name, "/")
	if !ok {
		return name
	}
	base = strings.NewReplacer("/", "_", "\x00", "_").Replace(base)
	if strings.HasPrefix(base, ".") {
		base = "_" + base[1:]
	}
	return dir + "/" + base
}

// replace writes a file so that a reader sees the old or the new one, never a part. It
// is not synced: the directory is for one run of the daemon.
func replace(path string, text []byte) error {
	tmp := filepath.Join(filepath.Dir(path), ".new")
	if err := os.WriteFile(tmp, text, fileMode); err != nil {
		return err
	}
	return os.Rename(tmp, path)
}

// report says once that files cannot be written, and once that they can again.
func (f *Files) report(err error) {
	switch {
	case err != nil && !f.bad:
		f.log.Warn("status files are not current", zap.Error(err))
	case err == nil && f.bad:
		f.log.Info("status files are written again")
	}
	f.bad = err != nil
}

func (f *Files) clear() {
	for name := range f.have {
		_ = os.Remove(filepath.Join(f.dir, filepath.FromSlash(clean(name))) + suffix)
	}
}
