package dataplane

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// clockPeriod is how often the distance of the kernel's clock and the date is
// taken anew.
const clockPeriod = 10 * time.Second

// Plane is the fast path. Its methods may be called from any goroutine.
type Plane struct {
	cfg     Config
	log     *zap.Logger
	maps    *maps.Maps
	worker  *worker
	watcher *watcher
	hops    *hopKeeper
	spread  *spreader
	gate    gateTable
	mounted string // the BPF file system that we mounted, if we did

	lacs sync.Mutex // orders AllowLACs
	open bool       // every source may ask for tunnels

	forget atomic.Bool // see Forget

	stop chan struct{}
	wg   sync.WaitGroup
}

// Open loads the program and attaches it, in the calling thread's network
// namespace. Answers to operations go to done, from one goroutine; the slice is
// valid only during the call. An error that wraps ErrUnsupported names what the
// kernel lacks.
func Open(cfg Config, done func([]session.Programmed), log *zap.Logger) (_ *Plane, err error) {
	if err := probe(needs()); err != nil {
		return nil, err
	}
	p := &Plane{cfg: cfg, log: log, stop: make(chan struct{})}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("dataplane: %w", err), p.Close())
		}
	}()
	if cfg.PinPath != "" {
		if p.mounted, err = ensureBPFFS(cfg.PinPath); err != nil {
			return nil, err
		}
		if p.mounted != "" {
			log.Info("mounted a BPF file system", zap.String("path", p.mounted))
		}
	}
	if p.maps, err = p.openMaps(); err != nil {
		return nil, err
	}
	p.gate = p.maps
	if err := p.firstHooks(); err != nil {
		return nil, err
	}
	if err := p.AllowLACs(cfg.LACSources); err != nil {
		return nil, err
	}
	clock := newClock()
	p.worker = newWorker(&p.cfg, p.maps, clock, done)
	for s := range p.maps.All() {
		p.worker.installed[s.Slot].Store(true)
	}
	if p.spread, err = newSpreader(p.maps, cfg.Spread, log); err != nil {
		return nil, err
	}
	if p.watcher, err = newWatcher(&p.cfg, p.maps, log); err != nil {
		return nil, err
	}
	if p.hops, err = newHopKeeper(p.maps, usualHopTimes, log); err != nil {
		return nil, err
	}
	p.wg.Go(func() { p.keepClock(clock) })
	p.wg.Go(func() { p.spread.watch(p.stop) })
	return p, nil
}

func (p *Plane) keepClock(c *clock) {
	tick := time.NewTicker(clockPeriod)
	defer tick.Stop()
	for {
		select {
		case <-p.stop:
			return
		case <-tick.C:
			c.measure()
		}
	}
}

// Apply queues copies of ops. Each is answered once, those of one slot in their
// order. An install that can't be done as a whole leaves nothing behind; a
// session that XDP does not serve is answered with success and left to the slow
// path.
func (p *Plane) Apply(ops []session.ProgramOp) { p.worker.apply(ops) }

// Counters returns what XDP has counted for the session in a slot, without a
// system call.
func (p *Plane) Counters(slot uint32) session.Counters { return p.worker.counters(slot) }

// Sequence returns the data sequence numbers that XDP counts for the session in a
// slot, whether it is installed or not; they are valid until Close.
func (p *Plane) Sequence(slot uint32) session.Sequence {
	n := p.maps.Sequence(slot)
	if n == nil {
		return session.Sequence{}
	}
	return session.Sequence{Send: &n.Send, Expect: &n.Expect}
}

// Installed reports whether the session in a slot is in the maps.
func (p *Plane) Installed(slot uint32) bool { return p.worker.isInstalled(slot) }

// Modes says where and how the program is attached, and where it could not be.
func (p *Plane) Modes() []Mode { return p.watcher.list() }

// Spread returns the CPUs that the data of LACs is spread over, by number; none when
// each packet is forwarded where it came in.
func (p *Plane) Spread() []int { return p.maps.Spreading() }

// Counts returns how packets ended in XDP, by reason (packets, then bytes of the
// received frames), and what was done to the maps.
func (p *Plane) Counts() []session.Count {
	w := p.worker
	out := []session.Count{
		{Name: "xdp_installs", Value: w.installs.Load()},
		{Name: "xdp_replaced", Value: w.replaced.Load()},
		{Name: "xdp_removals", Value: w.removals.Load()},
		{Name: "xdp_failed", Value: w.failed.Load()},
		{Name: "xdp_refused", Value: w.refused.Load()},
	}
	out = append(out, p.spread.counts()...)
	tallies, err := p.maps.Reasons()
	if err != nil {
		p.log.Warn("reasons not read", zap.Error(err))
		return out
	}
	for _, t := range tallies {
		out = append(out,
			session.Count{Name: "xdp_" + t.Name, Value: t.Packets},
			session.Count{Name: "xdp_" + t.Name + "_bytes", Value: t.Bytes})
	}
	return out
}

// Close answers what is queued and lets go of the maps: with Persist they go on
// forwarding unless Forget was called, otherwise the program is detached and everything is removed.
func (p *Plane) Close() error {
	close(p.stop)
	p.wg.Wait()
	if p.hops != nil {
		p.hops.close()
	}
	if p.watcher != nil {
		p.watcher.close()
	}
	if p.worker != nil {
		p.worker.close()
	}
	var errs []error
	if p.maps != nil {
		errs = append(errs, p.maps.Close())
	}
	if p.cfg.PinPath == "" || p.cfg.Persist && !p.forget.Load() {
		return errors.Join(errs...)
	}
	errs = append(errs, maps.Unpin(p.cfg.PinPath))
	if p.mounted != "" {
		errs = append(errs, unmountUnused(p.mounted))
	}
	return errors.Join(errs...)
}
