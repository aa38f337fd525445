package netlab

import (
	"context"
	"fmt"
	"net/netip"
	"os"
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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

var prefixOf = netip.MustParsePrefix
