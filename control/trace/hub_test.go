package trace

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lnsd/lnsd/control/session"
)

func newTestHub() (*Hub, *observer.ObservedLogs, *time.Time) {
	core, logs := observer.New(zapcore.InfoLevel)
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	return New(zap.New(core), func() time.Time { return now }), logs, &now
}

func line(user string, id uint16, category session.TraceMask, text string) session.TraceLine {
	return session.TraceLine{Category: category, Text: text, TraceSubject: session.TraceSubject{
		Ref: session.Ref{TunnelID: 1, SessionID: id, Serial: uint32(id)}, Slot: uint32(id), User: user}}
}

// The rules of a target are replaced, end in time, and are cleared; without any there
// is nothing to hold lines against.
func TestRules(t *testing.T) {
	h, _, now := newTestHub()
	alice, slot := session.TraceTarget{User: "alice"}, session.TraceTarget{Slot: 7}
	set := func(x session.TraceTarget, m session.TraceMask, d time.Duration) {
		t.Helper()
		if _, err := h.Set(x, m, d, "test"); err != nil {
			t.Fatal(err)
		}
	}
	set(alice, session.TracePPP, 0)
	set(alice, session.TraceFSM, time.Hour)
	set(slot, session.TraceAll, 0)
	if rules, _ := h.List(); len(rules) != 2 || rules[0].Mask != session.TraceFSM {
		t.Fatalf("rules %v", rules)
	}
	*now = now.Add(time.Hour)
	if rules, _ := h.List(); len(rules) != 1 || rules[0].TraceTarget != slot || len(h.Tracing()) != 1 {
		t.Fatalf("after an hour: %v", rules)
	}
	if gone := h.Clear(func(r *session.TraceRule) bool { return r.Slot == 7 }); len(gone) != 1 || h.Tracing() != nil {
		t.Errorf("cleared %v, left %v", gone, h.Tracing())
	}
	for _, bad := range []session.TraceRule{{Mask: session.TraceAll}, {TraceTarget: alice}} {
		if _, err := h.Set(bad.TraceTarget, bad.Mask, 0, ""); err == nil {
			t.Errorf("%v is taken", bad)
		}
	}
	for i := range maxRules {
		set(session.TraceTarget{Slot: uint32(i + 1)}, session.TraceAll, 0)
	}
	if _, err := h.Set(alice, session.TraceAll, 0, ""); err == nil {
		t.Error("there is no end of rules")
	}
}

// Who follows gets the lines of the target alone, those from before the name was known
// first; the log gets none of them.
func TestFollow(t *testing.T) {
	h, logs, _ := newTestHub()
	got := make(chan string, 16)
	begun := make(chan struct{})
	done := make(chan error)
	enough := errors.New("enough")
	go func() {
		n := 0
		done <- h.Follow(context.Background(), session.TraceTarget{User: "alice"}, session.TracePPP,
			func() error { close(begun); return nil },
			func(lines []session.TraceLine, _ uint64) error {
				for _, l := range lines {
					got <- l.User + " " + l.Text
					n++
				}
				if n == 3 {
					return enough
				}
				return nil
			})
	}()
	<-begun
	h.Trace(line("", 1, session.TracePPP, "one"))
	h.Trace(line("", 2, session.TracePPP, "of another"))
	h.Trace(line("", 1, session.TraceFSM, "of another category"))
	h.Trace(line("alice", 1, session.TracePPP, "two"))
	h.Trace(line("oscar", 2, session.TracePPP, "oscar's"))
	h.Trace(line("alice", 1, session.TracePPP, "three"))
	if err := <-done; !errors.Is(err, enough) {
		t.Fatal(err)
	}
	for _, want := range []string{"alice one", "alice two", "alice three"} {
		if l := <-got; l != want {
			t.Errorf("%q, want %q", l, want)
		}
	}
	if h.Tracing() != nil || logs.Len() > 0 {
		t.Errorf("rules left: %v; %d lines in the log", h.Tracing(), logs.Len())
	}
}

// What waits for a name is bounded, in sessions and in lines.
func TestWaitingIsBounded(t *testing.T) {
	h, _, _ := newTestHub()
	if _, err := h.Set(session.TraceTarget{User: "alice"}, session.TraceAll, 0, ""); err != nil {
		t.Fatal(err)
	}
	for i := range 3 * waitingSessions {
		for j := range waitingLines + 2 {
			h.Trace(line("", uint16(i+1), session.TracePPP, fmt.Sprint(j)))
		}
	}
	if n := len(h.waiting.lines); n > waitingSessions || len(h.waiting.order) != n {
		t.Errorf("%d sessions wait", n)
	}
	for _, lines := range h.waiting.lines {
		if len(lines) > waitingLines {
			t.Fatalf("%d lines of one wait", len(lines))
		}
	}
	h.Clear(func(*session.TraceRule) bool { return true })
	if len(h.waiting.lines) > 0 {
		t.Error("lines wait for nobody")
	}
}

// The log takes so many lines at once; the others are counted, and told.
func TestLogIsSpared(t *testing.T) {
	h, logs, _ := newTestHub()
	if _, err := h.Set(session.TraceTarget{System: true}, session.TraceAll, 0, ""); err != nil {
		t.Fatal(err)
	}
	const n = 10 * lineBurst
	for range n {
		h.Trace(line("x", 1, session.TracePPP, "text"))
	}
	_, dropped := h.List()
	if got := uint64(logs.FilterMessage("text").Len()); dropped == 0 || got+dropped != n {
		t.Errorf("%d lines logged, %d dropped", got, dropped)
	}
}

// A follower that does not read loses lines and hears how many.
func TestFollowerIsBounded(t *testing.T) {
	f := &follower{more: make(chan struct{}, 1)}
	for range maxBehind + 5 {
		f.add(session.TraceLine{})
	}
	if lines, missed := f.take(); len(lines) != maxBehind || missed != 5 {
		t.Errorf("%d lines, %d missed", len(lines), missed)
	}
}
