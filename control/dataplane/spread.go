package dataplane

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// SpreadWant is whether the data that LACs send is spread over the CPUs.
type SpreadWant uint8

// The wants.
const (
	// SpreadAuto does it while one CPU alone has more to receive than it can.
	SpreadAuto SpreadWant = iota
	SpreadOff
	SpreadOn
)

// How SpreadAuto decides, once a spreadPeriod.
//
// On: in spreadPatience periods one after the other, one CPU has forwarded
// spreadShare of the subscribers' packets, was busy with receiving for spreadBusy of
// its time, and it is the same. Then all of them come in through one queue, and more
// would not fit.
//
// Off: in calmPatience periods one after the other, fewer than calmShare of the
// packets came that came when it was switched on, so that it is not switched on again
// at once.
const (
	spreadPeriod   = time.Second
	spreadPatience = 3
	spreadShare    = 0.9
	spreadBusy     = 0.85
	calmPatience   = 60
	calmShare      = 0.5
	// spreadLeast is the packets in a period below which nothing is concluded.
	spreadLeast = 10_000
)

// load is what one CPU has done in a period.
type load struct {
	sent uint64  // packets of subscribers that it has forwarded, or handed on
	busy float64 // share of its time in interrupts, 0 to 1
}

// judge decides from one period after the other.
type judge struct {
	on      bool
	cpu     int // whose load it is about
	periods int // how many in a row say that it should change
	least   uint64
}

// next takes a period's loads by CPU and reports whether data is to be spread from now
// on.
func (j *judge) next(cpus []load) bool {
	var sum uint64
	most := 0
	for i, c := range cpus {
		sum += c.sent
		if c.sent > cpus[most].sent {
			most = i
		}
	}
	if j.on {
		if sum < j.least {
			j.periods++
		} else {
			j.periods = 0
		}
		if j.periods == calmPatience {
			j.on, j.periods = false, 0
		}
		return j.on
	}
	full := sum >= spreadLeast && float64(cpus[most].sent) >= spreadShare*float64(sum) && cpus[most].busy >= spreadBusy
	switch {
	case !full:
		j.periods = 0
	case j.cpu == most:
		j.periods++
	default:
		j.cpu, j.periods = most, 1
	}
	if j.periods == spreadPatience {
		j.on, j.periods, j.least = true, 0, uint64(calmShare*float64(sum))
	}
	return j.on
}

// spreadTable is the part of the maps that spreads.
type spreadTable interface {
	Spread(cpus []int) error
	SentUp() ([]uint64, error)
	Hands() ([]maps.Hand, error)
}

// spreader switches spreading on and off.
type spreader struct {
	table spreadTable
	want  SpreadWant
	cpus  []int
	times func() ([]cpuTime, error)
	log   *zap.Logger

	switched atomic.Uint64 // times

	judge judge
	sent  []uint64
	spent []cpuTime
}

func newSpreader(table spreadTable, want SpreadWant, log *zap.Logger) (*spreader, error) {
	s := &spreader{table: table, want: want, cpus: usableCPUs(), times: readCPUTimes, log: log}
	if want != SpreadOn {
		// What an earlier process has left takes nothing any more.
		return s, table.Spread(nil)
	}
	if err := table.Spread(s.cpus); err != nil {
		return nil, err
	}
	log.Info("data of LACs is spread over CPUs", zap.Ints("cpus", s.cpus))
	return s, nil
}

// usableCPUs are the CPUs that the process may use: where the operator keeps it off
// some of them, they are kept for something else.
func usableCPUs() []int {
	var set unix.CPUSet
	if err := unix.SchedGetaffinity(0, &set); err != nil {
		return nil
	}
	var cpus []int
	for cpu := range 8 * len(set) * strconv.IntSize / 8 {
		if set.IsSet(cpu) && len(cpus) < maps.SpreadMost {
			cpus = append(cpus, cpu)
		}
	}
	return cpus
}

// watch decides once a period, until stop is closed.
func (s *spreader) watch(stop <-chan struct{}) {
	if s.want != SpreadAuto || len(s.cpus) < 2 {
		return
	}
	tick := time.NewTicker(spreadPeriod)
	defer tick.Stop()
	for {
		if err := s.decide(); err != nil {
			s.log.Warn("spreading over CPUs: not judged", zap.Error(err))
		}
		select {
		case <-stop:
			return
		case <-tick.C:
		}
	}
}

// decide looks at the period that has passed since it was last called.
func (s *spreader) decide() error {
	loads, err := s.loads()
	if err != nil || loads == nil {
		return err
	}
	was := s.judge.on
	on := s.judge.next(loads)
	if on == was {
		return nil
	}
	var cpus []int
	if on {
		cpus = s.cpus
	}
	if err := s.table.Spread(cpus); err != nil {
		s.judge = judge{on: was, least: s.judge.least}
		return err
	}
	s.switched.Add(1)
	if on {
		s.log.Info("data of LACs is spread over CPUs: one alone has too much of it",
			zap.Int("cpu", s.judge.cpu), zap.Ints("cpus", cpus))
	} else {
		s.log.Info("data of LACs is not spread over CPUs any more: one can do it")
	}
	return nil
}

// loads returns what each CPU has done since the last call, nil at the first. A CPU
// that hands packets on is the one that receives them, whoever forwards them.
func (s *spreader) loads() ([]load, error) {
	sent, err := s.table.SentUp()
	if err != nil {
		return nil, err
	}
	hands, err := s.table.Hands()
	if err != nil {
		return nil, err
	}
	for i := range hands {
		sent[i] += hands[i].Handed - hands[i].Taken
	}
	spent, err := s.times()
	if err != nil {
		return nil, err
	}
	before, spentBefore := s.sent, s.spent
	s.sent, s.spent = sent, spent
	if before == nil {
		return nil, nil
	}
	loads := make([]load, len(sent))
	for i := range loads {
		// What a CPU has taken for another is no load of its queue; what it has
		// taken and not forwarded would make it less than nothing.
		loads[i].sent = uint64(max(0, int64(sent[i]-before[i])))
		if i < len(spent) && i < len(spentBefore) {
			loads[i].busy = spent[i].busySince(spentBefore[i])
		}
	}
	return loads, nil
}

// counts returns the frames that were handed from CPU to CPU, and how often that was
// switched on or off since the start.
func (s *spreader) counts() []session.Count {
	hands, err := s.table.Hands()
	if err != nil {
		s.log.Warn("spreading over CPUs: not counted", zap.Error(err))
		return nil
	}
	var sum maps.Hand
	for _, h := range hands {
		sum.Handed, sum.Taken = sum.Handed+h.Handed, sum.Taken+h.Taken
	}
	return []session.Count{
		{Name: "xdp_spread_handed", Value: sum.Handed},
		{Name: "xdp_spread_taken", Value: sum.Taken},
		{Name: "xdp_spread_switched", Value: s.switched.Load()},
	}
}

// cpuTime is the time that a CPU has spent since it was started, in the kernel's
// ticks.
type cpuTime struct{ interrupts, all uint64 }

// busySince returns the share of time since then that went into interrupts, softirqs
// above all: in them packets are received.
func (c cpuTime) busySince(then cpuTime) float64 {
	if c.all <= then.all || c.interrupts < then.interrupts {
		return 0
	}
	return float64(c.interrupts-then.interrupts) / float64(c.all-then.all)
}

func readCPUTimes() ([]cpuTime, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return nil, err
	}
	return parseCPUTimes(string(b))
}

// parseCPUTimes reads the lines "cpuN user nice system idle iowait irq softirq steal"
// of proc(5), by CPU. A CPU that is off has none, and the zero value.
func parseCPUTimes(stat string) ([]cpuTime, error) {
	const irq, softirq, steal = 5, 6, 7
	times := make([]cpuTime, 0, runtime.NumCPU())
	for line := range strings.Lines(stat) {
		f := strings.Fields(line)
		if len(f) <= steal+1 || !strings.HasPrefix(f[0], "cpu") || f[0] == "cpu" {
			continue
		}
		cpu, err := strconv.ParseUint(f[0][len("cpu"):], 10, 16)
		if err != nil {
			return nil, fmt.Errorf("/proc/stat: %q is no CPU", f[0])
		}
		var t cpuTime
		// Guests' time, which follows, is part of the users'.
		for i, text := range f[1 : steal+2] {
			n, err := strconv.ParseUint(text, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("/proc/stat: %q is no time", text)
			}
			if t.all += n; i == irq || i == softirq {
				t.interrupts += n
			}
		}
		times = append(times, make([]cpuTime, max(0, int(cpu)+1-len(times)))...)
		times[cpu] = t
	}
	return slices.Clip(times), nil
}
