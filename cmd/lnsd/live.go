package main

import (
	"context"
	"fmt"
	"sync"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/session"
)

// live is the configuration in force and how to put another one in its place.
type live struct {
	flags flags
	d     *daemon
	sink  *logSink
	level zap.AtomicLevel

	mu     sync.Mutex
	config *config.Config
	// edits are the commands since the startup-config was read.
	edits []config.Line
}

func newLive(f flags, c *config.Config, d *daemon, sink *logSink, level zap.AtomicLevel) *live {
	return &live{flags: f, config: c, d: d, sink: sink, level: level}
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

// reload reads the files again and applies what can be applied to a running daemon.
// It returns what the operator should know: warnings, and what takes a restart. When
// anything is wrong nothing has changed. Sessions that are up keep what they have.
func (l *live) reload(context.Context) ([]string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, warnings, err := config.Load(l.flags.config)
	if err != nil {
		return nil, err
	}
	notes, err := l.apply(c)
	if err != nil {
		return nil, err
	}
	if n := len(l.edits); n > 0 {
		notes = append(notes, fmt.Sprintf("%d changes that were not written are gone", n))
		l.edits = nil
	}
	for _, w := range warnings {
		notes = append(notes, w.String())
	}
	return notes, nil
}

// apply puts c in the place of the configuration in force, as far as that can be while
// the daemon runs, and returns what takes a restart.
func (l *live) apply(c *config.Config) ([]string, error) {
	if err := enginePolicy(c, l.d.ipv6).Validate(); err != nil {
		return nil, err
	}
	if err := l.d.subscribers.reload(c); err != nil {
		return nil, err
	}
	if err := l.sink.Reopen(); err != nil {
		return nil, err
	}
	if err := l.d.engine.Reload(enginePolicy(c, l.d.ipv6)); err != nil {
		return nil, err
	}
	if err := l.d.fast.AllowLACs(lacSources(c)); err != nil {
		return nil, err
	}
	notes, err := l.d.setFilters(c)
	if err != nil {
		return nil, err
	}
	if err := l.d.gardens.Reload(gardens(c), c.Files.BuildGarden); err != nil {
		notes = append(notes, err.Error())
	}
	l.d.grants.reload(c)
	more, err := l.d.reloadDAE(c)
	if err != nil {
		return nil, err
	}
	notes = append(notes, more...)
	l.d.engine.Drain(c.Engine.Drain)
	l.level.SetLevel(logLevel(int(c.Log.Level) + l.flags.verbose))

	for _, change := range config.Diff(l.config, c) {
		if change.Apply == config.Restart {
			notes = append(notes, fmt.Sprintf("%s has changed and takes effect at the next start", change.Name))
		}
	}
	l.config = c
	return notes, nil
}
