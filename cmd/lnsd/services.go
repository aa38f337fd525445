package main

import (
	"context"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/session"
)

var _ api.ServicesBackend = (*backend)(nil)

// ChangeServices changes sessions for an operator.
func (b *backend) ChangeServices(ctx context.Context, x session.Selector, c *session.Change, o session.ChangeOptions) (int, error) {
	n, err := b.d.engine.Change(ctx, x, c, o)
	return n, translate(err)
}

// DefaultRate is what a session is throttled to when no rate is given.
func (b *backend) DefaultRate() session.Rate { return b.current.throttle() }

// throttleRate is the rate of sessions that are given none.
func throttleRate(c *config.Config) session.Rate {
	return session.Rate{Bits: uint64(c.Sessions.ThrottleSpeed) * 1000, Burst: uint32(c.Sessions.ThrottleBurst)}
}
