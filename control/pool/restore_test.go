package pool

import (
	"testing"
	"time"
)

func TestRestoreSlots(t *testing.T) {
	s := NewSlots(8)
	if !s.Restore([]uint32{2, 5}) || s.Used() != 2 {
		t.Fatalf("%d used", s.Used())
	}
	seen := map[uint32]bool{2: true, 5: true}
	for range 6 {
		n, ok := s.Take()
		if !ok || seen[n] || n > 8 {
			t.Errorf("took %d, %v", n, ok)
		}
		seen[n] = true
	}
	if n, ok := s.Take(); ok {
		t.Errorf("%d is one too many", n)
	}
	for _, bad := range [][]uint32{{0}, {9}, {3, 3}} {
		if NewSlots(8).Restore(bad) {
			t.Errorf("%v was restored", bad)
		}
	}
}

func TestRestoreIDs(t *testing.T) {
	next := uint16(0)
	s := NewIDs(func() uint16 { next++; return next }, 1, 1)
	for id, want := range map[uint16]bool{3: true, 0: false, 4: false} {
		if s.Restore(id) != want {
			t.Errorf("id %d", id)
		}
	}
	if s.Restore(3) {
		t.Error("restored twice")
	}
	now := time.Unix(0, 0)
	for range 100 {
		if id, ok := s.Take(now); !ok || id == 3 {
			t.Fatalf("took %d", id)
		}
	}
}
