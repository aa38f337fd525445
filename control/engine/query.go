package engine

import (
	"context"

	"github.com/lnsd/lnsd/control/session"
)

// Sessions calls yield with all sessions, some hundreds at a time; it ends with
// yield's error. Sessions that come or go meanwhile may be missing.
func (e *Engine) Sessions(ctx context.Context, yield func([]session.View) error) error {
	panic("skeleton")
}

// Session finds a session by its slot.
func (e *Engine) Session(ctx context.Context, slot uint32) (session.View, error) {
	panic("skeleton")
}

// UserSessions finds the sessions of a user.
func (e *Engine) UserSessions(ctx context.Context, user string) ([]session.View, error) {
	panic("skeleton")
}

// Tunnels returns all tunnels.
func (e *Engine) Tunnels(ctx context.Context) ([]session.TunnelView, error) { panic("skeleton") }

// Tunnel finds a tunnel by our id.
func (e *Engine) Tunnel(ctx context.Context, id uint16) (session.TunnelView, error) {
	panic("skeleton")
}

// DropSession ends a session for the operator.
func (e *Engine) DropSession(ctx context.Context, slot uint32) error { panic("skeleton") }

// DropUser ends all sessions of a user and returns how many there were.
func (e *Engine) DropUser(ctx context.Context, user string) (int, error) { panic("skeleton") }

// DropTunnel ends a tunnel with all its sessions.
func (e *Engine) DropTunnel(ctx context.Context, id uint16) error { panic("skeleton") }

// Shutdown disconnects every session and tunnel: accounting is stopped and the
// LACs are told. It returns when all is acknowledged or ctx is done. The engine
// must keep running meanwhile; new tunnels and calls are refused from now on.
func (e *Engine) Shutdown(ctx context.Context) error { panic("skeleton") }

// Pools shows the address pools.
func (e *Engine) Pools() []session.PoolView { panic("skeleton") }

// Leases calls yield with the leases of a pool, some hundreds at a time.
func (e *Engine) Leases(pool string, yield func([]session.LeaseView) error) error {
	panic("skeleton")
}

// Counts returns the engine's counters.
func (e *Engine) Counts() []session.Count { panic("skeleton") }
