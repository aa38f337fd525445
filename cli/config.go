package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) configCommands() []command {
	return []command{
		{words: "show running-config", help: "Show the configuration in force, secrets hidden", run: a.showRunningConfig},
		{words: "reload", help: "Read the startup-config again; a faulty one changes nothing", run: a.reload},
	}
}

func (a *app) showRunningConfig(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.RunningConfig(ctx, &lnsv1.RunningConfigRequest{})
		if err != nil {
			return err
		}
		lines := strings.Split(strings.TrimSuffix(reply.Text, "\n"), "\n")
		if a.json {
			return printJSON(a.env.Out, struct {
				Commands []string `json:"commands"`
			}{lines})
		}
		return a.lines(lines)
	})
}

func (a *app) reload(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Reload(ctx, &lnsv1.ReloadRequest{})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Notes []string `json:"notes"`
			}{list(reply.Notes)})
		}
		return a.lines(append(reply.Notes, "reloaded"))
	})
}

// lines prints lines, each made safe to print.
func (a *app) lines(ls []string) error {
	for _, l := range ls {
		if _, err := fmt.Fprintln(a.env.Out, escape(l)); err != nil {
			return err
		}
	}
	return nil
}
