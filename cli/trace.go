package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// tracer holds the flags of the trace commands.
type tracer struct {
	*app
	hold  time.Duration
	count int
}

// traceTargets are what can be traced: the word, its value, and where that goes.
func traceTargets() []traceTarget {
	return []traceTarget{
		{"system", nil, "everything", func(t *lnsv1.TraceTarget, _ string) { t.System = true }},
		{"session", &arg{"SID", false, sidKind()}, "a session", func(t *lnsv1.TraceTarget, v string) { t.Sid = digits(v) }},
		{"tunnel", &arg{"TID", false, tidKind()}, "a tunnel and its sessions", func(t *lnsv1.TraceTarget, v string) { t.TunnelId = digits(v) }},
		{"user", &arg{"USER", false, userKind()}, "a user's sessions, those to come as well", func(t *lnsv1.TraceTarget, v string) { t.User = v }},
		{"calling", &arg{"NUMBER", false, textKind()}, "calls from a number, those to come as well", func(t *lnsv1.TraceTarget, v string) { t.Calling = v }},
		{"lac", &arg{"ADDRESS", false, lacKind()}, "a LAC's tunnels, those to come as well", func(t *lnsv1.TraceTarget, v string) { t.Lac = v }},
	}
}

type traceTarget struct {
	word string
	arg  *arg // nil: takes none
	help string
	set  func(*lnsv1.TraceTarget, string)
}

// digits is a number that a kind has checked.
func digits(s string) uint32 {
	n, _ := strconv.ParseUint(s, 10, 32)
	return uint32(n)
}

// textKind is any text.
func textKind() kind {
	return kind{check: func(s string) error {
		if s == "" {
			return errors.New("must not be empty")
		}
		return nil
	}}
}

func lacKind() kind {
	return kind{check: func(s string) error {
		if _, err := netip.ParseAddr(s); err != nil {
			return errors.New("must be the LAC's IP address")
		}
		return nil
	}}
}

// categoriesKind is checked by the daemon, which knows the numbers as well.
func categoriesKind() kind {
	return kind{complete: func(_ context.Context, _ *api.Client, prefix string) ([]string, error) {
		done := prefix[:strings.LastIndexByte(prefix, ',')+1]
		var words []string
		for _, c := range append(api.TraceCategories(), "all") {
			if strings.HasPrefix(done+c, prefix) {
				words = append(words, done+c)
			}
		}
		return words, nil
	}}
}

func (a *app) traceCommands() []command {
	x := &tracer{app: a}
	all := []command{
		{words: "trace show", help: "Show what is traced into the log", run: x.show},
		{words: "trace clear", args: []arg{{"WHAT", true, kind{}}, {"VALUE", true, kind{}}}, runs: x.clear,
			help: "End a trace into the log, by its number or as \"session SID\" and the like; without WHAT all of them"},
	}
	for _, t := range traceTargets() {
		var args []arg
		if t.arg != nil {
			args = append(args, *t.arg)
		}
		set := append(append([]arg(nil), args...), arg{"CATEGORIES", false, categoriesKind()})
		follow := append(append([]arg(nil), args...), arg{"CATEGORIES", true, categoriesKind()})
		all = append(all,
			command{words: "trace set " + t.word, args: set, flags: x.holdFlag, help: "Trace " + t.help + " into the daemon's log",
				runs: func(ctx context.Context, v []string) error { return x.set(ctx, t, v) }},
			command{words: "trace follow " + t.word, args: follow, flags: x.countFlag, endless: true, help: "Trace " + t.help + " to this terminal, until interrupted",
				runs: func(ctx context.Context, v []string) error { return x.follow(ctx, t, v) }})
	}
	return all
}

func (x *tracer) holdFlag(cmd *cobra.Command) {
	cmd.Flags().DurationVar(&x.hold, "for", 0, "end the trace after so long, such as 10m; 0 when it is cleared")
}

func (x *tracer) countFlag(cmd *cobra.Command) {
	cmd.Flags().IntVar(&x.count, "count", 0, "end after so many lines; 0 never")
}

// parse takes the words behind the command's own.
func (t *traceTarget) parse(values []string) (target *lnsv1.TraceTarget, categories string) {
	target = &lnsv1.TraceTarget{}
	value := ""
	if t.arg != nil {
		value, values = values[0], values[1:]
	}
	t.set(target, value)
	if len(values) > 0 {
		categories = values[0]
	}
	return target, categories
}

func (x *tracer) set(ctx context.Context, t traceTarget, values []string) error {
	target, categories := t.parse(values)
	if x.hold < 0 || x.hold%time.Second != 0 {
		return usageError{errors.New("--for takes whole seconds")}
	}
	return x.call(ctx, func(ctx context.Context, c *api.Client) error {
		r, err := c.SetTrace(ctx, &lnsv1.SetTraceRequest{Target: target, Categories: categories, Seconds: uint64(x.hold / time.Second)})
		if err != nil {
			return err
		}
		return x.print([]*lnsv1.Trace{r})
	})
}

func (x *tracer) show(ctx context.Context, _ string) error {
	return x.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.ListTraces(ctx, &lnsv1.ListTracesRequest{})
		if err != nil {
			return err
		}
		if reply.Dropped > 0 {
			fmt.Fprintf(x.env.Err, "lnsctl: %d lines were too many for the log and are lost\n", reply.Dropped)
		}
		return x.print(reply.Traces)
	})
}

func (x *tracer) clear(ctx context.Context, values []string) error {
	r, err := clearRequest(values)
	if err != nil {
		return err
	}
	return x.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.ClearTraces(ctx, r)
		if err != nil {
			return err
		}
		return x.print(reply.Cleared)
	})
}

func clearRequest(values []string) (*lnsv1.ClearTracesRequest, error) {
	if len(values) == 0 {
		return &lnsv1.ClearTracesRequest{All: true}, nil
	}
	for _, t := range traceTargets() {
		want := 1
		if t.arg != nil {
			want = 2
		}
		if t.word != values[0] || len(values) != want {
			continue
		}
		if t.arg != nil && t.arg.kind.check != nil {
			if err := t.arg.kind.check(values[1]); err != nil {
				return nil, usageError{fmt.Errorf("%s: %w", t.arg.name, err)}
			}
		}
		target, _ := t.parse(values[1:])
		return &lnsv1.ClearTracesRequest{Target: target}, nil
	}
	id, err := parseID(values[0], 1<<32-1)
	if err != nil || len(values) > 1 {
		return nil, usageError{errors.New("trace clear takes a trace's number, or what \"trace set\" took")}
	}
	return &lnsv1.ClearTracesRequest{Id: id}, nil
}

func targetText(t *lnsv1.TraceTarget) string {
	switch {
	case t.GetSystem():
		return "system"
	case t.GetSid() != 0:
		return fmt.Sprintf("session %d", t.Sid)
	case t.GetTunnelId() != 0:
		return fmt.Sprintf("tunnel %d", t.TunnelId)
	case t.GetUser() != "":
		return "user " + t.User
	case t.GetCalling() != "":
		return "calling " + t.Calling
	}
	return "lac " + t.GetLac()
}

func (x *tracer) print(all []*lnsv1.Trace) error {
	if x.json {
		out := &jsonList{w: x.env.Out}
		for _, r := range all {
			err := out.item(struct {
				ID         uint32 `json:"id"`
				Target     string `json:"target"`
				Categories string `json:"categories"`
				Mask       uint32 `json:"mask"`
				Until      moment `json:"until"`
				By         string `json:"by"`
			}{r.Id, targetText(r.Target), r.Categories, r.Mask, moment(r.Until), r.By})
			if err != nil {
				return err
			}
		}
		return out.end()
	}
	t := &table{w: x.env.Out, columns: []column{{"ID", 5, true}, {"Target", 30, false}, {"Until", 12, false}, {"By", 16, false}, {"Categories", 0, false}}}
	for _, r := range all {
		until := "cleared"
		if r.Until != 0 {
			until = clock(r.Until)
		}
		if err := t.row(count(uint64(r.Id)), targetText(r.Target), until, r.By, r.Categories); err != nil {
			return err
		}
	}
	return t.head()
}

func (x *tracer) follow(ctx context.Context, t traceTarget, values []string) error {
	target, categories := t.parse(values)
	err := x.callFor(ctx, 0, func(ctx context.Context, c *api.Client) error {
		stream, err := c.FollowTrace(ctx, &lnsv1.FollowTraceRequest{Target: target, Categories: categories})
		if err != nil {
			return err
		}
		for printed := 0; ; {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return errStreamEnded
			}
			if err != nil {
				return err
			}
			if reply.Missed > 0 {
				fmt.Fprintf(x.env.Err, "lnsctl: %d lines before these came too fast and are lost\n", reply.Missed)
			}
			for _, l := range reply.Lines {
				if err := x.printLine(l); err != nil {
					return err
				}
				if printed++; printed == x.count {
					return joinErr(x.flush(), errLastEvent)
				}
			}
			if err := x.flush(); err != nil {
				return err
			}
		}
	})
	if errors.Is(err, errLastEvent) || ctx.Err() != nil {
		return nil
	}
	return err
}

// fineClock is the time of day where milliseconds matter.
func fineClock(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05.000") }

func (x *tracer) printLine(l *lnsv1.TraceLine) error {
	if x.json {
		return printJSONLine(x.env.Out, struct {
			At        moment `json:"at"`
			Category  string `json:"category"`
			TunnelID  uint32 `json:"tunnel_id,omitempty"`
			SessionID uint32 `json:"session_id,omitempty"`
			SID       uint32 `json:"sid,omitempty"`
			User      string `json:"user,omitempty"`
			LAC       string `json:"lac,omitempty"`
			Text      string `json:"text"`
		}{moment(l.At), l.Category, l.TunnelId, l.SessionId, l.Sid, l.User, l.Lac, l.Text})
	}
	where := ""
	switch {
	case l.Sid != 0:
		where = fmt.Sprintf("session %d %s: ", l.Sid, or(escape(l.User), "-"))
	case l.TunnelId != 0:
		where = fmt.Sprintf("tunnel %d: ", l.TunnelId)
	case l.Lac != "":
		where = l.Lac + ": "
	}
	_, err := fmt.Fprintf(x.env.Out, "%s %-8s %s%s\n", fineClock(l.At), l.Category, where, escape(l.Text))
	return err
}
