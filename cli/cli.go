// Package cli is lnsctl: the commands that operators give to a running daemon.
//
// Every command is a row of a table (Command in command.go), one file per noun.
// The table makes the command tree, its help, the checks of its arguments and the
// completion of live values.
package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lnsd/lnsd/control/api"
)

// Env is what a run of lnsctl takes from its surroundings.
type Env struct {
	Out, Err io.Writer
	// In is the terminal that a shell reads from; nil for no shell.
	In *os.File
	// Terminal is true when Out is one and may be taken over.
	Terminal bool
	// Version is that of the program.
	Version string
	// Socket is where the daemon is unless --socket says otherwise, Identity what
	// --identity is unless it is given.
	Socket, Identity string
}

// DefaultSocket is the daemon's socket where nothing else is configured.
const DefaultSocket = "/run/lnsd/lnsd.sock"

const (
	// defaultTimeout is generous: a list of a million sessions takes a while.
	defaultTimeout = 30 * time.Second
	// completionTimeout keeps the Tab key from hanging.
	completionTimeout = time.Second
	outputBuffer      = 64 << 10
)

// Run runs lnsctl with the given arguments and returns its exit code.
func Run(ctx context.Context, env Env, args []string) int {
	// A table of a million rows is not to be a million system calls.
	raw := env.Out
	out := bufio.NewWriterSize(raw, outputBuffer)
	env.Out = out
	a := &app{env: env, args: args, out: out, raw: raw}
	if tty, ok := raw.(*os.File); ok && isTerminal(env.In, tty) {
		a.tty = tty
	}
	err := joinErr(a.execute(ctx), out.Flush())
	if err == nil {
		return exitOK
	}
	var nodes nodesError
	if errors.As(err, &nodes) {
		return nodes.code
	}
	text, code := explain(err, a.where())
	for line := range strings.Lines(text) {
		fmt.Fprintf(env.Err, "lnsctl: %s\n", escape(strings.TrimSuffix(line, "\n")))
	}
	return code
}

func (a *app) execute(ctx context.Context) error {
	root := a.root()
	root.SetArgs(a.args)
	root.SetOut(a.env.Out)
	root.SetErr(a.env.Err)
	return root.ExecuteContext(ctx)
}

// Command is the tree of the commands, for what is made from it: manual pages.
func Command(env Env) *cobra.Command { return (&app{env: env}).root() }

// app is one run.
type app struct {
	env Env
	tty *os.File // where a person looks; nil for none
	// within is the shell that the command was entered in, which knows the daemon by
	// connect; nil for the command line.
	within  *shell
	connect func() (*api.Client, error)
	filters []filter // that the output goes through
	args    []string
	out     *bufio.Writer // below env.Out; nil where that is not buffered
	raw     io.Writer     // below out
	socket  string
	servers []string // none: the socket
	remote  remoteFlags
	json    bool
	timeout time.Duration
	cause   string // of drop
	summary bool   // of show pool
	sid     bool   // USER is a session's ID
	commit  commitFlags
	live    bool // of profile modify
	wait    bool // of drain
}

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "lnsctl",
		Short:         "See and steer a running lnsd",
		Long:          "lnsctl shows what a running lnsd does, and tells it what to do.\n\n" + exitHelp,
		SilenceErrors: true,
		// For the hints of missing: two letters may be wrong.
		SuggestionsMinimumDistance: 2,
		SilenceUsage:               true,
		Args:                       cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 && a.tty != nil {
				return a.interactive(cmd.Context(), a.tty)
			}
			return missing(cmd, args)
		},
	}
	socket := a.env.Socket
	if socket == "" {
		socket = DefaultSocket
	}
	f := root.PersistentFlags()
	f.BoolVar(&a.json, "json", false, "print JSON")
	f.DurationVar(&a.timeout, "timeout", defaultTimeout, "give up after so long; 0 never")
	if a.within == nil {
		// In a shell it is settled which daemon is meant, and who asks.
		a.declareWhere(f, socket)
	}
	for _, c := range a.commands() {
		if a.within == nil || a.within.env.OnHost || !c.host {
			a.add(root, c)
		}
	}
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// declareWhere adds the flags that say which daemon is meant.
func (a *app) declareWhere(f *pflag.FlagSet, socket string) {
	f.StringVar(&a.socket, "socket", socket, "Unix socket of the daemon; the variable LNSD_SOCKET sets another default")
	a.remote.identity = a.env.Identity
	a.remote.declare(f, &a.servers)
}

// missing answers a command that only holds others.
func missing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return usageError{fmt.Errorf("%s what? See %s --help", cmd.CommandPath(), cmd.CommandPath())}
	}
	hint := ""
	if near := cmd.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf(" (did you mean %s?)", strings.Join(near, " or "))
	}
	return usageError{fmt.Errorf("unknown command %q for %q%s", args[0], cmd.CommandPath(), hint)}
}

// call connects to the daemon and runs f within the time allowed.
func (a *app) call(ctx context.Context, f func(context.Context, *api.Client) error) error {
	return a.callFor(ctx, a.timeout, f)
}

// callFor is call within a time of its own; 0 is without an end.
func (a *app) callFor(ctx context.Context, timeout time.Duration, f func(context.Context, *api.Client) error) error {
	if timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, timeout)
		defer cancel()
	}
	c, err := a.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := f(ctx, c); err != nil {
		return &callError{err: err, connect: c.ConnectError()}
	}
	return nil
}

func (a *app) dial() (*api.Client, error) {
	if a.connect != nil {
		return a.connect()
	}
	if len(a.servers) == 0 {
		return api.Dial(a.socket)
	}
	return a.remote.dial(a.servers[0])
}

// where is the daemon as errors name it.
func (a *app) where() string {
	if a.within != nil {
		return a.within.env.Where
	}
	if len(a.servers) == 0 {
		return a.socket
	}
	return a.servers[0]
}

// flush hands on what has been printed, for who waits for it.
func (a *app) flush() error {
	if a.out == nil {
		return nil
	}
	return a.out.Flush()
}
