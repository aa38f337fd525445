package session

import (
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

// garden moves a session into a garden, or out of all.
func (b *bench) garden(name string) {
	b.t.Helper()
	if err := b.change(Change{Garden: &name}); err != nil {
		b.t.Fatal(err)
	}
	b.programmed(len(b.ops)-1, nil, Counters{})
	b.keep(true)
}

// hangUp ends the session; the forwarding path has counted final in all.
func (b *bench) hangUp(final Counters) {
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.programmed(len(b.ops)-1, nil, final)
}

func (b *bench) wantRecords(want []AcctRecord) {
	b.t.Helper()
	if len(b.acct) != len(want) {
		b.t.Fatalf("%d records, want %d", len(b.acct), len(want))
	}
	for i, w := range want {
		g := b.acct[i]
		if g.Kind != w.Kind || g.Call.AcctSessionID != w.Call.AcctSessionID || g.Duration != w.Duration ||
			g.Counters.UpBytes != w.Counters.UpBytes || g.Cause != w.Cause {
			b.t.Errorf("record %d is %+v, want %+v", i, g, w)
		}
	}
}

func record(kind AcctKind, id string, d time.Duration, up uint64, c TerminateCause) AcctRecord {
	return AcctRecord{Kind: kind, Call: CallInfo{AcctSessionID: id}, Duration: d,
		Counters: Counters{UpBytes: up}, Cause: c}
}

func (b *bench) pass(d time.Duration, bytes uint64) {
	b.now = b.now.Add(d)
	b.counters.UpBytes += bytes
}

// Each account has an id of its own and what was counted while it was open.
func TestGardenInAndOut(t *testing.T) {
	b := upWith(t, Profile{}, nil)
	b.pass(time.Minute, 100)
	b.garden("unpaid")
	if left := b.events[len(b.events)-1].LeftGarden; left {
		t.Error("entering counts as leaving")
	}
	b.pass(time.Minute, 20)
	if b.s.interimAt != 0 {
		t.Error("an interim record is due without an account")
	}
	b.garden("other")
	b.pass(time.Minute, 30)
	b.garden("")
	if left := b.events[len(b.events)-1].LeftGarden; !left {
		t.Error("leaving is not told")
	}
	b.pass(2*time.Minute, 1000)
	b.hangUp(b.counters)
	b.wantRecords([]AcctRecord{
		record(AcctStart, "id", 0, 0, 0),
		record(AcctStop, "id", time.Minute, 100, CauseNASRequest),
		record(AcctStart, "id-2", 0, 0, 0),
		record(AcctStop, "id-2", 2*time.Minute, 1000, CauseLostCarrier),
	})
}

func TestGardenFromTheBeginning(t *testing.T) {
	b := upWith(t, Profile{Services: &Services{Garden: "unpaid"}}, nil)
	if !b.s.IsUp() {
		t.Fatal("not up")
	}
	b.pass(time.Minute, 100)
	b.garden("")
	b.pass(time.Minute, 7)
	b.hangUp(b.counters)
	b.wantRecords([]AcctRecord{
		record(AcctStart, "id", 0, 0, 0),
		record(AcctStop, "id", time.Minute, 7, CauseLostCarrier),
	})
}

func TestGardenOnlyHasNoAccount(t *testing.T) {
	b := upWith(t, Profile{Services: &Services{Garden: "unpaid"}}, nil)
	b.pass(time.Minute, 100)
	b.hangUp(b.counters)
	b.wantRecords(nil)
	if !b.done {
		t.Error("not done")
	}
}

func TestGardenWithAnAccount(t *testing.T) {
	b := upWith(t, Profile{Services: &Services{Garden: "unpaid"}}, func(c *Config) { c.AccountGarden = true })
	b.pass(time.Minute, 100)
	b.garden("")
	b.pass(time.Minute, 7)
	b.hangUp(b.counters)
	b.wantRecords([]AcctRecord{
		record(AcctStart, "id", 0, 0, 0),
		record(AcctStop, "id", time.Minute, 100, CauseNASRequest),
		record(AcctStart, "id-2", 0, 0, 0),
		record(AcctStop, "id-2", time.Minute, 7, CauseLostCarrier),
	})
}
