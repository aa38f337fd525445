package api

import (
	"context"
	"time"

	"google.golang.org/grpc"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// PluginsBackend has the plugins. Its methods may be called from any goroutine; errors
// wrap ErrNotFound and ErrRefused.
type PluginsBackend interface {
	// Plugins are in the order in which they are asked.
	Plugins() []Plugin
	LoadPlugin(name string) error
	RemovePlugin(name string) error
	// SendToPlugin returns what the plugin answers.
	SendToPlugin(name string, words []string) (string, error)
}

// Plugin is what is known of one.
type Plugin struct {
	Name string
	// BuiltIn is a part of the daemon; another is a program, with its process id.
	BuiltIn bool
	PID     int
	// State is "running", "starting", or why it does not run.
	State, Version string
	Events         []string
	// Closed refuses logins while the plugin does not answer.
	Closed  bool
	Timeout time.Duration
	// Errors are answers, Failures calls without one, Timeouts among those.
	Calls, Stopped, Errors, Failures, Timeouts, Restarts uint64
}

// Plugins makes the server offer them.
func Plugins(b PluginsBackend) Option {
	return func(o *options) {
		o.services = append(o.services, func(r grpc.ServiceRegistrar, _ *options) {
			lnsv1.RegisterPluginsServer(r, &pluginsService{backend: b})
		})
	}
}

// pluginsService answers the calls of the schema from a PluginsBackend.
type pluginsService struct {
	lnsv1.UnimplementedPluginsServer
	backend PluginsBackend
}

func (s *pluginsService) Plugins(context.Context, *lnsv1.PluginsRequest) (*lnsv1.PluginsReply, error) {
	reply := &lnsv1.PluginsReply{}
	for _, p := range s.backend.Plugins() {
		reply.Plugins = append(reply.Plugins, &lnsv1.Plugin{
			Name: utf8Text(p.Name), BuiltIn: p.BuiltIn, State: utf8Text(p.State), Version: utf8Text(p.Version), Pid: uint32(p.PID),
			Events: p.Events, FailClosed: p.Closed, TimeoutMilliseconds: uint32(p.Timeout.Milliseconds()),
			Calls: p.Calls, Stopped: p.Stopped, Errors: p.Errors, Failures: p.Failures, Timeouts: p.Timeouts, Restarts: p.Restarts,
		})
	}
	return reply, nil
}

func (s *pluginsService) LoadPlugin(_ context.Context, r *lnsv1.LoadPluginRequest) (*lnsv1.LoadPluginReply, error) {
	if err := s.backend.LoadPlugin(r.Name); err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.LoadPluginReply{}, nil
}

func (s *pluginsService) RemovePlugin(_ context.Context, r *lnsv1.RemovePluginRequest) (*lnsv1.RemovePluginReply, error) {
	if err := s.backend.RemovePlugin(r.Name); err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.RemovePluginReply{}, nil
}

func (s *pluginsService) SendToPlugin(_ context.Context, r *lnsv1.SendToPluginRequest) (*lnsv1.SendToPluginReply, error) {
	text, err := s.backend.SendToPlugin(r.Name, r.Words)
	if err != nil {
		return nil, asStatus(err)
	}
	return &lnsv1.SendToPluginReply{Text: utf8Text(text)}, nil
}
