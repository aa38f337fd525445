package trace

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/lnsd/lnsd/control/session"
)

const (
	// maxFollowers bounds those who follow at once.
	maxFollowers = 32
	// maxBehind is how many lines a follower may be behind.
	maxBehind = 8192
)

// follower is a rule whose lines go to one reader.
type follower struct {
	rule session.TraceRule
	more chan struct{} // holds one signal

	mu     sync.Mutex
	lines  []session.TraceLine
	missed uint64
}

func (f *follower) add(l session.TraceLine) {
	f.mu.Lock()
	if len(f.lines) < maxBehind {
		f.lines = append(f.lines, l)
	} else {
		f.missed++
	}
	f.mu.Unlock()
	select {
	case f.more <- struct{}{}:
	default: // it knows
	}
}

func (f *follower) take() (lines []session.TraceLine, missed uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	lines, missed = f.lines, f.missed
	f.lines, f.missed = nil, 0
	return lines, missed
}

// Follow traces a target and calls yield with its lines until ctx ends or yield fails;
// it returns that error. begun is called when the trace is in force. missed is how many
// lines were lost since the last call.
func (h *Hub) Follow(ctx context.Context, t session.TraceTarget, m session.TraceMask, begun func() error,
	yield func(lines []session.TraceLine, missed uint64) error) error {
	if !t.Valid() || m == 0 {
		return fmt.Errorf("trace: nothing to trace")
	}
	f := &follower{rule: session.TraceRule{TraceTarget: t, Mask: m}, more: make(chan struct{}, 1)}
	if err := h.enter(f); err != nil {
		return err
	}
	defer h.leave(f)
	if err := begun(); err != nil {
		return err
	}
	for {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-f.more:
		}
		lines, missed := f.take()
		if err := yield(lines, missed); err != nil {
			return err
		}
	}
}

func (h *Hub) enter(f *follower) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.followers) >= maxFollowers {
		return fmt.Errorf("trace: %d traces are followed already", maxFollowers)
	}
	h.followers = append(h.followers, f)
	h.publish()
	return nil
}

func (h *Hub) leave(f *follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers = slices.DeleteFunc(h.followers, func(x *follower) bool { return x == f })
	h.publish()
}
