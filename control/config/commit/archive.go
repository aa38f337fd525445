// Package commit holds the life cycle of the configuration: a candidate that is edited,
// what is in force, the commits that led there, and those that undo themselves.
package commit

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Entry is one commit.
type Entry struct {
	Number  uint64    `json:"number"`
	Time    time.Time `json:"time"`
	By      string    `json:"by"`
	Comment string    `json:"comment,omitempty"`
}

// pending is a commit that undoes itself unless it is confirmed. It is on disk before the
// commit is, so that no crash leaves one that stays by mistake.
type pending struct {
	// File is the startup-config: directories of commits may be shared by mistake.
	File   string    `json:"file"`
	Number uint64    `json:"number"`
	Back   uint64    `json:"back"` // the commit to go back to
	Until  time.Time `json:"until"`
}

// archive is a directory of commits, one file each: a line of JSON, and then the text.
type archive struct {
	dir string
}

const (
	archiveMode  = 0o600 // the texts hold secrets
	pendingName  = "pending.json"
	commitSuffix = ".commit"
)

func commitName(n uint64) string { return fmt.Sprintf("%08d%s", n, commitSuffix) }

// list returns the commits, the oldest first. Files that can't be read are left out.
func (a archive) list() ([]Entry, error) {
	files, err := os.ReadDir(a.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var out []Entry
	for _, f := range files {
		if !strings.HasSuffix(f.Name(), commitSuffix) {
			continue
		}
		if e, _, err := a.read(f.Name()); err == nil {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(x, y Entry) int { return int(int64(x.Number) - int64(y.Number)) })
	return out, nil
}

func (a archive) read(name string) (Entry, string, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, name))
	if err != nil {
		return Entry{}, "", err
	}
	head, text, ok := strings.Cut(string(b), "\n")
	var e Entry
	if err := json.Unmarshal([]byte(head), &e); err != nil || !ok {
		return Entry{}, "", fmt.Errorf("%s: not a commit", name)
	}
	return e, text, nil
}

// text returns that of a commit.
func (a archive) text(n uint64) (string, error) {
	_, text, err := a.read(commitName(n))
	return text, err
}

// add writes a commit, and removes the oldest beyond keep.
func (a archive) add(e Entry, text string, keep int) error {
	head, err := json.Marshal(e)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(a.dir, 0o700); err != nil {
		return err
	}
	if err := WriteFile(filepath.Join(a.dir, commitName(e.Number)), string(head)+"\n"+text, archiveMode); err != nil {
		return err
	}
	entries, err := a.list()
	if err != nil {
		return err
	}
	for len(entries) > keep {
		if err := os.Remove(filepath.Join(a.dir, commitName(entries[0].Number))); err != nil {
			return err
		}
		entries = entries[1:]
	}
	return nil
}

func (a archive) drop(n uint64) error {
	return ignoreMissing(os.Remove(filepath.Join(a.dir, commitName(n))))
}

func (a archive) pending() (*pending, error) {
	b, err := os.ReadFile(filepath.Join(a.dir, pendingName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	p := &pending{}
	return p, json.Unmarshal(b, p)
}

func (a archive) setPending(p *pending) error {
	path := filepath.Join(a.dir, pendingName)
	if p == nil {
		return ignoreMissing(os.Remove(path))
	}
	b, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return WriteFile(path, string(b)+"\n", archiveMode)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// WriteFile replaces a file so that whoever reads it finds the old text or the new one,
// also after the host has died. A file that exists keeps its mode and owner where that is
// possible; mode is for a new one.
func WriteFile(path, text string, mode fs.FileMode) (err error) {
	if target, linked := filepath.EvalSymlinks(path); linked == nil {
		path = target
	}
	owner, group := -1, -1
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		owner, group = ownerOf(info)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".new-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, ignoreMissing(os.Remove(f.Name())))
		}
	}()
	_, err = f.WriteString(text)
	if err == nil {
		err = f.Chmod(mode)
	}
	if err == nil && owner >= 0 {
		// Who may not give files away leaves it to itself.
		if e := f.Chown(owner, group); e != nil && !errors.Is(e, fs.ErrPermission) {
			err = e
		}
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err = os.Rename(f.Name(), path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
