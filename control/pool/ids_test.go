package pool

import (
	"math/rand/v2"
	"testing"
	"time"
)

func newIDs(seed uint64, bits int, fixed uint16) *IDs {
	rng := rand.New(rand.NewPCG(seed, 0))
	return NewIDs(func() uint16 { return uint16(rng.Uint32()) }, bits, fixed)
}

// RFC 2661 section 3.1: no id is 0; the low bits are those that were given; all
// of the space can be used, and not one id more.
func TestIDSpaceIsUsedUp(t *testing.T) {
	for _, x := range []struct {
		bits  int
		fixed uint16
		want  int
	}{{0, 0, 65535}, {1, 0, 32767}, {1, 1, 32768}, {2, 3, 16384}, {8, 0, 255}} {
		s := newIDs(1, x.bits, x.fixed)
		seen := map[uint16]bool{}
		for {
			id, ok := s.Take(now)
			if !ok {
				break
			}
			if id == 0 || seen[id] || id&(1<<x.bits-1) != x.fixed {
				t.Fatalf("bits %d: bad id %d", x.bits, id)
			}
			seen[id] = true
		}
		if len(seen) != x.want || s.Taken() != x.want {
			t.Errorf("bits %d: %d ids, want %d", x.bits, len(seen), x.want)
		}
	}
}

func TestFreedIDsRest(t *testing.T) {
	s := newIDs(1, 8, 1)
	var ids []uint16
	for range 256 {
		id, _ := s.Take(now)
		ids = append(ids, id)
	}
	s.Free(ids[7], now.Add(900*time.Millisecond))
	if s.Taken() != 255 {
		t.Errorf("%d taken", s.Taken())
	}
	for _, d := range []time.Duration{time.Second, Rest, Rest + 899*time.Millisecond} {
		if id, ok := s.Take(now.Add(d)); ok {
			t.Errorf("%d again after %v", id, d)
		}
	}
	if id, ok := s.Take(now.Add(Rest + 2*time.Second)); !ok || id != ids[7] {
		t.Errorf("after its rest: %d %v, want %d", id, ok, ids[7])
	}
}

// The allocator against a model with the time of each id's release.
func TestIDModel(t *testing.T) {
	s := newIDs(3, 6, 5)
	rng := rand.New(rand.NewPCG(4, 4))
	at := now
	freed := map[uint16]time.Time{}
	taken := []uint16{}
	holds := map[uint16]bool{}
	for range 100000 {
		at = at.Add(time.Duration(rng.IntN(200)) * time.Millisecond)
		if rng.IntN(2) == 0 || len(taken) == 0 {
			id, ok := s.Take(at)
			if !ok {
				continue
			}
			if holds[id] || at.Sub(freed[id]) < Rest {
				t.Fatalf("%d again: held %v, freed %v ago", id, holds[id], at.Sub(freed[id]))
			}
			holds[id] = true
			taken = append(taken, id)
		} else {
			i := rng.IntN(len(taken))
			s.Free(taken[i], at)
			freed[taken[i]] = at
			delete(holds, taken[i])
			taken[i] = taken[len(taken)-1]
			taken = taken[:len(taken)-1]
		}
		if s.Taken() != len(taken) {
			t.Fatalf("%d taken, want %d", s.Taken(), len(taken))
		}
	}
}

// Ids must not follow from one another (RFC 2661 section 9.1); a run of them
// that is in order would be a sign.
func TestIDsAreNotSequential(t *testing.T) {
	s := newIDs(9, 0, 0)
	next := 0
	last := uint16(0)
	for range 1000 {
		id, _ := s.Take(now)
		if id == last+1 {
			next++
		}
		last = id
	}
	if next > 3 {
		t.Errorf("%d ids follow the one before", next)
	}
}

func TestSlots(t *testing.T) {
	s := NewSlots(100)
	for i := range uint32(100) {
		if n, ok := s.Take(); !ok || n != i+1 {
			t.Fatalf("got %d, want %d", n, i+1)
		}
	}
	if n, ok := s.Take(); ok {
		t.Errorf("got %d of 100", n)
	}
	for _, n := range []uint32{40, 7, 99} {
		s.Free(n)
	}
	for _, want := range []uint32{40, 7, 99} {
		if n, _ := s.Take(); n != want {
			t.Errorf("got %d, want %d", n, want)
		}
	}
	rng := rand.New(rand.NewPCG(1, 1))
	held := map[uint32]bool{}
	for n := range uint32(100) {
		held[n+1] = true
	}
	for range 10000 {
		if rng.IntN(2) == 0 {
			if n, ok := s.Take(); ok {
				if held[n] || n == 0 || n > 100 {
					t.Fatalf("got %d", n)
				}
				held[n] = true
			}
		} else {
			for n := range held {
				s.Free(n)
				delete(held, n)
				break
			}
		}
		if s.Used() != len(held) {
			t.Fatalf("%d used, want %d", s.Used(), len(held))
		}
	}
}

func BenchmarkIDs(b *testing.B) {
	s := newIDs(1, 0, 0)
	for range 30000 {
		s.Take(now)
	}
	at := now
	b.ReportAllocs()
	for b.Loop() {
		id, _ := s.Take(at)
		s.Free(id, at)
		at = at.Add(2 * time.Millisecond)
	}
}
