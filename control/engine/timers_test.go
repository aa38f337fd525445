package engine

import (
	"math/rand/v2"
	"testing"
	"time"
)

type clockwork struct {
	timer
	want time.Time // earliest deadline that was set since it last rang
}

// The heap against a list of the deadlines that were asked for: nobody rings
// early, nobody is forgotten, and the order is that of time.
func TestTimersModel(t *testing.T) {
	base := time.Unix(1_700_000_000, 0)
	rng := rand.New(rand.NewPCG(1, 2))
	h := timers{base: base}
	xs := make([]*clockwork, 200)
	for i := range xs {
		xs[i] = &clockwork{}
	}
	now := base
	for range 20000 {
		x := xs[rng.IntN(len(xs))]
		switch rng.IntN(4) {
		case 0, 1:
			at := now.Add(time.Duration(rng.IntN(1000)) * time.Millisecond)
			h.set(x, at)
			if x.want.IsZero() || at.Before(x.want) {
				x.want = at
			}
		case 2:
			h.remove(x)
			x.want = time.Time{}
		case 3:
			now = now.Add(time.Duration(rng.IntN(20)) * time.Millisecond)
			for {
				a, ok := h.pop(now)
				if !ok {
					break
				}
				r := a.(*clockwork)
				if r.want.IsZero() || r.want.After(now) {
					t.Fatalf("rang at %v, wanted %v", now, r.want)
				}
				r.want = time.Time{}
			}
		}
		var first time.Time
		waiting := 0
		for _, x := range xs {
			if x.want.IsZero() {
				continue
			}
			waiting++
			if first.IsZero() || x.want.Before(first) {
				first = x.want
			}
		}
		if len(h.heap) != waiting || !h.next().Equal(first) {
			t.Fatalf("%d in the heap, next %v; want %d, %v", len(h.heap), h.next(), waiting, first)
		}
	}
}

func TestZeroDeadlineIsNever(t *testing.T) {
	h := timers{base: time.Unix(0, 0)}
	h.set(&clockwork{}, time.Time{})
	if len(h.heap) != 0 || !h.next().IsZero() {
		t.Error("set for never")
	}
}

func BenchmarkTimerMovesLater(b *testing.B) {
	base := time.Unix(0, 0)
	h := timers{base: base}
	xs := make([]clockwork, 30000)
	for i := range xs {
		h.set(&xs[i], base.Add(time.Duration(i)))
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		h.set(&xs[i%len(xs)], base.Add(time.Hour+time.Duration(i)))
	}
}
