package perf

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"

	"github.com/lnsd/lnsd/maps"
)

// Extra is what one part of lnsd's program costs: the difference of two variants that
// are measured in turn, in one process, with one session and so with everything in the
// cache. What disturbs does so to both.
type Extra struct {
	Name      string `json:"name"`
	Direction string `json:"direction"`
	// NS is the median of the differences in ns per packet, Low and High are their
	// quartiles.
	NS    float64 `json:"ns"`
	Low   float64 `json:"low"`
	High  float64 `json:"high"`
	Turns int     `json:"turns"`
}

// Packets of one variant in one turn: those that are counted, and those before them.
const (
	turnPackets = 1 << 13
	turnWarmUp  = 1 << 10
)

// variant is one of the programs that take turns.
type variant struct {
	name    string
	without maps.Part
	limit   maps.Limit
	program *ebpf.Program
}

// unlimited is a rate that nothing exceeds.
var unlimited = maps.Limit{Bits: maps.MaxRate, Burst: time.Second}

// variants are all; extras names pairs of them.
func variants() []*variant {
	return []*variant{
		{name: "full"},
		{name: "throttled", limit: unlimited},
		{name: "no counters", without: maps.PartCounters},
		{name: "plain counters", without: maps.PartAtomic},
		{name: "no services", without: maps.PartServices},
	}
}

var extras = []struct{ name, with, base string }{
	{"counters", "full", "no counters"},
	{"counters, if they were not atomic", "plain counters", "no counters"},
	{"throttling of a session that is throttled", "throttled", "full"},
	{"throttling, filters, intercept, capture and hooks, all off", "full", "no services"},
}

// MeasureExtras lets the variants take a number of turns.
func MeasureExtras(turns int) (list []Extra, err error) {
	var open closers
	defer func() { err = errors.Join(err, open.close()) }()
	r, err := newRig()
	if err != nil {
		return nil, err
	}
	open.add(r.close)
	sessions := MakeSessions(1, 1)
	t, err := newTable(sessions)
	if err != nil {
		return nil, err
	}
	open.add(t.close)
	all := variants()
	for _, v := range all {
		if err := v.prepare(r, sessions, &open); err != nil {
			return nil, fmt.Errorf("%s: %w", v.name, err)
		}
	}
	s, err := newSwitch(r)
	if err != nil {
		return nil, err
	}
	open.add(s.close)
	for _, d := range []Direction{Up, Down} {
		more, err := s.takeTurns(all, t, d, turns)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", d, err)
		}
		list = append(list, more...)
	}
	return list, nil
}

// prepare loads the variant's program and installs the session.
func (v *variant) prepare(r *rig, sessions []Session, open *closers) error {
	f, err := newFastPathWithout(r, 1, sessions, v.without)
	if err != nil {
		return err
	}
	open.add(f.close)
	one := entry(0, &sessions[0])
	one.Up, one.Down = v.limit, v.limit
	if err := f.maps.Install(one); err != nil {
		return err
	}
	// Only a program that is attached can be asked for.
	err = errors.Join(f.attach(), r.lab.LNS.Do(func() (err error) {
		v.program, err = attachedProgram(r.lac.far.ifindex)
		return err
	}), f.detach())
	if err != nil {
		return err
	}
	open.add(v.program.Close)
	return r.lab.LNS.Do(func() error { return enterDevices(v.program, r) })
}

// enterDevices lets p send, though something else is attached.
func enterDevices(p *ebpf.Program, r *rig) error {
	info, err := p.Info()
	if err != nil {
		return err
	}
	ids, _ := info.MapIDs()
	for _, id := range ids {
		m, err := ebpf.NewMapFromID(id)
		if err != nil {
			return err
		}
		defer m.Close()
		if m.Type() != ebpf.DevMapHash {
			continue
		}
		for _, p := range []*port{&r.lac.far, &r.core.far} {
			value := [2]uint32{uint32(p.ifindex)} // and no program for it
			if err := m.Put(uint32(p.ifindex), value); err != nil {
				return err
			}
		}
	}
	return nil
}

// switcher is in the place of a forwarder and jumps to one: so another takes its turn
// without anything being attached anew.
type switcher struct {
	rig   *rig
	jump  *ebpf.Map
	entry *ebpf.Program
	links closers
}

func newSwitch(r *rig) (s *switcher, err error) {
	s = &switcher{rig: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.close())
		}
	}()
	s.jump, err = ebpf.NewMap(&ebpf.MapSpec{Type: ebpf.ProgramArray, KeySize: 4, ValueSize: 4, MaxEntries: 1})
	if err != nil {
		return s, err
	}
	s.links.add(s.jump.Close)
	s.entry, err = ebpf.NewProgram(&ebpf.ProgramSpec{Type: ebpf.XDP, AttachType: ebpf.AttachXDP, License: "GPL", Instructions: asm.Instructions{
		asm.LoadMapPtr(asm.R2, s.jump.FD()), asm.Mov.Imm(asm.R3, 0), asm.FnTailCall.Call(),
		asm.Mov.Imm(asm.R0, xdpPass), asm.Return(),
	}})
	if err != nil {
		return s, err
	}
	s.links.add(s.entry.Close)
	return s, r.lab.LNS.Do(func() error {
		for _, p := range []*port{&r.lac.far, &r.core.far} {
			l, err := link.AttachXDP(link.XDPOptions{Program: s.entry, Interface: p.ifindex, Flags: link.XDPDriverMode})
			if err != nil {
				return err
			}
			s.links.add(l.Close)
		}
		return nil
	})
}

func (s *switcher) close() error { return s.links.close() }

// takeTurns measures the variants in one direction, forwards and backwards in turn.
func (s *switcher) takeTurns(all []*variant, t *table, d Direction, turns int) (list []Extra, err error) {
	trial := trial{target: &target{name: LNSD, rig: s.rig, table: t}, direction: d, size: testSize}
	b, err := trial.bench()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	release, err := b.generator.hold()
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, release()) }()
	start, err := b.receiver.count()
	if err != nil {
		return nil, err
	}
	var sent uint64
	times := make(map[string][]float64)
	for range turns {
		for _, v := range all {
			ns, n, err := s.measure(v, b)
			if err != nil {
				return nil, err
			}
			times[v.name], sent = append(times[v.name], ns), sent+n
		}
		slices.Reverse(all)
	}
	rate := trial.describe()
	if err := trial.finish(b, start, &rate); err != nil {
		return nil, err
	}
	// What is under way while the jump is moved may find none.
	if rate.Received < sent-sent/50 {
		return nil, fmt.Errorf("%d of %d packets arrived", rate.Received, sent)
	}
	for _, e := range extras {
		list = append(list, differ(e.name, d, times[e.with], times[e.base]))
	}
	return list, nil
}

// measure is one variant's part of a turn, in ns per packet of the one CPU; n packets
// were sent.
func (s *switcher) measure(v *variant, b *bench) (ns float64, n uint64, err error) {
	if err := s.jump.Put(uint32(0), v.program); err != nil {
		return 0, 0, err
	}
	var never atomic.Bool
	warm, err := b.generator.run(&never, 0, turnWarmUp)
	if err != nil {
		return 0, 0, err
	}
	m, err := b.generator.run(&never, 0, turnPackets)
	return float64(m.busy) / float64(m.packets), warm.packets + m.packets, err
}

// differ sums up how much longer one took than the other, turn by turn.
func differ(name string, d Direction, with, base []float64) Extra {
	n := len(with)
	more := make([]float64, n)
	for i := range more {
		more[i] = with[i] - base[i]
	}
	slices.Sort(more)
	return Extra{Name: name, Direction: d.String(), Turns: n, NS: more[n/2], Low: more[n/4], High: more[n*3/4]}
}
