// Package trace decides what is traced, and brings the lines to the log and to those
// who follow a trace.
package trace

import (
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/lnsd/lnsd/control/session"
)

// Limits of what a trace may cost.
const (
	// maxRules bounds the rules: each line is held against all of them.
	maxRules = 256
	// linesPerSecond is what goes to the log, lineBurst what may do so at once.
	linesPerSecond, lineBurst = 2000, 10000
)

// Hub holds the rules and distributes the lines. It is safe for concurrent use; to give
// it a line never waits for a follower.
type Hub struct {
	log *zap.Logger
	now func() time.Time

	// all are the rules of the log and of the followers; nil where there are none.
	all     atomic.Pointer[session.TraceRules]
	dropped atomic.Uint64

	mu        sync.Mutex
	lastID    uint32
	rules     []session.TraceRule
	followers []*follower
	waiting   waiting
	limit     *rate.Limiter
	untold    uint64 // dropped lines that the log does not know of
}

// New makes a hub that writes to log, whose level must let information pass. now is
// the clock that rules end by.
func New(log *zap.Logger, now func() time.Time) *Hub {
	return &Hub{log: log, now: now, limit: rate.NewLimiter(linesPerSecond, lineBurst), waiting: newWaiting()}
}

// Tracing returns the rules in force; nil where there are none.
func (h *Hub) Tracing() session.TraceRules {
	if r := h.all.Load(); r != nil {
		return *r
	}
	return nil
}

// Set traces a target into the log, for that long or, when d is 0, until Clear. A
// trace of the same target is replaced. by says who wants it.
func (h *Hub) Set(t session.TraceTarget, m session.TraceMask, d time.Duration, by string) (session.TraceRule, error) {
	if !t.Valid() || m == 0 {
		return session.TraceRule{}, fmt.Errorf("trace: nothing to trace")
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	h.remove(func(r *session.TraceRule) bool { return r.TraceTarget == t })
	if len(h.rules) >= maxRules {
		return session.TraceRule{}, fmt.Errorf("trace: there are %d traces; clear some", maxRules)
	}
	h.lastID++
	r := session.TraceRule{ID: h.lastID, TraceTarget: t, Mask: m, By: by}
	if d > 0 {
		r.Until = h.now().Add(d)
		time.AfterFunc(d, h.prune)
	}
	h.rules = append(h.rules, r)
	h.publish()
	h.log.Info("trace set", zap.Stringer("target", t), zap.Stringer("categories", m), zap.Duration("for", d), zap.String("by", by))
	return r, nil
}

// List returns the rules of the log, and how many lines were too many for it.
func (h *Hub) List() (rules []session.TraceRule, dropped uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	return slices.Clone(h.rules), h.dropped.Load()
}

// Clear ends the traces into the log that which chooses, and returns them.
func (h *Hub) Clear(which func(*session.TraceRule) bool) []session.TraceRule {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
	gone := h.remove(which)
	h.publish()
	return gone
}

func (h *Hub) remove(which func(*session.TraceRule) bool) (gone []session.TraceRule) {
	h.rules = slices.DeleteFunc(h.rules, func(r session.TraceRule) bool {
		if which(&r) {
			gone = append(gone, r)
			return true
		}
		return false
	})
	return gone
}

func (h *Hub) prune() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.expire()
}

// expire ends the rules whose time is over.
func (h *Hub) expire() {
	now := h.now()
	if len(h.remove(func(r *session.TraceRule) bool { return !r.Until.IsZero() && !now.Before(r.Until) })) > 0 {
		h.publish()
	}
}

// publish makes the rules those that Tracing returns.
func (h *Hub) publish() {
	all := make(session.TraceRules, 0, len(h.rules)+len(h.followers))
	all = append(all, h.rules...)
	for _, f := range h.followers {
		all = append(all, f.rule)
	}
	if len(all) == 0 {
		h.all.Store(nil)
		h.waiting.clear()
		return
	}
	h.all.Store(&all)
}

// Trace brings a line to where it is wanted.
func (h *Hub) Trace(l session.TraceLine) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, earlier := range h.waiting.resolve(&l) {
		h.deliver(&earlier, func(r *session.TraceRule) bool { return r.User != "" })
	}
	h.deliver(&l, func(*session.TraceRule) bool { return true })
	if l.User == "" && l.SessionID != 0 && h.wantsUsers(l.Category) {
		h.waiting.keep(l)
	}
}

// deliver gives a line to the log and to the followers, as far as the rules for them
// are among those meant.
func (h *Hub) deliver(l *session.TraceLine, meant func(*session.TraceRule) bool) {
	wants := func(r *session.TraceRule) bool {
		return r.Mask&l.Category != 0 && meant(r) && r.Matches(&l.TraceSubject)
	}
	for _, f := range h.followers {
		if wants(&f.rule) {
			f.add(*l)
		}
	}
	logged := l.Policy&l.Category != 0 && meant(&session.TraceRule{})
	for i := range h.rules {
		logged = logged || wants(&h.rules[i])
	}
	if logged {
		h.write(l)
	}
}

// wantsUsers reports whether lines of sessions whose user is not known yet are worth
// keeping.
func (h *Hub) wantsUsers(category session.TraceMask) bool {
	for _, r := range h.Tracing() {
		if r.User != "" && r.Mask&category != 0 {
			return true
		}
	}
	return false
}

// write logs a line unless there are too many.
func (h *Hub) write(l *session.TraceLine) {
	if !h.limit.Allow() {
		h.dropped.Add(1)
		h.untold++
		return
	}
	fields := make([]zap.Field, 0, 8)
	fields = append(fields, zap.Stringer("category", l.Category))
	if l.TunnelID != 0 {
		fields = append(fields, zap.Uint16("tunnel", l.TunnelID))
	}
	if l.SessionID != 0 {
		fields = append(fields, zap.Uint16("session", l.SessionID), zap.Uint32("slot", l.Slot), zap.String("user", l.User))
	}
	if l.LAC.IsValid() {
		fields = append(fields, zap.Stringer("peer", l.LAC))
	}
	if h.untold > 0 {
		fields = append(fields, zap.Uint64("dropped_before", h.untold))
		h.untold = 0
	}
	h.log.Info(l.Text, fields...)
}

// Asked traces an operator's call of the interface.
func (h *Hub) Asked(method, by string, err error) {
	if h.all.Load() == nil {
		return
	}
	text := method + " by " + by + ": done"
	if err != nil {
		text = method + " by " + by + ": refused"
	}
	h.Trace(session.TraceLine{At: h.now(), Category: session.TraceAPI, Text: text})
}
