// Command lacsim emulates L2TP access concentrators (LACs) and the subscribers
// behind them, to test an L2TP network server (LNS) and to load it.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// Exit codes.
const (
	exitFailed = 1 // a session or the traffic failed
	exitUsage  = 2
)

// errFailed ends the command after the report has said what is wrong.
var errFailed = errors.New("failed")

// errUsage marks errors that are the caller's.
type errUsage struct{ error }

func main() {
	// The first signal ends the run in order; with the second the default action
	// is back.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop)
	err := newCommand().ExecuteContext(ctx)
	stop()
	os.Exit(exitCode(err))
}

func exitCode(err error) int {
	var usage errUsage
	switch {
	case err == nil:
		return 0
	case errors.Is(err, errFailed):
		return exitFailed
	case errors.As(err, &usage):
		fmt.Fprintf(os.Stderr, "lacsim: %v\nTry 'lacsim --help'.\n", usage.error)
		return exitUsage
	}
	fmt.Fprintf(os.Stderr, "lacsim: %v\n", err)
	return exitFailed
}

const about = `lacsim emulates L2TP access concentrators (LACs) with the subscribers behind
them. It loads an L2TP network server (LNS), any that speaks L2TPv2 (RFC 2661), and
measures it: how fast sessions come up, how long each step takes, what fails and
why, and whether the packets that go through are the right ones.

  lacsim run      sets up tunnels and sessions, sends traffic, tears down, reports
  lacsim reflect  answers the traffic; runs on a host behind the LNS

A first look, 100 subscribers in 2 tunnels for ten seconds:

  lacsim run --lns 192.0.2.1 --secret s3cret --tunnels 2 --sessions 100 \
      --user 'user%d' --password pass --hold 10s

With traffic, checked byte by byte, against a reflector on the core side:

  core$ lacsim reflect --listen 198.51.100.9:7007
  lac$  lacsim run --lns 192.0.2.1 --secret s3cret --tunnels 4 --sessions 1000 \
      --user 'user%d' --password pass --hold 30s \
      --traffic 20000 --traffic-target 198.51.100.9:7007 --verify

As a load test, 60,000 sessions as fast as the LNS takes them, report as JSON:

  lacsim run --lns 192.0.2.1 --secret s3cret --tunnels 16 --sessions 60000 \
      --user 'user%d' --password pass --json report.json

Exit status: 0 everything came up, stayed up and was carried; 1 something was not,
and the report says what; 2 wrong usage.`

func newCommand() *cobra.Command {
	root := &cobra.Command{
		Use:           "lacsim",
		Short:         "Emulate LACs and subscribers to test and load an LNS",
		Long:          about,
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return errUsage{err} })
	root.AddCommand(newRunCommand(), newReflectCommand())
	return root
}

// noArguments is cobra.NoArgs with our exit code.
func noArguments(cmd *cobra.Command, args []string) error {
	if err := cobra.NoArgs(cmd, args); err != nil {
		return errUsage{err}
	}
	return nil
}
