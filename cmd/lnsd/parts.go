package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/metrics"
)

// parts are the goroutines of a running daemon.
type parts struct {
	group   sync.WaitGroup
	failed  chan error
	servers []server
}

// start runs every part until ctx ends. One that ends before has failed, and says so
// on failed.
func (d *daemon) start(ctx context.Context, b *backend) *parts {
	p := &parts{failed: make(chan error, 8)}
	p.run(ctx, "engine", d.engine.Run)
	for _, s := range d.socket.Sockets() {
		p.run(ctx, "L2TP socket "+s.LocalAddr().String(), func(ctx context.Context) error { return d.receive(ctx, s) })
	}
	p.run(ctx, "slow path", d.slow.Run)
	p.run(ctx, "interceptions", func(ctx context.Context) error { return d.intercepts.Run(ctx, d.fast) })
	p.run(ctx, "captures", func(ctx context.Context) error { return d.fast.RunCaptures(ctx, d.captures.Captured) })
	p.serve(ctx, "management socket", d.listener, d.management(b))
	if r := d.remote; r != nil {
		p.serve(ctx, "management from afar", r.listener, d.management(b, r.option))
	}
	if d.scraped != nil {
		p.run(ctx, "metrics", func(ctx context.Context) error { return metrics.Serve(ctx, d.scraped, metricsSource{b}) })
	}
	if d.shells.any() {
		p.serve(ctx, "shells", d.shells.local, d.management(b, api.InProcess()))
		d.shells.start(ctx, p)
	}
	p.group.Go(func() { b.rates.run(ctx) })
	p.run(ctx, "configuration", b.current.commits.Run)
	if w := d.accounting.usage; w != nil {
		p.group.Go(func() { w.Run(ctx, d.engine.Sessions) })
	}
	p.group.Go(func() { watchdog(ctx, d.log, d.alive) })
	return p
}

func (p *parts) run(ctx context.Context, name string, f func(context.Context) error) {
	p.group.Go(func() {
		err := f(ctx)
		if ctx.Err() != nil {
			return
		}
		if err == nil {
			err = errors.New("ended by itself")
		}
		p.failed <- fmt.Errorf("%s: %w", name, err)
	})
}

func (p *parts) serve(ctx context.Context, name string, ln net.Listener, s *api.Server) {
	p.servers = append(p.servers, server{s})
	p.run(ctx, name, func(context.Context) error { return s.Serve(ln) })
}

func (p *parts) wait() { p.group.Wait() }
