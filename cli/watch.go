package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) watchCommands() []command {
	w := &watcher{app: a}
	return []command{{
		words: "watch", help: "Print what happens to tunnels and sessions, as it happens", endless: true,
		flags: func(cmd *cobra.Command) {
			f := cmd.Flags()
			f.StringSliceVar(&w.kinds, "kind", nil, "only events of these kinds, such as session-up")
			f.BoolVar(&w.all, "all", false, "begin with the oldest event that is kept")
			f.IntVar(&w.count, "count", 0, "end after so many events; 0 never")
		},
		run: func(ctx context.Context, _ string) error { return w.run(ctx) },
	}}
}

// watcher follows the events over broken connections: it says where it was.
type watcher struct {
	*app
	kinds []string
	all   bool
	count int

	epoch   int64
	after   uint64
	printed int
}

// retryPause is the time before the daemon is tried again.
const retryPause = time.Second

var errLastEvent = errors.New("enough events")

func (w *watcher) run(ctx context.Context) error {
	for {
		began := w.epoch != 0
		err := w.stream(ctx)
		switch {
		case errors.Is(err, errLastEvent) || ctx.Err() != nil:
			return nil
		case err != nil && !isUnreachable(err), !began && w.epoch == 0:
			return err
		}
		fmt.Fprintf(w.env.Err, "lnsctl: lost the connection, trying again\n")
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(retryPause):
		}
	}
}

func (w *watcher) stream(ctx context.Context) error {
	return w.callFor(ctx, 0, func(ctx context.Context, c *api.Client) error {
		stream, err := c.Watch(ctx, &lnsv1.WatchRequest{Epoch: w.epoch, After: w.after, FromStart: w.all, Kinds: w.kinds})
		if err != nil {
			return err
		}
		for {
			reply, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return errStreamEnded
			}
			if err != nil {
				return err
			}
			if err := w.print(reply); err != nil {
				return err
			}
		}
	})
}

func (w *watcher) print(r *lnsv1.WatchReply) error {
	if w.epoch != r.Epoch {
		w.epoch, w.after = r.Epoch, 0
	}
	if r.Missed > 0 {
		fmt.Fprintf(w.env.Err, "lnsctl: %d events before these are lost\n", r.Missed)
	}
	for _, e := range r.Events {
		w.after = e.Sequence
		if err := w.printEvent(e); err != nil {
			return err
		}
		if w.printed++; w.printed == w.count {
			return joinErr(w.flush(), errLastEvent)
		}
	}
	return w.flush()
}

type jsonEvent struct {
	Sequence      uint64 `json:"sequence"`
	At            moment `json:"at"`
	Kind          string `json:"kind"`
	TunnelID      uint32 `json:"tunnel_id"`
	SessionID     uint32 `json:"session_id,omitempty"`
	SID           uint32 `json:"sid,omitempty"`
	User          string `json:"user,omitempty"`
	Address       string `json:"address,omitempty"`
	AcctSessionID string `json:"acct_session_id,omitempty"`
	LAC           string `json:"lac"`
	LACName       string `json:"lac_name"`
	Detail        string `json:"detail,omitempty"`
}

func (w *watcher) printEvent(e *lnsv1.Event) error {
	if w.json {
		return printJSONLine(w.env.Out, jsonEvent{
			Sequence: e.Sequence, At: moment(e.At), Kind: e.Kind, TunnelID: e.TunnelId, SessionID: e.SessionId, SID: e.Sid,
			User: e.User, Address: e.Address, AcctSessionID: e.AcctSessionId, LAC: e.Lac, LACName: e.LacName, Detail: e.Detail,
		})
	}
	line := fmt.Sprintf("%s %-15s tunnel %d", clock(e.At), e.Kind, e.TunnelId)
	if e.SessionId != 0 {
		line += fmt.Sprintf(" session %d %s", e.Sid, or(escape(e.User), "-"))
	}
	if e.Address != "" {
		line += " " + e.Address
	}
	line += " from " + or(escape(e.LacName), e.Lac)
	if e.Detail != "" {
		line += ": " + escape(e.Detail)
	}
	_, err := fmt.Fprintln(w.env.Out, line)
	return err
}
