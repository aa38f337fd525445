package maps

import (
	"errors"
	"fmt"
	"slices"

	"github.com/cilium/ebpf"
)

// spreadQueue is how many frames may wait for a CPU: some milliseconds' worth, as
// long as its thread may have to wait for others. More are dropped by the kernel.
const spreadQueue = 8192

// SpreadMost is the most CPUs that data can be spread over: LNS_SPREAD_CPUS of the C
// sources.
const SpreadMost = 256

// spreading is the program that hands data over, and the CPUs that take it.
type spreading struct {
	hand, take *ebpf.Program
	cpus       []int
}

// Spread makes CPUs, by number, share the data that LACs send: the CPU that receives a
// frame hands it to the one that its session's ids lead to. None ends that. Packets of
// a session stay in their order, except once for those that are under way at the
// moment when this changes: no packet is lost then.
//
// Devices whose frames come in several buffers go on without.
func (m *Maps) Spread(cpus []int) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	before := m.spread
	if len(cpus) == 0 {
		m.spread = spreading{}
		return errors.Join(m.relink(), m.dropCPUs(nil), before.close())
	}
	next, err := m.loadSpread(cpus)
	if err != nil {
		return fmt.Errorf("spread over CPUs: %w", err)
	}
	// The CPUs first: frames for one that takes none are judged where they came in.
	if err := m.putCPUs(next); err != nil {
		return errors.Join(fmt.Errorf("spread over CPUs: %w", err), next.close())
	}
	m.spread = next
	return errors.Join(m.relink(), m.dropCPUs(cpus), before.close())
}

// Spreading returns the CPUs that share data, none when that is off.
func (m *Maps) Spreading() []int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.spread.cpus)
}

func (s spreading) close() error {
	var errs []error
	for _, p := range []*ebpf.Program{s.hand, s.take} {
		if p != nil {
			errs = append(errs, p.Close())
		}
	}
	return errors.Join(errs...)
}

// entry is the program for devices with frames of usual size.
func (m *Maps) entry() *ebpf.Program {
	if m.spread.hand != nil {
		return m.spread.hand
	}
	return m.objs.LnsXdp
}

// relink puts the entry program into every link, in one step each.
func (m *Maps) relink() error {
	var errs []error
	for ifindex, held := range m.links {
		if held.buffers {
			continue
		}
		if err := held.link.Update(m.entry()); err != nil {
			errs = append(errs, fmt.Errorf("interface %d: %w", ifindex, err))
		}
	}
	return errors.Join(errs...)
}

// loadSpread loads the program twice: to hand over, and to take over.
func (m *Maps) loadSpread(cpus []int) (s spreading, err error) {
	if len(cpus) > SpreadMost {
		return s, fmt.Errorf("%d CPUs: more than %d", len(cpus), SpreadMost)
	}
	s.cpus = slices.Clone(cpus)
	var list [SpreadMost]uint32
	for i, cpu := range cpus {
		list[i] = uint32(cpu)
	}
	s.hand, err = m.loadVariant(func(spec *ebpf.CollectionSpec) error {
		return errors.Join(
			spec.Variables[kernelVarSpread].Set(kernelLnsSpreadLNS_SPREAD_HAND),
			spec.Variables[kernelVarSpreadCount].Set(uint32(len(cpus))),
			spec.Variables[kernelVarSpreadCpus].Set(list))
	})
	if err != nil {
		return s, err
	}
	s.take, err = m.loadVariant(func(spec *ebpf.CollectionSpec) error {
		spec.Programs[kernelProgLnsXdp].AttachType = ebpf.AttachXDPCPUMap
		ownCPUs(spec)
		return spec.Variables[kernelVarSpread].Set(kernelLnsSpreadLNS_SPREAD_TAKE)
	}, kernelMapLnsCpus)
	if err != nil {
		return spreading{}, errors.Join(err, s.close())
	}
	return s, nil
}

// ownCPUs gives a program a CPU map of its own, which stays empty. The kernel wants
// all programs that know one to be alike in how they take frames, and what stands in
// one must not know it.
func ownCPUs(spec *ebpf.CollectionSpec) {
	cpus := spec.Maps[kernelMapLnsCpus]
	cpus.MaxEntries, cpus.Pinning = 1, ebpf.PinNone
}

// putCPUs makes the CPUs take frames, by the new program.
func (m *Maps) putCPUs(s spreading) error {
	for _, cpu := range s.cpus {
		value := kernelBpfCpumapVal{Qsize: spreadQueue}
		value.BpfProg.Fd = int32(s.take.FD())
		if err := m.objs.LnsCpus.Put(uint32(cpu), &value); err != nil {
			return fmt.Errorf("CPU %d: %w", cpu, err)
		}
	}
	return nil
}

// dropCPUs ends that for all CPUs but those of keep. What waits for them is judged
// before they go.
func (m *Maps) dropCPUs(keep []int) error {
	var errs []error
	for cpu := range m.objs.LnsCpus.MaxEntries() {
		if slices.Contains(keep, int(cpu)) {
			continue
		}
		if err := m.objs.LnsCpus.Delete(cpu); err != nil && !errors.Is(err, ebpf.ErrKeyNotExist) {
			errs = append(errs, fmt.Errorf("CPU %d: %w", cpu, err))
		}
	}
	return errors.Join(errs...)
}

// Hand is what a CPU has handed to others, or to its own thread, and what was handed
// to it.
type Hand = kernelLnsHand

// Hands returns the Hand of every CPU, by number, since the maps were made. Frames that
// were handed over and not taken wait, or were dropped, for the CPU was too slow.
func (m *Maps) Hands() ([]Hand, error) {
	var cpus []Hand
	if err := m.objs.LnsHands.Lookup(uint32(0), &cpus); err != nil {
		return nil, fmt.Errorf("frames handed over: %w", err)
	}
	return cpus, nil
}

// SentUp returns how many packets of subscribers each CPU, by number, has sent on.
func (m *Maps) SentUp() ([]uint64, error) {
	var cpus []kernelLnsTally
	if err := m.objs.LnsReasons.Lookup(kernelLnsReasonLNS_SENT_UP, &cpus); err != nil {
		return nil, fmt.Errorf("packets sent by each CPU: %w", err)
	}
	sent := make([]uint64, len(cpus))
	for i := range cpus {
		sent[i] = cpus[i].Packets
	}
	return sent, nil
}
