package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
)

// command is one row of the table of commands.
type command struct {
	// words are the command itself, such as "show session".
	words string
	arg   *arg // nil: takes none
	// args are the arguments of a command with several; its run is runs. most is how
	// many words they may be, if one can be several.
	args  []arg
	most  int
	runs  func(ctx context.Context, values []string) error
	help  string
	flags func(*cobra.Command)
	// alias is another last word for the same command.
	alias string
	// endless commands run until they are interrupted, against one daemon.
	endless bool
	// host commands read or write files of the host that they run on, and are not for
	// shells that the daemon runs itself.
	host bool
	run  func(ctx context.Context, value string) error
}

// arg is a command's argument.
type arg struct {
	name     string
	optional bool
	kind     kind
}

// kind is a type of argument: how it is checked and completed.
type kind struct {
	check    func(string) error
	complete func(ctx context.Context, c *api.Client, prefix string) ([]string, error)
}

func (a *app) commands() []command {
	var all []command
	for _, noun := range [][]command{
		a.sessionCommands(), a.userCommands(), a.tunnelCommands(), a.poolCommands(), a.countersCommands(),
		a.packetHookCommands(), a.pluginCommands(),
		a.radiusCommands(), a.servicesCommands(), a.restrictionsCommands(), a.statusCommands(), a.uptimeCommands(), a.configCommands(), a.commitCommands(), a.profileCommands(), a.outgoingCommands(), a.shutdownCommands(),
		a.supportCommands(), a.watchCommands(), a.memoryCommands(), a.absentCommands(), a.passwordCommands(), a.topCommands(), a.certificateCommands(),
		a.traceCommands(), a.historyCommands(),
		a.interceptCommands(), a.captureCommands(), a.histogramCommands(), a.drainCommands(), a.accountingCommands(), a.capturesCommands(),
	} {
		all = append(all, noun...)
	}
	return all
}

// groupHelp is for the words that commands begin with.
func groupHelp(word string) string {
	switch word {
	case "show":
		return "Show what is"
	case "profile":
		return "Make, change and show profiles"
	case "tunnel":
		return "Open tunnels, and what holds for tunnels"
	case "peer", "ppp":
		return "What holds for " + word + "s"
	case "session":
		return "Place calls, and what holds for sessions"
	case "config":
		return "Change the configuration, compare, commit and undo"
	case "histogram":
		return "Show how sessions spread over times"
	case "restart":
		return "Begin anew"
	case "drop":
		return "Disconnect sessions"
	case "trace":
		return "See what tunnels and sessions do, in detail"
	case "capture":
		return "Capture what sessions send and receive, for Wireshark"
	case "set":
		return "Trace into the daemon's log"
	case "follow":
		return "Trace to this terminal"
	case "explain":
		return "Say why"
	case "plugin":
		return "Talk to plugins"
	case "load":
		return "Load a plugin"
	case "remove":
		return "Take a plugin out"
	case "hook":
		return "Put your own BPF function into the way of packets"
	case "no":
		return "Take back what a command has done"
	case "write":
		return "Keep what was configured"
	case "configure":
		return "Change the configuration"
	case "clear":
		return "Begin counting anew"
	case "terminal":
		return "Set what holds for this terminal"
	}
	return ""
}

// add puts c into the tree, with the words it begins with.
func (a *app) add(root *cobra.Command, c command) {
	parent := root
	words := strings.Fields(c.words)
	for _, w := range words[:len(words)-1] {
		parent = group(parent, w)
	}
	cmd := &cobra.Command{
		Use:   words[len(words)-1],
		Short: c.help,
		Args:  usageArgs(c.arg),
		RunE: func(cmd *cobra.Command, args []string) error {
			value := ""
			if len(args) > 0 {
				value = args[0]
			}
			return a.everywhere(cmd.Context(), &c, value)
		},
		ValidArgsFunction: a.completion(c.arg),
	}
	if c.arg != nil {
		cmd.Use += " " + c.arg.usage()
	}
	if c.runs != nil {
		several(cmd, &c)
		cmd.ValidArgsFunction = a.completion(&c.args[0])
	}
	if c.alias != "" {
		cmd.Aliases = []string{c.alias}
	}
	if c.flags != nil {
		c.flags(cmd)
	}
	parent.AddCommand(cmd)
}

// several makes cmd take several arguments.
func several(cmd *cobra.Command, c *command) {
	least, most := 0, max(len(c.args), c.most)
	for _, g := range c.args {
		cmd.Use += " " + g.usage()
		if !g.optional {
			least++
		}
	}
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usageError{fmt.Errorf("usage: %s", cmd.UseLine())}
		}
		for i, v := range args {
			if i >= len(c.args) || c.args[i].kind.check == nil {
				continue
			}
			if err := c.args[i].kind.check(v); err != nil {
				return usageError{fmt.Errorf("%s: %w", c.args[i].name, err)}
			}
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, args []string) error { return c.runs(cmd.Context(), args) }
}

func group(parent *cobra.Command, word string) *cobra.Command {
	for _, c := range parent.Commands() {
		if c.Name() == word {
			return c
		}
	}
	g := &cobra.Command{
		Use: word, Short: groupHelp(word), RunE: missing,
		SuggestionsMinimumDistance: parent.SuggestionsMinimumDistance,
	}
	parent.AddCommand(g)
	return g
}

func (g *arg) usage() string {
	if g.optional {
		return "[" + g.name + "]"
	}
	return g.name
}

func usageArgs(g *arg) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		switch {
		case g == nil && len(args) > 0:
			return usageError{fmt.Errorf("%s takes no argument", cmd.CommandPath())}
		case g == nil:
			return nil
		case len(args) == 0 && !g.optional:
			return usageError{fmt.Errorf("%s needs %s", cmd.CommandPath(), g.name)}
		case len(args) > 1:
			return usageError{fmt.Errorf("%s takes one %s", cmd.CommandPath(), g.name)}
		case len(args) == 1 && g.kind.check != nil:
			if err := g.kind.check(args[0]); err != nil {
				return usageError{fmt.Errorf("%s: %w", g.name, err)}
			}
		}
		return nil
	}
}

// completion offers live values; without a daemon it offers nothing.
func (a *app) completion(g *arg) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, prefix string) ([]string, cobra.ShellCompDirective) {
		if g == nil || g.kind.complete == nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completionTimeout)
		defer cancel()
		var words []string
		err := a.call(ctx, func(ctx context.Context, c *api.Client) (err error) {
			words, err = g.kind.complete(ctx, c, prefix)
			return err
		})
		if err != nil {
			cobra.CompDebugln(err.Error(), false)
		}
		return words, cobra.ShellCompDirectiveNoFileComp
	}
}
