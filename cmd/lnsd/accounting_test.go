package main

import (
	"context"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/spool"
)

// began is when the accounts of these tests were opened.
var began = time.Unix(1_700_000_000, 0)

func accountRecord(kind session.AcctKind, n int, after time.Duration) *session.AcctRecord {
	r := &session.AcctRecord{
		Ref: session.Ref{TunnelID: 7, SessionID: uint16(n)}, Slot: uint32(n), Kind: kind, At: began.Add(after), Duration: after,
		User: "user", Class: [][]byte{{1, 2}}, Address: netip.AddrFrom4([4]byte{10, 0, 0, byte(n)}),
	}
	r.Call.AcctSessionID = string(rune('a' + n))
	r.Call.PeerTunnelID, r.Call.PeerSessionID = 9, uint16(100+n)
	return r
}

// killed leaves a spool as a daemon does that was killed: what came in is on disk, and
// nothing was confirmed.
func killed(t *testing.T, dir string, records ...*session.AcctRecord) {
	t.Helper()
	s, err := spool.Open(spool.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	s.Start(func(*session.AcctRecord) bool { return false })
	for _, r := range records {
		if !s.Account(r) {
			t.Fatal("not taken")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// recovered opens the spool again, closes accounts with what left says of the data
// plane, and returns all that is sent then, the Stops by account.
func recovered(t *testing.T, dir string, left []dataplane.Left, now time.Time) (all []*session.AcctRecord, stops map[string]*session.AcctRecord) {
	t.Helper()
	s, err := spool.Open(spool.Config{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	a := &accounting{log: zap.NewNop(), spool: s}
	none := func(uint32) (dataplane.Left, bool) { return dataplane.Left{}, false }
	if err := a.recover(left, none, func(string) bool { return false }, now); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	stops = map[string]*session.AcctRecord{}
	s.Start(func(r *session.AcctRecord) bool {
		mu.Lock()
		all = append(all, r)
		if id := r.Call.AcctSessionID; r.Kind == session.AcctStop {
			if stops[id] != nil {
				t.Errorf("two Stops of %s", id)
			}
			stops[id] = r
		}
		mu.Unlock()
		s.Delivered(r, nil)
		return true
	})
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if n := s.Drain(ctx); n != 0 {
		t.Fatalf("%d records are left", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return all, stops
}

// After a restart of the host nothing is pinned any more: each open account is closed
// once, with the numbers of its last record, as of the last record of all.
func TestAccountsAfterTheHostWentDown(t *testing.T) {
	dir := t.TempDir()
	counted := session.Counters{UpPackets: 10, UpBytes: 1000, DownPackets: 20, DownBytes: 1 << 33}
	interim := accountRecord(session.AcctInterim, 1, 10*time.Minute)
	interim.Counters = counted
	ended := accountRecord(session.AcctStop, 3, 12*time.Minute)
	ended.Cause = session.CauseUserRequest
	killed(t, dir,
		accountRecord(session.AcctStart, 1, 0), accountRecord(session.AcctStart, 2, time.Minute), accountRecord(session.AcctStart, 3, 0),
		interim, ended)

	all, stops := recovered(t, dir, nil, began.Add(time.Hour))
	if len(all) != 7 || len(stops) != 3 {
		t.Fatalf("%d records, %d Stops", len(all), len(stops))
	}
	one := stops["b"]
	if one.Counters != counted || one.Cause != session.CauseNASReboot || !one.At.Equal(ended.At) || one.Duration != 12*time.Minute || len(one.Class) != 1 {
		t.Errorf("the session with an interim record: %+v", one)
	}
	two := stops["c"]
	if two.Counters != (session.Counters{}) || two.Cause != session.CauseNASReboot || !two.At.Equal(ended.At) || two.Duration != 12*time.Minute {
		t.Errorf("the session without: %+v", two)
	}
	if three := stops["d"]; three.Cause != session.CauseUserRequest {
		t.Errorf("the session that had ended: %+v", three)
	}
	// The next start has nothing to add.
	if all, _ = recovered(t, dir, nil, began.Add(2*time.Hour)); len(all) != 0 {
		t.Errorf("%d records more", len(all))
	}
}

// Where the data plane still has the session its counters are exact, and it ends now;
// another session in the slot is none of this account's.
func TestAccountsAfterAKill(t *testing.T) {
	dir := t.TempDir()
	killed(t, dir, accountRecord(session.AcctStart, 1, 0), accountRecord(session.AcctStart, 2, 0))
	now := began.Add(time.Hour)
	counters := session.Counters{UpPackets: 3, UpBytes: 300, DownPackets: 4, DownBytes: 400}
	_, stops := recovered(t, dir, []dataplane.Left{
		{Slot: 1, TunnelID: 7, SessionID: 1, PeerTunnelID: 9, PeerSession: 101, Address: netip.MustParseAddr("10.0.0.1"), Counters: counters},
		{Slot: 2, TunnelID: 7, SessionID: 2, PeerTunnelID: 9, PeerSession: 999, Address: netip.MustParseAddr("10.0.0.2"), Counters: counters},
	}, now)
	if one := stops["b"]; one.Counters != counters || !one.At.Equal(now) {
		t.Errorf("%+v", one)
	}
	if two := stops["c"]; two.Counters != (session.Counters{}) || !two.At.Equal(began) {
		t.Errorf("counted for another session: %+v", two)
	}
}
