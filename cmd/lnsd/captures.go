package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/capture"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// newCaptures makes what captures sessions, of which there are none before the rest of
// the daemon.
func (d *daemon) newCaptures() *capture.Hub {
	return capture.New(capture.Ports{
		Switch: func(slot uint32, on bool) {
			d.slow.Capture(slot, on)
			d.fast.Capture(slot, on)
		},
		Session: func(ctx context.Context, slot uint32) (session.View, bool, error) {
			v, err := d.engine.Session(ctx, slot)
			if errors.Is(err, engine.ErrNotFound) {
				return v, false, nil
			}
			return v, err == nil, err
		},
		Missed: func() uint64 { return d.fast.CapturesMissed() },
		Sessions: func(ctx context.Context, yield func([]session.View) error) error {
			return d.engine.Sessions(ctx, yield)
		},
	})
}

// Capture captures for an operator.
func (b *backend) Capture(ctx context.Context, c api.Capture, yield func(data []byte, packets, dropped uint64) error) error {
	if int(c.Slot) > b.d.maxSessions {
		return fmt.Errorf("session %d: %w", c.Slot, api.ErrNotFound)
	}
	o := capture.Options{
		Target: capture.Target{Slot: c.Slot, User: c.User, Calling: c.Calling, LAC: c.LAC},
		Snap:   c.Snap, Secrets: c.Secrets, By: c.By,
	}
	err := b.d.captures.Capture(ctx, o, func(p capture.Part) error { return yield(p.Data, p.Packets, p.Dropped) })
	if errors.Is(err, capture.ErrTooMany) {
		return fmt.Errorf("%w: %w", api.ErrRefused, err)
	}
	return translate(err)
}

// ListCaptures returns the captures that are on.
func (b *backend) ListCaptures() []api.ActiveCapture {
	var out []api.ActiveCapture
	for _, v := range b.d.captures.List() {
		out = append(out, api.ActiveCapture{
			Capture: api.Capture{Slot: v.Slot, User: v.User, Calling: v.Calling, LAC: v.LAC, Snap: v.Snap, Secrets: v.Secrets, By: v.By},
			Since:   v.Since, Sessions: v.Sessions, Packets: v.Packets, Dropped: v.Dropped,
		})
	}
	return out
}
