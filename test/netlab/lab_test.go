package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// A lab forwards from end to end through the LNS's kernel, and leaves nothing.
func TestLabForwardsAndGoesAway(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	prefix := fmt.Sprintf("netlab%d", os.Getpid())
	lab, err := New(prefix)
	if err != nil {
		t.Fatal(err)
	}
	closed := false
	defer func() {
		if !closed {
			lab.Close()
		}
	}()
	if err := lab.LAC.AddRoute(prefixOf(CoreAddr.String()+"/32"), LNSAddr); err != nil {
		t.Fatal(err)
	}
	if err := lab.Core.AddRoute(prefixOf(LACAddr.String()+"/32"), LNSCore); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	out, err := lab.LAC.Output(ctx, "ping", "-c", "1", "-W", "5", CoreAddr.String())
	if err != nil || !strings.Contains(out, "ttl=63") {
		t.Fatalf("no answer through the LNS: %v\n%s", err, out)
	}
	closed = true
	if err := lab.Close(); err != nil {
		t.Fatal(err)
	}
	entries, _ := os.ReadDir("/run/netns")
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), prefix) {
			t.Errorf("namespace %s is left", e.Name())
		}
	}
}

// What a run that was killed has left goes, with the programs that run there.
func TestSweepRemovesWhatWasLeft(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	prefix, dir := fmt.Sprintf("netlabsweep%d", os.Getpid()), t.TempDir()
	const nobody = 1 << 23 // beyond the largest process id
	lived, err := newNamespace(fmt.Sprintf("%s-%d-1-lac", prefix, os.Getpid()))
	if err != nil {
		t.Fatal(err)
	}
	defer lived.close()
	left, err := newNamespace(fmt.Sprintf("%s-%d-1-lac", prefix, nobody))
	if err != nil {
		t.Fatal(err)
	}
	defer left.handle.Close()
	p, err := left.Run(filepath.Join(t.TempDir(), "log"), "sleep", "1000")
	if err != nil {
		t.Fatal(err)
	}
	mine := filepath.Join(dir, fmt.Sprintf("%s-%d-1", prefix, os.Getpid()))
	for _, d := range []string{mine, filepath.Join(dir, fmt.Sprintf("%s-%d-1", prefix, nobody)), filepath.Join(dir, "other")} {
		if err := os.Mkdir(d, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := Sweep(prefix, dir); err != nil {
		t.Fatal(err)
	}
	if err := p.Wait(30 * time.Second); err == nil || strings.Contains(err.Error(), "still running") {
		t.Errorf("the program in the namespace: %v", err)
	}
	if got := leftBy(prefix, namedNamespaces); len(got) != 0 {
		t.Errorf("left: %v", got)
	}
	entries, err := os.ReadDir(dir)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v (%v), want this process's and the one of another name", entries, err)
	}
	if _, err := os.Stat(filepath.Join(namedNamespaces, lived.Name)); err != nil {
		t.Error(err)
	}
}

var prefixOf = netip.MustParsePrefix
