package main

import (
	"context"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/api"
)

// volume is the subscribers' traffic since the start, over all sessions and both
// paths; it only grows.
type volume struct {
	upPackets, upBytes, downPackets, downBytes uint64
}

// rates turns the totals into figures per second, once a second.
type rates struct {
	read func() volume

	// each, if given, is told the figures of every second.
	each func(api.Traffic)

	mu     sync.Mutex
	result api.Traffic
}

func newRates(read func() volume, each func(api.Traffic)) *rates {
	return &rates{read: read, each: each}
}

func (r *rates) run(ctx context.Context) {
	tick := time.NewTicker(time.Second)
	defer tick.Stop()
	last, at := r.read(), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, v := time.Now(), r.read()
		s := now.Sub(at).Seconds()
		per := func(new, old uint64) float64 { return float64(new-old) / s }
		t := api.Traffic{
			UpBits: 8 * per(v.upBytes, last.upBytes), DownBits: 8 * per(v.downBytes, last.downBytes),
			UpPackets: per(v.upPackets, last.upPackets), DownPackets: per(v.downPackets, last.downPackets),
		}
		r.mu.Lock()
		r.result = t
		r.mu.Unlock()
		if r.each != nil {
			r.each(t)
		}
		last, at = v, now
	}
}

func (r *rates) latest() api.Traffic {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.result
}
