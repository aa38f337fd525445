package cli

import (
	"context"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

func (a *app) shutdownCommands() []command {
	return []command{{
		words: "shutdown", help: "Disconnect every session and tunnel, then end the daemon", run: a.shutdown,
	}}
}

func (a *app) shutdown(ctx context.Context, _ string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		err := a.during(ctx, sessionsLeft, func() error {
			_, err := c.Shutdown(ctx, &lnsv1.ShutdownRequest{})
			return err
		})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct{}{})
		}
		_, err = fmt.Fprintln(a.env.Out, "every session and tunnel is disconnected; lnsd ends")
		return err
	})
}
