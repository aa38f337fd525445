package perf

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"time"
)

// MinShare is the least part of its CPU that the generating thread must have had
// for a round to count as undisturbed.
const MinShare = 0.97

// tries is how often a disturbed round is measured at most; the last one counts
// whatever it was.
const tries = 2

// Rate is one round of one forwarder, or its packets sent in number.
type Rate struct {
	Forwarder string `json:"forwarder"`
	Direction string `json:"direction"`
	Size      int    `json:"size"`     // of the inner IPv4 packet, bytes
	Sessions  int    `json:"sessions"` // that the packets belong to
	Round     int    `json:"round"`
	// Offered is the rate that the generator kept to, packets per second; 0 is as
	// fast as packets were forwarded.
	Offered float64 `json:"offered"`
	// PPS is how many packets per second arrived: of the generating thread's CPU
	// time where that does all the work, of the slower of two CPUs where a thread of
	// the kernel's does the rest, else of the clock's.
	PPS  float64 `json:"pps"`
	Sent uint64  `json:"sent"`
	// Made is how many packets the generating thread made and handed to another CPU,
	// per second of its CPU time; 0 where there is none.
	Made     float64  `json:"made,omitempty"`
	Received uint64   `json:"received"`
	Queues   []uint64 `json:"queues"` // received, by receive queue
	// Share is the part of its CPU that the generating thread had, of what it wanted.
	Share float64 `json:"share"`
	// Checked packets were compared in full, Wrong were not as they must be.
	Checked int    `json:"checked"`
	Wrong   int    `json:"wrong"`
	Problem string `json:"problem,omitempty"` // of the first wrong one
}

// trial is one measurement to be made.
type trial struct {
	target    *target
	direction Direction
	size      int
	rate      float64       // 0: as fast as possible
	length    time.Duration // of the counted time
	warmUp    time.Duration
	every     uint32 // one of so many packets is verified
}

// bench holds what a trial sets up, so that it is taken down.
type bench struct {
	stream    *stream
	generator *generator
	receiver  *receiver
}

func (t *trial) bench() (b *bench, err error) {
	b = &bench{stream: t.target.stream(t.direction, t.size)}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close())
		}
	}()
	if b.receiver, err = newReceiver(b.stream, t.target.skb, t.every); err != nil {
		return b, fmt.Errorf("receiver: %w", err)
	}
	if b.generator, err = newGenerator(b.stream); err != nil {
		return b, fmt.Errorf("generator: %w", err)
	}
	return b, nil
}

func (b *bench) close() error {
	var errs []error
	if b.generator != nil {
		errs = append(errs, b.generator.close())
	}
	if b.receiver != nil {
		errs = append(errs, b.receiver.close())
	}
	return errors.Join(errs...)
}

// run measures for a time. The target must be attached.
func (t *trial) run() (rate Rate, err error) {
	b, err := t.bench()
	if err != nil {
		return rate, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	for range tries {
		if rate, err = t.round(b); err != nil || rate.Share >= MinShare || t.target.patient {
			break
		}
	}
	return rate, err
}

// round is one undivided measurement.
func (t *trial) round(b *bench) (Rate, error) {
	rate := t.describe()
	start, err := b.receiver.count()
	if err != nil {
		return rate, err
	}
	var stop atomic.Bool
	var m made
	ended := make(chan error, 1)
	go func() {
		var err error
		m, err = b.generator.run(&stop, t.rate, 0)
		ended <- err
	}()
	time.Sleep(t.warmUp)
	first, err1 := b.receiver.count()
	begun, worked := time.Now(), t.target.worked()
	time.Sleep(t.length)
	last, err2 := b.receiver.count()
	took := time.Since(begun)
	worked = t.target.worked() - worked
	stop.Store(true)
	if err := errors.Join(err1, err2, <-ended); err != nil {
		return rate, err
	}
	rate.PPS = float64(last.packets-first.packets) / took.Seconds()
	rate.Sent, rate.Share = m.packets, m.share()
	switch own := float64(m.packets) / m.busy.Seconds(); {
	case worked > 0: // the slower of the two CPUs
		rate.Made = own
		rate.PPS = min(own, float64(last.packets-first.packets)/worked.Seconds())
	case !t.target.patient:
		rate.PPS = own
	}
	return rate, t.finish(b, start, &rate)
}

// send has the target forward n packets, no more, and waits for them.
func (t *trial) send(n uint64) (rate Rate, err error) {
	b, err := t.bench()
	if err != nil {
		return rate, err
	}
	defer func() { err = errors.Join(err, b.close()) }()
	rate = t.describe()
	start, err := b.receiver.count()
	if err != nil {
		return rate, err
	}
	m, err := b.generator.run(new(atomic.Bool), t.rate, n)
	if err != nil {
		return rate, err
	}
	rate.Sent = m.packets
	rate.PPS, rate.Share = float64(m.packets)/m.busy.Seconds(), m.share()
	return rate, t.finish(b, start, &rate)
}

func (t *trial) describe() Rate {
	return Rate{
		Forwarder: t.target.name, Direction: t.direction.String(), Size: t.size,
		Sessions: len(t.target.table.sessions), Offered: t.rate,
	}
}

// finish fills in what the receiver has since start, once no more packets come.
func (t *trial) finish(b *bench, start counted, rate *Rate) error {
	now, err := b.settled()
	if err != nil {
		return err
	}
	rate.Received = now.packets - start.packets
	rate.Queues = slices.Clone(now.queues)
	for i, n := range start.queues {
		rate.Queues[i] -= n
	}
	return b.receiver.samples(func(s sample) error {
		rate.Checked++
		if problem := b.stream.verify(s.frame, t.target.passage); problem != nil {
			rate.Wrong++
			if rate.Problem == "" {
				rate.Problem = problem.Error()
			}
		}
		return nil
	})
}

// settled waits until the count stands still.
func (b *bench) settled() (counted, error) {
	const pause, most = 20 * time.Millisecond, 100
	last, err := b.receiver.count()
	for range most {
		if err != nil {
			break
		}
		time.Sleep(pause)
		before := last.packets
		if last, err = b.receiver.count(); last.packets == before {
			break
		}
	}
	return last, err
}
