package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) radiusCommands() []command {
	return []command{
		{words: "show radius", help: "Show the RADIUS servers, and who was answered without them", run: a.showRadius},
		{words: "show radius down", help: "Count who was answered while no RADIUS server did", run: a.showRadiusDown},
	}
}

// withoutServer tells the counters of subscribers who were answered without a server.
func withoutServer(all []*lnsv1.Count) (some []*lnsv1.Count) {
	for _, n := range all {
		if strings.HasPrefix(n.Name, "radius_down_") || n.Name == "radius_last_good_entries" || n.Name == "radius_realm_refused" {
			some = append(some, n)
		}
	}
	return some
}

func (a *app) showRadiusDown(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Counters(ctx, &lnsv1.CountersRequest{})
		if err != nil {
			return err
		}
		counters := withoutServer(reply.Counters)
		if a.json {
			return printJSON(a.env.Out, orderedCounts(counters))
		}
		return a.countTable(counters)
	})
}

func (a *app) countTable(counters []*lnsv1.Count) error {
	t := &table{w: a.env.Out, columns: []column{{"Counter", 40, false}, {"Value", 20, true}}}
	for _, n := range counters {
		if err := t.row(n.Name, count(n.Value)); err != nil {
			return err
		}
	}
	return t.head()
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
			{"Group", 10, false}, {"Server", 21, false}, {"For", 4, false}, {"State", 7, false}, {"MA", 2, false},
			{"pri", 3, true}, {"wt", 3, true},
			{"flying", 6, true}, {"queued", 6, true}, {"sent", 8, true}, {"retries", 7, true},
			{"accepts", 8, true}, {"rejects", 7, true}, {"answers", 8, true}, {"timeouts", 8, true}, {"bad", 5, true}, {"status", 9, true},
			{"p50", 8, true}, {"p99", 8, true}}}
		for _, s := range reply.Servers {
			err := t.row(s.Group, s.Name, s.Purpose, s.State, flag(s.MessageAuthenticator),
				count(uint64(s.Priority)), count(uint64(s.Weight)),
				count(s.InFlight), count(s.Queued), count(s.Sent), count(s.Retries),
				count(s.Accepts), count(s.Rejects), count(s.Responses), count(s.Timeouts), count(s.BadAnswers),
				statusText(s), millis(s.RttP50), millis(s.RttP99))
			if err != nil {
				return err
			}
		}
		if err := t.head(); err != nil {
			return err
		}
		counters, err := c.Counters(ctx, &lnsv1.CountersRequest{})
		if err != nil {
			return err
		}
		if some := withoutServer(counters.Counters); len(some) > 0 {
			fmt.Fprintln(a.env.Out)
			return a.countTable(some)
		}
		return nil
	})
}

// statusText is answers and questions of Status-Server: "3/4", or "-" where it is not
// in use.
func statusText(s *lnsv1.RadiusServer) string {
	if s.StatusSent == 0 {
		return "-"
	}
	return count(s.StatusAnswers) + "/" + count(s.StatusSent)
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
	Group                string `json:"group"`
	Priority             uint32 `json:"priority"`
	Weight               uint32 `json:"weight"`
	StatusSent           uint64 `json:"status_sent"`
	StatusAnswers        uint64 `json:"status_answers"`
}

func radiusJSON(s *lnsv1.RadiusServer) jsonRadius {
	return jsonRadius{
		Name: s.Name, Purpose: s.Purpose, State: s.State, DeadUntil: moment(s.DeadUntil),
		InFlight: s.InFlight, Queued: s.Queued, Sent: s.Sent, Retries: s.Retries,
		Accepts: s.Accepts, Rejects: s.Rejects, Responses: s.Responses, Timeouts: s.Timeouts, BadAnswers: s.BadAnswers,
		RTT50: secs(s.RttP50), RTT99: secs(s.RttP99), MessageAuthenticator: s.MessageAuthenticator,
		Group: s.Group, Priority: s.Priority, Weight: s.Weight, StatusSent: s.StatusSent, StatusAnswers: s.StatusAnswers,
	}
}
