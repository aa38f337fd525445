package cli

import (
	"context"
	"fmt"

	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) uptimeCommands() []command {
	return []command{{words: "uptime", help: "Show up time, users, load and bandwidth", run: a.uptime}}
}

// uptime prints two lines as l2tpns does: UDP-ETH is what users send, ETH-UDP what
// they are sent, TOTAL both, in Mbit/s; IN and OUT are packets per second.
func (a *app) uptime(ctx context.Context, _ string) error {
	return a.status(ctx, func(s *lnsv1.StatusReply) error {
		if a.json {
			return printJSON(a.env.Out, statusJSON(s))
		}
		t := s.GetTraffic()
		up, down := t.GetUpBits()/1e6, t.GetDownBits()/1e6
		_, err := fmt.Fprintf(a.env.Out,
			"%s up %s, %d users, load average: %s\nBandwidth: UDP-ETH:%.0f  ETH-UDP:%.0f  TOTAL:%.1f   IN:%.0f OUT:%.0f\n",
			clock(s.Now), span(since(s.Started, s.Now)), s.SessionsUp, loads(s.Load),
			up, down, up+down, t.GetUpPackets(), t.GetDownPackets())
		return err
	})
}
