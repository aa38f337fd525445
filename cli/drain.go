package cli

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) drainCommands() []command {
	wait := func(c *cobra.Command) {
		c.Flags().BoolVar(&a.wait, "wait", false, "wait until the last session has ended")
	}
	return []command{
		{words: "drain", flags: wait, help: "Refuse new tunnels and calls, and let those that are up live on", run: a.drain},
		{words: "no drain", help: "Take new tunnels and calls again", run: a.noDrain},
	}
}

// drain gives the setting of that name its value, until the next start unless "write
// memory" keeps it.
func (a *app) drain(ctx context.Context, _ string) error {
	if err := a.setDrain(ctx, "yes"); err != nil {
		return err
	}
	sessions, tunnels, err := a.census(ctx)
	if err == nil && a.wait {
		sessions, tunnels, err = a.waitForTheLast(ctx)
	}
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.env.Out, drainJSON{true, sessions, tunnels})
	}
	return a.lines([]string{fmt.Sprintf("new tunnels and calls are refused; %d sessions in %d tunnels are up", sessions, tunnels)})
}

type drainJSON struct {
	Draining bool   `json:"draining"`
	Sessions uint64 `json:"sessions"`
	Tunnels  uint64 `json:"tunnels"`
}

func (a *app) noDrain(ctx context.Context, _ string) error {
	if err := a.setDrain(ctx, "no"); err != nil {
		return err
	}
	sessions, tunnels, err := a.census(ctx)
	if err != nil {
		return err
	}
	if a.json {
		return printJSON(a.env.Out, drainJSON{false, sessions, tunnels})
	}
	return a.lines([]string{"new tunnels and calls are taken"})
}

func (a *app) setDrain(ctx context.Context, value string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Configure(ctx, &lnsv1.ConfigureRequest{Lines: []*lnsv1.ConfigLine{{Text: "set drain " + value}}})
		if err == nil && !reply.Applied {
			err = errors.New(strings.Join(reply.Missing, "; "))
		}
		return err
	})
}

func (a *app) census(ctx context.Context) (sessions, tunnels uint64, err error) {
	err = a.call(ctx, func(ctx context.Context, c *api.Client) error {
		st, err := c.Status(ctx, &lnsv1.StatusRequest{})
		sessions, tunnels = uint64(st.GetSessions()), uint64(st.GetTunnels())
		return err
	})
	return sessions, tunnels, err
}

// waitForTheLast waits until there are no sessions, however long that takes.
func (a *app) waitForTheLast(ctx context.Context) (sessions, tunnels uint64, err error) {
	p := a.progress()
	defer p.clear()
	for {
		if sessions, tunnels, err = a.census(ctx); err != nil || sessions == 0 {
			return sessions, tunnels, err
		}
		p.say("%d sessions in %d tunnels are left", sessions, tunnels)
		select {
		case <-ctx.Done():
			return sessions, tunnels, ctx.Err()
		case <-time.After(progressEvery):
		}
	}
}
