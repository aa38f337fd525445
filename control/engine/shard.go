package engine

import (
	"context"
	"math/rand/v2"
	"time"
)

// Shard owns a part of the tunnels with all their sessions.
type Shard struct{}

func newShard(e *Engine, index int, random *rand.ChaCha8) *Shard { return &Shard{} }

func (s *Shard) run(ctx context.Context) {}

// Step does all that is due at now: what came in and what timers say. Deadline
// is when to step again if nothing comes in; the zero time is never.
func (s *Shard) Step(now time.Time)  {}
func (s *Shard) Deadline() time.Time { return time.Time{} }
