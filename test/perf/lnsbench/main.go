// Command lnsbench measures lnsd beside a plain redirect, a reference forwarder,
// Linux routing and l2tpns, in network namespaces of its own, and prints the result.
// It needs root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lnsd/lnsd/test/lac/l2tpns"
	"github.com/lnsd/lnsd/test/netlab"
	"github.com/lnsd/lnsd/test/perf"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		if !errors.Is(err, flag.ErrHelp) {
			fmt.Fprintln(os.Stderr, "lnsbench:", err)
		}
		os.Exit(1)
	}
}

// options are the flags that are no part of the plan.
type options struct {
	json, docs, from           string
	sessions, sizes, forwarder string
	short                      bool
}

func run(args []string) error {
	plan, o := perf.Plan{}, options{}
	if err := parse(args, &plan, &o); err != nil {
		return err
	}
	if o.from != "" {
		report, err := read(o.from)
		if err != nil {
			return err
		}
		return publish(report, &o)
	}
	report, err := measure(&plan)
	if report != nil {
		err = errors.Join(err, publish(report, &o))
	}
	return err
}

func parse(args []string, plan *perf.Plan, o *options) error {
	flags := flag.NewFlagSet("lnsbench", flag.ContinueOnError)
	flags.StringVar(&o.json, "json", "", "write JSON lines to this `file`, - for standard output")
	flags.StringVar(&o.docs, "docs", "", "put tables and plot into performance.md and performance.svg in this `folder`")
	flags.StringVar(&o.from, "from", "", "measure nothing, take the results from this `file` of JSON lines")
	flags.StringVar(&o.forwarder, "forwarders", strings.Join(perf.Forwarders, ","), "what to measure")
	flags.StringVar(&o.sessions, "sessions", "1,1000,60000,1000000", "numbers of sessions, at most 1048576")
	flags.StringVar(&o.sizes, "sizes", "64,512,1400", "lengths of the inner packets in bytes")
	flags.IntVar(&plan.Rounds, "rounds", 5, "rounds of each measurement")
	flags.DurationVar(&plan.Time, "time", 250*time.Millisecond, "counted time of a round")
	flags.IntVar(&plan.Programs, "programs", 2000, "test runs of each path of a program; 0 for none")
	flags.IntVar(&plan.Extras, "extras", 400, "turns in which parts of lnsd's program are measured; 0 for none")
	flags.IntVar(&plan.Calls, "calls", 20000, "sessions to set up at each server; 0 for none (l2tpns gets slower the more it has)")
	flags.StringVar(&plan.LNSD, "lnsd", filepath.Join(filepath.Dir(os.Args[0]), "lnsd"), "the daemon's binary")
	flags.BoolVar(&o.short, "short", false, "a fifth of the rounds, of the calls and no million of sessions: a glance")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() > 0 {
		return fmt.Errorf("unexpected argument %q", flags.Arg(0))
	}
	return complete(plan, o)
}

// complete fills in what is derived from several flags.
func complete(plan *perf.Plan, o *options) (err error) {
	if o.short {
		o.sessions = "1,1000,60000"
		plan.Rounds, plan.Calls, plan.Programs, plan.Extras = 1, plan.Calls/5, plan.Programs/5, plan.Extras/5
	}
	plan.MapSizes = []int{65536, 1 << 20}
	for _, list := range []struct {
		text string
		to   *[]int
	}{{o.sessions, &plan.Sessions}, {o.sizes, &plan.Sizes}} {
		if *list.to, err = numbers(list.text); err != nil {
			return err
		}
	}
	plan.Forwarders = strings.Split(o.forwarder, ",")
	for _, name := range plan.Forwarders {
		if !slices.Contains(perf.Forwarders, name) {
			return fmt.Errorf("forwarder %q is none of %s", name, strings.Join(perf.Forwarders, ", "))
		}
	}
	return nil
}

func numbers(text string) ([]int, error) {
	var list []int
	for field := range strings.SplitSeq(text, ",") {
		n, err := strconv.Atoi(field)
		if err != nil || n < 1 {
			return nil, fmt.Errorf("%q is not a list of numbers", text)
		}
		list = append(list, n)
	}
	return list, nil
}

// measure runs the plan and leaves nothing behind.
func measure(plan *perf.Plan) (report *perf.Report, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("XDP programs and network namespaces need root")
	}
	if err := l2tpns.Available(); err != nil {
		return nil, err
	}
	prefix := fmt.Sprintf("%s-%d", perf.RigPrefix, os.Getpid())
	defer func() { err = errors.Join(err, netlab.Sweep(prefix)) }()
	debug.SetGCPercent(400) // fewer collections beside a measurement
	plan.Progress = func(s string) { fmt.Fprintf(os.Stderr, "%s %s\n", time.Now().Format(time.TimeOnly), s) }
	return plan.Run()
}

func read(name string) (*perf.Report, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return perf.ReadJSON(f)
}

// publish writes the report to wherever it was asked for; problems come last.
func publish(report *perf.Report, o *options) error {
	var errs []error
	people := io.Writer(os.Stdout)
	switch {
	case o.json == "-":
		people = os.Stderr
		errs = append(errs, report.WriteJSON(os.Stdout))
	case o.json != "":
		f, err := os.Create(o.json)
		if err != nil {
			return err
		}
		errs = append(errs, report.WriteJSON(f), f.Close())
	}
	errs = append(errs, report.WriteTables(people))
	if o.docs != "" {
		errs = append(errs, report.Document(o.docs))
	}
	return errors.Join(append(errs, report.Problems())...)
}
