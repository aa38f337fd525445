package lac

import (
	"context"
	cryptorand "crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"
)

const (
	// pollInterval is how often Run looks whether a phase is over.
	pollInterval = 10 * time.Millisecond
	// progressInterval is how often Config.Progress is called.
	progressInterval = 200 * time.Millisecond
	// drainTime is how long echoes are waited for after the last packet.
	drainTime = 2 * time.Second
)

// Run sets the tunnels and sessions up, holds them, sends traffic, and tears them
// down, as cfg says. When ctx ends it stops early, tears down in order and reports
// what there was; the report is then marked as interrupted, unless the sessions were
// to be held Forever.
//
// An error means that there was no run, or that a socket broke: failures of tunnels
// and sessions are part of the report, see Report.OK. All sockets are opened on the
// calling goroutine, so that it decides on the network namespace.
func Run(ctx context.Context, cfg Config) (*Report, error) {
	cfg.setDefaults()
	if err := cfg.check(); err != nil {
		return nil, fmt.Errorf("lac: %w", err)
	}
	r, err := newRunner(&cfg)
	if err != nil {
		return nil, fmt.Errorf("lac: %w", err)
	}
	if err := r.run(ctx); err != nil {
		return nil, fmt.Errorf("lac: %w", err)
	}
	return r.final, nil
}

// runner leads the workers through the phases.
type runner struct {
	cfg     *Config
	epoch   time.Time
	cpu     time.Duration // used before the run
	workers []*worker
	ended   []chan struct{} // by worker: closed when its loop has ended

	phase        Phase
	interrupted  bool
	lastProgress time.Time
	// trafficTime is how long traffic was sent; teardown when it began.
	trafficTime time.Duration
	teardown    time.Time
	final       *Report
}

func newRunner(cfg *Config) (r *runner, err error) {
	r = &runner{cfg: cfg, epoch: time.Now(), cpu: processorTime()}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	var seed [8]byte
	_, _ = cryptorand.Read(seed[:]) // never fails
	id := binary.BigEndian.Uint64(seed[:])
	for i := range cfg.Workers {
		var tunnels []int
		for t := i; t < cfg.Tunnels; t += cfg.Workers {
			tunnels = append(tunnels, t)
		}
		w, err := newWorker(cfg, i, id, r.epoch, tunnels)
		if err != nil {
			return r, err
		}
		r.workers = append(r.workers, w)
		r.ended = append(r.ended, make(chan struct{}))
	}
	if cfg.TUN != "" {
		// The first session belongs to the first tunnel, and that to the
		// first worker.
		if r.workers[0].tun, err = openTUN(cfg.TUN); err != nil {
			return r, err
		}
	}
	return r, nil
}

// close releases what newRunner opened.
func (r *runner) close() error {
	var errs []error
	for _, w := range r.workers {
		for _, s := range w.sockets {
			errs = append(errs, s.udp.Close())
		}
		if w.tun != nil {
			errs = append(errs, w.tun.close())
		}
	}
	return errors.Join(errs...)
}

func (r *runner) run(ctx context.Context) error {
	ctx, broke := context.WithCancelCause(ctx)
	defer broke(nil)
	reading, stopReading := context.WithCancel(context.Background())
	defer stopReading()

	var readers, loops sync.WaitGroup
	for i, w := range r.workers {
		for _, s := range w.sockets {
			readers.Go(func() {
				if err := s.read(reading, w.box); err != nil {
					broke(err)
				}
			})
		}
		if w.tun != nil {
			readers.Go(func() { w.tun.read(w, r.ended[i]) })
		}
		loops.Go(func() {
			defer close(r.ended[i])
			w.loop()
		})
	}
	r.phases(ctx)
	loops.Wait()
	stopReading()
	report := r.report()
	err := r.close() // also ends the reader of the TUN interface
	readers.Wait()
	if cause := context.Cause(ctx); cause != nil && !errors.Is(cause, context.Canceled) && !errors.Is(cause, context.DeadlineExceeded) {
		err = errors.Join(err, cause)
	}
	r.final = report
	r.enter(PhaseDone)
	return err
}

// phases leads the workers from set-up to teardown.
func (r *runner) phases(ctx context.Context) {
	r.enter(PhaseSetup)
	r.until(ctx, 0, func(p Progress) bool { return p.settled() == r.cfg.Sessions && r.tunnelsSettled(p) })
	held := time.Now()
	if t := &r.cfg.Traffic; t.enabled() && !r.interrupted {
		r.sendTraffic(ctx)
	}
	rest := r.cfg.Hold - time.Since(held)
	if r.cfg.Hold == Forever {
		rest = Forever
	}
	if rest != 0 && (rest > 0 || rest == Forever) && ctx.Err() == nil {
		r.enter(PhaseHold)
		r.until(ctx, rest, r.nobodyLeft)
	}
	r.teardown = time.Now()
	r.enter(PhaseTeardown)
	for i, w := range r.workers {
		w.do(r.ended[i], func() { w.leave.start(r.cfg.Teardown, r.cfg.Timeout) })
	}
	for _, ended := range r.ended {
		r.await(ended)
	}
}

// tunnelsSettled matters to runs without sessions, which only set up tunnels.
func (r *runner) tunnelsSettled(p Progress) bool {
	return r.cfg.Sessions > 0 || p.Tunnels+p.failedTunnels == r.cfg.Tunnels
}

// nobodyLeft ends a hold for which there is no one any more.
func (r *runner) nobodyLeft(p Progress) bool {
	return p.Tunnels == 0 || r.cfg.Sessions > 0 && p.Sessions == 0
}

// sendTraffic has the workers send, and waits for the last echoes.
func (r *runner) sendTraffic(ctx context.Context) {
	t := &r.cfg.Traffic
	up := r.progress().Sessions
	if up == 0 {
		return
	}
	if t.Begin != nil {
		r.until(ctx, 0, func(p Progress) bool { return closed(t.Begin) || r.nobodyLeft(p) })
	}
	r.enter(PhaseTraffic)
	begun := time.Now()
	for i, w := range r.workers {
		mine := w.progress().Sessions
		rate := t.PerSession * float64(mine)
		if t.Rate > 0 {
			rate = t.Rate * float64(mine) / float64(up)
		}
		w.do(r.ended[i], func() { w.traffic.start(rate) })
	}
	length := t.Duration
	if length == 0 {
		length = r.cfg.Hold
	}
	r.until(ctx, length, r.nobodyLeft)
	for i, w := range r.workers {
		stopped := make(chan struct{})
		w.do(r.ended[i], func() { w.traffic.stop(); close(stopped) })
		r.await(stopped)
	}
	r.trafficTime = time.Since(begun)
	if !t.OneWay {
		r.until(context.WithoutCancel(ctx), drainTime, func(p Progress) bool { return p.Received >= p.Sent })
	}
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// until waits for limit (0 and Forever have no end), for over to be true, or for
// ctx.
func (r *runner) until(ctx context.Context, limit time.Duration, over func(Progress) bool) {
	var end <-chan time.Time
	if limit > 0 {
		timer := time.NewTimer(limit)
		defer timer.Stop()
		end = timer.C
	}
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		p := r.progress()
		r.show(p)
		if over(p) {
			return
		}
		select {
		case <-ctx.Done():
			// To end a hold without end is what the context is for.
			if r.phase != PhaseTeardown && !(r.cfg.Hold == Forever && r.phase != PhaseSetup) {
				r.interrupted = true
			}
			return
		case <-end:
			return
		case <-poll.C:
		}
	}
}

// await waits for a worker and goes on showing progress.
func (r *runner) await(done <-chan struct{}) {
	poll := time.NewTicker(pollInterval)
	defer poll.Stop()
	for {
		select {
		case <-done:
			return
		case <-poll.C:
			r.show(r.progress())
		}
	}
}

func (r *runner) progress() Progress {
	p := Progress{Phase: r.phase, Elapsed: time.Since(r.epoch), Wanted: r.cfg.Sessions}
	for _, w := range r.workers {
		p.add(w.progress())
	}
	return p
}

// show calls Config.Progress, but not too often.
func (r *runner) show(p Progress) {
	if r.cfg.Progress == nil || time.Since(r.lastProgress) < progressInterval {
		return
	}
	r.lastProgress = time.Now()
	r.cfg.Progress(p)
}

// enter begins a phase and calls Config.Phase.
func (r *runner) enter(p Phase) {
	r.phase = p
	if r.cfg.Progress != nil {
		r.cfg.Progress(r.progress())
	}
	if r.cfg.Phase == nil {
		return
	}
	report := r.final
	if report == nil {
		report = r.report()
	}
	r.cfg.Phase(p, report)
}
