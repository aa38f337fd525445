package perf

import (
	"fmt"
	"os"
	"testing"

	"github.com/lnsd/lnsd/test/netlab"
)

// smokePackets is enough for every session several times, and for pages that the
// kernel uses again.
const smokePackets = 4096

// Every packet arrives, and every one is in every byte what it must be: through the
// plain redirect, the reference, lnsd and the kernel, in both directions and in
// each size.
func TestYardstick(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("BPF programs and network namespaces need root")
	}
	r, err := newRig()
	if err != nil {
		t.Fatal(err)
	}
	var open closers
	open.add(r.close)
	t.Cleanup(func() {
		if err := open.close(); err != nil {
			t.Error(err)
		}
	})
	for _, sessions := range []int{1, 1000} {
		targets := kernelTargets(t, r, sessions, &open)
		for _, target := range targets {
			for _, d := range []Direction{Up, Down} {
				for _, size := range []int{64, 512, 1400} {
					t.Run(fmt.Sprintf("%s/%s/%d/%d", target.name, d, size, sessions), func(t *testing.T) {
						smoke(t, &trial{target: target, direction: d, size: size, every: 1})
					})
				}
			}
		}
	}
}

func kernelTargets(t *testing.T, r *rig, sessions int, open *closers) []*target {
	t.Helper()
	all := MakeSessions(sessions, sessions)
	table, err := newTable(all)
	if err != nil {
		t.Fatal(err)
	}
	open.add(table.close)
	b, err := newBaseline(r, all)
	if err != nil {
		t.Fatal(err)
	}
	open.add(b.close)
	f, err := newFastPath(r, sessions, all)
	if err != nil {
		t.Fatal(err)
	}
	open.add(f.close)
	return append(b.targets(table), f.target(LNSD, table), linuxTarget(r, table))
}

func smoke(t *testing.T, c *trial) {
	t.Helper()
	var rate Rate
	err := c.target.withAttached(func() (err error) {
		rate, err = c.send(smokePackets)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if rate.Sent < smokePackets || rate.Received != rate.Sent {
		t.Errorf("%d of at least %d packets were sent, %d arrived", rate.Sent, smokePackets, rate.Received)
	}
	// The ring for kept packets holds about half of them.
	if rate.Checked < smokePackets/4 || rate.Wrong > 0 {
		t.Errorf("%d packets were checked, %d were wrong: %s", rate.Checked, rate.Wrong, rate.Problem)
	}
	if len(rate.Queues) != 1 {
		t.Errorf("packets by queue: %v, want one queue", rate.Queues)
	}
}

func TestMain(m *testing.M) {
	code := m.Run()
	if err := netlab.Sweep(fmt.Sprintf("%s-%d", RigPrefix, os.Getpid())); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}
