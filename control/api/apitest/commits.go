package apitest

import (
	"context"
	"fmt"
	"strings"

	"github.com/lnsd/lnsd/control/api"
)

// ConfigText returns Config; its secrets are words with "secret-" before them.
func (b *Backend) ConfigText(candidate bool, commit uint64) (string, bool, error) {
	if commit > uint64(len(b.CommitList)) {
		return "", false, fmt.Errorf("commit %d: %w", commit, api.ErrNotFound)
	}
	return b.Config, candidate, b.Err
}

// HideSecrets takes out what ConfigText says is one.
func (b *Backend) HideSecrets(text string) string { return strings.ReplaceAll(text, "secret-", "") }

// EditConfig notes the lines. One with "wrong" in it is refused.
func (b *Backend) EditConfig(text *string, lines []string) (bool, []string, error) {
	for _, l := range lines {
		if strings.Contains(l, "wrong") {
			return false, nil, fmt.Errorf("%w: unknown command", api.ErrRefused)
		}
		if err := b.call("edit %s", l); err != nil {
			return false, nil, err
		}
	}
	if text != nil {
		return true, nil, b.call("load %s", *text)
	}
	return true, b.Notes, nil
}

// DiffConfig returns a difference of one line.
func (b *Backend) DiffConfig(commit *uint64) ([]string, []api.ConfigChange, error) {
	if commit != nil && *commit > uint64(len(b.CommitList)) {
		return nil, nil, fmt.Errorf("%w: there is no commit %d", api.ErrNotFound, *commit)
	}
	return []string{"  set debug 3", "- set idle_timeout 600", "+ set idle_timeout 900"}, b.Commit.Changes, b.Err
}

// CheckConfig returns Commit.
func (b *Backend) CheckConfig(context.Context) (api.CommitReport, error) { return b.Commit, b.Err }

// CommitConfig returns Commit, and is refused where that disconnects sessions.
func (b *Backend) CommitConfig(_ context.Context, o api.CommitOptions) (api.CommitReport, error) {
	if b.Commit.Sessions > 0 && !o.Force {
		return api.CommitReport{}, fmt.Errorf("%w: it would disconnect %d sessions of %d tunnels: force does so", api.ErrRefused, b.Commit.Sessions, b.Commit.Tunnels)
	}
	return b.Commit, b.call("commit %q confirm %v force %v", o.Comment, o.Confirm, o.Force)
}

// RollbackConfig is like CommitConfig.
func (b *Backend) RollbackConfig(_ context.Context, steps int, o api.CommitOptions) (api.CommitReport, error) {
	if steps >= len(b.CommitList) {
		return api.CommitReport{}, fmt.Errorf("%w: there is no configuration %d commits ago", api.ErrNotFound, steps)
	}
	return b.Commit, b.call("rollback %d force %v", steps, o.Force)
}

// ConfirmConfig confirms commit 1, if there is one.
func (b *Backend) ConfirmConfig() (uint64, error) {
	if len(b.CommitList) == 0 {
		return 0, fmt.Errorf("%w: no commit waits to be confirmed", api.ErrNotFound)
	}
	return b.CommitList[0].Number, b.call("confirm")
}

// ConfigHistory returns CommitList, or CommitsOf.
func (b *Backend) ConfigHistory() ([]api.ConfigCommit, bool, error) {
	if b.CommitsOf != nil {
		return b.CommitsOf(), true, b.Err
	}
	return b.CommitList, true, b.Err
}

// DiscardConfig notes the call.
func (b *Backend) DiscardConfig() { _ = b.call("discard") }

// SaveConfig notes the call.
func (b *Backend) SaveConfig(_ string, force bool) (string, error) {
	return "/etc/lnsd/startup-config", b.call("save force %v", force)
}
