package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/config"
)

// Configure changes the configuration in force by some lines, all or none.
func (l *live) Configure(_ context.Context, lines []*lnsv1.ConfigLine) (*lnsv1.ConfigureReply, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	edits := make([]config.Line, len(lines))
	for i, line := range lines {
		edits[i] = config.Line{Within: line.Within, Text: line.Text}
	}
	text, err := editAll(l.config.Files.Text.Reveal(), edits)
	if err != nil {
		return nil, refused(err)
	}
	c, warnings, err := config.LoadText(l.flags.config, text)
	if missing := together(err); missing != nil {
		return &lnsv1.ConfigureReply{Missing: missing}, nil
	}
	if err == nil {
		err = usable(c)
	}
	if err != nil {
		return nil, refused(err)
	}
	_, known, err := config.LoadText(l.flags.config, l.config.Files.Text.Reveal())
	if err != nil {
		known = nil // a file beside it has been spoilt; the warnings are all new then
	}
	notes, err := l.apply(c)
	if err != nil {
		return nil, err
	}
	l.edits = append(l.edits, edits...)
	return &lnsv1.ConfigureReply{Applied: true, Notes: append(notes, newWarnings(known, warnings)...)}, nil
}

func editAll(text string, edits []config.Line) (string, error) {
	for _, e := range edits {
		var err error
		if text, err = config.Edit(text, e); err != nil {
			return "", err
		}
	}
	return text, nil
}

// refused tells a fault as the operator sees it, who has no file before his eyes.
func refused(err error) error {
	var faults config.Errors
	if !errors.As(err, &faults) {
		return fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	return fmt.Errorf("%w: %s", api.ErrRefused, strings.Join(messages(faults), "; "))
}

func messages(faults config.Errors) []string {
	var out []string
	for _, f := range faults {
		m := f.Message
		if f.Hint != "" {
			m += " (" + f.Hint + ")"
		}
		out = append(out, m)
	}
	return out
}

// together is what is wrong with lines that are each right by itself; nil otherwise.
func together(err error) []string {
	var faults config.Errors
	if !errors.As(err, &faults) || slices.ContainsFunc(faults, func(f *config.Error) bool { return !f.Whole }) {
		return nil
	}
	return messages(faults)
}

func newWarnings(known, now []config.Warning) (notes []string) {
	for _, w := range now {
		if !slices.ContainsFunc(known, func(k config.Warning) bool { return k.Message == w.Message }) {
			notes = append(notes, w.Message)
		}
	}
	return notes
}

// WriteMemory makes the changes since the startup-config was read in the file, as it is
// by now.
func (l *live) WriteMemory(context.Context) (*lnsv1.WriteMemoryReply, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	name := l.flags.config
	old, err := os.ReadFile(name)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	text, err := editAll(string(old), l.edits)
	if err != nil {
		return nil, fmt.Errorf("%w: %s was changed by another hand (%w)", api.ErrRefused, name, err)
	}
	if _, _, err := config.LoadText(name, text); err != nil {
		return nil, fmt.Errorf("%w: %s was changed by another hand: %w", api.ErrRefused, name, err)
	}
	if text != string(old) {
		if err := replaceFile(name, text); err != nil {
			return nil, fmt.Errorf("%w: %w", api.ErrRefused, err)
		}
	}
	n := len(l.edits)
	l.edits = nil
	return &lnsv1.WriteMemoryReply{File: name, Lines: uint64(n)}, nil
}

// replaceFile puts text in the place of a file, whole or not at all, with the mode and
// the owner that it had.
func replaceFile(name, text string) error {
	// A link stays one: what it points to is written.
	name, err := filepath.EvalSymlinks(name)
	if err != nil {
		return err
	}
	info, err := os.Stat(name)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), ".startup-config-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(text)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), sameOwner(f, info), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}
