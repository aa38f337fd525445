// Lnsd is an L2TP network server: it terminates tunnels and PPP sessions and
// forwards subscribers' packets, in the kernel where it can.
package main

import (
	"errors"
	"fmt"
	"os"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/session"
)

// version is set when the program is built.
var version = "unknown"

// Exit codes, beside 0.
const (
	exitFailed = 1
	exitUsage  = 2
)

// flags are the command line.
type flags struct {
	config    string
	logFormat string
	verbose   int
	check     bool
	cleanup   bool
	remote    bool
	status    bool
	trace     string
	traceAll  bool
	facility  string
}

func main() {
	cmd := command()
	if err := cmd.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "lnsd:", err)
		var usage usageError
		if errors.As(err, &usage) {
			os.Exit(exitUsage)
		}
		os.Exit(exitFailed)
	}
}

type usageError struct{ error }

func command() *cobra.Command {
	var f flags
	cmd := &cobra.Command{
		Use:   "lnsd",
		Short: "L2TP network server",
		Long: "lnsd terminates L2TPv2 tunnels and the PPP sessions in them and forwards their packets by XDP.\n\n" +
			"It stays in the foreground. SIGHUP reads the configuration and the users again and reopens\n" +
			"the log; SIGTERM and SIGINT stop the daemon, whose sessions go on until the next one takes\n" +
			"them over; SIGQUIT disconnects every session and tunnel first.",
		Version:       version,
		Args:          cobra.NoArgs,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(*cobra.Command, []string) error {
			if err := f.valid(); err != nil {
				return usageError{err}
			}
			switch {
			case f.check:
				return check(f)
			case f.cleanup:
				return cleanup(f)
			default:
				return run(f)
			}
		},
	}
	cmd.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	cmd.Flags().StringVarP(&f.config, "config", "c", "/etc/lnsd/startup-config",
		"configuration `FILE`; ip_pool and chap-secrets are looked for beside it")
	cmd.Flags().StringVar(&f.logFormat, "log-format", "", "`text` or json (default: text on a terminal, else json)")
	cmd.Flags().CountVarP(&f.verbose, "verbose", "v", "log more than the debug setting says; may be repeated")
	cmd.Flags().BoolVarP(&f.remote, "remote", "R", false,
		"let lnsctl --server in, at every address unless remote_address names one")
	cmd.Flags().BoolVarP(&f.status, "status-files", "S", false,
		"keep status files, in "+defaultStatusDir+" unless status_dir names another directory")
	cmd.Flags().StringVarP(&f.trace, "trace", "d", "",
		"trace into the log from the start: `CATEGORIES` by name, separated by commas, or OpenL2TP's number")
	cmd.Flags().BoolVarP(&f.traceAll, "trace-all", "D", false, "trace everything into the log from the start")
	cmd.Flags().StringVarP(&f.facility, "syslog", "L", "",
		"log to syslog's `FACILITY`, such as local5, whatever log_file says")
	cmd.Flags().BoolVar(&f.check, "check", false, "check the configuration, say what is wrong with it, and exit")
	cmd.Flags().BoolVar(&f.cleanup, "cleanup", false, "remove what a daemon that is gone has left for the next one, and exit")
	return cmd
}

// traced is the mask of what is traced from the start.
func (f *flags) traced() (session.TraceMask, error) {
	switch {
	case f.traceAll:
		return session.TraceAll, nil
	case f.trace == "":
		return 0, nil
	}
	return session.ParseTraceMask(f.trace)
}

// logFile is where the log goes, with a configuration.
func (f *flags) logFile(c *config.Config) string {
	if f.facility != "" {
		return syslogPrefix + f.facility
	}
	return c.Log.File
}

// valid reports what is wrong with the values of flags.
func (f *flags) valid() error {
	if _, err := f.traced(); err != nil {
		return fmt.Errorf("--trace: %w", err)
	}
	if f.facility == "" {
		return nil
	}
	if err := config.CheckLogFile(syslogPrefix + f.facility); err != nil {
		return fmt.Errorf("--syslog: %s is no facility", f.facility)
	}
	return nil
}

// check reads the configuration like a start would, and prints what it thinks.
func check(f flags) error {
	c, warnings, err := config.Load(f.config)
	for _, w := range warnings {
		fmt.Fprintln(os.Stderr, "warning:", w)
	}
	if err == nil {
		err = usable(c)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s: good; %d LACs, %d pools\n", f.config, len(c.LACs), len(c.Pools))
	return nil
}

// usable finds what a start would refuse although every line is right, as far as that
// shows without touching the host.
func usable(c *config.Config) error {
	if err := enginePolicy(c, servesIPv6(c, nil)).Validate(); err != nil {
		return err
	}
	if _, err := pools(c); err != nil {
		return err
	}
	if c.Management.Remote.IsValid() {
		if _, err := remoteOption(&c.Management); err != nil {
			return err
		}
	}
	if len(c.RADIUS.Servers()) > 0 {
		return nil
	}
	_, err := openSecrets(c, nil)
	return err
}
