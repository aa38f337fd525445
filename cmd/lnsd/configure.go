package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/config/commit"
)

// Configure changes the configuration in force by some lines, all or none.
func (l *live) Configure(ctx context.Context, lines []*lnsv1.ConfigLine) (*lnsv1.ConfigureReply, error) {
	edits := make([]config.Line, len(lines))
	for i, line := range lines {
		edits[i] = config.Line{Within: line.Within, Text: line.Text}
	}
	before := l.commits.Text()
	text, err := editAll(before, edits)
	if err != nil {
		return nil, refused(err)
	}
	_, _, err = config.LoadText(l.flags.config, text)
	if missing := together(err); missing != nil {
		return &lnsv1.ConfigureReply{Missing: missing}, nil
	}
	if err != nil {
		return nil, refused(err)
	}
	_, known, err := config.LoadText(l.flags.config, before)
	if err != nil {
		known = nil // a file beside it has been spoilt; the warnings are all new then
	}
	r, err := l.commits.ChangeLines(ctx, edits, commit.Options{By: api.CallerOf(ctx).Name, Volatile: true})
	if err != nil {
		return nil, configError(err)
	}
	notes := slices.DeleteFunc(r.Notes, func(n string) bool {
		return slices.ContainsFunc(known, func(w config.Warning) bool { return strings.HasSuffix(n, ": "+w.Message) })
	})
	return &lnsv1.ConfigureReply{Applied: true, Notes: notes}, nil
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

// WriteMemory makes the changes since the startup-config was read in the file.
func (l *live) WriteMemory(ctx context.Context) (*lnsv1.WriteMemoryReply, error) {
	n, err := l.commits.Save(api.CallerOf(ctx).Name, false)
	if err != nil {
		return nil, configError(err)
	}
	return &lnsv1.WriteMemoryReply{File: l.flags.config, Lines: uint64(n)}, nil
}
