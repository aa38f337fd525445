package engine

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// deal is one order to change several sessions, of any shards, all of them or none.
// Each is asked to change; when all have, each is told to keep it, and if one could
// not, the others are told to take it back. Whoever reports last brings the deal a
// step further.
type deal struct {
	e      *Engine
	change *session.Change
	by     string
	refs   []session.Ref
	done   func(n int, err error)

	mu      sync.Mutex
	waiting int
	took    []session.Ref // in effect there
	kept    int
	err     error // the first refusal
}

// StartChange changes the sessions refs, and calls done from a shard, which must not
// wait: with their number, or with the error that kept all of them as they were.
func (e *Engine) StartChange(refs []session.Ref, c *session.Change, by string, done func(n int, err error)) {
	if len(refs) == 0 {
		done(0, session.ErrNoSession)
		return
	}
	d := &deal{e: e, change: c, by: by, refs: refs, done: done, waiting: len(refs)}
	for _, ref := range refs {
		e.in.call(e.shardOf(ref.TunnelID), func(s *Shard) { s.change(ref, d) })
	}
}

// change asks one session.
func (s *Shard) change(ref session.Ref, d *deal) {
	c := s.live(ref)
	if c == nil || c.s.IsEnding() {
		s.counts.add(changesRefused)
		d.report(ref, session.ErrNoSession)
		return
	}
	err := s.e.ports.Services.Check(d.change.Services(c.s.Services()))
	if err != nil {
		err = fmt.Errorf("%w: %w", session.ErrNoService, err)
	} else {
		err = c.s.Change(d.change, d.by, &s.sout)
	}
	if err != nil {
		s.counts.add(changesRefused)
		d.report(ref, err)
		return
	}
	c.deal = d
	s.carry(c)
	s.pump(c.tun)
}

// changed takes the session's report. It returns whether the change is to be kept at
// once: with a single session there is nobody to wait for.
func (s *Shard) changed(c *call, r session.Changed) (keep bool) {
	d := c.deal
	switch {
	case d == nil:
	case r.Undone:
		c.deal = nil
		d.settled(false)
	case r.Err != nil:
		s.counts.add(changesRefused)
		c.deal = nil
		d.report(c.s.Ref(), r.Err)
	case len(d.refs) == 1:
		return true
	default:
		d.report(c.s.Ref(), nil)
	}
	return false
}

// settled closes a deal with a single session.
func (c *call) settled(kept bool) {
	d := c.deal
	c.deal = nil
	d.settled(kept)
}

// report notes that a session has changed, or why it did not.
func (d *deal) report(ref session.Ref, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.took = append(d.took, ref)
	} else if d.err == nil {
		d.err = err
	}
	if d.waiting--; d.waiting > 0 {
		return
	}
	if len(d.took) == 0 {
		d.done(0, d.err)
		return
	}
	d.waiting = len(d.took)
	keep := d.err == nil
	for _, ref := range d.took {
		d.e.in.call(d.e.shardOf(ref.TunnelID), func(s *Shard) { s.settle(ref, d, keep) })
	}
}

// settle tells a session whether its change stands.
func (s *Shard) settle(ref session.Ref, d *deal, keep bool) {
	c := s.live(ref)
	if c == nil || c.deal != d {
		d.settled(false) // it has ended since
		return
	}
	kept := c.s.Settle(s.now, keep, s.e.ports.Forwarder, &s.sout)
	s.carry(c)
	s.pump(c.tun)
	if keep {
		c.settled(kept)
	}
}

// settled notes that a session is done with the deal.
func (d *deal) settled(kept bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if kept {
		d.kept++
	}
	if len(d.refs) > 1 {
		if d.waiting--; d.waiting > 0 {
			return
		}
	}
	if d.err == nil && d.kept == 0 {
		d.err = session.ErrNoSession
	}
	d.done(d.kept, d.err)
}

// Pauses of Change before it asks again sessions that are busy with another change.
const (
	busyPause = 5 * time.Millisecond
	busyTries = 40
)

// Change changes the sessions that x names and returns how many. They have changed,
// and packets are treated accordingly, when it returns; on an error none has. When
// ctx ends first the outcome is open, and the error says so.
func (e *Engine) Change(ctx context.Context, x session.Selector, c *session.Change, o session.ChangeOptions) (int, error) {
	if err := c.Validate(); err != nil {
		return 0, err
	}
	for try := 1; ; try++ {
		refs, err := e.one(ctx, x, o)
		if err != nil {
			return 0, err
		}
		n, err := e.await(ctx, func(done func(int, error)) { e.StartChange(refs, c, o.By, done) })
		if !errors.Is(err, session.ErrBusy) || try == busyTries {
			return n, err
		}
		select {
		case <-time.After(busyPause * time.Duration(1+try%4)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// one finds the sessions for an order, which may be for several or not.
func (e *Engine) one(ctx context.Context, x session.Selector, o session.ChangeOptions) ([]session.Ref, error) {
	refs, err := e.Find(ctx, x)
	switch {
	case err != nil:
		return nil, err
	case len(refs) == 0:
		return nil, session.ErrNoSession
	case len(refs) > 1 && !o.Several:
		return nil, session.ErrSeveral
	}
	return refs, nil
}

// await waits for an order to be carried out.
func (e *Engine) await(ctx context.Context, start func(done func(int, error))) (int, error) {
	type outcome struct {
		n   int
		err error
	}
	done := make(chan outcome, 1)
	start(func(n int, err error) { done <- outcome{n, err} })
	select {
	case r := <-done:
		return r.n, r.err
	case <-ctx.Done():
		return 0, ctx.Err()
	case <-e.stopped:
		return 0, ErrStopped
	}
}

// End ends the sessions that x names and returns how many, when nothing is left of
// them: their packets have stopped and their accounts are closed.
func (e *Engine) End(ctx context.Context, x session.Selector, o session.ChangeOptions) (int, error) {
	refs, err := e.one(ctx, x, o)
	if err != nil {
		return 0, err
	}
	return e.await(ctx, func(done func(int, error)) { e.StartEnd(refs, o.End(), done) })
}

// StartEnd ends the sessions refs, and calls done from a shard, which must not wait,
// with the number of those that lived until then, when all are gone.
func (e *Engine) StartEnd(refs []session.Ref, end session.End, done func(n int, err error)) {
	if len(refs) == 0 {
		done(0, session.ErrNoSession)
		return
	}
	var mu sync.Mutex
	waiting, ended := len(refs), 0
	gone := func(lived bool) {
		mu.Lock()
		defer mu.Unlock()
		if lived {
			ended++
		}
		if waiting--; waiting > 0 {
			return
		}
		if ended == 0 {
			done(0, session.ErrNoSession)
			return
		}
		done(ended, nil)
	}
	for _, ref := range refs {
		e.in.call(e.shardOf(ref.TunnelID), func(s *Shard) { s.end(ref, end, gone) })
	}
}

// end ends a session; gone is called once, with whether it lived.
func (s *Shard) end(ref session.Ref, e session.End, gone func(lived bool)) {
	c := s.live(ref)
	if c == nil {
		gone(false)
		return
	}
	lived := !c.s.IsEnding()
	c.mourners = append(c.mourners, func() { gone(lived) })
	c.s.Drop(s.now, e, &s.sout)
	s.carry(c)
	s.pump(c.tun)
}
