package main

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// backend answers the management interface from the daemon's parts.
type backend struct {
	d       *daemon
	current *live
	stopper stopper
	rates   *rates
}

var _ api.Backend = (*backend)(nil)

func newBackend(d *daemon, current *live, stop stopper) *backend {
	return &backend{d: d, current: current, stopper: stop, rates: newRates(d.volume, current.dumpSpeed)}
}

func (b *backend) Status(ctx context.Context) (api.Status, error) {
	tunnels, err := b.d.engine.Tunnels(ctx)
	if err != nil {
		return api.Status{}, translate(err)
	}
	s := api.Status{
		Version:    version,
		HostName:   b.current.hostname(),
		Started:    b.d.started,
		Tunnels:    len(tunnels),
		Draining:   b.d.engine.Draining(),
		Load:       loadAverage(),
		Traffic:    b.rates.latest(),
		SessionsUp: int(count(b.d.engine.Counts(), "sessions_established") - count(b.d.engine.Counts(), "sessions_closed")),
	}
	for _, t := range tunnels {
		s.Sessions += t.Sessions
		if t.State == "established" {
			s.TunnelsEstablished++
		}
	}
	for _, m := range b.d.fast.Modes() {
		s.Interfaces = append(s.Interfaces, api.Interface{Name: m.Interface, Mode: m.Mode})
	}
	s.SpreadCPUs = b.d.fast.Spread()
	return s, nil
}

func (b *backend) Sessions(ctx context.Context, yield func([]session.View) error) error {
	return translate(b.d.engine.Sessions(ctx, func(views []session.View) error {
		b.complete(views)
		return yield(views)
	}))
}

func (b *backend) Session(ctx context.Context, slot uint32) (session.View, error) {
	v, err := b.d.engine.Session(ctx, slot)
	v.FastPath = b.d.fast.Installed(slot)
	return v, translate(err)
}

func (b *backend) UserSessions(ctx context.Context, user string) ([]session.View, error) {
	v, err := b.d.engine.UserSessions(ctx, user)
	b.complete(v)
	return v, translate(err)
}

// complete adds what the engine does not know: whether the kernel has the session.
func (b *backend) complete(views []session.View) {
	for i := range views {
		views[i].FastPath = b.d.fast.Installed(views[i].Slot)
	}
}

func (b *backend) Tunnels(ctx context.Context) ([]session.TunnelView, error) {
	v, err := b.d.engine.Tunnels(ctx)
	return v, translate(err)
}

func (b *backend) Tunnel(ctx context.Context, id uint16) (session.TunnelView, error) {
	v, err := b.d.engine.Tunnel(ctx, id)
	return v, translate(err)
}

func (b *backend) Pools(context.Context) ([]session.PoolView, error) { return b.d.engine.Pools(), nil }

func (b *backend) Leases(ctx context.Context, pool string, yield func([]session.LeaseView) error) error {
	return translate(b.d.engine.Leases(ctx, pool, yield))
}

func (b *backend) Counters(context.Context) ([]session.Count, error) {
	var out []session.Count
	for _, counts := range []func() []session.Count{
		b.d.engine.Counts, b.d.subscribers.counts, b.d.accounting.counts, b.d.journalCounts, b.d.socket.Counts, b.d.slow.Counts, b.d.fast.Counts, b.d.grants.counts, b.d.plugins.Counts,
	} {
		out = append(out, counts()...)
	}
	if b.d.dae != nil {
		out = append(out, b.d.dae.Counts()...)
	}
	return out, nil
}

func (b *backend) AuthServers(context.Context) ([]session.AuthServerView, error) {
	return b.d.subscribers.servers(), nil
}

func (b *backend) RunningConfig(context.Context) (string, error) { return b.current.text(), nil }

func (b *backend) DropSession(ctx context.Context, slot uint32, cause session.TerminateCause) error {
	return translate(b.d.engine.DropSession(ctx, slot, cause))
}

func (b *backend) DropTunnel(ctx context.Context, id uint16) error {
	return translate(b.d.engine.DropTunnel(ctx, id))
}

func (b *backend) DropUser(ctx context.Context, user string, cause session.TerminateCause) (int, error) {
	n, err := b.d.engine.DropUser(ctx, user, cause)
	return n, translate(err)
}

func (b *backend) Reload(ctx context.Context) ([]string, error) {
	return b.current.commits.Reload(ctx, api.CallerOf(ctx).Name)
}

// Shutdown disconnects everybody while the operator waits, and then ends the daemon.
func (b *backend) Shutdown(ctx context.Context) error {
	err := b.d.engine.Shutdown(ctx)
	b.stopper.stop("operator")
	return translate(err)
}

// translate gives the engine's errors their meaning for the operator.
func translate(err error) error {
	switch {
	case errors.Is(err, engine.ErrNotFound):
		return fmt.Errorf("%w: %w", api.ErrNotFound, err)
	case errors.Is(err, engine.ErrStopped):
		return fmt.Errorf("%w: %w", api.ErrStopping, err)
	default:
		return err
	}
}

// count finds a counter by its name; 0 when there is none.
func count(counts []session.Count, name string) uint64 {
	for _, c := range counts {
		if c.Name == name {
			return c.Value
		}
	}
	return 0
}

// loadAverage reads the host's load; zeros where it cannot be read.
func loadAverage() (load [3]float64) {
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		return load
	}
	if _, err := fmt.Sscan(string(text), &load[0], &load[1], &load[2]); err != nil {
		return [3]float64{}
	}
	return load
}
