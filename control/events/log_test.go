package events

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

func fill(l *Log, from, to uint32) {
	for i := from; i <= to; i++ {
		l.Observe(session.Notice{Slot: i})
	}
}

func TestRead(t *testing.T) {
	for _, c := range []struct {
		name                string
		written             uint32
		after               uint64
		room                int
		first, last, missed uint64
	}{
		{"empty", 0, 0, 8, 0, 0, 0},
		{"all", 3, 0, 8, 1, 3, 0},
		{"the rest", 3, 2, 8, 3, 3, 0},
		{"nothing new", 3, 3, 8, 0, 0, 0},
		{"from the future", 3, 9, 8, 0, 0, 0},
		{"full to the brim", 4, 0, 8, 1, 4, 0},
		{"overrun", 10, 0, 8, 7, 10, 6},
		{"overrun, still in time", 10, 6, 8, 7, 10, 0},
		{"overrun, one too late", 10, 5, 8, 7, 10, 1},
		{"little room", 10, 6, 2, 7, 8, 0},
	} {
		l := NewLog(4)
		fill(l, 1, c.written)
		got, missed, _ := l.Read(c.after, make([]Entry, 0, c.room))
		if missed != c.missed {
			t.Errorf("%s: %d missed, want %d", c.name, missed, c.missed)
		}
		if c.first == 0 {
			if len(got) != 0 {
				t.Errorf("%s: %v", c.name, got)
			}
			continue
		}
		for i, e := range got {
			if want := c.first + uint64(i); e.Sequence != want || e.Slot != uint32(want) {
				t.Errorf("%s: entry %d is %d of slot %d, want %d", c.name, i, e.Sequence, e.Slot, want)
			}
		}
		if len(got) == 0 || got[len(got)-1].Sequence != c.last {
			t.Errorf("%s: %v, want up to %d", c.name, got, c.last)
		}
	}
}

// Followers see everything once and in order while others write.
func TestFollow(t *testing.T) {
	const writers, each = 4, 500
	l := NewLog(writers * each)
	stop := errors.New("enough")
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			at := uint64(0)
			err := l.Follow(context.Background(), 0, func(es []Entry, missed uint64) error {
				for _, e := range es {
					if at++; e.Sequence != at || missed != 0 {
						t.Errorf("sequence %d after %d, %d missed", e.Sequence, at-1, missed)
					}
				}
				if at == writers*each {
					return stop
				}
				return nil
			})
			if !errors.Is(err, stop) {
				t.Error(err)
			}
		})
	}
	for range writers {
		wg.Go(func() { fill(l, 1, each) })
	}
	wg.Wait()
}

func TestFollowEndsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Millisecond)
	defer cancel()
	err := NewLog(4).Follow(ctx, 0, func([]Entry, uint64) error { t.Error("called"); return nil })
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}
