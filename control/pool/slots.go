package pool

// Slots hands out the numbers 1 to max, densely: a number never used before only
// when no freed one is left. Freed numbers are reused in the order in which they
// were freed. Memory grows with the most that were ever in use at once.
type Slots struct {
	max, high uint32
	// free is a ring of freed numbers; it never holds more than high.
	free       []uint32
	head, held int
}

// NewSlots returns an allocator of the numbers 1 to max.
func NewSlots(max uint32) *Slots { return &Slots{max: max} }

// Take returns a number, or false when all are in use.
func (s *Slots) Take() (uint32, bool) {
	if s.held > 0 {
		n := s.free[s.head]
		s.head = (s.head + 1) % len(s.free)
		s.held--
		return n, true
	}
	if s.high == s.max {
		return 0, false
	}
	s.high++
	return s.high, true
}

// Free returns a number that Take gave out. The caller frees each once.
func (s *Slots) Free(n uint32) {
	if s.held == len(s.free) {
		grown := make([]uint32, max(64, 2*len(s.free)))
		k := copy(grown, s.free[s.head:])
		copy(grown[k:], s.free[:s.head])
		s.free, s.head = grown, 0
	}
	s.free[(s.head+s.held)%len(s.free)] = n
	s.held++
}

// Used is how many are in use, Max how many there can be.
func (s *Slots) Used() int { return int(s.high) - s.held }
func (s *Slots) Max() int  { return int(s.max) }
