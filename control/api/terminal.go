package api

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// maxLines bounds the lines of one change.
const maxLines = 1000

// TerminalBackend is what the configuration is changed by. An error that wraps
// ErrRefused says what is wrong with a line, and that nothing has changed.
type TerminalBackend interface {
	Grammar(ctx context.Context) (*lnsv1.GrammarReply, error)
	Configure(ctx context.Context, lines []*lnsv1.ConfigLine) (*lnsv1.ConfigureReply, error)
	WriteMemory(ctx context.Context) (*lnsv1.WriteMemoryReply, error)
}

// Terminal adds the service of `configure terminal`.
func Terminal(b TerminalBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterTerminalServer(r, &terminal{backend: b})
		})
	}
}

type terminal struct {
	lnsv1.UnimplementedTerminalServer
	backend TerminalBackend
}

func (s *terminal) Grammar(ctx context.Context, _ *lnsv1.GrammarRequest) (*lnsv1.GrammarReply, error) {
	reply, err := s.backend.Grammar(ctx)
	return reply, asStatus(err)
}

func (s *terminal) Configure(ctx context.Context, r *lnsv1.ConfigureRequest) (*lnsv1.ConfigureReply, error) {
	if len(r.Lines) == 0 || len(r.Lines) > maxLines {
		return nil, status.Errorf(codes.InvalidArgument, "a change is of 1 to %d lines", maxLines)
	}
	reply, err := s.backend.Configure(ctx, r.Lines)
	return reply, asStatus(err)
}

func (s *terminal) WriteMemory(ctx context.Context, _ *lnsv1.WriteMemoryRequest) (*lnsv1.WriteMemoryReply, error) {
	reply, err := s.backend.WriteMemory(ctx)
	return reply, asStatus(err)
}
