package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/config/commit"
)

var _ api.CommitsBackend = (*backend)(nil)

func (b *backend) ConfigText(candidate bool, number uint64) (string, bool, error) {
	m := b.current.commits
	draft, edited := m.Candidate()
	switch {
	case number != 0:
		text, err := m.CommitText(number)
		return text, edited, configError(err)
	case candidate:
		return draft, edited, nil
	}
	return m.Text(), edited, nil
}

func (b *backend) HideSecrets(text string) string { return config.Hide(text) }

func (b *backend) EditConfig(text *string, lines []string) (bool, []string, error) {
	edited, warnings, err := b.current.commits.Edit(text, lines)
	return edited, warnings, configError(err)
}

func (b *backend) DiffConfig(number *uint64) ([]string, []api.ConfigChange, error) {
	lines, changes, err := b.current.commits.Diff(number)
	return lines, configChanges(changes), configError(err)
}

func (b *backend) CheckConfig(ctx context.Context) (api.CommitReport, error) {
	return commitReport(b.current.commits.Check(ctx))
}

func (b *backend) CommitConfig(ctx context.Context, o api.CommitOptions) (api.CommitReport, error) {
	return commitReport(b.current.commits.Commit(ctx, commit.Options(o)))
}

func (b *backend) RollbackConfig(ctx context.Context, steps int, o api.CommitOptions) (api.CommitReport, error) {
	return commitReport(b.current.commits.Rollback(ctx, steps, commit.Options(o)))
}

func (b *backend) ConfirmConfig() (uint64, error) {
	n, err := b.current.commits.Confirm()
	return n, configError(err)
}

func (b *backend) DiscardConfig() { b.current.commits.Discard() }

func (b *backend) SaveConfig(by string, force bool) (string, error) {
	_, err := b.current.commits.Save(by, force)
	return b.current.flags.config, configError(err)
}

func (b *backend) ConfigHistory() ([]api.ConfigCommit, bool, error) {
	entries, waiting, until, err := b.current.commits.History()
	_, edited := b.current.commits.Candidate()
	var out []api.ConfigCommit
	for i, e := range entries {
		c := api.ConfigCommit{Number: e.Number, Steps: i, Time: e.Time, By: e.By, Comment: e.Comment}
		if waiting == e.Number {
			c.UndoneAt = until
		}
		out = append(out, c)
	}
	return out, edited, configError(err)
}

func commitReport(r commit.Report, err error) (api.CommitReport, error) {
	return api.CommitReport{
		Commit: r.Number, Changes: configChanges(r.Changes), Notes: r.Notes,
		Sessions: r.Impact.Sessions, Tunnels: r.Impact.Tunnels, UndoneAt: r.UndoneAt,
	}, configError(err)
}

func configChanges(cs []config.Change) []api.ConfigChange {
	var out []api.ConfigChange
	for _, c := range cs {
		out = append(out, api.ConfigChange{Name: c.Name, Apply: c.Apply.String()})
	}
	return out
}

// configError gives errors of the configuration their meaning for the operator.
func configError(err error) error {
	switch {
	case errors.Is(err, commit.ErrNothing):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, commit.ErrRefused):
		return fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	return translate(err)
}
