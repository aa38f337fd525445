package dataplane

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// What captures may cost: a hundredth of what a core forwards, and packets at full
// length.
const (
	captureRate = 5000 // packets in a second
	captureSnap = 9216 // bytes
)

// Readers of copies in Plane.readers.
const (
	interceptReader = iota
	captureReader
)

// captured is a set of slots.
type captured struct {
	mu    sync.RWMutex
	slots map[uint32]struct{}
}

func (c *captured) has(slot uint32) bool {
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, ok := c.slots[slot]
	return ok
}

func (c *captured) set(slot uint32, on bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !on {
		delete(c.slots, slot)
		return
	}
	if c.slots == nil {
		c.slots = make(map[uint32]struct{})
	}
	c.slots[slot] = struct{}{}
}

func (p *Plane) openCopies() error {
	p.maps.SetCaptureBudget(maps.CaptureBudget{Packets: captureRate, Snap: captureSnap})
	for _, open := range [...]func() (*maps.CopyReader, error){p.maps.Copies, p.maps.Captures} {
		r, err := open()
		if err != nil {
			return err
		}
		p.readers = append(p.readers, r)
	}
	return nil
}

// RunCopies calls f with each copy of an intercepted session's packet until ctx ends.
// It is for one goroutine.
func (p *Plane) RunCopies(ctx context.Context, f func(*session.PacketCopy)) error {
	return p.runCopies(ctx, p.readers[interceptReader], f)
}

// RunCaptures is RunCopies for the sessions that Capture names.
func (p *Plane) RunCaptures(ctx context.Context, f func(*session.PacketCopy)) error {
	return p.runCopies(ctx, p.readers[captureReader], f)
}

// copyPause is how long a reader waits before it looks whether it is to end.
const copyPause = 200 * time.Millisecond

func (p *Plane) runCopies(ctx context.Context, r *maps.CopyReader, f func(*session.PacketCopy)) error {
	var from maps.Copy
	for ctx.Err() == nil {
		err := r.Read(&from, copyPause)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			continue
		}
		if err != nil {
			return err
		}
		c := p.worker.clock.copyOf(&from)
		f(&c)
	}
	return ctx.Err()
}

func (c *clock) copyOf(from *maps.Copy) session.PacketCopy {
	return session.PacketCopy{
		At:   time.Unix(0, int64(from.Time)+c.offset.Load()),
		Slot: from.Slot, TunnelID: from.TunnelID, SessionID: from.SessionID,
		Up: from.Up, Outer: from.Outer, Reason: from.Reason, Length: from.Length, Packet: from.Packet,
	}
}

// CopiesLost is how many packets of the session in slot could not be copied for its
// interception.
func (p *Plane) CopiesLost(slot uint32) uint64 { return p.maps.CopiesLost(slot) }

// ForgetCopiesLost gives the counter of a slot back.
func (p *Plane) ForgetCopiesLost(slot uint32) { p.maps.ForgetCopiesLost(slot) }

// Capture begins or ends the capture of what is in slot, now and later.
func (p *Plane) Capture(slot uint32, on bool) {
	p.worker.captured.set(slot, on)
	p.maps.SetCapture(slot, on)
}

// CapturesMissed is how many packets of captured sessions were not captured, since the
// maps were made.
func (p *Plane) CapturesMissed() uint64 {
	withheld, lost := p.maps.CapturesMissed()
	return withheld + lost
}
