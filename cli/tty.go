package cli

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/lnsd/lnsd/control/api"
)

// isTerminal reports whether a person sits at both ends.
func isTerminal(in, out *os.File) bool {
	return in != nil && term.IsTerminal(int(in.Fd())) && term.IsTerminal(int(out.Fd()))
}

// interactive is lnsctl without a command on a terminal: a shell.
func (a *app) interactive(ctx context.Context, out *os.File) error {
	if len(a.servers) > 1 {
		return usageError{errOneServer}
	}
	in := int(a.env.In.Fd())
	old, err := term.MakeRaw(in)
	if err != nil {
		return err
	}
	defer term.Restore(in, old)
	resized := make(chan struct{}, 1)
	changes := make(chan os.Signal, 1)
	signal.Notify(changes, syscall.SIGWINCH)
	defer signal.Stop(changes)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		for {
			select {
			case <-changes:
				select {
				case resized <- struct{}{}:
				default:
				}
			case <-ctx.Done():
				return
			}
		}
	}()
	return Shell(ctx, ShellEnv{
		In: a.env.In, Out: out, Version: a.env.Version, Where: a.where(), Resized: resized, History: openHistory(), OnHost: true,
		Size: func() (int, int) {
			w, h, err := term.GetSize(int(out.Fd()))
			if err != nil {
				return 0, 0
			}
			return w, h
		},
		Dial: func(Standing) (*api.Client, error) { return a.dial() },
	})
}
