package maps

import (
	"math"
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"golang.org/x/sys/unix"
)

// Limit bounds one direction of a session.
type Limit struct {
	// Bits is the rate in bit/s, counted over inner IP packets; 0 is no limit. Rates
	// beyond MinRate and MaxRate count as those.
	Bits uint64
	// Burst is the most that passes at once after a pause, as time at the rate: from
	// MinBurst to MaxBurst, and 0 is as short as can be.
	Burst time.Duration
}

// The rates and bursts that are kept exactly.
const (
	MinRate  = 8000
	MaxRate  = 1e12
	MinBurst = 8 * time.Millisecond
	MaxBurst = 16 * time.Second
)

// Flags that this package sets by the limits.
const (
	flagThrottleUp   = kernelLnsFlagLNS_THROTTLE_UP
	flagThrottleDown = kernelLnsFlagLNS_THROTTLE_DOWN
)

// FlagPacketLimit makes packets to the session count against Config.PacketLimit.
const FlagPacketLimit = kernelLnsFlagLNS_PACKET_LIMIT

// serviceFlags may change while packets pass: each is looked at once a packet.
const serviceFlags = flagThrottleUp | flagThrottleDown | FlagPacketLimit |
	flagFilterUp | flagFilterDown | FlagGarden |
	FlagIntercept | flagCapture

// What bpf/types.h says of time and of lns_shaper.
const (
	tickShift    = 10
	stampShift   = 16
	fractionBits = 16
	stepShift    = 20
	halfShift    = 26
	halfLeast    = 29
)

// cost is what a byte costs at the rate of l, in ticks / 65536, rounded up.
func (l Limit) cost() uint64 {
	rate := min(max(l.Bits, MinRate), MaxRate)
	high, low := bits.Mul64(8*uint64(time.Second), 1<<(tickShift+fractionBits))
	low, carry := bits.Add64(low, rate-1, 0)
	cost, _ := bits.Div64(high+carry, low, rate)
	return cost
}

// shape is the depth, rounded down, and what goes with it: a flow's room halves
// with each sixteenth of the depth, its share in an eighth.
func (l Limit) shape() uint32 {
	if l.Burst <= 0 {
		return halfLeast<<halfShift | halfLeast<<stepShift
	}
	burst := min(max(l.Burst, MinBurst), MaxBurst)
	ticks := float64(uint64(burst) << tickShift)
	step := uint32(math.Round(math.Log2(ticks / 16)))
	half := max(uint32(math.Round(math.Log2(ticks/8))), halfLeast)
	return half<<halfShift | step<<stepShift | uint32(burst>>stampShift)
}

// flowPlaces is what bpf/throttle_maps.h says: how many flows are in one set.
const flowPlaces = 4

// flows is how many sets of places lns_flows has, a power of two: a place for each
// session, but for no more than can have packets waiting at one time.
func (cfg Config) flows() uint32 {
	return 1 << min(max(bits.Len32(cfg.Sessions-1), 12), 18) / flowPlaces
}

// limits sets the knobs of throttling.
func (cfg Config) limits(spec *ebpf.CollectionSpec) error {
	if err := spec.Variables[kernelVarFlowMask].Set(cfg.flows() - 1); err != nil {
		return err
	}
	if err := spec.Variables[kernelVarFlowSeed].Set(cfg.FlowSeed); err != nil {
		return err
	}
	if cfg.PacketLimit == 0 {
		return nil
	}
	interval := max(uint64(100*time.Millisecond)/uint64(cfg.PacketLimit), 1)
	return spec.Variables[kernelVarPacketInterval].Set(interval)
}

// mapShapers maps what the daemon shares with the program into memory.
func (m *Maps) mapShapers() (err error) {
	for i, array := range [...]*ebpf.Map{m.objs.LnsShapeUp, m.objs.LnsShapeDown} {
		if m.shapers[i], err = newMapped[kernelLnsShaper](array); err != nil {
			return err
		}
	}
	m.paces, err = newMapped[uint64](m.objs.LnsPaces)
	return err
}

// clearShapers forgets what an earlier session in slot has taken: credit has gathered
// for long. Since tick 0 would not do, which seems to be ahead where the ticks begin
// anew soon.
func (m *Maps) clearShapers(slot uint32) {
	var now unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) // it has no reason to fail
	for i := range m.shapers {
		m.shapers[i].values[slot] = kernelLnsShaper{Full: uint64(now.Nano()-int64(MaxBurst)) << tickShift}
	}
	m.paces.values[slot] = 0
}

// setLimits writes what the daemon writes of a slot's shapers; what they have let
// pass stays as it is.
func (m *Maps) setLimits(slot uint32, limits [2]Limit) {
	for i, l := range limits {
		if s := &m.shapers[i].values[slot]; l.Bits > 0 {
			atomic.StoreUint32(&s.Shape, l.shape())
			atomic.StoreUint64(&s.Cost, l.cost())
		}
	}
}

// throttled returns the packets that a slot's limits have dropped.
func (m *Maps) throttled(slot uint32) (up, down uint64) {
	return atomic.LoadUint64(&m.shapers[0].values[slot].Dropped), atomic.LoadUint64(&m.shapers[1].values[slot].Dropped)
}
