package tun

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// placedRecord is a session of which ours is the client's end.
func placedRecord() *session.Record {
	r := record()
	r.Address = netip.MustParseAddr("172.31.0.1")
	r.OwnAddress = netip.MustParseAddr("172.31.1.7")
	r.Routes = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	return &r
}

// The address that the peer gave us is there before the routes that have it as their
// source, and goes after them.
func TestOwnAddress(t *testing.T) {
	did := make(chan string, 16)
	var c counts
	r := newRoutes([]netip.Prefix{netip.MustParsePrefix("172.16.0.0/12")}, func(x target, add bool) error {
		did <- fmt.Sprintf("%v %v own %v add %v", x.prefix, x.source, x.own, add)
		return nil
	}, &c, zap.NewNop())
	t.Cleanup(r.close)
	take := func() (out []string) {
		t.Helper()
		for range 3 {
			select {
			case s := <-did:
				out = append(out, s)
			case <-time.After(time.Minute):
				t.Fatalf("after %v nothing more is done", out)
			}
		}
		return out
	}
	e := newEntry(placedRecord())
	r.replace(nil, e)
	up := take()
	if up[0] != "172.31.1.7/32 invalid IP own true add true" {
		t.Errorf("first %s", up[0])
	}
	// The pool's route does not do: it has another source.
	for _, want := range []string{"172.31.0.1/32 172.31.1.7 own false add true", "10.9.0.0/16 172.31.1.7 own false add true"} {
		if !slices.Contains(up, want) {
			t.Errorf("%q is not among %q", want, up)
		}
	}
	r.replace(e, nil)
	if down := take(); down[2] != "172.31.1.7/32 invalid IP own true add false" {
		t.Errorf("taken back in this order: %q", down)
	}
}
