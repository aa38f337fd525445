package maps

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// Limit bounds one direction of a session.
type Limit struct {
	// Bits is the rate in bit/s, counted over inner IP packets; 0 is no limit, and
	// anything up to MinRate counts as MinRate.
	Bits uint64
	// Burst is how long a pause at full rate may be made up for at once; at most
	// MaxBurst.
	Burst time.Duration
}

// The rates and bursts that are kept exactly.
const (
	MinRate  = 1000
	MaxRate  = 1e15
	MaxBurst = 16 * time.Second
)

// Flags that this package sets by the limits.
const (
	flagThrottleUp   = kernelLnsFlagLNS_THROTTLE_UP
	flagThrottleDown = kernelLnsFlagLNS_THROTTLE_DOWN
)

// serviceFlags may change while packets pass: each is looked at once a packet.
const serviceFlags = flagThrottleUp | flagThrottleDown |
	flagFilterUp | flagFilterDown | FlagGarden |
	kernelLnsFlagLNS_INTERCEPT | kernelLnsFlagLNS_CAPTURE

const (
	tickShift    = 10 // LNS_TICK_SHIFT
	fractionBits = 16 // of lns_shaper.cost
)

// cost is what a byte costs at the rate of l, in ticks / 65536, rounded up.
func (l Limit) cost() uint64 {
	rate := min(max(l.Bits, MinRate), MaxRate)
	high, low := bits.Mul64(8*uint64(time.Second), 1<<(tickShift+fractionBits))
	low, carry := bits.Add64(low, rate-1, 0)
	cost, _ := bits.Div64(high+carry, low, rate)
	return cost
}

func (l Limit) depth() uint64 {
	return uint64(min(max(l.Burst, 0), MaxBurst)) << tickShift
}

// setLimits writes what the daemon writes of a slot's shapers; what they have let
// pass stays as it is.
func (m *Maps) setLimits(slot uint32, limits [2]Limit) {
	s := &m.shapers.values[slot]
	for i, d := range [...]*kernelLnsShaper{&s.Up, &s.Down} {
		if l := limits[i]; l.Bits > 0 {
			atomic.StoreUint64(&d.Depth, l.depth())
			atomic.StoreUint64(&d.Cost, l.cost())
		}
	}
}

// Throttled is what a direction of a session lost by its Limit.
type Throttled struct{ Packets, Bytes uint64 }

func readThrottled(s *kernelLnsShaper) Throttled {
	return Throttled{Packets: atomic.LoadUint64(&s.DroppedPackets), Bytes: atomic.LoadUint64(&s.DroppedBytes)}
}
