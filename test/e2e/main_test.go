// Package e2e runs the real binaries in network namespaces: lacsim as LAC and
// subscribers, lnsd, a core router with a reflector, and where a case asks for it
// FreeRADIUS, xl2tpd and l2tpns.
//
// How the tests share the machine. Most of them wait: for timers, for traffic that lasts
// for a second, for a program to start. They call t.Parallel and run side by side, as
// many as -parallel says (make test-e2e: 6, more than there are processors because they
// wait). Each has namespaces, pins, files and ports of its own, so that nothing needs to
// be agreed on; whatever a new test touches has to be its own, too. A few load the
// machine or measure what it can do (throughput, fairness, a flood, a hundred thousand
// sessions, not one lost packet of thousands a second). They do not call t.Parallel, and
// thereby run alone: Go first runs all of those one after the other, while the parallel
// ones are paused at their first line, and then these together.
//
// A test of either kind meets a busy machine. It waits for conditions, with rig.until,
// and not for times; it makes traffic last until it has seen what it wanted (--hold
// forever and rig.leave, --traffic-on-signal); and what it says of durations leaves room.
package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/lnsd/lnsd/test/netlab"
)

// binaries is where TestMain has built lnsd, lnsctl and lacsim.
var binaries string

func TestMain(m *testing.M) {
	os.Exit(run(m))
}

func run(m *testing.M) int {
	if os.Geteuid() != 0 {
		fmt.Println("skipped: namespaces and XDP need root")
		return 0
	}
	dir, err := os.MkdirTemp("", fmt.Sprintf("%s-%d-", labPrefix, os.Getpid()))
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	build := exec.Command("go", "build", "-o", dir, "../../cmd/...")
	if out, err := build.CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "build: %v\n%s", err, out)
		return 1
	}
	if err := netlab.Sweep(labPrefix, pinRoot, os.TempDir()); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries = dir
	return m.Run()
}

func binary(name string) string { return filepath.Join(binaries, name) }
