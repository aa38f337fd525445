package cli

import (
	"context"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// absentCommands are what operators of l2tpns look for and what is not part of this
// daemon: they are told so, and what is there instead.
func (a *app) absentCommands() []command {
	none := func(what, text string) func(context.Context, string) error {
		return func(context.Context, string) error {
			if a.json {
				return printJSON(a.env.Out, map[string]any{what: nil, "note": text})
			}
			_, err := fmt.Fprintln(a.env.Out, text)
			return err
		}
	}
	return []command{
		{words: "show bgp", help: "Show the BGP sessions", run: none("bgp",
			"No BGP is configured: this daemon announces no routes. Let a routing daemon redistribute the kernel's routes to the TUN device.")},
		{words: "show cluster", help: "Show the cluster", run: none("cluster",
			"No cluster is configured: this daemon is on its own. \"show status\" shows how it is; save_state keeps sessions over a restart.")},
		{words: "show throttle", alias: "tbf", help: "List the sessions that have rates", run: a.showThrottle},
	}
}

func (a *app) showThrottle(ctx context.Context, _ string) error {
	l := &jsonList{w: a.env.Out}
	t := &table{w: a.env.Out, columns: []column{
		{"SID", 7, true}, {"Username", 32, false}, {"IP", 15, false}, {"down kbit/s", 12, true}, {"up kbit/s", 12, true},
		{"down dropped", 12, true}, {"up dropped", 12, true}}}
	err := a.call(ctx, func(ctx context.Context, c *api.Client) error {
		return eachSession(ctx, c, &lnsv1.SessionsRequest{}, func(s *lnsv1.SessionInfo) error {
			switch {
			case !s.Throttled:
				return nil
			case a.json:
				return l.item(sessionJSON(s))
			}
			v, n := s.GetServices(), s.GetCounters()
			return t.row(number(s.Sid), userName(s), or(s.Address, "0.0.0.0"), kilobits(v.GetDown()), kilobits(v.GetUp()),
				count(n.GetDownDropped()), count(n.GetUpDropped()))
		})
	})
	switch {
	case err != nil:
		return err
	case a.json:
		return l.end()
	}
	return t.head()
}

// kilobits is a rate as l2tpns writes it, "-" for no limit.
func kilobits(r *lnsv1.Rate) string {
	if r.GetBits() == 0 {
		return "-"
	}
	return count(r.GetBits() / 1000)
}
