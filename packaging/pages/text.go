package main

import (
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/lnsd/lnsd/cli"
	"github.com/lnsd/lnsd/control/config"
)

const (
	administration = "System administration"
	formats        = "File formats"
)

func pages(bin string) []page {
	return []page{
		{"lnsd", 8, administration, func() (string, error) { return program(bin, "lnsd", lnsdMore) }},
		{"lacsim", 8, administration, func() (string, error) { return program(bin, "lacsim", lacsimMore, "run") }},
		{"lnsctl", 8, administration, lnsctl},
		{"startup-config", 5, formats, startupConfig},
	}
}

const lnsdMore = `
# FILES

**/etc/lnsd/startup-config**
: The configuration, see **startup-config**(5). The files **ip_pool** and **chap-secrets** are looked for beside it.

**/run/lnsd/lnsd.sock**
: The management socket, for **lnsctl**(8).

**/sys/fs/bpf/lns**
: The maps of the fast path; **bpftool**(8) shows them.

**/var/lib/lnsd**
: What outlives a start.

# EXIT STATUS

**0** after a wanted end, **1** after a failure, which is said on standard error, **2** for a wrong command line.

# SEE ALSO

**lnsctl**(8), **startup-config**(5), **lacsim**(8)
`

const lacsimMore = `
# SEE ALSO

**lnsd**(8), **lnsctl**(8)
`

// program is the page of a program whose help says what there is to say. With the
// name of a subcommand its help is added.
func program(bin, name, more string, subcommands ...string) (string, error) {
	path := filepath.Join(bin, name)
	help, err := helpOf(path)
	if err != nil {
		return "", err
	}
	first, _, _ := strings.Cut(help, "\n")
	var b strings.Builder
	fmt.Fprintf(&b, "# NAME\n\n%s - %s\n\n# DESCRIPTION\n\n%s", name, lower(first), verbatim(help))
	for _, sub := range subcommands {
		help, err := helpOf(path, sub)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "\n# %s\n\n%s", strings.ToUpper(name+" "+sub), verbatim(help))
	}
	return b.String() + more, nil
}

func helpOf(path string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, append(args, "--help")...).Output()
	if err != nil {
		return "", fmt.Errorf("%s --help: %w", path, err)
	}
	return string(out), nil
}

// lnsctl is made from the tree of its commands.
func lnsctl() (string, error) {
	root := cli.Command(cli.Env{Version: "-"})
	var b strings.Builder
	fmt.Fprintf(&b, "# NAME\n\nlnsctl - %s\n\n# SYNOPSIS\n\n**lnsctl** [*FLAG*]... *COMMAND* [*ARGUMENT*]\n\n", lower(root.Short))
	fmt.Fprintf(&b, "# DESCRIPTION\n\n%s\n\n# FLAGS\n\n", root.Long)
	root.PersistentFlags().VisitAll(func(f *pflag.Flag) { writeFlag(&b, f) })
	b.WriteString("# COMMANDS\n\n")
	writeCommands(&b, root)
	b.WriteString("# SEE ALSO\n\n**lnsd**(8), **startup-config**(5)\n")
	return b.String(), nil
}

func writeCommands(b *strings.Builder, parent *cobra.Command) {
	for _, c := range parent.Commands() {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		if c.HasSubCommands() && c.Name() != "completion" {
			writeCommands(b, c)
			continue
		}
		fmt.Fprintf(b, "**%s**\n: %s.\n\n",
			strings.TrimSuffix(strings.TrimPrefix(c.UseLine(), "lnsctl "), " [flags]"), strings.TrimSuffix(c.Short, "."))
		c.LocalNonPersistentFlags().VisitAll(func(f *pflag.Flag) {
			if f.Name != "help" {
				writeFlag(b, f)
			}
		})
	}
}

func writeFlag(b *strings.Builder, f *pflag.Flag) {
	value, usage := pflag.UnquoteUsage(f)
	name := "**--" + f.Name + "**"
	if f.Shorthand != "" {
		name = "**-" + f.Shorthand + "**, " + name
	}
	if value != "" {
		name += " *" + value + "*"
	}
	fmt.Fprintf(b, "%s\n: %s.\n\n", name, usage)
}

// startupConfig is made from the tables of settings, LAC policy keys and commands.
func startupConfig() (string, error) {
	var b strings.Builder
	b.WriteString("# NAME\n\nstartup-config - configuration of lnsd\n\n# DESCRIPTION\n\n" +
		"A list of commands, one a line. Lines that begin with **#** or **!** are comments. A value with blanks " +
		"goes between quotes. What is not known, or out of range, is refused with file, line and a suggestion; " +
		"**lnsd --check** tries a file without starting anything.\n\n# COMMANDS\n\n")
	for _, c := range config.Commands() {
		fmt.Fprintf(&b, "**%s**\n: %s\n\n", c.Usage(), c.Help)
	}
	b.WriteString("# SETTINGS\n\nWhat **set** *NAME* *VALUE* takes.\n\n")
	for _, s := range config.Settings() {
		fmt.Fprintf(&b, "**%s** *%s*\n: %s Default: %s. Takes effect: %s.\n\n",
			s.Name, values(s.Type, s.Unit, s.Range, s.Words), s.Help, or(s.Default, "none"), s.Apply)
	}
	b.WriteString("# KEYS OF THE LAC COMMAND\n\n")
	for _, k := range config.LACKeys() {
		fmt.Fprintf(&b, "**%s** *%s*\n: %s\n\n", k.Name, values(k.Type, k.Unit, k.Range, k.Words), k.Help)
	}
	b.WriteString("# FILES\n\n**/etc/lnsd/startup-config**\n: Read at the start, and again on SIGHUP.\n\n" +
		"# SEE ALSO\n\n**lnsd**(8), **lnsctl**(8)\n")
	return b.String(), nil
}

func values(kind, unit, bounds string, words []string) string {
	if len(words) > 0 {
		return strings.Join(words, "|")
	}
	v := kind
	if unit != "" {
		v += " in " + unit
	}
	if bounds != "" {
		v += ", " + bounds
	}
	return v
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// lower makes a sentence's beginning a phrase's, but leaves abbreviations.
func lower(s string) string {
	if len(s) > 1 && s[1] >= 'a' && s[1] <= 'z' {
		s = strings.ToLower(s[:1]) + s[1:]
	}
	return strings.TrimSuffix(s, ".")
}

// verbatim is text as a block that is not filled.
func verbatim(s string) string {
	var b strings.Builder
	for line := range strings.Lines(s) {
		b.WriteString("    " + line)
	}
	return b.String()
}
