package lac

// seenWindow is how far back, in packets, duplicates are told from late ones.
const seenWindow = 256

// arrival classifies a sequence number.
type arrival uint8

const (
	inOrder    arrival = iota // the highest so far
	outOfOrder                // new, but after a higher one
	duplicate                 // seen before
	tooLate                   // below the window: one of the two above
)

// seen remembers which of the last sequence numbers have come.
type seen struct {
	next uint64 // highest + 1
	bits [seenWindow / 64]uint64
}

func (s *seen) mark(seq uint64) arrival {
	word, bit := &s.bits[seq/64%uint64(len(s.bits))], uint64(1)<<(seq%64)
	if seq < s.next {
		switch {
		case s.next-seq > seenWindow:
			return tooLate
		case *word&bit != 0:
			return duplicate
		}
		*word |= bit
		return outOfOrder
	}
	if seq-s.next >= seenWindow {
		s.bits = [len(s.bits)]uint64{}
	} else {
		for n := s.next; n < seq; n++ {
			s.bits[n/64%uint64(len(s.bits))] &^= 1 << (n % 64)
		}
	}
	*word |= bit
	s.next = seq + 1
	return inOrder
}
