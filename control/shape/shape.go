// Package shape limits a stream of packets to a rate without holding any of them, for
// those that take the slow path: as bpf/throttle.h does it, to the bit, but for marks of
// congestion. See there, and bpf/flows.h, for why.
package shape

import (
	"math"
	"math/bits"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// The burst of a rate that names none.
const (
	defaultBurst = time.Second
	leastBurst   = 16 * 1500 // bytes
)

// The rates and bursts that are kept exactly.
const (
	minRate  = 8000
	maxRate  = 1e12
	minBurst = 8 * time.Millisecond
	maxBurst = 16 * time.Second
)

// Time: a tick is a part of a nanosecond, a stamp many of them. What seems to be further
// ahead than mostTicks is in the past. A byte costs parts of a tick.
const (
	tickShift  = 10
	stampShift = 16
	costShift  = 16
	mostTicks  = 1 << 44
)

// Parts of the burst: credit of an idle session beyond the half, and how long a drop
// keeps the other half open, in stamps.
const (
	idleShift = 7
	idleMost  = uint64(7*time.Millisecond) << tickShift
	lately    = 45776
)

// Shaper limits one direction of a session. Its methods may be called from any
// goroutine. Time is that of any clock, as long as it is always the same.
type Shaper struct {
	mu       sync.Mutex
	limited  bool
	begun    bool
	cost     uint64 // of a byte
	depth    uint64 // the burst, ticks
	step     uint   // the credit falls by 1<<step for a flow's room to halve
	full     uint64 // the tick since when credit has gathered
	lastDrop uint32 // stamp, 0 for never
	flows    flows
}

// New returns a shaper of an idle session. The seed makes it unforeseeable which flows
// are taken for one.
func New(r session.Rate, seed uint64) *Shaper {
	s := &Shaper{flows: flows{seed: seed}}
	s.SetRate(r)
	return s
}

// SetRate changes the rate. What has passed is not forgotten.
func (s *Shaper) SetRate(r session.Rate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.limited = r.Limited()
	if !s.limited {
		return
	}
	rate := min(max(r.Bits, minRate), maxRate)
	high, low := bits.Mul64(8*uint64(time.Second), 1<<(tickShift+costShift))
	low, carry := bits.Add64(low, rate-1, 0)
	s.cost, _ = bits.Div64(high+carry, low, rate)

	takes := func(bytes float64) time.Duration {
		return time.Duration(min(bytes*8/float64(r.Bits), maxBurst.Seconds()) * float64(time.Second))
	}
	burst := max(defaultBurst, takes(leastBurst))
	if r.Burst > 0 {
		burst = takes(float64(r.Burst))
	}
	burst = min(max(burst, minBurst), maxBurst)
	ticks := uint64(burst) << tickShift
	s.depth = uint64(burst) >> stampShift << (stampShift + tickShift)
	s.step = nearestPower(ticks / steps)
	s.flows.half = max(nearestPower(ticks/halfLives), leastHalf)
}

// nearestPower is the power of two that is nearest to n, by its logarithm.
func nearestPower(n uint64) uint { return uint(math.Round(math.Log2(float64(n)))) }

// Admit reports whether an IP packet passes at now, and charges it if it does.
func (s *Shaper) Admit(packet []byte, now time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.limited {
		return true
	}
	stamp, at := uint32(now>>stampShift), uint64(now)<<tickShift
	if !s.begun {
		s.begun = true
		s.full = at - uint64(maxBurst)<<tickShift
	}
	cost := (s.cost*uint64(len(packet)) + 1<<costShift - 1) >> costShift
	idle := s.depth/2 + min(s.depth>>idleShift, idleMost)
	most := idle
	if s.lastDrop != 0 && stamp-s.lastDrop < lately {
		most = s.depth
	}
	hash, protocol := s.flows.hash(packet)
	level := s.credit(at, idle)
	if protocol == protocolTCP {
		level = s.credit(at, most)
	}
	f := s.flows.find(hash, stamp)
	room, newcomers := s.room(level), max(s.depth>>newcomerShift, 2*cost)
	share, fits := s.flows.judge(f, stamp, protocol, room, newcomers)
	credit := s.credit(at, most)
	if !fits || credit < cost {
		*f = place{tag: hash.tag(), stamp: stamp, share: saturated(share), used: true}
		s.lastDrop = stamp | 1
		return false
	}
	*f = place{tag: hash.tag(), stamp: stamp, share: saturated(share + s.flows.shareOf(cost)), used: true}
	s.full = at - credit + cost
	return true
}

// credit is what is left at a time, most at most.
func (s *Shaper) credit(at, most uint64) uint64 {
	if s.full-at <= mostTicks {
		return 0
	}
	return min(at-s.full, most)
}

// room is the share up to which a flow may be charged at a level of credit.
func (s *Shaper) room(level uint64) uint64 {
	reserve := s.depth / 2
	if level >= reserve {
		return roomAll + 4*s.flows.shareOf(level-reserve)
	}
	below, room := reserve-level, uint64(0)
	if below>>s.step < 30 {
		room = roomAll >> (below >> s.step)
	}
	return room - (room>>8)*((below&(1<<s.step-1))>>(s.step-8))>>1
}
