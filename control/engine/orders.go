package engine

import (
	"context"
	"maps"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// DropSession ends a session for the operator. A zero cause means Admin-Reset.
func (e *Engine) DropSession(ctx context.Context, slot uint32, cause session.TerminateCause) error {
	ref, ok := e.dir.find(slot)
	if !ok {
		return ErrNotFound
	}
	found := false
	err := e.on(ctx, e.shardOf(ref.TunnelID), func(s *Shard) { found = s.drop(ref, cause) })
	if err == nil && !found {
		err = ErrNotFound
	}
	return err
}

// DropUser ends all sessions of a user and returns how many there were. A zero
// cause means Admin-Reset.
func (e *Engine) DropUser(ctx context.Context, user string, cause session.TerminateCause) (int, error) {
	n := 0
	for _, ref := range e.dir.ofUser(user) {
		found := false
		if err := e.on(ctx, e.shardOf(ref.TunnelID), func(s *Shard) { found = s.drop(ref, cause) }); err != nil {
			return n, err
		}
		if found {
			n++
		}
	}
	if n == 0 {
		return 0, ErrNotFound
	}
	return n, nil
}

func (s *Shard) drop(ref session.Ref, cause session.TerminateCause) bool {
	c := s.live(ref)
	if c == nil {
		return false
	}
	c.s.Drop(s.now, session.EndByOperator(cause), &s.sout)
	s.carry(c)
	s.pump(c.tun)
	return true
}

// DropTunnel ends a tunnel with all its sessions.
func (e *Engine) DropTunnel(ctx context.Context, id uint16) error {
	found := false
	err := e.on(ctx, e.shardOf(id), func(s *Shard) {
		t := s.tunnels[id]
		if t == nil || !t.closedAt.IsZero() {
			return
		}
		found, t.dropped = true, true
		t.t.Close(s.now, l2tp.Result{Code: l2tp.StopClear, Message: "dropped by operator"}, &s.tout)
		s.pump(t)
	})
	if err == nil && !found {
		err = ErrNotFound
	}
	return err
}

// Shutdown disconnects every session and tunnel: accounting is stopped and the
// LACs are told. It returns when all is acknowledged or ctx is done. The engine
// must keep running meanwhile; new tunnels and calls are refused from now on.
func (e *Engine) Shutdown(ctx context.Context) error {
	e.drain.Store(true)
	for i := range e.shards {
		if err := e.on(ctx, i, (*Shard).BeginShutdown); err != nil {
			return err
		}
	}
	tick := time.NewTicker(shutdownPoll)
	defer tick.Stop()
	for {
		quiet := true
		for i := range e.shards {
			if err := e.on(ctx, i, func(s *Shard) { quiet = quiet && s.Quiet() }); err != nil {
				return err
			}
		}
		if quiet {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const shutdownPoll = 20 * time.Millisecond

// BeginShutdown ends all sessions of the shard, and each tunnel after its last
// session, so that every Accounting Stop is out before the LAC hears of it.
func (s *Shard) BeginShutdown() {
	if s.shutdown {
		return
	}
	s.shutdown = true
	s.log.Info("shutting down", zap.Int("tunnels", len(s.tunnels)), zap.Int("sessions", len(s.calls)))
	for _, c := range s.sorted(nil) {
		c.s.Drop(s.now, session.EndByShutdown(), &s.sout)
		s.carry(c)
		s.pump(c.tun)
	}
	for _, id := range slices.Sorted(maps.Keys(s.tunnels)) {
		t := s.tunnels[id]
		s.closeIfEmpty(t)
		s.pump(t)
	}
}

// closeIfEmpty ends a tunnel that has no session left, when the shard shuts down.
// pump is to follow.
func (s *Shard) closeIfEmpty(t *tunnel) {
	if !s.shutdown || t.sessions > 0 || !t.closedAt.IsZero() {
		return
	}
	t.t.Close(s.now, l2tp.Result{Code: l2tp.StopShutdown, Message: "server is shutting down"}, &s.tout)
}

// Quiet reports whether a shard that shuts down has nothing left to wait for:
// every session has ended, the Stops are handed over, and the LACs acknowledged. A
// peer that never got its tunnel up may not exist; it is told once.
func (s *Shard) Quiet() bool {
	if len(s.calls) > 0 || len(s.backlog) > 0 {
		return false
	}
	for _, t := range s.tunnels {
		if t.facts == nil && !t.closedAt.IsZero() {
			continue
		}
		st := t.t.Stats()
		if !t.gone && (t.closedAt.IsZero() || st.Queued+st.Unacked > 0) {
			return false
		}
	}
	return true
}
