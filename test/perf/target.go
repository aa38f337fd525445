package perf

import (
	"errors"
	"time"
)

// target is a forwarder in its place, ready to be measured.
type target struct {
	name    string
	rig     *rig
	table   *table
	passage passage
	// skb says that packets leave as socket buffers.
	skb bool
	// patient says that the forwarder works beside the generator and not within
	// it: it is given time, and rates that it can bear.
	patient bool
	// busy, when set, says that it forwards on another CPU than the generator's, and
	// how long that has worked for it.
	busy func() (time.Duration, error)
	// upOnly says that it is measured in that direction alone, with the first size.
	upOnly bool

	// attach makes the target the one that forwards in its rig, detach undoes it.
	attach, detach func() error
}

// stream is what the target is measured with.
func (t *target) stream(d Direction, size int) *stream {
	from, to := t.rig.sides(d)
	return &stream{
		direction: d, tunnelled: t.passage != routing && d == Up, size: size,
		table: t.table, from: from, to: to,
	}
}

// worked is how long another CPU has worked for the target, 0 where none does.
func (t *target) worked() time.Duration {
	if t.busy == nil {
		return 0
	}
	d, err := t.busy()
	if err != nil {
		return 0 // its thread is gone: nothing arrives either
	}
	return d
}

// isFor tells whether the target is measured in a cell, size being the first one.
func (t *target) isFor(c cell, size int) bool {
	return !t.upOnly || c.direction == Up && c.size == size
}

// withAttached runs f while the target forwards.
func (t *target) withAttached(f func() error) error {
	if err := t.attach(); err != nil {
		return errors.Join(err, t.detach())
	}
	return errors.Join(f(), t.detach())
}

func nothing() error { return nil }

// closers are undone in reverse order.
type closers []func() error

func (c *closers) add(f func() error) { *c = append(*c, f) }

func (c *closers) close() error {
	var errs []error
	for i := len(*c) - 1; i >= 0; i-- {
		errs = append(errs, (*c)[i]())
	}
	*c = nil
	return errors.Join(errs...)
}
