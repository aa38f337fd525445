package cli

import (
	"context"
	"errors"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// errUndone ends a command that watched a commit be undone.
var errUndone = errors.New("the commit was not confirmed and is undone")

// countDown stays until a commit is confirmed, from wherever, or undone, and says how
// long that is.
func (a *app) countDown(ctx context.Context, number uint64) error {
	p := a.progress()
	defer p.clear()
	for {
		var at int64
		found := false
		err := a.call(ctx, func(ctx context.Context, c *api.Client) error {
			reply, err := c.Config.History(ctx, &lnsv1.ConfigHistoryRequest{})
			// What is undone is followed by a commit of what was before.
			if all := reply.GetCommits(); len(all) > 0 && all[0].Number == number {
				at, found = all[0].UndoneAt, true
			}
			return err
		})
		switch {
		case err != nil:
			return err
		case !found:
			return errUndone
		case at == 0:
			p.clear()
			return a.lines([]string{"confirmed"})
		}
		p.say("commit %d is undone in %s unless config confirm is given; ^C ends only the wait", number, span(max(0, time.Until(time.Unix(at, 0)))))
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(progressEvery):
		}
	}
}
