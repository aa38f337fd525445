package cli

import (
	"context"
	"math/bits"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// barWidth is how long the bar of the fullest bucket is.
const barWidth = 40

func (a *app) histogramCommands() []command {
	return []command{
		{words: "show histogram idle", help: "Show how many sessions have had no traffic for how long", run: a.showHistogram("idle", idle)},
		{words: "show histogram open", help: "Show how many sessions have been open for how long", run: a.showHistogram("open",
			func(s *lnsv1.SessionInfo) time.Duration { return since(s.Opened, s.Now) })},
	}
}

// showHistogram counts the sessions that there are by some time of theirs, in buckets
// each of which is twice as wide as the one before: below a second, below two, ...
func (a *app) showHistogram(name string, of func(*lnsv1.SessionInfo) time.Duration) func(context.Context, string) error {
	return func(ctx context.Context, _ string) error {
		var buckets []uint64
		err := a.call(ctx, func(ctx context.Context, c *api.Client) error {
			return eachSession(ctx, c, &lnsv1.SessionsRequest{}, func(s *lnsv1.SessionInfo) error {
				n := bits.Len64(uint64(max(0, of(s)/time.Second)))
				for len(buckets) <= n {
					buckets = append(buckets, 0)
				}
				buckets[n]++
				return nil
			})
		})
		if err != nil {
			return err
		}
		if a.json {
			return a.histogramJSON(name, buckets)
		}
		return a.histogramTable(name, buckets)
	}
}

func (a *app) histogramTable(name string, buckets []uint64) error {
	most := uint64(1)
	for _, n := range buckets {
		most = max(most, n)
	}
	t := &table{w: a.env.Out, columns: []column{{name + " below", 20, true}, {"Sessions", 10, true}, {"", barWidth, false}}}
	for i, n := range buckets {
		length := (n*barWidth + most - 1) / most
		if err := t.row(span(time.Second<<i), count(n), strings.Repeat("#", int(length))); err != nil {
			return err
		}
	}
	return t.head()
}

func (a *app) histogramJSON(name string, buckets []uint64) error {
	type bucket struct {
		Below    uint64 `json:"below_seconds"`
		Sessions uint64 `json:"sessions"`
	}
	out := struct {
		Of      string   `json:"of"`
		Buckets []bucket `json:"buckets"`
	}{name, []bucket{}}
	for i, n := range buckets {
		out.Buckets = append(out.Buckets, bucket{1 << i, n})
	}
	return printJSON(a.env.Out, out)
}
