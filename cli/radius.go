package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) radiusCommands() []command {
	return []command{{words: "show radius", help: "Show the RADIUS servers", run: a.showRadius}}
}

func (a *app) showRadius(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.RadiusServers(ctx, &lnsv1.RadiusServersRequest{})
		if err != nil {
			return err
		}
		if a.json {
			l := &jsonList{w: a.env.Out}
			for _, s := range reply.Servers {
				if err := l.item(radiusJSON(s)); err != nil {
					return err
				}
			}
			return l.end()
		}
		t := &table{w: a.env.Out, columns: []column{
			{"Server", 21, false}, {"For", 4, false}, {"State", 7, false}, {"MA", 2, false},
			{"flying", 6, true}, {"queued", 6, true}, {"sent", 8, true}, {"retries", 7, true},
			{"accepts", 8, true}, {"rejects", 7, true}, {"answers", 8, true}, {"timeouts", 8, true}, {"bad", 5, true},
			{"p50", 8, true}, {"p99", 8, true}}}
		for _, s := range reply.Servers {
			err := t.row(s.Name, s.Purpose, s.State, flag(s.MessageAuthenticator),
				count(s.InFlight), count(s.Queued), count(s.Sent), count(s.Retries),
				count(s.Accepts), count(s.Rejects), count(s.Responses), count(s.Timeouts), count(s.BadAnswers),
				millis(s.RttP50), millis(s.RttP99))
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}

// millis writes a round trip: "1.2ms".
func millis(ns int64) string {
	return fmt.Sprintf("%.1fms", float64(ns)/float64(time.Millisecond))
}

type jsonRadius struct {
	Name                 string `json:"name"`
	Purpose              string `json:"purpose"`
	State                string `json:"state"`
	DeadUntil            moment `json:"dead_until"`
	InFlight             uint64 `json:"in_flight"`
	Queued               uint64 `json:"queued"`
	Sent                 uint64 `json:"sent"`
	Retries              uint64 `json:"retries"`
	Accepts              uint64 `json:"accepts"`
	Rejects              uint64 `json:"rejects"`
	Responses            uint64 `json:"responses"`
	Timeouts             uint64 `json:"timeouts"`
	BadAnswers           uint64 `json:"bad_answers"`
	RTT50                secs   `json:"rtt_p50_seconds"`
	RTT99                secs   `json:"rtt_p99_seconds"`
	MessageAuthenticator bool   `json:"message_authenticator"`
}

func radiusJSON(s *lnsv1.RadiusServer) jsonRadius {
	return jsonRadius{
		Name: s.Name, Purpose: s.Purpose, State: s.State, DeadUntil: moment(s.DeadUntil),
		InFlight: s.InFlight, Queued: s.Queued, Sent: s.Sent, Retries: s.Retries,
		Accepts: s.Accepts, Rejects: s.Rejects, Responses: s.Responses, Timeouts: s.Timeouts, BadAnswers: s.BadAnswers,
		RTT50: secs(s.RttP50), RTT99: secs(s.RttP99), MessageAuthenticator: s.MessageAuthenticator,
	}
}
