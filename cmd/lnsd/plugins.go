package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/hooks"
	"github.com/lnsd/lnsd/control/session"
)

var _ api.PluginsBackend = (*backend)(nil)

// pluginConfig is what plugins work with.
func (d *daemon) pluginConfig(c *config.Config) hooks.Config {
	return hooks.Config{
		Socket: c.Management.Socket, Sessions: ender{d}, Done: d.authDone, Log: d.log.Named("plugins"),
	}
}

// loadPlugins loads those of the configuration, in its order, and ends those that it
// does not load any more.
func (d *daemon) loadPlugins(c *config.Config) error {
	s := hooks.Settings{Garden: c.Gardens.Usual(), Throttle: throttleRate(c), Load: c.Plugins.Loaded}
	for i := range c.Plugins.List {
		p := &c.Plugins.List[i]
		s.Externals = append(s.Externals, hooks.External{
			Name: p.Name, Path: p.Path, Timeout: p.Timeout, Closed: p.Fail == config.FailClosed,
		})
	}
	return d.plugins.Reload(s)
}

// ender ends sessions for plugins.
type ender struct{ d *daemon }

// EndSessions ends all sessions that match.
func (e ender) EndSessions(ctx context.Context, x session.Selector) (int, error) {
	return e.d.engine.End(ctx, x, session.ChangeOptions{Several: true, By: "a plugin"})
}

// Plugins returns those that are loaded.
func (b *backend) Plugins() []api.Plugin {
	var out []api.Plugin
	for _, v := range b.d.plugins.List() {
		out = append(out, api.Plugin{
			Name: v.Name, BuiltIn: v.BuiltIn, PID: v.PID, State: v.State, Version: v.Version, Events: v.Events,
			Closed: v.Closed, Timeout: v.Timeout,
			Calls: v.Calls, Stopped: v.Stopped, Errors: v.Errors, Failures: v.Failures, Timeouts: v.Timeouts, Restarts: v.Restarts,
		})
	}
	return out
}

// LoadPlugin puts one behind the others.
func (b *backend) LoadPlugin(name string) error { return pluginError(b.d.plugins.Load(name)) }

// RemovePlugin takes one out.
func (b *backend) RemovePlugin(name string) error { return pluginError(b.d.plugins.Remove(name)) }

// SendToPlugin says something to one.
func (b *backend) SendToPlugin(name string, words []string) (string, error) {
	text, err := b.d.plugins.Send(name, words)
	return text, pluginError(err)
}

func pluginError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, hooks.ErrUnknown), errors.Is(err, hooks.ErrNotLoaded):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	}
	return fmt.Errorf("%w: %w", api.ErrRefused, err)
}
