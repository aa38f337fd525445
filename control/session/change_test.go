package session

import (
	"errors"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

var errTest = errors.New("no room")

func ptr[T any](v T) *T { return &v }

// upWith is a session that is up with a profile.
func upWith(t *testing.T, p Profile, adjust func(*Config)) *bench {
	b := newBench(t, adjust)
	b.connectWith(p)
	b.granted()
	b.programmed(0, nil, Counters{})
	return b
}

func (b *bench) change(c Change) error {
	err := b.s.Change(&c, "test", &b.out)
	b.take()
	return err
}

func (b *bench) keep(keep bool) bool {
	ok := b.s.Settle(b.now, keep, b, &b.out)
	b.settle()
	return ok
}

// wantChanged checks the reports so far.
func (b *bench) wantChanged(want ...Changed) {
	b.t.Helper()
	if len(b.changed) != len(want) {
		b.t.Fatalf("reported %+v, want %+v", b.changed, want)
	}
	for i, w := range want {
		if g := b.changed[i]; !errors.Is(g.Err, w.Err) || (g.Err == nil) != (w.Err == nil) || g.Undone != w.Undone {
			b.t.Fatalf("report %d is %+v, want %+v", i, g, w)
		}
	}
}

func (b *bench) wantServices(want *Services) {
	b.t.Helper()
	last := b.ops[len(b.ops)-1].Record.Services
	if !sameServices(b.s.Services(), want) || !sameServices(last, want) {
		b.t.Fatalf("services are %+v, programmed as %+v, want %+v", b.s.Services(), last, want)
	}
}

func TestServicesAreProgrammedAtSetUp(t *testing.T) {
	want := &Services{Down: Rate{Bits: 8_000_000}, FilterUp: "in"}
	b := upWith(t, Profile{Services: want}, nil)
	b.wantServices(want)
}

func TestChangeIsReportedWhenConfirmed(t *testing.T) {
	b := upWith(t, Profile{Services: &Services{FilterUp: "in"}}, nil)
	if err := b.change(Change{Down: &Rate{Bits: 64_000}}); err != nil {
		t.Fatal(err)
	}
	b.want(2, 1, 0, false)
	b.wantChanged()
	if err := b.change(Change{}); !errors.Is(err, ErrBusy) {
		t.Fatalf("second change: %v", err)
	}
	b.programmed(1, nil, Counters{})
	b.wantChanged(Changed{})
	if err := b.change(Change{}); !errors.Is(err, ErrBusy) {
		t.Fatalf("change before the last is settled: %v", err)
	}
	if !b.keep(true) {
		t.Fatal("not kept")
	}
	b.wantServices(&Services{Down: Rate{Bits: 64_000}, FilterUp: "in"})
	if e := b.events[len(b.events)-1]; e.Kind != Altered || e.Detail != "rate down" || e.By != "test" {
		t.Errorf("event %+v", e)
	}
	b.want(2, 1, 0, false) // the account goes on
}

func TestChangeThatFailsLeavesTheFormerState(t *testing.T) {
	before := &Services{Up: Rate{Bits: 1_000_000}}
	b := upWith(t, Profile{Services: before}, nil)
	if err := b.change(Change{Up: &Rate{Bits: 64_000}, IdleTimeout: ptr(time.Minute)}); err != nil {
		t.Fatal(err)
	}
	b.programmed(1, errTest, Counters{})
	b.want(3, 1, 0, false)
	b.wantChanged() // not before the former state is sure
	b.wantServices(before)
	b.programmed(2, nil, Counters{})
	b.wantChanged(Changed{Err: errTest})
	if !b.s.IsUp() || b.s.View(b).IdleTimeout != 0 {
		t.Error("something of the change has stayed")
	}
	if b.keep(true) {
		t.Error("a failed change was kept")
	}
	if err := b.change(Change{Up: &Rate{}}); err != nil {
		t.Errorf("after a failure: %v", err)
	}
}

// A session of which nobody knows how it is forwarded can't go on.
func TestChangeThatCanNotBeTakenBackEndsTheSession(t *testing.T) {
	b := upWith(t, Profile{}, nil)
	if err := b.change(Change{Up: &Rate{Bits: 64_000}}); err != nil {
		t.Fatal(err)
	}
	b.programmed(1, errTest, Counters{})
	b.programmed(2, errTest, Counters{})
	b.wantChanged(Changed{Err: errTest})
	b.want(4, 1, 0, false)
	if !b.ops[3].Remove {
		t.Fatal("not removed")
	}
	b.programmed(3, nil, Counters{UpPackets: 9})
	b.want(4, 2, 1, true)
	if s := b.acct[1]; s.Kind != AcctStop || s.Cause != CauseNASError || s.Counters.UpPackets != 9 {
		t.Errorf("stop %+v", s)
	}
}

func TestChangeTakenBack(t *testing.T) {
	b := upWith(t, Profile{Class: [][]byte{{1}}}, nil)
	if err := b.change(Change{Garden: ptr("g"), Class: [][]byte{{2}}}); err != nil {
		t.Fatal(err)
	}
	b.programmed(1, nil, Counters{})
	b.keep(false)
	b.wantServices(nil)
	b.programmed(2, nil, Counters{})
	b.wantChanged(Changed{}, Changed{Undone: true})
	b.want(3, 1, 0, false) // no account was touched
	if got := b.s.auth.Profile.Class; len(got) != 1 || got[0][0] != 1 {
		t.Errorf("class %v", got)
	}
}

func TestChangeOfTimersNeedsNoForwardingPath(t *testing.T) {
	b := upWith(t, Profile{}, nil)
	b.now = b.now.Add(time.Minute)
	err := b.change(Change{SessionTimeout: ptr(time.Hour), IdleTimeout: ptr(10 * time.Minute),
		InterimInterval: ptr(5 * time.Minute), Class: [][]byte{{7}}})
	if err != nil {
		t.Fatal(err)
	}
	b.wantChanged(Changed{})
	if b.s.expireAt != 0 {
		t.Error("a timer runs before the change is kept")
	}
	b.keep(true)
	b.want(1, 1, 0, false)
	if want := b.s.upSince + moment(time.Hour); b.s.expireAt != want {
		t.Errorf("ends at %v, want %v", b.s.expireAt, want)
	}
	if d := b.s.time(b.s.interimAt).Sub(b.now); d > 5*time.Minute || d < 4*time.Minute {
		t.Errorf("interim in %v", d)
	}
	b.s.Timer(b.now, b, &b.out) // looks at the traffic
	b.take()
	if want := b.s.upSince + moment(10*time.Minute); b.s.idleAt != want || b.done {
		t.Errorf("idle at %v, want %v", b.s.idleAt, want)
	}
	b.now = b.s.time(b.s.interimAt)
	b.s.Timer(b.now, b, &b.out)
	b.take()
	if r := b.acct[len(b.acct)-1]; r.Kind != AcctInterim || len(r.Class) != 1 || r.Class[0][0] != 7 {
		t.Errorf("record %+v", r)
	}
}

// A limit that has passed already ends the session.
func TestChangeToATimeThatHasPassed(t *testing.T) {
	for name, c := range map[string]struct {
		change Change
		cause  TerminateCause
	}{
		"session timeout": {Change{SessionTimeout: ptr(time.Minute)}, CauseSessionTimeout},
		"idle timeout":    {Change{IdleTimeout: ptr(time.Minute)}, CauseIdleTimeout},
	} {
		t.Run(name, func(t *testing.T) {
			b := upWith(t, Profile{}, nil)
			b.now = b.now.Add(2 * time.Minute)
			if err := b.change(c.change); err != nil {
				t.Fatal(err)
			}
			b.keep(true)
			if d := b.s.Deadline(); d.IsZero() || d.After(b.now) {
				t.Fatalf("next looked at in %v", d.Sub(b.now))
			}
			b.s.Timer(b.now, b, &b.out)
			b.settle()
			b.programmed(1, nil, Counters{})
			if r := b.acct[len(b.acct)-1]; r.Kind != AcctStop || r.Cause != c.cause {
				t.Errorf("record %+v", r)
			}
		})
	}
}

func TestChangeRefused(t *testing.T) {
	long := strings.Repeat("x", maxName+1)
	for field, c := range map[string]Change{
		"Up":              {Up: &Rate{Bits: 10}},
		"Down":            {Down: &Rate{Bits: 2 * maxRate}},
		"FilterUp":        {FilterUp: &long},
		"FilterDown":      {FilterDown: ptr("a b")},
		"Garden":          {Garden: ptr("g\n")},
		"Intercept":       {Intercept: ptr(netip.MustParseAddrPort("192.0.2.1:0"))},
		"SessionTimeout":  {SessionTimeout: ptr(-time.Second)},
		"IdleTimeout":     {IdleTimeout: ptr(maxTimer + 1)},
		"InterimInterval": {InterimInterval: ptr(59 * time.Second)},
	} {
		b := upWith(t, Profile{}, nil)
		var bad *InvalidChange
		if err := b.change(c); !errors.As(err, &bad) || bad.Field != field {
			t.Errorf("%s: %v", field, err)
		}
		b.want(1, 1, 0, false)
		b.wantChanged()
	}

	b := newBench(t, nil)
	if err := b.change(Change{}); !errors.Is(err, ErrNotUp) {
		t.Errorf("before the call: %v", err)
	}
	b.connect()
	b.granted()
	if err := b.change(Change{}); !errors.Is(err, ErrNotUp) {
		t.Errorf("before the forwarding path: %v", err)
	}
	b.programmed(0, nil, Counters{})
	b.s.Drop(b.now, EndByOperator(0), &b.out)
	if err := b.change(Change{}); !errors.Is(err, ErrNotUp) {
		t.Errorf("on the way out: %v", err)
	}
}

// Whoever waits for a change hears of the session's end, whenever that comes.
func TestSessionEndsDuringAChange(t *testing.T) {
	for name, c := range map[string]struct {
		confirmed  int // answers of the forwarding path before the end
		fail, undo bool
		want       []Changed
	}{
		"unconfirmed":  {want: []Changed{{Err: ErrNotUp}}},
		"confirmed":    {confirmed: 1, want: []Changed{{}, {Undone: true}}},
		"failed":       {confirmed: 1, fail: true, want: []Changed{{Err: errTest}}},
		"being undone": {confirmed: 1, undo: true, want: []Changed{{}, {Undone: true}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := upWith(t, Profile{}, nil)
			if err := b.change(Change{Up: &Rate{Bits: 64_000}}); err != nil {
				t.Fatal(err)
			}
			if c.confirmed > 0 {
				var err error
				if c.fail {
					err = errTest
				}
				b.programmed(1, err, Counters{})
			}
			if c.undo {
				b.keep(false)
			}
			b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
			b.settle()
			ops := len(b.ops)
			for i := 1 + c.confirmed; i < ops; i++ {
				b.programmed(i, nil, Counters{UpPackets: 1})
			}
			if name == "confirmed" {
				b.keep(false)
			}
			b.wantChanged(c.want...)
			if !b.done || len(b.acct) != 2 || b.acct[1].Kind != AcctStop {
				t.Fatalf("done %v, %d records", b.done, len(b.acct))
			}
			// Counters that an install gave up are not lost.
			if n := b.acct[1].Counters.UpPackets; n != uint64(ops-1-c.confirmed) {
				t.Errorf("%d packets in the Stop", n)
			}
		})
	}
}

func TestInterceptionIsAuditedAndNotLogged(t *testing.T) {
	first, second := netip.MustParseAddrPort("192.0.2.9:4000"), netip.MustParseAddrPort("192.0.2.10:4000")
	b := upWith(t, Profile{Services: &Services{Intercept: first}}, nil)
	events := len(b.events)
	if err := b.change(Change{Intercept: &second}); err != nil {
		t.Fatal(err)
	}
	b.programmed(1, nil, Counters{})
	if len(b.tapped) != 1 {
		t.Fatal("audited before it stands")
	}
	b.keep(true)
	if len(b.events) != events {
		t.Errorf("logged %+v", b.events[events:])
	}
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.programmed(2, nil, Counters{})
	want := []Interception{
		{To: first, By: "authentication"}, {From: first, To: second, By: "test"}, {From: second},
	}
	if len(b.tapped) != len(want) {
		t.Fatalf("audited %+v", b.tapped)
	}
	for i, w := range want {
		g := b.tapped[i]
		if g.From != w.From || g.To != w.To || g.By != w.By || g.User != "alice" || g.AcctSessionID != "id" || g.Slot != 4 {
			t.Errorf("%d: %+v, want %+v", i, g, w)
		}
	}
}

// IPCP goes down while a change is on its way to the forwarding path: the change is
// refused, and the session comes back with what it had.
func TestNetworkGoesDownDuringAChange(t *testing.T) {
	before := &Services{Up: Rate{Bits: 1_000_000}}
	b := upWith(t, Profile{Services: before}, nil)
	if err := b.change(Change{Up: &Rate{Bits: 64_000}}); err != nil {
		t.Fatal(err)
	}
	b.s.Frame(b.now, []byte{0xFF, 0x03, 0x80, 0x21, 5, 77, 0, 4}, &b.out) // IPCP Terminate-Request
	b.take()
	b.wantChanged(Changed{Err: ErrNotUp})
	if len(b.ops) != 3 || !b.ops[2].Remove {
		t.Fatalf("operations %+v", b.ops)
	}
	b.programmed(1, nil, Counters{}) // the change, too late
	b.programmed(2, nil, Counters{})
	b.wantChanged(Changed{Err: ErrNotUp})
	if !sameServices(b.s.Services(), before) {
		t.Errorf("services are %+v", b.s.Services())
	}
	if err := b.change(Change{}); !errors.Is(err, ErrNotUp) {
		t.Errorf("a change without a network: %v", err)
	}
}

// Who waits for an end does not wait for a subscriber that is gone.
func TestEndWithoutPatience(t *testing.T) {
	b := upWith(t, Profile{Class: [][]byte{{1}}}, nil)
	b.silent = true
	o := ChangeOptions{Message: "bye", Class: [][]byte{{2}}}
	b.s.Drop(b.now, o.End(), &b.out)
	b.take()
	b.want(1, 1, 0, false) // the Terminate-Request is out
	b.now = b.now.Add(farewell)
	if d := b.s.Deadline(); d.After(b.now) {
		t.Fatalf("next looked at in %v", d.Sub(b.now))
	}
	b.s.Timer(b.now, b, &b.out)
	b.take()
	b.want(2, 1, 0, false)
	b.programmed(1, nil, Counters{})
	b.want(2, 2, 1, true)
	if c := b.acct[1].Class; len(c) != 2 || c[0][0] != 1 || c[1][0] != 2 || b.acct[1].Cause != CauseAdminReset {
		t.Errorf("stop %+v", b.acct[1])
	}
}
