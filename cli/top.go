package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// topOrders are the keys of the table and what they order it by.
var topOrders = [...]struct{ key, order, help string }{
	{"t", "total", "both ways"}, {"u", "up", "upload"}, {"d", "down", "download"}, {"p", "packets", "packets"}, {"x", "drops", "drops"},
}

func (a *app) topCommands() []command {
	t := &top{app: a}
	return []command{{
		words: "top", help: "Show the busiest sessions, renewed every few seconds", endless: true,
		flags: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringVar(&t.order, "order", "total", "rank by total, up, down, packets or drops")
			f.IntVar(&t.rows, "rows", 0, "number of sessions; 0 is as many as fit, or 20")
			f.DurationVar(&t.interval, "interval", 2*time.Second, "time between two looks, 1s or more")
			f.IntVar(&t.looks, "count", 0, "end after so many looks, without taking over the terminal; 0 never on a terminal, else once")
		},
		run: func(ctx context.Context, _ string) error { return t.run(ctx) },
	}}
}

// top is one run of the command.
type top struct {
	*app
	order    string
	rows     int
	interval time.Duration
	looks    int
}

// plainRows is how many sessions are shown where there is no screen to fill.
const plainRows = 20

func (t *top) run(ctx context.Context) error {
	if !slices.ContainsFunc(topOrders[:], func(o struct{ key, order, help string }) bool { return o.order == t.order }) {
		return usageError{fmt.Errorf("--order: %q is none of total, up, down, packets, drops", t.order)}
	}
	if t.env.Terminal && t.looks == 0 && !t.json {
		return t.screen(ctx)
	}
	if t.looks == 0 && !t.json {
		t.looks = 1
	}
	if t.rows == 0 {
		t.rows = plainRows
	}
	n := 0
	return t.follow(ctx, t.order, func(r *lnsv1.TopReply) error {
		if err := joinErr(t.print(r), t.flush()); err != nil {
			return err
		}
		if n++; n == t.looks {
			return errLastLook
		}
		return nil
	})
}

var errLastLook = errors.New("last look")

// follow calls show with every reply until ctx ends or show fails.
func (t *top) follow(ctx context.Context, order string, show func(*lnsv1.TopReply) error) error {
	rows := t.rows
	if rows == 0 {
		rows = maxScreenRows
	}
	err := t.callFor(ctx, 0, func(ctx context.Context, c *api.Client) error {
		stream, err := c.Top.Sessions(ctx, &lnsv1.TopRequest{Order: order, Count: uint32(rows), Interval: int64(t.interval)})
		for err == nil {
			var r *lnsv1.TopReply
			if r, err = stream.Recv(); err == nil {
				err = show(r)
			}
		}
		return err
	})
	switch {
	case errors.Is(err, errLastLook), ctx.Err() != nil:
		return nil
	case errors.Is(err, io.EOF):
		return errStreamEnded
	}
	return err
}

type jsonTopRate struct {
	UpBits      float64 `json:"up_bits_per_second"`
	DownBits    float64 `json:"down_bits_per_second"`
	UpPackets   float64 `json:"up_packets_per_second"`
	DownPackets float64 `json:"down_packets_per_second"`
	Drops       float64 `json:"drops_per_second"`
}

type jsonTopSession struct {
	SID       uint32 `json:"sid"`
	User      string `json:"user"`
	Address   string `json:"address"`
	LACName   string `json:"lac_name"`
	LimitUp   uint64 `json:"limit_up_bits_per_second,omitempty"`
	LimitDown uint64 `json:"limit_down_bits_per_second,omitempty"`
	Garden    string `json:"garden,omitempty"`
	jsonTopRate
}

type jsonTop struct {
	Sessions   uint64           `json:"sessions"`
	SessionsUp uint64           `json:"sessions_up"`
	Throttled  uint64           `json:"throttled"`
	Gardened   uint64           `json:"gardened"`
	Total      jsonTopRate      `json:"total"`
	Busiest    []jsonTopSession `json:"busiest"`
}

func rateJSON(r *lnsv1.TopRate) jsonTopRate {
	return jsonTopRate{r.GetUpBits(), r.GetDownBits(), r.GetUpPackets(), r.GetDownPackets(), r.GetDrops()}
}

func (t *top) print(r *lnsv1.TopReply) error {
	if !t.json {
		_, err := io.WriteString(t.env.Out, topText(r, t.order, t.rows, nil)+"\n")
		return err
	}
	j := jsonTop{
		Sessions: r.Sessions, SessionsUp: r.SessionsUp, Throttled: r.Throttled, Gardened: r.Gardened,
		Total: rateJSON(r.Total), Busiest: []jsonTopSession{},
	}
	for _, s := range r.Busiest {
		j.Busiest = append(j.Busiest, jsonTopSession{
			SID: s.Sid, User: s.User, Address: s.Address, LACName: s.LacName,
			LimitUp: s.LimitUp, LimitDown: s.LimitDown, Garden: s.Garden, jsonTopRate: rateJSON(s.Rate),
		})
	}
	return printJSONLine(t.env.Out, j)
}

// topText is the table. history is what has passed before, for sparklines; nil for
// none.
func topText(r *lnsv1.TopReply, order string, rows int, history *topHistory) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Sessions %d, %d up   throttled %d   in a garden %d\n", r.Sessions, r.SessionsUp, r.Throttled, r.Gardened)
	for _, way := range []struct {
		name          string
		bits, packets float64
		past          []float64
	}{
		{"Down", r.Total.GetDownBits(), r.Total.GetDownPackets(), history.downs()},
		{"Up", r.Total.GetUpBits(), r.Total.GetUpPackets(), history.ups()},
	} {
		fmt.Fprintf(&b, "%-5s %11s %10s/s  %s\n", way.name, bitRate(way.bits), metric(way.packets), sparkline(way.past))
	}
	fmt.Fprintf(&b, "Drops %22s/s   by %s\n\n", metric(r.Total.GetDrops()), order)
	fmt.Fprintf(&b, "%7s %-24s %-16s %11s %11s %8s %8s %8s  %s\n", "SID", "User", "Address", "Down", "Up", "Pkt/s", "Drop/s", "Limit", "LAC")
	for _, s := range r.Busiest[:min(len(r.Busiest), rows)] {
		fmt.Fprintf(&b, "%7d %-24s %-16s %11s %11s %8s %8s %8s  %s\n", s.Sid, clip(escape(s.User), 24), or(s.Address, "-"),
			bitRate(s.Rate.GetDownBits()), bitRate(s.Rate.GetUpBits()),
			metric(s.Rate.GetUpPackets()+s.Rate.GetDownPackets()), metric(s.Rate.GetDrops()), limitText(s), escape(s.LacName))
	}
	return strings.TrimSuffix(b.String(), "\n")
}

func limitText(s *lnsv1.TopSession) string {
	switch {
	case s.Garden != "":
		return "garden"
	case s.LimitDown == 0 && s.LimitUp == 0:
		return "-"
	}
	short := func(n uint64) string {
		if n == 0 {
			return "-"
		}
		return metric(float64(n))
	}
	return short(s.LimitDown) + "/" + short(s.LimitUp)
}

func bitRate(bits float64) string { return metric(bits) + "bit/s" }

// metric writes a number in three digits and a prefix.
func metric(x float64) string {
	for _, p := range []struct {
		above float64
		name  string
	}{{1e12, "T"}, {1e9, "G"}, {1e6, "M"}, {1e3, "k"}} {
		if x >= p.above*0.9995 {
			return threeDigits(x/p.above) + p.name
		}
	}
	return threeDigits(x)
}

func threeDigits(x float64) string {
	switch {
	case x == 0:
		return "0"
	case x < 9.995:
		return fmt.Sprintf("%.2f", x)
	case x < 99.95:
		return fmt.Sprintf("%.1f", x)
	}
	return fmt.Sprintf("%.0f", x)
}

func clip(s string, width int) string {
	if r := []rune(s); len(r) > width {
		return string(r[:width-1]) + "…"
	}
	return s
}

// screen takes over the terminal.
func (t *top) screen(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newTopView(t.order, t.rows)
	p := tea.NewProgram(m, tea.WithContext(ctx), tea.WithOutput(t.raw), tea.WithoutSignalHandler())
	m.follow = func(order string) context.CancelFunc {
		ctx, stop := context.WithCancel(ctx)
		go func() {
			err := t.follow(ctx, order, func(r *lnsv1.TopReply) error { p.Send(topReply{order, r}); return nil })
			if err != nil {
				p.Send(topFailed{err})
			}
		}()
		return stop
	}
	end, err := p.Run()
	if v, ok := end.(*topView); ok && v.err != nil {
		return v.err
	}
	if errors.Is(err, tea.ErrProgramKilled) && ctx.Err() != nil {
		return nil // interrupted
	}
	return err
}
