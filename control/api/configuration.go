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

// ConfigurationBackend is what the configuration is changed by. An error that wraps
// ErrRefused says what is wrong with a line, and that nothing has changed.
type ConfigurationBackend interface {
	Grammar(ctx context.Context) (*lnsv1.GrammarReply, error)
	Configure(ctx context.Context, lines []*lnsv1.ConfigLine) (*lnsv1.ConfigureReply, error)
	WriteMemory(ctx context.Context) (*lnsv1.WriteMemoryReply, error)
}

// Configuration adds the service that changes the configuration.
func Configuration(b ConfigurationBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterConfigurationServer(r, &configuration{backend: b})
		})
	}
}

type configuration struct {
	lnsv1.UnimplementedConfigurationServer
	backend ConfigurationBackend
}

func (s *configuration) Grammar(ctx context.Context, _ *lnsv1.GrammarRequest) (*lnsv1.GrammarReply, error) {
	reply, err := s.backend.Grammar(ctx)
	return reply, asStatus(err)
}

func (s *configuration) Configure(ctx context.Context, r *lnsv1.ConfigureRequest) (*lnsv1.ConfigureReply, error) {
	if len(r.Lines) == 0 || len(r.Lines) > maxLines {
		return nil, status.Errorf(codes.InvalidArgument, "a change is of 1 to %d lines", maxLines)
	}
	reply, err := s.backend.Configure(ctx, r.Lines)
	return reply, asStatus(err)
}

func (s *configuration) WriteMemory(ctx context.Context, _ *lnsv1.WriteMemoryRequest) (*lnsv1.WriteMemoryReply, error) {
	reply, err := s.backend.WriteMemory(ctx)
	return reply, asStatus(err)
}
