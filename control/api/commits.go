package api

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// CommitsBackend keeps the configuration, the candidate and the commits. Its
// methods may be called from any goroutine. ErrRefused is for what the operator can
// change; ErrNotFound, for commits that are not there.
type CommitsBackend interface {
	// ConfigText returns a configuration with its secrets. commit is 0 for what is in
	// force; candidate asks for the candidate.
	ConfigText(candidate bool, commit uint64) (text string, edited bool, err error)
	// HideSecrets takes the secrets out of a text.
	HideSecrets(text string) string
	EditConfig(text *string, lines []string) (edited bool, warnings []string, err error)
	// DiffConfig compares what is in force with a commit, or with the candidate.
	DiffConfig(commit *uint64) (lines []string, changes []ConfigChange, err error)
	CheckConfig(ctx context.Context) (CommitReport, error)
	CommitConfig(ctx context.Context, o CommitOptions) (CommitReport, error)
	ConfirmConfig() (commit uint64, err error)
	RollbackConfig(ctx context.Context, steps int, o CommitOptions) (CommitReport, error)
	ConfigHistory() (commits []ConfigCommit, edited bool, err error)
	DiscardConfig()
	// SaveConfig returns the file.
	SaveConfig(by string, force bool) (string, error)
}

// CommitOptions are how a commit is made.
type CommitOptions struct {
	By, Comment string
	// Confirm is the time after which it is undone unless it is confirmed; 0 never.
	Confirm         time.Duration
	Force, Volatile bool
}

// ConfigChange is one difference.
type ConfigChange struct {
	Name  string
	Apply string // live, new sessions, restart
}

// CommitReport is what a commit would do, or has done.
type CommitReport struct {
	Commit            uint64
	Changes           []ConfigChange
	Notes             []string
	Sessions, Tunnels int // disconnected
	UndoneAt          time.Time
}

// ConfigCommit is one commit.
type ConfigCommit struct {
	Number      uint64
	Steps       int // back from what is in force
	Time        time.Time
	By, Comment string
	UndoneAt    time.Time
}

// Commits makes the server offer the configuration's life cycle.
func Commits(b CommitsBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterConfigServer(r, &commitsService{backend: b})
		})
	}
}

// commitsService answers the calls of the schema.
type commitsService struct {
	lnsv1.UnimplementedConfigServer
	backend CommitsBackend
}

func (s *commitsService) GetText(_ context.Context, r *lnsv1.ConfigTextRequest) (*lnsv1.ConfigTextReply, error) {
	commit := uint64(0)
	if r.Source == lnsv1.ConfigSource_CONFIG_SOURCE_COMMIT {
		commit = r.Commit
	}
	text, edited, err := s.backend.ConfigText(r.Source == lnsv1.ConfigSource_CONFIG_SOURCE_CANDIDATE, commit)
	if err != nil {
		return nil, asStatus(err)
	}
	if !r.Secrets {
		text = s.backend.HideSecrets(text)
	}
	return &lnsv1.ConfigTextReply{Text: utf8Text(text), Edited: edited}, nil
}

func (s *commitsService) Edit(_ context.Context, r *lnsv1.ConfigEditRequest) (*lnsv1.ConfigEditReply, error) {
	edited, warnings, err := s.backend.EditConfig(r.Text, r.Lines)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.ConfigEditReply{Edited: edited, Warnings: utf8Texts(warnings)}, nil
}

func (s *commitsService) Discard(context.Context, *lnsv1.ConfigDiscardRequest) (*lnsv1.ConfigEditReply, error) {
	s.backend.DiscardConfig()
	return &lnsv1.ConfigEditReply{}, nil
}

func (s *commitsService) Diff(_ context.Context, r *lnsv1.ConfigDiffRequest) (*lnsv1.ConfigDiffReply, error) {
	lines, changes, err := s.backend.DiffConfig(r.Commit)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.ConfigDiffReply{Lines: utf8Texts(lines), Changes: changesOf(changes)}, nil
}

func (s *commitsService) Check(ctx context.Context, _ *lnsv1.ConfigCheckRequest) (*lnsv1.ConfigCheckReply, error) {
	c, err := s.backend.CheckConfig(ctx)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.ConfigCheckReply{
		Changes: changesOf(c.Changes), Warnings: utf8Texts(c.Notes), Sessions: uint64(c.Sessions), Tunnels: uint64(c.Tunnels),
	}, nil
}

func (s *commitsService) Commit(ctx context.Context, r *lnsv1.ConfigCommitRequest) (*lnsv1.ConfigCommitReply, error) {
	return commitReply(s.backend.CommitConfig(ctx, CommitOptions{
		By: CallerOf(ctx).Name, Comment: utf8Text(r.Comment), Confirm: time.Duration(r.ConfirmSeconds) * time.Second,
		Force: r.Force, Volatile: r.Volatile,
	}))
}

func (s *commitsService) Rollback(ctx context.Context, r *lnsv1.ConfigRollbackRequest) (*lnsv1.ConfigCommitReply, error) {
	return commitReply(s.backend.RollbackConfig(ctx, int(r.Steps), CommitOptions{
		By: CallerOf(ctx).Name, Confirm: time.Duration(r.ConfirmSeconds) * time.Second, Force: r.Force,
	}))
}

func commitReply(c CommitReport, err error) (*lnsv1.ConfigCommitReply, error) {
	if err != nil {
		return nil, asStatus(err)
	}
	reply := &lnsv1.ConfigCommitReply{
		Commit: c.Commit, Changes: changesOf(c.Changes), Notes: utf8Texts(c.Notes), Sessions: uint64(c.Sessions),
	}
	if !c.UndoneAt.IsZero() {
		reply.UndoneAt = c.UndoneAt.Unix()
	}
	return reply, nil
}

func (s *commitsService) Confirm(context.Context, *lnsv1.ConfigConfirmRequest) (*lnsv1.ConfigCommitReply, error) {
	n, err := s.backend.ConfirmConfig()
	return commitReply(CommitReport{Commit: n}, err)
}

func (s *commitsService) History(context.Context, *lnsv1.ConfigHistoryRequest) (*lnsv1.ConfigHistoryReply, error) {
	commits, edited, err := s.backend.ConfigHistory()
	if err != nil {
		return nil, asStatus(err)
	}
	reply := &lnsv1.ConfigHistoryReply{Edited: edited}
	for _, c := range commits {
		m := &lnsv1.ConfigCommit{
			Number: c.Number, Steps: uint32(c.Steps), Time: c.Time.Unix(), By: utf8Text(c.By), Comment: utf8Text(c.Comment),
		}
		if !c.UndoneAt.IsZero() {
			m.UndoneAt = c.UndoneAt.Unix()
		}
		reply.Commits = append(reply.Commits, m)
	}
	return reply, nil
}

func (s *commitsService) Save(ctx context.Context, r *lnsv1.ConfigSaveRequest) (*lnsv1.ConfigSaveReply, error) {
	file, err := s.backend.SaveConfig(CallerOf(ctx).Name, r.Force)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.ConfigSaveReply{File: utf8Text(file)}, nil
}

func changesOf(cs []ConfigChange) []*lnsv1.ConfigChange {
	var out []*lnsv1.ConfigChange
	for _, c := range cs {
		out = append(out, &lnsv1.ConfigChange{Name: c.Name, Apply: c.Apply})
	}
	return out
}

func utf8Texts(ss []string) []string {
	out := make([]string, len(ss))
	for i, s := range ss {
		out[i] = utf8Text(s)
	}
	return out
}
