package pool

// Restore takes the numbers in taken, which were taken in an earlier life, before the
// first Take. It reports whether each is in range and named once.
func (s *Slots) Restore(taken []uint32) bool {
	used := make(map[uint32]bool, len(taken))
	for _, n := range taken {
		if n == 0 || n > s.max || used[n] {
			return false
		}
		used[n] = true
		s.high = max(s.high, n)
	}
	for n := uint32(1); n <= s.high; n++ {
		if !used[n] {
			s.Free(n)
		}
	}
	return true
}

// Restore takes an id that was taken in an earlier life; false when it is 0, taken, or
// none of this allocator's.
func (s *IDs) Restore(id uint16) bool {
	if id == 0 || id&s.mask != s.fixed || s.has(id) {
		return false
	}
	s.add(id)
	return true
}
