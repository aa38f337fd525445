package spool

import (
	"context"
	"testing"
	"time"
)

func state(t *testing.T, s *Spool) State {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	st, err := s.State(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// The state tells how many records are not confirmed, and of when the oldest is, with
// the RADIUS client, on disk alone, and found by the next process.
func TestState(t *testing.T) {
	dir := t.TempDir()
	s, v := open(t, Config{Dir: dir, Window: 2})
	v.set(true, false)
	s.Start(v.take)
	for _, n := range []int{9, 3, 5, 7} {
		s.Account(record(1, n))
	}
	until(t, "two in flight, two waiting", func() bool { st := state(t, s); return st.InFlight == 2 && st.Waiting == 2 })
	got := state(t, s)
	if want := began.Add(3 * time.Second); !got.Oldest.Equal(want) || got.Dir != dir || got.Limit != 1<<30 || got.Open != 4 || got.Written != 4 {
		t.Errorf("%+v, oldest not %s", got, want)
	}
	for _, r := range v.records() { // the first two
		v.confirm(r, nil)
	}
	until(t, "the first two confirmed", func() bool { return state(t, s).Delivered == 2 })
	if got, want := state(t, s).Oldest, began.Add(5*time.Second); !got.Equal(want) {
		t.Errorf("oldest %s, not %s", got, want)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if st := state(t, s); !st.Oldest.IsZero() || st.Delivered != 2 {
		t.Errorf("closed: %+v", st)
	}

	s, v = open(t, Config{Dir: dir})
	defer s.Close()
	if _, err := s.State(expired()); err == nil {
		t.Error("an answer before there is a keeper")
	}
	v.set(true, false)
	s.Start(v.take)
	got = state(t, s)
	if want := began.Add(5 * time.Second); !got.Oldest.Equal(want) || got.Found != 2 {
		t.Errorf("next process: %+v, oldest not %s", got, want)
	}
	until(t, "handed on", func() bool { return len(v.records()) == 2 })
	for _, r := range v.records() {
		v.confirm(r, nil)
	}
	until(t, "all confirmed", func() bool { return state(t, s).Delivered == 2 })
	if got := state(t, s).Oldest; !got.IsZero() {
		t.Errorf("all confirmed, and the oldest of %s", got)
	}
}
