package perf

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/lnsd/lnsd/maps"
)

// Plan says what a run measures.
type Plan struct {
	// Sessions are the numbers of sessions that 64-byte packets are spread over;
	// other sizes, and servers in user space, are measured with 1,000.
	Sessions []int
	Sizes    []int // of inner packets, bytes
	Rounds   int
	Time     time.Duration // counted, of each round
	// Forwarders are the names of those to measure.
	Forwarders []string
	// Programs is how many test runs each path gets, Calls how many sessions are
	// set up, MapSizes for how many sessions maps are made; 0 and none skip.
	Programs int
	// Extras is how many turns those take that show what parts of lnsd's program
	// cost; 0 for none.
	Extras   int
	Calls    int
	MapSizes []int
	// LNSD is the daemon's binary.
	LNSD string
	// Progress, when set, is told what is done next.
	Progress func(string)
}

// Forwarders are all there are, in the order of a round and of a table.
var Forwarders = []string{Plain, Touch, Reference, LNSD, LNSDSpread, Filter, FilterSpread, Linux, L2TPNS, SlowPath}

// The first of them work in the kernel and share a rig.
const kernelForwarders = 8

// small is the number of sessions up to which lnsd and the reference are made with
// the reference's usual size; more get maps that hold them.
const small = referenceEntries - 1

// Run measures everything in the plan. On error the report holds what there was
// until then.
func (p *Plan) Run() (report *Report, err error) {
	report = &Report{Host: thisHost()}
	favourSession(os.Getpid())
	if err := p.rates(report); err != nil {
		return report, err
	}
	if p.Programs > 0 {
		p.say("programs")
		if report.Programs, err = MeasurePrograms(p.Programs); err != nil {
			return report, err
		}
	}
	if p.Extras > 0 {
		p.say("parts of lnsd's program")
		if report.Extras, err = MeasureExtras(p.Extras); err != nil {
			return report, err
		}
	}
	for _, n := range p.MapSizes {
		p.say("maps for %d sessions", n)
		base, err := MeasureMaps(1, 1, true)
		if err != nil {
			return report, err
		}
		m, err := MeasureMaps(n, n, true)
		if err != nil {
			return report, err
		}
		m.Fixed = base.Bytes
		report.Maps = append(report.Maps, m)
	}
	if p.Calls > 0 {
		for _, c := range contenders(p.LNSD) {
			p.say("%d calls to %s (%s)", p.Calls, c.name, c.auth)
			s, err := bestSetup(c, p.Calls)
			if err != nil {
				return report, err
			}
			report.Setups = append(report.Setups, s)
		}
	}
	return report, nil
}

func (p *Plan) say(format string, args ...any) {
	if p.Progress != nil {
		p.Progress(fmt.Sprintf(format, args...))
	}
}

// rates measures the forwarders, round by round.
func (p *Plan) rates(report *Report) (err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	targets, err := p.targets(&open)
	if err != nil {
		return err
	}
	offers := make(map[cell]float64)
	for round := 1; round <= p.Rounds; round++ {
		for _, c := range p.cells() {
			p.say("round %d of %d: %s", round, p.Rounds, c)
			for _, t := range targets {
				if len(t.table.sessions) != c.sessions || !t.isFor(c, p.Sizes[0]) {
					continue
				}
				rate, err := p.measure(t, c, offers)
				if err != nil {
					return fmt.Errorf("%s, %s: %w", t.name, c, err)
				}
				rate.Round = round
				report.Rates = append(report.Rates, rate)
			}
		}
	}
	return nil
}

// cell is what forwarders are compared in.
type cell struct {
	forwarder string // only where one is meant
	direction Direction
	size      int
	sessions  int
}

func (c cell) String() string {
	return fmt.Sprintf("%s, %d bytes, %d sessions", c.direction, c.size, c.sessions)
}

// usualSessions is the number with which everything is measured.
const usualSessions = servedSessions

// cells lists them. The first size is measured with each number of sessions.
func (p *Plan) cells() []cell {
	var list []cell
	for i, size := range p.Sizes {
		numbers := []int{usualSessions}
		if i == 0 {
			numbers = p.Sessions
			if !slices.Contains(numbers, usualSessions) {
				numbers = append(slices.Clone(numbers), usualSessions)
			}
		}
		for _, n := range numbers {
			for _, d := range []Direction{Up, Down} {
				list = append(list, cell{direction: d, size: size, sessions: n})
			}
		}
	}
	return list
}

// How often packets are kept, and how long a forwarder runs before it is counted.
const (
	keepMany     = 101  // of a slow one
	keepFew      = 4099 // of a fast one
	warmUp       = 50 * time.Millisecond
	patientShare = 2 // a patient one's time is longer by this factor
)

// measure is one round of one target. offers holds the rates already found.
func (p *Plan) measure(t *target, c cell, offers map[cell]float64) (rate Rate, err error) {
	err = t.withAttached(func() error {
		trial := trial{target: t, direction: c.direction, size: c.size, length: p.Time, warmUp: warmUp, every: keepFew}
		if t.patient {
			c.forwarder = t.name
			if offers[c] == 0 {
				p.say("the best rate of %s: %s", t.name, c)
				if offers[c], err = bestOffer(t, c.direction, c.size); err != nil {
					return err
				}
			}
			trial.rate, trial.length, trial.warmUp, trial.every = offers[c], p.Time*patientShare, offerWarm, keepMany
		}
		rate, err = trial.run()
		return err
	})
	return rate, err
}

// targets builds what is to be measured, for each number of sessions.
func (p *Plan) targets(open *closers) (list []*target, err error) {
	if slices.ContainsFunc(Forwarders[:kernelForwarders], p.wants) {
		if list, err = p.kernelTargets(open); err != nil {
			return nil, err
		}
	}
	for _, name := range Forwarders[kernelForwarders:] {
		if !p.wants(name) {
			continue
		}
		p.say("starting %s", name)
		s, err := newServed(name, p.LNSD)
		if err != nil {
			return nil, err
		}
		open.add(s.close)
		list = append(list, s.target)
	}
	return list, nil
}

func (p *Plan) wants(name string) bool { return slices.Contains(p.Forwarders, name) }

// kernelTargets share one rig. Up to small sessions they share maps too.
func (p *Plan) kernelTargets(open *closers) (list []*target, err error) {
	r, err := newRig()
	if err != nil {
		return nil, err
	}
	open.add(r.close)
	numbers := append(slices.Clone(p.Sessions), usualSessions)
	slices.Sort(numbers)
	numbers = slices.Compact(numbers)
	few, _ := slices.BinarySearch(numbers, small+1)
	for _, group := range [][]int{numbers[:few], numbers[few:]} {
		if len(group) == 0 {
			continue
		}
		more, err := p.group(r, group, open)
		if err != nil {
			return nil, err
		}
		list = append(list, more...)
	}
	return list, nil
}

// group makes the targets for numbers of sessions, the largest last, which use the
// same maps.
func (p *Plan) group(r *rig, numbers []int, open *closers) (list []*target, err error) {
	most := numbers[len(numbers)-1]
	p.say("installing %d sessions", most)
	size := min(max(most, referenceEntries), maps.MaxSessions)
	sessions := MakeSessions(most, size)
	b, err := newBaseline(r, sessions)
	if err != nil {
		return nil, err
	}
	open.add(b.close)
	f, err := newFastPath(r, size, sessions)
	if err != nil {
		return nil, err
	}
	open.add(f.close)
	for _, n := range numbers {
		t, err := newTable(sessions[:n])
		if err != nil {
			return nil, err
		}
		open.add(t.close)
		all := append(b.targets(t), f.target(LNSD, t), f.spreadTarget(LNSDSpread, t), linuxTarget(r, t))
		if n == usualSessions && (p.wants(Filter) || p.wants(FilterSpread)) {
			filtered, err := newFastPathFiltered(r, size, sessions[:n])
			if err != nil {
				return nil, err
			}
			open.add(filtered.close)
			all = append(all, filtered.target(Filter, t), filtered.spreadTarget(FilterSpread, t))
		}
		for _, target := range all {
			if p.wants(target.name) {
				list = append(list, target)
			}
		}
	}
	return list, nil
}
