// Command lnsctl shows what a running lnsd does and tells it what to do.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"golang.org/x/term"

	"github.com/lnsd/lnsd/cli"
)

// version is set by the linker.
var version = "unknown"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := cli.Run(ctx, cli.Env{
		In: os.Stdin, Out: os.Stdout, Err: os.Stderr, Terminal: term.IsTerminal(int(os.Stdout.Fd())), Version: version, Socket: os.Getenv("LNSD_SOCKET"), Identity: os.Getenv("LNSD_IDENTITY"),
	}, os.Args[1:])
	stop()
	os.Exit(code)
}
