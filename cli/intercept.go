package cli

import (
	"context"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) interceptCommands() []command {
	return []command{{
		words: "show intercept", help: "Show whose packets are copied, and where to (takes the right to intercept)",
		run: func(ctx context.Context, _ string) error { return a.showIntercept(ctx) },
	}}
}

type jsonInterception struct {
	SID           uint32 `json:"sid"`
	User          string `json:"user"`
	AcctSessionID string `json:"acct_session_id"`
	Target        string `json:"target"`
	Since         moment `json:"since"`
	UpPackets     uint64 `json:"up_packets"`
	UpBytes       uint64 `json:"up_bytes"`
	DownPackets   uint64 `json:"down_packets"`
	DownBytes     uint64 `json:"down_bytes"`
	Lost          uint64 `json:"lost"`
	NotSent       uint64 `json:"not_sent"`
}

func (a *app) showIntercept(ctx context.Context) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Interceptions(ctx, &lnsv1.InterceptionsRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			for _, x := range reply.Interceptions {
				err := l.item(jsonInterception{
					SID: x.Sid, User: x.User, AcctSessionID: x.AcctSessionId, Target: x.Target, Since: moment(x.Since),
					UpPackets: x.UpPackets, UpBytes: x.UpBytes, DownPackets: x.DownPackets, DownBytes: x.DownBytes,
					Lost: x.Lost, NotSent: x.NotSent,
				})
				if err != nil {
					return err
				}
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{
			{"SID", 7, true}, {"User", 24, false}, {"Receiver", 24, false}, {"Copied up", 12, true}, {"down", 12, true},
			{"Lost", 10, true}, {"Not sent", 10, true}, {"Since", 0, false}}}
		for _, x := range reply.Interceptions {
			err := t.row(count(uint64(x.Sid)), x.User, x.Target, count(x.UpPackets), count(x.DownPackets),
				count(x.Lost), count(x.NotSent), time.Unix(0, x.Since).UTC().Format(time.DateTime))
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}
