package pool

import (
	"math/bits"
	"time"
)

// IDs hands out unpredictable 16-bit ids (RFC 2661 section 9.1: plain L2TP data
// has no other protection against a blind sender). 0 is never given out
// (section 3.1). A freed id rests for Rest, so that packets still on their way
// never reach a stranger. The zero value is not usable.
//
// Memory is what a tunnel of few sessions needs (a few bytes for each id), and
// 8 KiB once there are many.
type IDs struct {
	random func() uint16
	// mask and fixed say which bits are given; the others are drawn.
	mask, fixed uint16

	few   []uint16 // ids taken or at rest while they are few
	many  *[1 << 16 / 64]uint64
	count int // ids taken or at rest

	resting []rest // by time, from head on
	head    int
	base    time.Time
}

// rest is a freed id and the second, from base on, that it was freed in.
type rest struct {
	at uint32
	id uint16
}

// Rest is how long a freed id is not given out again.
const Rest = 30 * time.Second

// fewMax is how many ids are kept in a list before a bitmap takes its place.
const fewMax = 128

// NewIDs returns an allocator of ids whose low bits, as many as fixedBits, equal
// fixed. random returns unpredictable numbers.
func NewIDs(random func() uint16, fixedBits int, fixed uint16) *IDs {
	mask := uint16(1)<<fixedBits - 1
	return &IDs{random: random, mask: mask, fixed: fixed & mask}
}

// Take returns an id, or false when all are taken or at rest.
func (s *IDs) Take(now time.Time) (uint16, bool) { return s.TakeWhere(now, nil) }

// preferTries is how many ids are drawn for one that is preferred.
const preferTries = 120

// TakeWhere is Take that prefers an id for which good, if not nil, is true. No id is
// asked about after that one.
func (s *IDs) TakeWhere(now time.Time, good func(id uint16) bool) (uint16, bool) {
	s.wake(now)
	space := 1 << 16 >> bits.OnesCount16(s.mask)
	if s.fixed == 0 {
		space-- // 0 itself
	}
	if s.count >= space {
		return 0, false
	}
	for try := 0; good != nil && try < preferTries; try++ {
		if id := s.draw(); id != 0 && !s.has(id) && good(id) {
			s.add(id)
			return id, true
		}
	}
	id := s.draw()
	// Chance finds a free id soon unless the space is nearly full; then the next
	// free one after a random place is taken, which keeps the cost bounded.
	for try := 0; id == 0 || s.has(id); try++ {
		if try < 16 {
			id = s.draw()
		} else {
			id += s.mask + 1
		}
	}
	s.add(id)
	return id, true
}

// Free returns an id that Take gave out; it rests from now on.
func (s *IDs) Free(id uint16, now time.Time) {
	if s.base.IsZero() {
		s.base = now
	}
	s.resting = append(s.resting, rest{at: s.second(now), id: id})
	s.wake(now)
}

// Taken is how many ids are taken and not freed.
func (s *IDs) Taken() int { return s.count - (len(s.resting) - s.head) }

// wake makes ids free whose rest is over. A freed id counts from the end of its
// second, so that the rest is never short.
func (s *IDs) wake(now time.Time) {
	if s.head == len(s.resting) {
		return
	}
	sec := s.second(now)
	for s.head < len(s.resting) && sec > s.resting[s.head].at+uint32(Rest/time.Second) {
		s.remove(s.resting[s.head].id)
		s.head++
	}
	if s.head == len(s.resting) {
		s.resting, s.head = s.resting[:0], 0
	} else if s.head > 64 && s.head > len(s.resting)/2 {
		n := copy(s.resting, s.resting[s.head:])
		s.resting, s.head = s.resting[:n], 0
	}
}

// second is the time from base on; a clock that steps back stands still.
func (s *IDs) second(now time.Time) uint32 {
	d := now.Sub(s.base)
	if d < 0 {
		return 0
	}
	return uint32(d / time.Second)
}

func (s *IDs) draw() uint16 { return s.random()&^s.mask | s.fixed }

func (s *IDs) has(id uint16) bool {
	if s.many != nil {
		return s.many[id>>6]&(1<<(id&63)) != 0
	}
	for _, x := range s.few {
		if x == id {
			return true
		}
	}
	return false
}

func (s *IDs) add(id uint16) {
	s.count++
	if s.many == nil && len(s.few) < fewMax {
		s.few = append(s.few, id)
		return
	}
	if s.many == nil {
		s.many = new([1 << 16 / 64]uint64)
		for _, x := range s.few {
			s.many[x>>6] |= 1 << (x & 63)
		}
		s.few = nil
	}
	s.many[id>>6] |= 1 << (id & 63)
}

func (s *IDs) remove(id uint16) {
	s.count--
	if s.many != nil {
		s.many[id>>6] &^= 1 << (id & 63)
		return
	}
	for i, x := range s.few {
		if x == id {
			s.few[i] = s.few[len(s.few)-1]
			s.few = s.few[:len(s.few)-1]
			return
		}
	}
}
