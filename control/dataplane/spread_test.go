package dataplane

import (
	"errors"
	"slices"
	"testing"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/maps"
)

// period is one spreadPeriod of a two-CPU machine: packets and share of time in
// interrupts of each CPU.
func period(sent0 uint64, busy0 float64, sent1 uint64, busy1 float64) []load {
	return []load{{sent0, busy0}, {sent1, busy1}}
}

var (
	full  = period(1_000_000, 0.99, 50_000, 0.1)
	calm  = period(400_000, 0.4, 0, 0)
	usual = period(600_000, 0.7, 600_000, 0.7)
)

// TestJudge: spreading begins after three full periods in a row of one CPU, and ends
// after a minute with less than half of it.
func TestJudge(t *testing.T) {
	for name, c := range map[string]struct {
		periods [][]load
		on      bool
	}{
		"nothing":                  {periods: nil},
		"full for too short":       {periods: [][]load{full, full}},
		"full":                     {periods: [][]load{full, full, full}, on: true},
		"full with a pause":        {periods: [][]load{full, full, usual, full, full}},
		"full on another CPU":      {periods: [][]load{full, full, period(50_000, 0.1, 1_000_000, 0.99)}},
		"full, but not with ours":  {periods: slices.Repeat([][]load{period(9_999, 1, 0, 0)}, 9)},
		"one queue that is enough": {periods: slices.Repeat([][]load{period(1_000_000, 0.8, 0, 0)}, 9)},
		"both full":                {periods: slices.Repeat([][]load{period(1_000_000, 1, 1_000_000, 1)}, 9)},
		"most of it in one queue":  {periods: slices.Repeat([][]load{period(880_000, 1, 120_000, 0.3)}, 9)},
		"calm for too short":       {periods: append(slices.Repeat([][]load{full}, 3), slices.Repeat([][]load{calm}, 59)...), on: true},
		"calm":                     {periods: append(slices.Repeat([][]load{full}, 3), slices.Repeat([][]load{calm}, 60)...)},
		"never calm": {periods: append(slices.Repeat([][]load{full}, 3),
			slices.Repeat(append(slices.Repeat([][]load{calm}, 59), usual), 5)...), on: true},
	} {
		t.Run(name, func(t *testing.T) {
			var j judge
			on := false
			for _, p := range c.periods {
				on = j.next(p)
			}
			if on != c.on {
				t.Errorf("on: %v", on)
			}
		})
	}
}

// fakeSpread is what a spreader sees of the maps.
type fakeSpread struct {
	cpus  []int
	calls int
	err   error
	sent  []uint64
	hands []maps.Hand
}

func (f *fakeSpread) Spread(cpus []int) error {
	f.calls++
	if f.err == nil {
		f.cpus = cpus
	}
	return f.err
}
func (f *fakeSpread) SentUp() ([]uint64, error)   { return slices.Clone(f.sent), nil }
func (f *fakeSpread) Hands() ([]maps.Hand, error) { return slices.Clone(f.hands), nil }

// TestSpreader: what is handed on counts for the CPU that has received it; a switch
// that failed is tried again.
func TestSpreader(t *testing.T) {
	f := &fakeSpread{sent: make([]uint64, 2), hands: make([]maps.Hand, 2)}
	s, err := newSpreader(f, SpreadAuto, zap.NewNop())
	if err != nil || f.calls != 1 || f.cpus != nil {
		t.Fatalf("%v, %d calls, over %v", err, f.calls, f.cpus)
	}
	s.cpus = []int{0, 1}
	now := make([]cpuTime, 2)
	s.times = func() ([]cpuTime, error) { return slices.Clone(now), nil }
	pass := func(packets uint64, interrupts uint64) {
		t.Helper()
		now[0].interrupts, now[0].all, now[1].all = now[0].interrupts+interrupts, now[0].all+100, now[1].all+100
		if len(f.cpus) > 0 { // received by CPU 0, forwarded by CPU 1
			f.hands[0].Handed, f.hands[1].Taken, f.sent[1] = f.hands[0].Handed+packets, f.hands[1].Taken+packets, f.sent[1]+packets
		} else {
			f.sent[0] += packets
		}
		if err := s.decide(); (err != nil) != (f.err != nil && f.calls > 1) {
			t.Fatalf("decide: %v", err)
		}
	}
	for range 3 { // the first has nothing to compare with
		pass(100_000, 95)
	}
	if len(f.cpus) != 0 {
		t.Error("spread too early")
	}
	f.err = errors.New("refused")
	pass(100_000, 95)
	f.err = nil
	for range spreadPatience {
		pass(100_000, 95)
	}
	if !slices.Equal(f.cpus, []int{0, 1}) {
		t.Errorf("spread over %v", f.cpus)
	}
	for range 5 {
		loadsBefore := f.calls
		pass(100_000, 50)
		if f.calls != loadsBefore {
			t.Error("switched while there is much to do")
		}
	}
	for range calmPatience {
		pass(40_000, 10)
	}
	if len(f.cpus) != 0 || s.switched.Load() != 2 {
		t.Errorf("over %v after %d switches", f.cpus, s.switched.Load())
	}
	f.hands[0].Handed += 3
	counts := s.counts()
	if counts[0].Value != counts[1].Value+3 || counts[2].Value != 2 {
		t.Errorf("%+v", counts)
	}
}

// TestSpreadOnAtOnce: who wants it has it from the start, and who does not never.
func TestSpreadOnAtOnce(t *testing.T) {
	f := &fakeSpread{}
	if s, err := newSpreader(f, SpreadOn, zap.NewNop()); err != nil || !slices.Equal(f.cpus, s.cpus) || len(s.cpus) == 0 {
		t.Errorf("%v, over %v", err, f.cpus)
	}
	f.err = errors.New("refused")
	if _, err := newSpreader(f, SpreadOn, zap.NewNop()); !errors.Is(err, f.err) {
		t.Errorf("%v", err)
	}
	stop := make(chan struct{}) // never closed: it ends by itself
	(&spreader{want: SpreadOff, cpus: []int{0, 1}}).watch(stop)
	(&spreader{want: SpreadAuto, cpus: []int{0}}).watch(stop)
}

const procStat = `cpu  100 0 50 800 5 3 42 0 9 0
cpu0 50 0 25 400 0 1 24 0 9 0
cpu2 10 0 5 70 5 2 8 0 0 0
intr 12345 0 1
ctxt 1
`

func TestCPUTimes(t *testing.T) {
	got, err := parseCPUTimes(procStat)
	want := []cpuTime{{25, 500}, {}, {10, 100}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, bad := range []string{"cpux 1 2 3 4 5 6 7 8 9 10\n", "cpu0 1 2 3 4 5 6 seven 8 9 10\n"} {
		if got, err := parseCPUTimes(bad); err == nil {
			t.Errorf("%q: %+v", bad, got)
		}
	}
	if busy := (cpuTime{90, 200}).busySince(cpuTime{0, 100}); busy != 0.9 {
		t.Errorf("busy %v", busy)
	}
	for _, then := range []cpuTime{{0, 200}, {0, 300}, {100, 100}} { // a CPU that was off
		if busy := (cpuTime{90, 200}).busySince(then); busy != 0 {
			t.Errorf("since %+v: busy %v", then, busy)
		}
	}
	if real, err := readCPUTimes(); err != nil || len(real) == 0 || real[0].all == 0 {
		t.Errorf("%+v, %v", real, err)
	}
}
