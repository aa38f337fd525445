package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"github.com/lnsd/lnsd/test/lac"
)

const aboutRun = `Sets up tunnels, places calls, runs PPP for each subscriber, holds the sessions,
sends traffic through them if asked to, tears everything down and reports.

Phases
  setup     until every session has its address or has failed
  traffic   for --traffic-time, or for the whole of --hold; with --traffic-on-signal
            it begins at SIGUSR1
  hold      for the rest of --hold
  teardown  as --teardown says; Ctrl-C goes here at once from any other phase

Numbers
  --sessions is a total, dealt out evenly over the tunnels. With --rate 0 calls are
  placed as fast as the LNS's receive windows and --parallel allow.
  A %d in --user, --password, --calling and --called is the number of the session,
  in --hostname that of the tunnel; %05d pads with zeros.

Traffic
  Each session sends UDP packets from its address to --traffic-target, where
  'lacsim reflect' sends them back. Every packet carries the run, the session, a
  sequence number, a pattern and a checksum. With --verify each echo is compared in
  full, and wrong, doubled, misdelivered or missing ones make the run fail.
  Wrong udp_checksum between virtual interfaces usually means that the reflector's
  host left the checksum to its network card; switch that off there:
  ethtool -K IFACE tx off.

Faults on purpose
  --loss, --duplicate and --reorder damage the control channel and PPP negotiation,
  never the traffic.`

// options are the flags that are no field of lac.Config.
type options struct {
	lac.Config

	lns      string
	port     uint16
	bind     []string
	auth     string
	hold     string
	target   string
	target6  string
	need6    []string
	teardown string
	ff03     string
	offset   int
	maxLoss  float64
	onSignal bool
	json     string
	quiet    bool
}

func newRunCommand() *cobra.Command {
	o := &options{}
	cmd := &cobra.Command{
		Use:     "run --lns ADDRESS [flags]",
		Short:   "Set up tunnels and sessions, send traffic, tear down, report",
		Long:    aboutRun,
		Example: "  lacsim run --lns 192.0.2.1 --secret s3cret --sessions 100 --user 'user%d' --password pass --hold 10s",
		Args:    noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := o.config(cmd)
			if err != nil {
				return errUsage{err}
			}
			return o.execute(cmd, cfg)
		},
	}
	o.flags(cmd)
	return cmd
}

func (o *options) execute(cmd *cobra.Command, cfg lac.Config) error {
	// The report's readers get standard output to themselves.
	people := cmd.OutOrStdout()
	if o.json == "-" {
		people = os.Stderr
	}
	progress := io.Writer(os.Stderr)
	if o.quiet {
		people, progress = io.Discard, io.Discard
	}
	terminal := term.IsTerminal(int(os.Stderr.Fd()))
	width, _, _ := term.GetSize(int(os.Stderr.Fd())) // 0 when it is no terminal
	bar := lac.NewProgressWriter(progress, terminal, width)
	cfg.Progress = bar.Show
	if cfg.Hold == lac.Forever {
		cfg.Phase = announceHold(bar, people)
	}

	if o.onSignal {
		begin, stop := signal.NotifyContext(context.Background(), syscall.SIGUSR1)
		defer stop()
		cfg.Traffic.Begin = begin.Done()
	}
	report, err := lac.Run(cmd.Context(), cfg)
	bar.Clear()
	if err != nil {
		return err
	}
	if err := report.WriteText(people); err != nil {
		return err
	}
	if err := o.writeJSON(cmd, report); err != nil {
		return err
	}
	if !report.OK() {
		return errFailed
	}
	return nil
}

// announceHold says where a run without end stands once nothing more will change.
func announceHold(bar *lac.ProgressWriter, w io.Writer) func(lac.Phase, *lac.Report) {
	return func(p lac.Phase, r *lac.Report) {
		if p != lac.PhaseHold {
			return
		}
		bar.Clear()
		_ = r.WriteText(w)
		fmt.Fprintln(w, "Holding the sessions until Ctrl-C.")
	}
}

func (o *options) writeJSON(cmd *cobra.Command, report *lac.Report) error {
	switch o.json {
	case "":
		return nil
	case "-":
		return report.WriteJSON(cmd.OutOrStdout())
	}
	f, err := os.Create(o.json)
	if err != nil {
		return err
	}
	return errors.Join(report.WriteJSON(f), f.Close())
}

// config makes one value of all flags.
func (o *options) config(cmd *cobra.Command) (lac.Config, error) {
	c := o.Config
	var errs []error
	keep := func(err error) {
		if err != nil {
			errs = append(errs, err)
		}
	}
	var err error
	if o.lns == "" {
		keep(errors.New("--lns is required"))
	} else {
		c.LNS, err = parseServer(o.lns, o.port)
		keep(err)
	}
	for _, b := range o.bind {
		a, err := netip.ParseAddr(b)
		if err != nil {
			keep(fmt.Errorf("--bind %q is not an IP address", b))
		}
		c.Bind = append(c.Bind, a)
	}
	c.Auth, err = parseAuth(o.auth)
	keep(err)
	c.Hold, err = parseHold(o.hold)
	keep(err)
	c.Teardown, err = lac.ParseTeardown(o.teardown)
	keep(err)
	c.Framing.AddressControl, err = parseFF03(o.ff03)
	keep(err)
	c.Framing.HasOffset, c.Framing.Offset = cmd.Flags().Changed("offset"), o.offset
	if o.target != "" {
		if c.Traffic.Target, err = netip.ParseAddrPort(o.target); err != nil {
			keep(fmt.Errorf("--traffic-target %q is not ADDRESS:PORT", o.target))
		}
	}
	if o.target6 != "" {
		if c.Traffic.Target6, err = netip.ParseAddrPort(o.target6); err != nil {
			keep(fmt.Errorf("--traffic-target6 %q is not [ADDRESS]:PORT", o.target6))
		}
	}
	c.Need6, err = lac.ParseNeed6(o.need6)
	if err != nil {
		keep(fmt.Errorf("--ipv6-need: %w", err))
	}
	c.Traffic.MaxLoss = o.maxLoss / 100
	if len(errs) == 0 {
		keep(c.Check())
	}
	return c, errors.Join(errs...)
}

// parseServer reads ADDRESS or ADDRESS:PORT.
func parseServer(s string, port uint16) (netip.AddrPort, error) {
	if ap, err := netip.ParseAddrPort(s); err == nil {
		return ap, nil
	}
	a, err := netip.ParseAddr(s)
	if err != nil {
		return netip.AddrPort{}, fmt.Errorf("--lns %q is not an IP address", s)
	}
	return netip.AddrPortFrom(a, port), nil
}

func parseHold(s string) (time.Duration, error) {
	if s == "forever" {
		return lac.Forever, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("--hold %q is neither a duration such as 30s nor forever", s)
	}
	return d, nil
}

func parseFF03(s string) (lac.AddressControl, error) {
	switch s {
	case "auto":
		return lac.Auto, nil
	case "always":
		return lac.Always, nil
	case "never":
		return lac.Never, nil
	}
	return 0, fmt.Errorf("--ff03 %q is none of auto, always, never", s)
}
