package spool

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// server takes records, and answers them when it is told to.
type server struct {
	mu      sync.Mutex
	got     []*session.AcctRecord
	confirm func(*session.AcctRecord, error)
	// down: no answer comes; full: nothing is taken.
	down, full bool
}

func (v *server) take(r *session.AcctRecord) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.full {
		return false
	}
	v.got = append(v.got, r)
	if !v.down {
		v.confirm(r, nil)
	}
	return true
}

func (v *server) set(down, full bool) {
	v.mu.Lock()
	v.down, v.full = down, full
	v.mu.Unlock()
}

func (v *server) records() []*session.AcctRecord {
	v.mu.Lock()
	defer v.mu.Unlock()
	return append([]*session.AcctRecord(nil), v.got...)
}

func open(t testing.TB, cfg Config) (*Spool, *server) {
	t.Helper()
	s, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, &server{confirm: s.Delivered}
}

var began = time.Unix(1_700_000_000, 0).UTC()

func record(kind session.AcctKind, n int) *session.AcctRecord {
	r := &session.AcctRecord{Kind: kind, At: began.Add(time.Duration(n) * time.Second), User: fmt.Sprintf("user%d", n), Slot: uint32(n)}
	r.Call.AcctSessionID = fmt.Sprintf("%016x", n)
	r.Class = [][]byte{[]byte("tariff")}
	if kind != session.AcctStart {
		r.Duration = time.Minute
		r.Counters.UpBytes = uint64(n)
	}
	return r
}

func until(t testing.TB, what string, f func() bool) {
	t.Helper()
	for limit := time.Now().Add(time.Minute); !f(); time.Sleep(time.Millisecond) {
		if time.Now().After(limit) {
			t.Fatalf("%s: not in time", what)
		}
	}
}

func (s *Spool) count(name string) uint64 {
	for _, c := range s.Counts() {
		if c.Name == name {
			return c.Value
		}
	}
	panic(name)
}

func same(t *testing.T, got, want []*session.AcctRecord) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d records, not %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("record %d: %+v, not %+v", i, got[i], want[i])
		}
	}
}

func TestRecordsAreOnDiskBeforeTheyAreSent(t *testing.T) {
	dir := t.TempDir()
	s, v := open(t, Config{Dir: dir})
	want := record(session.AcctStart, 1)
	sent := make(chan int)
	s.Start(func(r *session.AcctRecord) bool {
		files, _ := filepath.Glob(filepath.Join(dir, "*.log"))
		b, _ := os.ReadFile(files[len(files)-1])
		sent <- len(b)
		return v.take(r)
	})
	if !s.Account(want) {
		t.Fatal("refused")
	}
	if n := <-sent; n < len(want.User) {
		t.Errorf("%d bytes on disk when the record was sent", n)
	}
	until(t, "delivered", func() bool { return s.count("acct_spool_delivered") == 1 })
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if s.Account(want) {
		t.Error("a closed spool takes records")
	}
}

// What the server has not confirmed comes again from the next process, in its order
// and with the same contents; what it has does not.
func TestUnansweredRecordsOutliveTheProcess(t *testing.T) {
	dir := t.TempDir()
	s, v := open(t, Config{Dir: dir, Window: 10})
	s.Start(v.take)
	s.Account(record(session.AcctStart, 1))
	until(t, "delivered", func() bool { return s.count("acct_spool_delivered") == 1 })
	v.set(true, false)
	var want []*session.AcctRecord
	for n := 2; n < 60; n++ { // more than may be under way
		r := record(session.AcctStart, n)
		want = append(want, r)
		s.Account(r)
	}
	until(t, "written", func() bool { return s.count("acct_spool_written") == 59 })
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, v = open(t, Config{Dir: dir, Window: 10})
	defer s.Close()
	if n := s.count("acct_spool_found"); n != 58 {
		t.Errorf("%d records found", n)
	}
	s.Start(v.take)
	until(t, "delivered", func() bool { return s.count("acct_spool_waiting")+s.count("acct_spool_in_flight") == 0 })
	same(t, v.records(), want)
}

// A server that is away costs no record, whether the client gives up or is full.
func TestOutage(t *testing.T) {
	s, v := open(t, Config{Dir: t.TempDir(), Window: 4})
	defer s.Close()
	v.set(true, false)
	s.Start(v.take)
	var want []*session.AcctRecord
	for n := range 20 {
		want = append(want, record(session.AcctStop, n))
		s.Account(want[n])
	}
	until(t, "under way", func() bool { return len(v.records()) == 4 })
	v.set(false, true)
	for i, r := range v.records() { // one by one: they keep their order all the same
		s.Delivered(r, errors.New("no answer"))
		until(t, "back", func() bool { return s.count("acct_spool_unanswered") == uint64(i+1) })
	}
	if left := s.Drain(expired()); left != 20 {
		t.Errorf("%d records are left, not 20", left)
	}
	v.mu.Lock()
	v.got = nil
	v.mu.Unlock()
	v.set(false, false)
	if left := s.Drain(context.Background()); left != 0 {
		t.Errorf("%d records are left", left)
	}
	same(t, v.records(), want)
}

func expired() context.Context {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return ctx
}

// Accounts without a Stop are found by the next process, with their last record, and
// closed once.
func TestRecover(t *testing.T) {
	dir := t.TempDir()
	s, v := open(t, Config{Dir: dir})
	s.Start(v.take)
	link := record(session.AcctLinkStart, 1)
	for _, r := range []*session.AcctRecord{
		record(session.AcctStart, 1), link, record(session.AcctStart, 2), record(session.AcctStart, 3), record(session.AcctStart, 4),
		record(session.AcctInterim, 2), record(session.AcctStop, 3), record(session.AcctTunnelReject, 9),
	} {
		s.Account(r)
	}
	until(t, "delivered", func() bool { return s.count("acct_spool_delivered") == 8 })
	if n := s.count("acct_spool_open"); n != 4 {
		t.Errorf("%d accounts are open", n)
	}
	s.Close()

	s, v = open(t, Config{Dir: dir})
	var lasts []*session.AcctRecord
	n, err := s.Recover(func(last *session.AcctRecord, alive time.Time) *session.AcctRecord {
		lasts = append(lasts, last)
		if want := began.Add(9 * time.Second); !alive.Equal(want) {
			t.Errorf("alive until %v, not %v", alive, want)
		}
		if last.User == "user4" {
			return nil // goes on
		}
		stop := *last
		stop.Kind, stop.Cause = last.Kind.End(), session.CauseNASReboot
		return &stop
	})
	if err != nil || n != 3 {
		t.Fatalf("%d recovered: %v", n, err)
	}
	same(t, lasts, []*session.AcctRecord{record(session.AcctStart, 1), link, record(session.AcctStart, 4), record(session.AcctInterim, 2)})
	s.Start(v.take)
	until(t, "delivered", func() bool { return len(v.records()) == 3 })
	if got := v.records()[1]; got.Kind != session.AcctLinkStop {
		t.Errorf("the link was closed by kind %d", got.Kind)
	}
	until(t, "noted", func() bool { return s.count("acct_spool_delivered") == 3 })
	s.Close()

	s, _ = open(t, Config{Dir: dir})
	defer s.Close()
	if n, _ := s.Recover(func(last *session.AcctRecord, _ time.Time) *session.AcctRecord {
		if last.User != "user4" {
			t.Errorf("%s is open", last.User)
		}
		return nil
	}); n != 0 || s.count("acct_spool_found") != 0 || s.count("acct_spool_open") != 1 {
		t.Errorf("%d recovered, %d found, %d open", n, s.count("acct_spool_found"), s.count("acct_spool_open"))
	}
}

// Accounts that stay open for ever do not hold on to all that was written since, and
// outlive the segments they were written to.
func TestLongSessionsAreCarried(t *testing.T) {
	dir := t.TempDir()
	cfg := Config{Dir: dir, SegmentBytes: 4 << 10}
	s, v := open(t, cfg)
	s.Start(v.take)
	s.Account(record(session.AcctStart, 1))
	s.Account(record(session.AcctLinkStart, 1))
	for n := 2; n < 2000; n++ {
		s.Account(record(session.AcctStart, n))
		s.Account(record(session.AcctStop, n))
		until(t, "delivered", func() bool { return s.count("acct_spool_delivered") == uint64(2*n) })
	}
	if n := s.count("acct_spool_bytes"); n > 8*uint64(cfg.SegmentBytes) {
		t.Errorf("%d bytes are kept for two records", n)
	}
	s.Close()
	s, _ = open(t, cfg)
	defer s.Close()
	var lasts []*session.AcctRecord
	if _, err := s.Recover(func(last *session.AcctRecord, _ time.Time) *session.AcctRecord {
		lasts = append(lasts, last)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	same(t, lasts, []*session.AcctRecord{record(session.AcctStart, 1), record(session.AcctLinkStart, 1)})
	if n := s.count("acct_spool_found"); n != 0 {
		t.Errorf("%d delivered records wait again", n)
	}
}

// The bound holds: interim records are given up first, Stops last, and each is counted.
func TestBound(t *testing.T) {
	s, v := open(t, Config{Dir: t.TempDir(), MaxBytes: 64 << 10, Window: 4})
	defer s.Close()
	v.set(true, false)
	s.Start(v.take)
	fill := func(kind session.AcctKind, counter string) uint64 {
		before := s.count("acct_spool_bytes")
		for n := range 1000 {
			s.Account(record(kind, n))
		}
		until(t, "refused", func() bool { return s.count(counter) > 0 && s.count("acct_spool_bytes") > before })
		return s.count("acct_spool_bytes")
	}
	interim := fill(session.AcctInterim, "acct_spool_interim_refused")
	start := fill(session.AcctStart, "acct_spool_starts_refused")
	stop := fill(session.AcctStop, "acct_spool_lost")
	if !(interim < start && start < stop && stop < 65<<10) {
		t.Errorf("refused at %d, %d and %d bytes", interim, start, stop)
	}
}

// A disk that fails costs the safety, not the record.
func TestDiskFails(t *testing.T) {
	s, v := open(t, Config{Dir: t.TempDir()})
	s.log.Close()
	s.Start(v.take)
	want := record(session.AcctStop, 1)
	s.Account(want)
	until(t, "delivered", func() bool { return s.count("acct_spool_delivered") == 1 })
	same(t, v.records(), []*session.AcctRecord{want})
	if s.count("acct_spool_unwritten") != 1 {
		t.Error("not counted")
	}
	s.Close()
}

func TestUndeliverable(t *testing.T) {
	dir := t.TempDir()
	s, v := open(t, Config{Dir: dir})
	v.set(true, false)
	s.Start(v.take)
	s.Account(record(session.AcctStop, 1))
	until(t, "sent", func() bool { return len(v.records()) == 1 })
	s.Delivered(v.records()[0], fmt.Errorf("%w: too long", ErrUndeliverable))
	until(t, "given up", func() bool { return s.count("acct_spool_lost") == 1 })
	s.Close()
	s, _ = open(t, Config{Dir: dir})
	defer s.Close()
	if n := s.count("acct_spool_found"); n != 0 {
		t.Errorf("%d records wait again", n)
	}
}

// No two processes have the same epoch, however fast they follow each other and
// whatever the clock says.
func TestEpoch(t *testing.T) {
	dir := t.TempDir()
	for i, c := range []struct{ now, want uint32 }{{100, 100}, {100, 101}, {50, 102}, {200, 200}} {
		s, _ := open(t, Config{Dir: dir})
		got, err := s.Epoch(c.now)
		if err != nil || got != c.want {
			t.Errorf("start %d: %d, not %d: %v", i, got, c.want, err)
		}
		s.Close()
	}
}
