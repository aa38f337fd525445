package maps

import "sync/atomic"

// Usage is what a session has counted, by direction. Bytes are those of the
// inner IP packets. LastSeen is CLOCK_MONOTONIC in nanoseconds at the kernel's
// tick resolution, 0 for never.
type Usage struct {
	Up, Down Flow
	// IPv6 is the part of Up and Down that was IPv6.
	IPv6 Share6
	// ThrottledUp and ThrottledDown are packets that were beyond the session's limits, and are not
	// among the drops of Up and Down.
	ThrottledUp, ThrottledDown uint64
}

// Share6 is the IPv6 packets and bytes of a session.
type Share6 = kernelLnsShare6

// Flow is one direction of a Usage. Drops is indexed by Cause.
type Flow = kernelLnsFlow

// Cause says why packets of a session were dropped.
type Cause = kernelLnsCause

// The causes.
const (
	CausePeer      = kernelLnsCauseLNS_CAUSE_PEER      // not from the session's peer
	CauseSource    = kernelLnsCauseLNS_CAUSE_SOURCE    // inner source not the subscriber's
	CauseMalformed = kernelLnsCauseLNS_CAUSE_MALFORMED // inner packet not valid IP
	CauseOutput    = kernelLnsCauseLNS_CAUSE_OUTPUT    // could not be sent
	CausePolicy    = kernelLnsCauseLNS_CAUSE_POLICY    // to another subscriber
)

// Dropped returns the dropped packets of all causes.
func (f *kernelLnsFlow) Dropped() uint64 {
	var sum uint64
	for _, n := range f.Drops {
		sum += n
	}
	return sum
}

// Usage reads a slot's counters without a system call; zero for a slot that
// does not exist. Each number is exact, the set of them is not one moment.
func (m *Maps) Usage(slot uint32) Usage {
	if slot == 0 || slot > m.cfg.Sessions {
		return Usage{}
	}
	return m.readUsage(slot)
}

// EchoSeen is when an Echo-Request of the session in slot was last answered: 0 for
// never, else as LastSeen.
func (m *Maps) EchoSeen(slot uint32) uint64 {
	if slot == 0 || slot > m.cfg.Sessions {
		return 0
	}
	return atomic.LoadUint64(&m.lines.values[slot].EchoSeen)
}

func (m *Maps) readUsage(slot uint32) Usage {
	u := &m.usage.values[slot]
	out := Usage{Up: readFlow(&u.Up), Down: readFlow(&u.Down)}
	m.paths.up.count(slot, &out.Up)
	m.paths.down.count(slot, &out.Down)
	out.ThrottledUp, out.ThrottledDown = m.throttled(slot)
	if int(slot) < len(m.shares.values) {
		s := &m.shares.values[slot]
		out.IPv6 = Share6{
			UpPackets: atomic.LoadUint64(&s.UpPackets), UpBytes: atomic.LoadUint64(&s.UpBytes),
			DownPackets: atomic.LoadUint64(&s.DownPackets), DownBytes: atomic.LoadUint64(&s.DownBytes),
		}
	}
	return out
}

func readFlow(f *Flow) Flow {
	out := Flow{
		Packets:  atomic.LoadUint64(&f.Packets),
		Bytes:    atomic.LoadUint64(&f.Bytes),
		LastSeen: atomic.LoadUint64(&f.LastSeen),
	}
	for i := range f.Drops {
		out.Drops[i] = atomic.LoadUint64(&f.Drops[i])
	}
	return out
}
