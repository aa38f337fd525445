package maps

import (
	"sync/atomic"
	"time"
)

// mostUnderWay is how many packets of live traffic are under way at most: fewer than the
// queue of a veth device holds, so that nothing but the program can lose any.
const mostUnderWay = 128

// mostSilence is after how many half seconds in which nothing came, and something is
// missing, it is given up.
const mostSilence = 40

// window is what bounds live traffic, and tells how it goes on.
type window struct {
	arrived atomic.Int64
}

// room waits until another packet may be sent after so many; false means that those that
// are under way are lost.
func (w *window) room(sent int64) bool {
	for end := time.Now().Add(time.Minute); sent-w.arrived.Load() >= mostUnderWay; {
		if time.Now().After(end) {
			return false
		}
		time.Sleep(50 * time.Microsecond)
	}
	return true
}

// flow waits until so many packets more have arrived.
func (w *window) flow(packets int64) {
	want := w.arrived.Load() + packets
	for end := time.Now().Add(time.Minute); w.arrived.Load() < want && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
