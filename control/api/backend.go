// Package api is the operators' interface: its schema (lnsv1), the server that
// lnsd runs on a Unix socket, and the client that lnsctl uses.
package api

import (
	"context"
	"errors"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// Backend is what the server asks. Its methods may be called from any goroutine.
// Errors that wrap one of this package's reach the client as what they mean; all
// others are faults of the daemon.
type Backend interface {
	Status(ctx context.Context) (Status, error)

	// Sessions and Leases call yield with some hundreds at a time; they end with
	// yield's error. What comes or goes meanwhile may be missing.
	Sessions(ctx context.Context, yield func([]session.View) error) error
	// Session finds a session by its slot, UserSessions those of a user.
	Session(ctx context.Context, slot uint32) (session.View, error)
	UserSessions(ctx context.Context, user string) ([]session.View, error)
	Tunnels(ctx context.Context) ([]session.TunnelView, error)
	Tunnel(ctx context.Context, id uint16) (session.TunnelView, error)
	Pools(ctx context.Context) ([]session.PoolView, error)
	// Leases shows one pool.
	Leases(ctx context.Context, pool string, yield func([]session.LeaseView) error) error
	Counters(ctx context.Context) ([]session.Count, error)
	AuthServers(ctx context.Context) ([]session.AuthServerView, error)
	// RunningConfig is the configuration as text, secrets hidden.
	RunningConfig(ctx context.Context) (string, error)

	// DropSession, DropTunnel and DropUser disconnect; cause goes to accounting.
	// DropUser returns how many sessions there were.
	DropSession(ctx context.Context, slot uint32, cause session.TerminateCause) error
	DropTunnel(ctx context.Context, id uint16) error
	DropUser(ctx context.Context, user string, cause session.TerminateCause) (int, error)
	// Reload reads the configuration again and returns what the operator should
	// know: warnings, and what takes a restart. On error nothing has changed.
	Reload(ctx context.Context) (notes []string, err error)
	// Shutdown disconnects every session and tunnel, and lets the daemon end once
	// it has returned.
	Shutdown(ctx context.Context) error
}

// Errors for a Backend to wrap.
var (
	// ErrNotFound: there is no such session, tunnel, user or pool.
	ErrNotFound = errors.New("not found")
	// ErrRefused: the daemon's state or configuration does not allow it.
	ErrRefused = errors.New("refused")
	// ErrStopping: the daemon is on its way down.
	ErrStopping = errors.New("the daemon is stopping")
)

// Status is the daemon as a whole.
type Status struct {
	Version, HostName string
	Started           time.Time
	Interfaces        []Interface
	// SpreadCPUs are the CPUs that the fast path spreads the LACs' data over; none
	// when each packet is forwarded where it came in.
	SpreadCPUs []int
	Sessions   int // all
	SessionsUp int // those with a network layer
	Tunnels    int
	// TunnelsEstablished leaves out tunnels in set-up or closing.
	TunnelsEstablished int
	Draining           bool
	// Load is the load average over 1, 5 and 15 minutes.
	Load    [3]float64
	Traffic Traffic
}

// Interface is a device and how the fast path is attached to it.
type Interface struct {
	Name string
	Mode string // native, generic or none
}

// Traffic is the subscribers' traffic per second, over the last second or so; up
// is from them.
type Traffic struct {
	UpBits, DownBits, UpPackets, DownPackets float64
}
