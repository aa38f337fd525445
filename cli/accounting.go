package cli

import (
	"context"
	"fmt"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) accountingCommands() []command {
	return []command{{
		words: "show accounting", help: "Show what accounting records wait for a server, and how they are delivered",
		run: func(ctx context.Context, _ string) error { return a.showAccounting(ctx) },
	}}
}

func (a *app) showAccounting(ctx context.Context) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Accounting(ctx, &lnsv1.AccountingRequest{})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, accountingJSON(reply))
		}
		if err := a.accountingText(reply); err != nil || len(reply.Servers) == 0 {
			return err
		}
		fmt.Fprintln(a.env.Out)
		t := &table{w: a.env.Out, columns: []column{
			{"Group", 10, false}, {"Server", 21, false}, {"State", 7, false}, {"flying", 6, true}, {"queued", 6, true},
			{"sent", 10, true}, {"resent", 8, true}, {"confirmed", 10, true}, {"failed", 8, true}, {"bad", 5, true}, {"p50", 8, true}, {"p99", 8, true}}}
		for _, s := range reply.Servers {
			err := t.row(s.Group, s.Name, s.State, count(s.InFlight), count(s.Queued), count(s.Sent), count(s.Resent),
				count(s.Confirmed), count(s.Failed), count(s.BadAnswers), millis(s.RttP50), millis(s.RttP99))
			if err != nil {
				return err
			}
		}
		return t.head()
	})
}

// accountingText prints what is not about a single server, a line each.
func (a *app) accountingText(r *lnsv1.AccountingReply) error {
	line := func(name, format string, values ...any) {
		fmt.Fprintf(a.env.Out, "%-12s "+format+"\n", append([]any{name + ":"}, values...)...)
	}
	line("Accounting", "%s", map[bool]string{true: "on", false: "off"}[r.Enabled])
	if p := r.Spool; p != nil {
		line("Spool", "%s, %d of %d bytes", escape(p.Directory), p.Bytes, p.Limit)
		line("Waiting", "%d, and %d in flight", p.Waiting, p.InFlight)
		oldest := "none"
		if p.Oldest != 0 {
			oldest = time.Unix(0, p.Oldest).UTC().Format(time.DateTime)
		}
		line("Oldest", "%s", oldest)
		line("Open", "%d accounts without a Stop", p.Open)
		line("Records", "%d kept, %d confirmed, %d unanswered and kept to be sent again, %d read back", p.Written, p.Delivered, p.Unanswered, p.ReadBack)
		line("Earlier", "%d found at the start, %d Stops made for sessions that had ended", p.Found, p.Recovered)
		line("Given up", "%d lost, %d interims and %d Starts not taken, %d damaged; %d sent without being kept",
			p.Lost, p.InterimRefused, p.StartsRefused, p.Damaged, p.Unwritten)
	}
	if r.UsageDir != "" {
		line("Files", "%s", escape(r.UsageDir))
	}
	return nil
}

type jsonAccounting struct {
	Enabled  bool                   `json:"enabled"`
	Spool    *jsonSpool             `json:"spool"`
	Servers  []jsonAccountingServer `json:"servers"`
	UsageDir string                 `json:"usage_dir"`
}

type jsonSpool struct {
	Directory      string `json:"directory"`
	Waiting        uint64 `json:"waiting"`
	InFlight       uint64 `json:"in_flight"`
	Open           uint64 `json:"open"`
	Bytes          uint64 `json:"bytes"`
	Limit          uint64 `json:"limit"`
	Oldest         moment `json:"oldest"`
	Written        uint64 `json:"written"`
	Delivered      uint64 `json:"delivered"`
	Unanswered     uint64 `json:"unanswered"`
	ReadBack       uint64 `json:"read_back"`
	Found          uint64 `json:"found"`
	Recovered      uint64 `json:"recovered"`
	InterimRefused uint64 `json:"interim_refused"`
	StartsRefused  uint64 `json:"starts_refused"`
	Lost           uint64 `json:"lost"`
	Unwritten      uint64 `json:"unwritten"`
	Damaged        uint64 `json:"damaged"`
}

type jsonAccountingServer struct {
	Name       string `json:"name"`
	Group      string `json:"group"`
	State      string `json:"state"`
	DeadUntil  moment `json:"dead_until"`
	InFlight   uint64 `json:"in_flight"`
	Queued     uint64 `json:"queued"`
	Sent       uint64 `json:"sent"`
	Resent     uint64 `json:"resent"`
	Confirmed  uint64 `json:"confirmed"`
	Failed     uint64 `json:"failed"`
	BadAnswers uint64 `json:"bad_answers"`
	RTT50      secs   `json:"rtt_p50_seconds"`
	RTT99      secs   `json:"rtt_p99_seconds"`
}

func accountingJSON(r *lnsv1.AccountingReply) jsonAccounting {
	j := jsonAccounting{Enabled: r.Enabled, UsageDir: r.UsageDir, Servers: []jsonAccountingServer{}}
	if p := r.Spool; p != nil {
		j.Spool = &jsonSpool{
			Directory: p.Directory, Waiting: p.Waiting, InFlight: p.InFlight, Open: p.Open, Bytes: p.Bytes, Limit: p.Limit, Oldest: moment(p.Oldest),
			Written: p.Written, Delivered: p.Delivered, Unanswered: p.Unanswered, ReadBack: p.ReadBack, Found: p.Found, Recovered: p.Recovered,
			InterimRefused: p.InterimRefused, StartsRefused: p.StartsRefused, Lost: p.Lost, Unwritten: p.Unwritten, Damaged: p.Damaged,
		}
	}
	for _, s := range r.Servers {
		j.Servers = append(j.Servers, jsonAccountingServer{
			Name: s.Name, Group: s.Group, State: s.State, DeadUntil: moment(s.DeadUntil), InFlight: s.InFlight, Queued: s.Queued,
			Sent: s.Sent, Resent: s.Resent, Confirmed: s.Confirmed, Failed: s.Failed, BadAnswers: s.BadAnswers,
			RTT50: secs(s.RttP50), RTT99: secs(s.RttP99),
		})
	}
	return j
}
