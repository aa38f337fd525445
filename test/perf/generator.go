package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"
	"golang.org/x/sys/unix"
)

// GeneratorCPU is the CPU on which packets are made, and forwarded and received
// where that is done in the kernel.
const GeneratorCPU = 0

// liveFrames is BPF_F_TEST_XDP_LIVE_FRAMES of linux/bpf.h.
const liveFrames = 1 << 1

const (
	// batch is how many packets are made before they are forwarded: what one
	// NAPI poll takes.
	batch = 64
	// burst is how many packets one system call makes when there is no limit to
	// the rate. Each call sets up a pool of pages.
	burst = 1 << 17
	// pause is how long the generator sleeps when it is ahead of its rate.
	pause = 200 * time.Microsecond
)

// xdpContext is struct xdp_md.
type xdpContext struct {
	Data, DataEnd, DataMeta uint32
	IngressIfindex          uint32
	RxQueueIndex            uint32
	EgressIfindex           uint32
}

// generator makes the packets of one stream.
type generator struct {
	from    *side
	frame   []byte
	program *ebpf.Program
	seq     *ebpf.Variable // packets made so far, modulo 2^32
}

func newGenerator(s *stream) (*generator, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	return newGeneratorOf(s.from, s.table, s.layout())
}

// newGeneratorOf makes frames of a layout, each for the next session of t.
func newGeneratorOf(from *side, t *table, l layout) (*generator, error) {
	spec, err := loadGenerator()
	if err != nil {
		return nil, err
	}
	if err := l.configure(spec, len(t.sessions)); err != nil {
		return nil, err
	}
	spec.Maps[generatorMapGenTable].MaxEntries = t.calls.MaxEntries()
	var objs struct {
		generatorPrograms
		generatorVariables
	}
	err = spec.LoadAndAssign(&objs, &ebpf.CollectionOptions{
		MapReplacements: map[string]*ebpf.Map{generatorMapGenTable: t.calls},
	})
	if err != nil {
		return nil, err
	}
	return &generator{from: from, frame: l.frame, program: objs.Generate, seq: objs.Seq}, nil
}

// configure sets the program's constants.
func (l *layout) configure(spec *ebpf.CollectionSpec, sessions int) error {
	var head [12]uint64
	used := (l.stamp + stampLen + 7) / 8
	for i := range used {
		head[i] = binary.NativeEndian.Uint64(l.frame[8*i:])
	}
	var errs []error
	for name, value := range map[string]any{
		generatorVarHead: head, generatorVarHeadWords: uint32(used),
		generatorVarCallAt: uint32(l.call), generatorVarAddrAt: uint32(l.addr),
		generatorVarIpCheckAt: uint32(l.ip), generatorVarUdpCheckAt: uint32(l.udp),
		generatorVarStampAt: uint32(l.stamp),
		generatorVarIpSum:   l.ipSum(), generatorVarUdpSum: l.udpSum(),
		generatorVarSessions: uint32(sessions),
	} {
		errs = append(errs, spec.Variables[name].Set(value))
	}
	return errors.Join(errs...)
}

// hold has the program hang on a device where nothing comes in: for one that hangs
// nowhere the kernel patches its own code before and after each run, which takes
// longer than a short one.
func (g *generator) hold() (release func() error, err error) {
	err = g.from.near.ns.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: g.program, Interface: loopback, Flags: link.XDPGenericMode})
		if err == nil {
			release = l.Close
		}
		return err
	})
	return release, err
}

func (g *generator) close() error { return g.program.Close() }

// made is what a generator did in a run.
type made struct {
	packets uint64
	// wall is how long it took, busy the time that its thread had the CPU, waited the time
	// that it could have run and had to wait for the CPU. While the kernel patches its code
	// it does neither.
	wall, busy, waited time.Duration
}

// share is the part of the CPU that it had of the part that it wanted.
func (m *made) share() float64 { return m.busy.Seconds() / (m.busy + m.waited).Seconds() }

// send makes n packets or, when a signal comes between, more. It returns how many.
func (g *generator) send(n uint32) (uint32, error) {
	var before, after uint32
	if err := g.seq.Get(&before); err != nil {
		return 0, err
	}
	_, err := g.program.Run(&ebpf.RunOptions{
		Data: g.frame, Repeat: n, Flags: liveFrames, BatchSize: batch,
		Context: &xdpContext{DataEnd: uint32(len(g.frame)), IngressIfindex: uint32(g.from.near.ifindex)},
	})
	err = errors.Join(err, g.seq.Get(&after))
	return after - before, err
}

// run makes packets on GeneratorCPU until stop is set or most have been made (0: no
// end), at rate packets per second (0: as fast as they are forwarded).
func (g *generator) run(stop *atomic.Bool, rate float64, most uint64) (m made, err error) {
	err = g.from.near.ns.Do(func() error {
		release, err := occupy(GeneratorCPU)
		if err != nil {
			return err
		}
		defer release()
		begun, used := time.Now(), threadTime()
		late, err := threadWait()
		if err != nil {
			return err
		}
		for !stop.Load() && (most == 0 || m.packets < most) {
			n := uint64(burst)
			if rate > 0 {
				due := uint64(rate * time.Since(begun).Seconds())
				if due < m.packets+batch {
					time.Sleep(pause)
					continue
				}
				n = min(n, due-m.packets)
			}
			if most > 0 {
				n = min(n, most-m.packets)
			}
			sent, err := g.send(uint32(n))
			if err != nil {
				return err
			}
			m.packets += uint64(sent)
		}
		m.wall, m.busy = time.Since(begun), threadTime()-used
		m.waited, err = threadWait()
		m.waited -= late
		return err
	})
	return m, err
}

// priority is that of the generating thread: what else runs on its CPU waits.
const priority = -20

// occupy pins the calling thread to cpu and raises its priority until release.
func occupy(cpu int) (release func(), err error) {
	runtime.LockOSThread()
	var before, only unix.CPUSet
	if err := unix.SchedGetaffinity(0, &before); err != nil {
		return nil, err
	}
	only.Set(cpu)
	if err := unix.SchedSetaffinity(0, &only); err != nil {
		return nil, err
	}
	thread := unix.Gettid()
	if err := unix.Setpriority(unix.PRIO_PROCESS, thread, priority); err != nil {
		return nil, err
	}
	return func() {
		// Both were possible before; a thread that keeps them is merely odd.
		_ = unix.Setpriority(unix.PRIO_PROCESS, thread, 0)
		_ = unix.SchedSetaffinity(0, &before)
		runtime.UnlockOSThread()
	}, nil
}

// threadTime is the CPU time of the calling thread, softirqs on it included.
func threadTime() time.Duration {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &ts); err != nil {
		return 0
	}
	return time.Duration(ts.Nano())
}

// threadWait is how long the calling thread has waited for a CPU.
func threadWait() (time.Duration, error) {
	b, err := os.ReadFile("/proc/thread-self/schedstat")
	if err != nil {
		return 0, err
	}
	var ran, waited int64
	if _, err := fmt.Sscan(string(b), &ran, &waited); err != nil {
		return 0, fmt.Errorf("/proc/thread-self/schedstat: %w", err)
	}
	return time.Duration(waited), nil
}
