package api_test

import (
	"context"
	"net/netip"
	"slices"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/events"
	"github.com/lnsd/lnsd/control/session"
)

// testLog is an event log that the daemon's start does not number.
type testLog struct {
	*events.Log
	epoch int64
}

func (l testLog) Epoch() int64 { return l.epoch }

func (l testLog) Follow(ctx context.Context, after uint64, yield func([]api.Event, uint64) error) error {
	return l.Log.Follow(ctx, after, func(es []events.Entry, missed uint64) error {
		var out []api.Event
		for _, e := range es {
			out = append(out, api.Event(e))
		}
		return yield(out, missed)
	})
}

// A watch goes on where the last one ended, starts anew with a new daemon, and says
// what it has missed.
func TestWatch(t *testing.T) {
	log := testLog{events.NewLog(4), 77}
	for slot := range uint32(6) {
		log.Observe(session.Notice{
			At: time.Unix(100, 5), Kind: session.SessionUp, Slot: slot + 1, User: "u\xff", Ref: session.Ref{TunnelID: 7, SessionID: 8},
			Address: netip.MustParseAddr("10.0.0.1"), LAC: netip.MustParseAddrPort("192.0.2.1:1701"), LACName: "lac", Detail: "d",
		})
	}
	log.Observe(session.Notice{Kind: session.TunnelDown})
	c, ctx := dial(t, apitest.Start(t, &apitest.Backend{}, time.Now(), api.Events(log)))
	for _, w := range []struct {
		name    string
		request *lnsv1.WatchRequest
		missed  uint64
		want    []uint64
	}{
		{"from the start", &lnsv1.WatchRequest{FromStart: true}, 3, []uint64{4, 5, 6, 7}},
		{"where it was", &lnsv1.WatchRequest{Epoch: 77, After: 5}, 0, []uint64{6, 7}},
		{"too late", &lnsv1.WatchRequest{Epoch: 77, After: 1}, 2, []uint64{4, 5, 6, 7}},
		{"of another start", &lnsv1.WatchRequest{Epoch: 76, After: 5}, 3, []uint64{4, 5, 6, 7}},
		{"one kind", &lnsv1.WatchRequest{Epoch: 77, After: 3, Kinds: []string{"tunnel-down"}}, 0, []uint64{7}},
	} {
		wctx, cancel := context.WithCancel(ctx)
		stream, err := c.Watch(wctx, w.request)
		if err != nil {
			t.Fatal(err)
		}
		var got []uint64
		missed := uint64(0)
		for len(got) < len(w.want) {
			r, err := stream.Recv()
			if err != nil {
				t.Fatalf("%s: %v", w.name, err)
			}
			if r.Epoch != 77 {
				t.Errorf("%s: epoch %d", w.name, r.Epoch)
			}
			missed += r.Missed
			for _, e := range r.Events {
				got = append(got, e.Sequence)
			}
		}
		cancel()
		if !slices.Equal(got, w.want) || missed != w.missed {
			t.Errorf("%s: %v, %d missed, want %v, %d", w.name, got, missed, w.want, w.missed)
		}
	}
	stream, err := c.Watch(ctx, &lnsv1.WatchRequest{Kinds: []string{"nonsense"}})
	if err == nil {
		_, err = stream.Recv()
	}
	if status.Code(err) != codes.InvalidArgument {
		t.Errorf("a kind that does not exist: %v", err)
	}
}

// Without a place to go on from, a watch begins with what happens next.
func TestWatchFromNowOn(t *testing.T) {
	log := testLog{events.NewLog(4), 77}
	log.Observe(session.Notice{Kind: session.TunnelUp})
	c, ctx := dial(t, apitest.Start(t, &apitest.Backend{}, time.Now(), api.Events(log)))
	stream, err := c.Watch(ctx, &lnsv1.WatchRequest{})
	if err != nil {
		t.Fatal(err)
	}
	if r, err := stream.Recv(); err != nil || r.Epoch != 77 || len(r.Events) != 0 {
		t.Fatalf("first: %v, %v", r, err)
	}
	log.Observe(session.Notice{Kind: session.SessionFailed, Detail: "later", User: "eve\xff"})
	r, err := stream.Recv()
	if err != nil || len(r.Events) != 1 || r.Events[0].Sequence != 2 || r.Events[0].Kind != "session-failed" || r.Events[0].User != `eve\xff` {
		t.Errorf("%v, %v", r, err)
	}
}
