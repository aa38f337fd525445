package e2e

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/lnsd/lnsd/test/netlab"
)

// explain puts what may explain a failure into the test's log, once and while everything
// still runs: whatever is going to stop a program calls it before.
func (r *rig) explain() {
	if r.looked || !r.t.Failed() {
		return
	}
	r.looked = true
	var b strings.Builder
	for _, show := range []string{"tunnel", "session"} {
		out, err := r.tryCtl("show", show)
		if err != nil {
			out = err.Error()
		}
		fmt.Fprintf(&b, "lnsctl show %s:\n%s\n", show, head(out, 1500))
	}
	fmt.Fprintf(&b, "counters: %s\n", r.movedCounters())
	for _, n := range []*netlab.Namespace{r.lab.LAC, r.lab.LNS, r.lab.Core} {
		for _, args := range []string{"-brief address", "route", "-6 route", "neighbour"} {
			fmt.Fprintf(&b, "%s: ip %s:\n%s", n.Name, args, head(r.look(n, "ip", strings.Fields(args)...), 800))
		}
	}
	fmt.Fprintf(&b, "dropped by the kernel: %s", strings.Join(strings.Fields(r.kernelDrops()), " "))
	r.t.Logf("when it failed:\n%s", b.String())
}

// movedCounters are the daemon's counters that are not zero.
func (r *rig) movedCounters() string {
	var counters map[string]uint64
	if err := r.tryJSON(&counters, "show", "counters"); err != nil {
		return err.Error()
	}
	var moved []string
	for _, name := range slices.Sorted(maps.Keys(counters)) {
		if n := counters[name]; n != 0 {
			moved = append(moved, fmt.Sprintf("%s=%d", name, n))
		}
	}
	return strings.Join(moved, " ")
}

// dropsCommand prints the datagrams that found no room in a socket, and what each
// interface has received, sent and dropped.
const dropsCommand = `nstat -as | awk '/^Udp(In|Rcvbuf|Sndbuf)Errors/ { print $1 "=" $2 }'
awk 'NR > 2 && $1 != "lo:" { print $1, "received", $3, "dropped", $5, "sent", $11, "dropped", $13 }' /proc/net/dev`

// kernelDrops are what was lost below the programs.
func (r *rig) kernelDrops() string {
	var b strings.Builder
	for _, n := range []*netlab.Namespace{r.lab.LAC, r.lab.LNS, r.lab.Core} {
		fmt.Fprintf(&b, "%s %s ", n.Name, r.look(n, "sh", "-c", dropsCommand))
	}
	return b.String()
}

// look runs a program and returns what it prints, or why it did not run.
func (r *rig) look(n *netlab.Namespace, name string, args ...string) string {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	out, err := n.Output(ctx, name, args...)
	if err != nil && out == "" {
		return err.Error()
	}
	return out
}

func head(s string, n int) string {
	if len(s) > n {
		return s[:n] + "...\n"
	}
	return s
}
