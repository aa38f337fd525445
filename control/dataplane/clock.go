package dataplane

import (
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// clock turns the kernel's monotonic times into dates. The distance of the two
// clocks is measured now and then, not per reading, which would be a system call.
type clock struct {
	offset atomic.Int64 // Unix time minus CLOCK_MONOTONIC, in nanoseconds
}

func newClock() *clock {
	c := &clock{}
	c.measure()
	return c
}

// measure takes the distance anew: the date may be set while we run.
func (c *clock) measure() {
	var ts unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts) == nil {
		c.offset.Store(time.Now().UnixNano() - ts.Nano())
	}
}

func (c *clock) counters(u *maps.Usage) session.Counters {
	out := session.Counters{
		UpPackets: u.Up.Packets, UpBytes: u.Up.Bytes,
		DownPackets: u.Down.Packets, DownBytes: u.Down.Bytes,
		UpDropped:   u.Up.Dropped() + u.ThrottledUp,
		DownDropped: u.Down.Dropped() + u.ThrottledDown,
		UpThrottled: u.ThrottledUp, DownThrottled: u.ThrottledDown,
		UpPackets6: u.IPv6.UpPackets, UpBytes6: u.IPv6.UpBytes,
		DownPackets6: u.IPv6.DownPackets, DownBytes6: u.IPv6.DownBytes,
	}
	if last := max(u.Up.LastSeen, u.Down.LastSeen); last != 0 {
		out.LastSeen = time.Unix(0, int64(last)+c.offset.Load())
	}
	return out
}
