package pool

import (
	"math/rand/v2"
	"sync"
	"testing"
)

// TestPlacesAreOnesOwn: however many claim at once, a place has one owner, and can be
// had again when it was released.
func TestPlacesAreOnesOwn(t *testing.T) {
	const sessions = 1000
	p := NewPlaces(sessions)
	type ids struct{ tunnel, session uint16 }
	var mu sync.Mutex
	owners := map[uint32]ids{}
	var wg sync.WaitGroup
	for worker := range 4 {
		wg.Go(func() {
			rng := rand.New(rand.NewPCG(1, uint64(worker)))
			for range 2000 {
				id := ids{uint16(rng.Uint32()), uint16(rng.Uint32())}
				if !p.Claim(id.tunnel, id.session) {
					continue
				}
				place := p.Place(id.tunnel, id.session)
				mu.Lock()
				if other, ok := owners[place]; ok || place > sessions*9/8 {
					t.Errorf("place %d of %v is that of %v", place, id, other)
				}
				owners[place] = id
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	for _, id := range owners {
		if p.Claim(id.tunnel, id.session) {
			t.Errorf("%v claimed twice", id)
		}
		p.Release(id.tunnel, id.session)
		if !p.Claim(id.tunnel, id.session) {
			t.Errorf("%v not claimed after its release", id)
		}
	}
}

// TestIDsWithPlaces: ids are drawn such that nearly all sessions have a place of
// their own, also when there are as many as there can be, in few tunnels and in many.
func TestIDsWithPlaces(t *testing.T) {
	for _, tunnels := range []int{1, 20, 5000} {
		const sessions = 50000
		p := NewPlaces(sessions)
		rng := rand.New(rand.NewPCG(1, 2))
		random := func() uint16 { return uint16(rng.Uint32()) }
		ids, seen := make([]*IDs, tunnels), map[[2]int]bool{}
		own := 0
		for i := range sessions {
			tunnel := i % tunnels
			if ids[tunnel] == nil {
				ids[tunnel] = NewIDs(random, 0, 0)
			}
			claimed := false
			id, ok := ids[tunnel].TakeWhere(now, func(id uint16) bool {
				claimed = p.Claim(uint16(tunnel+1), id)
				return claimed
			})
			if key := [2]int{tunnel, int(id)}; !ok || id == 0 || seen[key] {
				t.Fatalf("session %d in tunnel %d: id %d, %v", i, tunnel, id, ok)
			} else {
				seen[key] = true
			}
			if claimed {
				own++
			}
		}
		if own < sessions*98/100 {
			t.Errorf("%d tunnels: only %d of %d sessions have a place", tunnels, own, sessions)
		}
	}
}
