package api

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// counting is a backend of sessions whose counters the test moves.
type counting struct {
	Backend
	views []session.View
}

func (c *counting) Sessions(_ context.Context, yield func([]session.View) error) error {
	for v := range slices.Chunk(c.views, 3) {
		if err := yield(slices.Clone(v)); err != nil {
			return err
		}
	}
	return nil
}

func TestTopRanks(t *testing.T) {
	c := &counting{}
	for i := range 10 {
		c.views = append(c.views, session.View{
			Ref: session.Ref{TunnelID: 1, SessionID: uint16(i + 1), Serial: 1}, Slot: uint32(i + 1), State: "up",
			User: fmt.Sprintf("u%d", i+1), Counters: session.Counters{UpBytes: 1 << 40, DownPackets: 7},
		})
	}
	c.views[3].Services = &session.Services{Up: session.Rate{Bits: 8000}}
	c.views[4].Services = &session.Services{Garden: "g"}
	c.views[5].State = "auth"
	at := time.Unix(1000, 0)
	for order, want := range map[string][]uint32{
		"total": {9, 2, 7}, "up": {9, 7}, "down": {2, 9}, "packets": {8, 1}, "drops": {3},
	} {
		c.views = slices.Clone(c.views)
		table := newTopTable(3, topOrders[order])
		if _, err := table.sample(t.Context(), c, at); err != nil {
			t.Fatal(err)
		}
		before := slices.Clone(c.views)
		move := func(slot int, f func(*session.Counters)) { f(&c.views[slot-1].Counters) }
		move(9, func(c *session.Counters) { c.UpBytes += 4000; c.DownBytes += 10 })
		move(7, func(c *session.Counters) { c.UpBytes += 500 })
		move(2, func(c *session.Counters) { c.DownBytes += 1000 })
		move(8, func(c *session.Counters) { c.UpPackets += 10; c.DownPackets += 10 })
		move(1, func(c *session.Counters) { c.UpPackets += 19 })
		move(3, func(c *session.Counters) { c.UpDropped += 4 })
		// One that is new, and another in the place of an old one, have no rate yet.
		c.views = append(c.views, session.View{Ref: session.Ref{TunnelID: 2, SessionID: 1}, Slot: 11, Counters: session.Counters{UpBytes: 1e9}})
		c.views[9].Serial, c.views[9].Counters.UpBytes = 2, 1<<50
		r, err := table.sample(t.Context(), c, at.Add(2*time.Second))
		if err != nil {
			t.Fatal(err)
		}
		c.views = before
		var got []uint32
		for _, s := range r.Busiest {
			got = append(got, s.Sid)
		}
		if !slices.Equal(got, want) {
			t.Errorf("by %s: %v, want %v", order, got, want)
		}
		if r.Sessions != 11 || r.SessionsUp != 9 || r.Throttled != 1 || r.Gardened != 1 {
			t.Errorf("by %s: %v", order, r)
		}
		if x := r.Total; x.UpBits != 8*4500/2 || x.DownBits != 8*1010/2 || x.UpPackets != 29.0/2 || x.Drops != 2 {
			t.Errorf("by %s: total %v", order, x)
		}
	}
}

// A counter that begins anew is no huge rate.
func TestTopCountersBeginAnew(t *testing.T) {
	if r := (topCounters{upBytes: 5}).since(topCounters{upBytes: 500}, 1); r.UpBits != 0 {
		t.Error(r)
	}
}

func BenchmarkTop(b *testing.B) {
	c := &counting{}
	for i := range 100_000 {
		c.views = append(c.views, session.View{Ref: session.Ref{TunnelID: uint16(i >> 10), SessionID: uint16(i)}, Slot: uint32(i + 1), State: "up"})
	}
	table := newTopTable(50, topOrders["total"])
	at := time.Unix(0, 0)
	for b.Loop() {
		for i := range c.views {
			c.views[i].Counters.UpBytes += uint64(i * 7919 % 10007)
		}
		at = at.Add(time.Second)
		if _, err := table.sample(b.Context(), c, at); err != nil {
			b.Fatal(err)
		}
	}
}
