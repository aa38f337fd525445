package cli

import (
	"context"
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// progressEvery is how often a long operation is asked how far it is; a short one is
// over before the first time.
const progressEvery = 500 * time.Millisecond

// progress is a line on a terminal that is written over until it is gone.
type progress struct {
	w     io.Writer // nil: nobody looks
	shown bool
}

// progress is on standard error, so that what is printed can go elsewhere, and in a
// shell on its terminal.
func (a *app) progress() *progress {
	if a.within != nil {
		if w, _ := a.within.env.Size(); w > 0 && a.within.term != nil {
			return &progress{w: a.within.env.Out}
		}
		return &progress{}
	}
	if f, ok := a.env.Err.(*os.File); ok && term.IsTerminal(int(f.Fd())) {
		return &progress{w: f}
	}
	return &progress{}
}

// say puts a line in the place of the last. A terminal that is gone is no reason to
// end what goes on.
func (p *progress) say(format string, args ...any) {
	if p.w == nil {
		return
	}
	p.shown = true
	_, _ = fmt.Fprintf(p.w, "\r%s\x1b[K", escape(fmt.Sprintf(format, args...)))
}

// clear leaves nothing of it.
func (p *progress) clear() {
	if p.shown {
		_, _ = io.WriteString(p.w, "\r\x1b[K")
		p.shown = false
	}
}

// during does work and says meanwhile what look finds, on a terminal. A look that fails
// says nothing: the daemon may be about to end.
func (a *app) during(ctx context.Context, look func(context.Context, *api.Client) (string, error), work func() error) error {
	p := a.progress()
	if p.w == nil {
		return work()
	}
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer p.clear()
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(progressEvery):
			}
			_ = a.callFor(ctx, completionTimeout, func(ctx context.Context, c *api.Client) error {
				text, err := look(ctx, c)
				if err == nil {
					p.say("%s", text)
				}
				return err
			})
		}
	}()
	err := work()
	cancel()
	<-done
	return err
}

// sessionsLeft looks at how many sessions there are.
func sessionsLeft(ctx context.Context, c *api.Client) (string, error) {
	st, err := c.Status(ctx, &lnsv1.StatusRequest{})
	return fmt.Sprintf("%d sessions in %d tunnels are left", st.GetSessions(), st.GetTunnels()), err
}
