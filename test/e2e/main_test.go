// Package e2e runs the real binaries in network namespaces: lacsim as LAC and
// subscribers, lnsd, a core router with a reflector, and where a case asks for it
// FreeRADIUS, xl2tpd and l2tpns.
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
	dir, err := os.MkdirTemp("", "lnsd-e2e")
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
	if err := netlab.Sweep(labPrefix); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	binaries = dir
	return m.Run()
}

func binary(name string) string { return filepath.Join(binaries, name) }
