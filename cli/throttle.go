package cli

import (
	"context"
	"strconv"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

type jsonThrottled struct {
	SID         uint32 `json:"sid"`
	User        string `json:"user"`
	RateUp      uint64 `json:"rate_up"`
	RateDown    uint64 `json:"rate_down"`
	UpPackets   uint64 `json:"up_packets"`
	UpBytes     uint64 `json:"up_bytes"`
	UpDropped   uint64 `json:"up_dropped"`
	DownPackets uint64 `json:"down_packets"`
	DownBytes   uint64 `json:"down_bytes"`
	DownDropped uint64 `json:"down_dropped"`
}

// showThrottle prints the sessions that are held to a rate, rates in kbit/s as l2tpns
// does: in is what the subscriber sends, out what it receives.
func (a *app) showThrottle(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		stream, err := c.Throttled(ctx, &lnsv1.ThrottledRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			err := each(stream, (*lnsv1.ThrottledReply).GetSessions, func(s *lnsv1.ThrottledSession) error {
				return l.item(jsonThrottled{s.Sid, s.User, s.Up.GetBits(), s.Down.GetBits(), s.UpPackets, s.UpBytes, s.UpDropped,
					s.DownPackets, s.DownBytes, s.DownDropped})
			})
			if err != nil {
				return err
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{
			{"SID", 7, true}, {"Username", 32, false}, {"Rate In", 10, true}, {"Rate Out", 10, true},
			{"passed in", 12, true}, {"dropped in", 12, true}, {"passed out", 12, true}, {"dropped out", 12, true}}}
		err = each(stream, (*lnsv1.ThrottledReply).GetSessions, func(s *lnsv1.ThrottledSession) error {
			return t.row(number(s.Sid), s.User, kbits(s.Up), kbits(s.Down),
				count(s.UpPackets), count(s.UpDropped), count(s.DownPackets), count(s.DownDropped))
		})
		if err != nil {
			return err
		}
		return t.head()
	})
}

// kbits is a limit in kbit/s, "-" for none.
func kbits(r *lnsv1.Rate) string {
	if r.GetBits() == 0 {
		return "-"
	}
	return strconv.FormatFloat(float64(r.GetBits())/1000, 'f', -1, 64)
}
