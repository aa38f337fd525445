package main

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/config/commit"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// live is the configuration in force and how to put another one in its place.
type live struct {
	flags flags
	d     *daemon
	sink  *logSink
	level zap.AtomicLevel

	// commits decides what is put in force.
	commits *commit.Manager

	mu     sync.Mutex
	config *config.Config
}

var _ commit.Target = (*live)(nil)

// newLive goes on from c, whose text is that of the startup-config.
func newLive(f flags, c *config.Config, text string, d *daemon, sink *logSink, level zap.AtomicLevel) *live {
	l := &live{flags: f, config: c, d: d, sink: sink, level: level}
	l.commits = commit.New(commit.Config{
		File: f.config, Target: l, Log: d.log.Named("config"),
		Load: func(text string) (*config.Config, []config.Warning, error) { return config.LoadText(f.config, text) },
	}, c, text)
	return l
}

// running is the configuration in force.
func (l *live) running() *config.Config {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config
}

// text is the configuration in force, secrets hidden.
func (l *live) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config.Show()
}

// dumpSpeed logs what is forwarded in a second, where that is asked for.
func (l *live) dumpSpeed(t api.Traffic) {
	l.mu.Lock()
	on := l.config.Accounting.DumpSpeed
	l.mu.Unlock()
	if on {
		l.d.log.Info("bandwidth", zap.Float64("up_mbit", t.UpBits/1e6), zap.Float64("down_mbit", t.DownBits/1e6),
			zap.Float64("up_packets", t.UpPackets), zap.Float64("down_packets", t.DownPackets))
	}
}

// throttle is the rate of sessions that are given none.
func (l *live) throttle() session.Rate {
	l.mu.Lock()
	defer l.mu.Unlock()
	return throttleRate(l.config)
}

// hostname is the name we go by.
func (l *live) hostname() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.config.Hostname
}

// Check says what putting c in force would take with it: the tunnels, with their
// sessions, of LACs that it lets in no more.
func (l *live) Check(ctx context.Context, c *config.Config) (commit.Impact, error) {
	if err := usable(c); err != nil {
		return commit.Impact{}, err
	}
	var impact commit.Impact
	tunnels, err := l.excluded(ctx, c)
	for _, t := range tunnels {
		impact.Tunnels++
		impact.Sessions += t.Sessions
	}
	if err != nil {
		return impact, err
	}
	ours, calls, err := l.unwanted(ctx, c)
	for _, t := range ours {
		impact.Tunnels++
		impact.Sessions += t.Sessions
	}
	impact.Sessions += len(calls)
	return impact, err
}

// excluded are the tunnels of LACs that were let in and that c keeps out.
func (l *live) excluded(ctx context.Context, c *config.Config) ([]session.TunnelView, error) {
	before, after := enginePolicy(l.running(), l.d.ipv6), enginePolicy(c, l.d.ipv6)
	tunnels, err := l.d.engine.Tunnels(ctx)
	if err != nil {
		return nil, err
	}
	var out []session.TunnelView
	for _, t := range tunnels {
		if peer := t.Peer.Addr(); t.Name == "" && before.Admits(peer, t.HostName) && !after.Admits(peer, t.HostName) {
			out = append(out, t)
		}
	}
	return out, nil
}

// Apply puts c in force in all parts that can take it while they run. When one refuses
// it, those that had taken it go back.
func (l *live) Apply(ctx context.Context, c *config.Config, drop bool) (did commit.Impact, notes []string, err error) {
	gone, err := l.excluded(ctx, c)
	if err != nil {
		return did, nil, err
	}
	ours, calls, err := l.unwanted(ctx, c)
	if err != nil {
		return did, nil, err
	}
	old := l.running()
	if notes, err = l.install(c); err != nil {
		if _, again := l.install(old); again != nil {
			l.d.log.Error("the former configuration is not wholly in force again", zap.Error(again))
		}
		return did, nil, err
	}
	l.mu.Lock()
	l.config = c
	l.mu.Unlock()
	if !drop {
		return did, notes, nil
	}
	// What has ended by itself meanwhile is no matter; what does not end is told.
	ended := func(what string, err error, lost commit.Impact) {
		switch {
		case err == nil:
			did.Tunnels += lost.Tunnels
			did.Sessions += lost.Sessions
		case !errors.Is(err, engine.ErrNotFound):
			notes = append(notes, fmt.Sprintf("%s goes on: %v", what, err))
		}
	}
	for _, t := range gone {
		ended(fmt.Sprintf("tunnel %d", t.TunnelID), l.d.engine.DropTunnel(ctx, t.TunnelID), commit.Impact{Tunnels: 1, Sessions: t.Sessions})
	}
	for _, t := range ours {
		ended("tunnel "+t.Name, l.d.engine.DropTunnel(ctx, t.TunnelID), commit.Impact{Tunnels: 1, Sessions: t.Sessions})
	}
	for _, x := range calls {
		ended("session "+x.Name, l.d.engine.DropSession(ctx, x.Slot, 0), commit.Impact{Sessions: 1})
	}
	return did, notes, nil
}

// install hands c to the parts. What can refuse it comes first.
func (l *live) install(c *config.Config) (notes []string, err error) {
	policy := enginePolicy(c, l.d.ipv6)
	if err := policy.Validate(); err != nil {
		return nil, err
	}
	if err := l.d.subscribers.reload(c); err != nil {
		return nil, err
	}
	if err := l.sink.Switch(l.flags.logFile(c)); err != nil {
		return nil, err
	}
	if err := l.d.engine.Reload(policy); err != nil {
		return nil, err
	}
	if err := l.d.fast.AllowLACs(lacSources(c)); err != nil {
		return nil, err
	}
	if notes, err = l.d.setFilters(c); err != nil {
		return nil, err
	}
	more, err := l.d.reloadDAE(c)
	if err != nil {
		return nil, err
	}
	notes = append(notes, more...)
	if more, err = l.d.hooks.reload(&c.Hooks, l.d.fast); err != nil {
		return nil, err
	}
	notes = append(notes, more...)
	if err := l.d.loadPlugins(c); err != nil {
		return nil, err
	}
	if err := l.d.gardens.Reload(gardens(c), c.Files.BuildGarden); err != nil {
		notes = append(notes, err.Error())
	}
	l.d.grants.reload(c)
	if err := l.d.reloadIntercepts(c); err != nil {
		notes = append(notes, err.Error())
	}
	l.d.engine.Drain(c.Engine.Drain)
	l.level.SetLevel(logLevel(int(c.Log.Level) + l.flags.verbose))
	return notes, nil
}
