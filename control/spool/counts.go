package spool

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// counts are read by anybody.
type counts struct {
	written, delivered, unanswered, resent   atomic.Uint64
	found, recovered, damaged                atomic.Uint64
	interimRefused, startsRefused, lost      atomic.Uint64
	unwritten                                atomic.Uint64
	waiting, inFlight, open, bytes, segments atomic.Uint64
	complained                               atomic.Int64 // Unix time
}

// gauge publishes the keeper's state.
func (s *Spool) gauge() {
	c := &s.counts
	s.mu.Lock() // for Drain, which adds the two
	c.waiting.Store(uint64(len(s.waiting)))
	c.inFlight.Store(uint64(len(s.flying)))
	s.mu.Unlock()
	c.open.Store(uint64(len(s.index.open)))
	c.bytes.Store(uint64(s.log.Size()))
	c.segments.Store(uint64(len(s.log.Segments())))
}

// complainEvery is the least time between two lines about a state that stays.
const complainEvery = 10

// complain logs a state that comes up with every record.
func (s *Spool) complain(message string, fields ...zap.Field) {
	now := time.Now().Unix()
	if last := s.counts.complained.Load(); now-last < complainEvery {
		return
	}
	s.counts.complained.Store(now)
	s.cfg.Log.Warn(message, fields...)
}

// Counts are the spool's counters since the start, and its state.
func (s *Spool) Counts() []session.Count {
	c := &s.counts
	return []session.Count{
		{Name: "acct_spool_written", Value: c.written.Load()},
		{Name: "acct_spool_delivered", Value: c.delivered.Load()},
		{Name: "acct_spool_unanswered", Value: c.unanswered.Load()},
		{Name: "acct_spool_read_back", Value: c.resent.Load()},
		{Name: "acct_spool_found", Value: c.found.Load()},
		{Name: "acct_spool_recovered", Value: c.recovered.Load()},
		{Name: "acct_spool_damaged", Value: c.damaged.Load()},
		{Name: "acct_spool_interim_refused", Value: c.interimRefused.Load()},
		{Name: "acct_spool_starts_refused", Value: c.startsRefused.Load()},
		{Name: "acct_spool_lost", Value: c.lost.Load()},
		{Name: "acct_spool_unwritten", Value: c.unwritten.Load()},
		{Name: "acct_spool_waiting", Value: c.waiting.Load()},
		{Name: "acct_spool_in_flight", Value: c.inFlight.Load()},
		{Name: "acct_spool_open", Value: c.open.Load()},
		{Name: "acct_spool_bytes", Value: c.bytes.Load()},
	}
}
