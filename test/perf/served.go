package perf

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// served is a server in user space with sessions that a LAC has dialled.
type served struct {
	open   closers
	target *target
}

// servedSessions is how many sessions a server in user space is measured with.
const servedSessions = 1000

// newServed starts the server of that name, L2TPNS or SlowPath, in a rig of its own.
func newServed(name, lnsd string) (s *served, err error) {
	s = &served{}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%s: %w", name, err), s.close())
		}
	}()
	r, err := newRig()
	if err != nil {
		return s, err
	}
	s.open.add(r.close)
	dir, err := os.MkdirTemp("", "lnsbench")
	if err != nil {
		return s, err
	}
	s.open.add(func() error { return os.RemoveAll(dir) })
	var daemon *server
	if name == L2TPNS {
		if daemon, err = startL2TPNS(r, dir); err != nil {
			return s, err
		}
		s.open.add(daemon.stop)
		if err = pin(daemon.pid, ServerCPU); err != nil {
			return s, err
		}
	} else {
		if daemon, err = startLNSD(r, lnsd, dir, "set xdp_mode none"); err != nil {
			return s, err
		}
		s.open.add(daemon.stop)
	}
	if err := favourServer(daemon.pid); err != nil {
		return s, err
	}
	d, err := dial(r, servedSessions)
	if err != nil {
		return s, err
	}
	s.open.add(d.hangUp)
	t, err := newTable(d.sessions)
	if err != nil {
		return s, err
	}
	s.open.add(t.close)
	s.target = &target{name: name, rig: r, table: t, skb: true, patient: true, attach: nothing, detach: nothing}
	return s, nil
}

func (s *served) close() error { return s.open.close() }

// The search for the best rate: from firstOffer upwards by step, until it has got
// worse downhill times in a row.
const (
	firstOffer = 40_000
	offerStep  = 1.4
	downhill   = 2
	lastOffer  = 4_000_000
	offerTime  = 250 * time.Millisecond
	offerWarm  = 100 * time.Millisecond
)

// bestOffer finds the rate of packets offered at which most arrive.
func bestOffer(t *target, d Direction, size int) (float64, error) {
	var best, offer float64
	for rate, worse := float64(firstOffer), 0; rate < lastOffer && worse < downhill; rate *= offerStep {
		c := &trial{target: t, direction: d, size: size, rate: rate, length: offerTime, warmUp: offerWarm}
		got, err := c.run()
		if err != nil {
			return 0, err
		}
		if got.PPS > best {
			best, offer, worse = got.PPS, rate, 0
		} else {
			worse++
		}
	}
	return offer, nil
}
