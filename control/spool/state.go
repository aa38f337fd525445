package spool

import (
	"context"
	"time"
)

// State is what the spool holds, and what became of records since it was opened.
type State struct {
	Dir string
	// Waiting records are not with the RADIUS client, InFlight are; Open accounts have
	// a Start and no Stop.
	Waiting, InFlight, Open uint64
	// Bytes is the size on disk, Limit its bound.
	Bytes, Limit uint64
	// Oldest is the event of the oldest record that is not confirmed; zero when there
	// is none.
	Oldest time.Time

	Written, Delivered, Unanswered, ReadBack uint64
	Found, Recovered, Damaged                uint64
	InterimRefused, StartsRefused, Lost      uint64
	Unwritten                                uint64
}

// State asks the keeper, who looks at every record that is not confirmed. It fails
// when ctx ends before the keeper has run, and leaves Oldest out once the spool is
// closed.
func (s *Spool) State(ctx context.Context) (State, error) {
	answer := make(chan time.Time, 1)
	s.mu.Lock()
	s.asked = append(s.asked, answer)
	s.mu.Unlock()
	s.signal()
	select {
	case oldest := <-answer:
		return s.state(oldest), nil
	case <-s.stopped:
		return s.state(time.Time{}), nil
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
}

func (s *Spool) state(oldest time.Time) State {
	c := &s.counts
	return State{
		Dir: s.cfg.Dir, Oldest: oldest, Limit: uint64(s.cfg.MaxBytes),
		Waiting: c.waiting.Load(), InFlight: c.inFlight.Load(), Open: c.open.Load(), Bytes: c.bytes.Load(),
		Written: c.written.Load(), Delivered: c.delivered.Load(), Unanswered: c.unanswered.Load(), ReadBack: c.resent.Load(),
		Found: c.found.Load(), Recovered: c.recovered.Load(), Damaged: c.damaged.Load(),
		InterimRefused: c.interimRefused.Load(), StartsRefused: c.startsRefused.Load(), Lost: c.lost.Load(),
		Unwritten: c.unwritten.Load(),
	}
}

// answer tells those who have asked how old the oldest record is. It goes by the
// events and not by the order of writing: a record that an earlier daemon left may
// have been written after younger ones.
func (s *Spool) answer() {
	s.mu.Lock()
	asked := s.asked
	s.asked = nil
	s.mu.Unlock()
	if len(asked) == 0 {
		return
	}
	var oldest time.Time
	older := func(at time.Time) {
		if oldest.IsZero() || at.Before(oldest) {
			oldest = at
		}
	}
	for i := range s.waiting {
		older(time.Unix(0, s.waiting[i].event))
	}
	for _, it := range s.flying {
		older(time.Unix(0, it.event))
	}
	for _, a := range asked {
		a <- oldest
	}
}
