package api

import (
	"cmp"
	"context"
	"slices"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

const (
	topCount    = 50
	topMost     = 1000
	topInterval = 2 * time.Second
	topShortest = time.Second
)

// topOrders are what sessions are ranked by.
var topOrders = map[string]func(*lnsv1.TopRate) float64{
	"":        func(r *lnsv1.TopRate) float64 { return r.UpBits + r.DownBits },
	"total":   func(r *lnsv1.TopRate) float64 { return r.UpBits + r.DownBits },
	"up":      func(r *lnsv1.TopRate) float64 { return r.UpBits },
	"down":    func(r *lnsv1.TopRate) float64 { return r.DownBits },
	"packets": func(r *lnsv1.TopRate) float64 { return r.UpPackets + r.DownPackets },
	"drops":   func(r *lnsv1.TopRate) float64 { return r.Drops },
}

// topService answers from what a Backend says of its sessions. Somebody who watches
// costs a walk over them in each interval, nobody costs nothing.
type topService struct {
	lnsv1.UnimplementedTopServer
	backend Backend
}

func (s *topService) Sessions(r *lnsv1.TopRequest, stream grpc.ServerStreamingServer[lnsv1.TopReply]) error {
	rank, ok := topOrders[r.Order]
	if !ok {
		return status.Errorf(codes.InvalidArgument, "there is no order %q", utf8Text(r.Order))
	}
	interval, count := time.Duration(r.Interval), int(r.Count)
	if interval == 0 {
		interval = topInterval
	}
	if count == 0 {
		count = topCount
	}
	if interval < topShortest || count > topMost {
		return status.Errorf(codes.InvalidArgument, "an interval of %v or more, and up to %d sessions", topShortest, topMost)
	}
	ctx := stream.Context()
	t := newTopTable(count, rank)
	if _, err := t.sample(ctx, s.backend, time.Now()); err != nil {
		return asStatus(err)
	}
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return asStatus(ctx.Err())
		case <-tick.C:
		}
		reply, err := t.sample(ctx, s.backend, time.Now())
		if err == nil {
			err = stream.Send(reply)
		}
		if err != nil {
			return asStatus(err)
		}
	}
}

// topTable holds the counters of the last walk.
type topTable struct {
	count int
	rank  func(*lnsv1.TopRate) float64
	last  map[session.Ref]topCounters
	at    time.Time
}

// topCounters are those of a session that rates are made of.
type topCounters struct {
	upPackets, upBytes, downPackets, downBytes, drops uint64
}

func newTopTable(count int, rank func(*lnsv1.TopRate) float64) *topTable {
	return &topTable{count: count, rank: rank, last: map[session.Ref]topCounters{}}
}

// sample walks over the sessions and says what has passed since the walk before.
func (t *topTable) sample(ctx context.Context, b Backend, now time.Time) (*lnsv1.TopReply, error) {
	reply := &lnsv1.TopReply{Total: &lnsv1.TopRate{}}
	seconds := now.Sub(t.at).Seconds()
	next := make(map[session.Ref]topCounters, len(t.last))
	err := b.Sessions(ctx, func(views []session.View) error {
		for i := range views {
			v := &views[i]
			tally(reply, v)
			c := countersOf(&v.Counters)
			next[v.Ref] = c
			old, known := t.last[v.Ref]
			if !known {
				continue
			}
			rate := c.since(old, seconds)
			add(reply.Total, rate)
			if t.rank(rate) > 0 {
				t.insert(reply, v, rate)
			}
		}
		return ctx.Err()
	})
	t.last, t.at = next, now
	reply.Busiest = reply.Busiest[:min(len(reply.Busiest), t.count)]
	return reply, err
}

func tally(r *lnsv1.TopReply, v *session.View) {
	r.Sessions++
	if v.State == "up" {
		r.SessionsUp++
	}
	if s := v.Services; s != nil {
		if s.Up.Limited() || s.Down.Limited() {
			r.Throttled++
		}
		if s.Garden != "" {
			r.Gardened++
		}
	}
}

// insert keeps the busiest in order, and at most one more than are wanted.
func (t *topTable) insert(r *lnsv1.TopReply, v *session.View, rate *lnsv1.TopRate) {
	by := t.rank(rate)
	at, _ := slices.BinarySearchFunc(r.Busiest, by, func(s *lnsv1.TopSession, by float64) int {
		if d := cmp.Compare(by, t.rank(s.Rate)); d != 0 {
			return d
		}
		return cmp.Compare(s.Sid, v.Slot)
	})
	if at >= t.count {
		return
	}
	s := &lnsv1.TopSession{
		Sid: v.Slot, User: utf8Text(v.User), Address: addrText(v.Address), LacName: utf8Text(v.LACName), Rate: rate,
	}
	if x := v.Services; x != nil {
		s.LimitUp, s.LimitDown, s.Garden = x.Up.Bits, x.Down.Bits, utf8Text(x.Garden)
	}
	r.Busiest = slices.Insert(r.Busiest, at, s)
	if len(r.Busiest) > t.count {
		r.Busiest = r.Busiest[:t.count]
	}
}

func countersOf(c *session.Counters) topCounters {
	return topCounters{c.UpPackets, c.UpBytes, c.DownPackets, c.DownBytes, c.UpDropped + c.DownDropped}
}

func (c topCounters) since(old topCounters, seconds float64) *lnsv1.TopRate {
	per := func(now, before uint64) float64 {
		if now < before { // the session was taken out of its garden, and counts anew
			return 0
		}
		return float64(now-before) / seconds
	}
	return &lnsv1.TopRate{
		UpBits: 8 * per(c.upBytes, old.upBytes), DownBits: 8 * per(c.downBytes, old.downBytes),
		UpPackets: per(c.upPackets, old.upPackets), DownPackets: per(c.downPackets, old.downPackets),
		Drops: per(c.drops, old.drops),
	}
}

func add(sum, r *lnsv1.TopRate) {
	sum.UpBits += r.UpBits
	sum.DownBits += r.DownBits
	sum.UpPackets += r.UpPackets
	sum.DownPackets += r.DownPackets
	sum.Drops += r.Drops
}
