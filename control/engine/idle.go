package engine

import (
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/l2tp"
)

// watchIdle looks whether a tunnel is to be closed for want of sessions, and when.
func (s *Shard) watchIdle(t *tunnel) {
	t.idleAt = time.Time{}
	if d := t.lac.IdleTimeout; d > 0 && t.sessions == 0 && t.facts != nil && t.closedAt.IsZero() {
		t.idleAt = s.now.Add(d)
		s.timers.set(t, t.idleAt)
	}
}

// idleFor reports whether a tunnel has been without a session for too long.
func (s *Shard) idleFor(t *tunnel) bool {
	return !t.idleAt.IsZero() && t.sessions == 0 && t.closedAt.IsZero() && !s.now.Before(t.idleAt)
}

// closeIdle tells the peer, who may open the tunnel again when it has a call.
func (s *Shard) closeIdle(t *tunnel) {
	t.idleAt = time.Time{}
	s.counts.add(tunnelsIdle)
	s.log.Info("tunnel is idle", append(s.tunnelFields(t), zap.Duration("idle_timeout", t.lac.IdleTimeout))...)
	t.t.Close(s.now, l2tp.Result{Code: l2tp.StopClear, Message: "no session for too long"}, &s.tout)
	s.pump(t)
}

// outgoing is the name of the operator's tunnel that t is, "" for others.
func (t *tunnel) outgoing() string {
	if t.dial == nil {
		return ""
	}
	return t.dial.cfg.Name
}

// placement finds a call that the operator wants in t; nil for none.
func (t *tunnel) placement(name string) *placement {
	if t.dial == nil || name == "" {
		return nil
	}
	return t.dial.placement(name)
}
