// Package spool keeps accounting records on disk from before they are sent until
// the server has confirmed them, and keeps open accounts until they are closed.
//
//	engine ─Account─▶ intake ─▶ keeper ─ one write for all ─▶ segments on disk
//	                              │  ▲
//	                          deliver │ Delivered
//	                              ▼  │
//	                            RADIUS client
//
// The keeper is one goroutine: it writes what has come in since its last write, all
// at once, and only then hands it on; so a burst costs a write and not a write a
// record, and nothing waits for it. What the RADIUS client does not take or does not
// get answered stays and is offered again, also by the next process.
//
// A Start, or the latest interim record after it, is kept until its Stop: what a
// daemon finds open at its start are sessions that ended without a Stop.
package spool

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
)

// Config is what a spool is made with. Zero values mean the default beside them.
type Config struct {
	// Dir is the folder, which no other process may use.
	Dir string
	// MaxBytes bounds what is kept on disk: interim records are refused beyond three
	// quarters of it, Starts beyond nine tenths, and Stops when it is full. Default
	// 1 GiB.
	MaxBytes int64
	// SegmentBytes is the size of one file. Default 8 MiB, less with a small MaxBytes.
	SegmentBytes int64
	// Window is how many records may be with the RADIUS client. Default 8192.
	Window int
	// Sync is how often what was written is brought to the disk for the case that
	// the host dies; a daemon that dies loses nothing either way. Negative: before
	// anything is sent. Default 1 s.
	Sync time.Duration
	Log  *zap.Logger
}

func (c Config) withDefaults() Config {
	if c.MaxBytes == 0 {
		c.MaxBytes = 1 << 30
	}
	if c.SegmentBytes == 0 {
		c.SegmentBytes = min(8<<20, c.MaxBytes/16)
	}
	if c.Window == 0 {
		c.Window = 8192
	}
	if c.Sync == 0 {
		c.Sync = time.Second
	}
	if c.Log == nil {
		c.Log = zap.NewNop()
	}
	return c
}

// ErrUndeliverable marks a delivery that will never succeed: the record cannot be
// put into a packet.
var ErrUndeliverable = errors.New("spool: the record cannot be sent")

// Spool is safe for concurrent use.
type Spool struct {
	cfg Config

	mu     sync.Mutex
	intake []*session.AcctRecord
	acks   []ack
	asked  []chan time.Time
	closed bool

	deliver func(*session.AcctRecord) bool
	wake    chan struct{}
	stop    chan struct{}
	stopped chan struct{}
	counts  counts

	// What follows is the keeper's, and Open's and Recover's before it runs.
	log   *recordlog.Log
	read  *recordlog.Reader
	index index
	// waiting are records that are not with the RADIUS client, in order.
	waiting  []item
	flying   map[*session.AcctRecord]item
	next     uint64 // number of the next record
	epoch    uint32
	newest   time.Time // of all records that were found
	retryAt  time.Time
	dirty    bool
	failing  bool
	writeBuf []byte
	taken    []*session.AcctRecord
	settled  []ack
}

// item is a record that the server has not confirmed.
type item struct {
	seq   uint64
	at    place
	event int64 // Unix time in nanoseconds
	// rec is nil when the record has to be read from disk.
	rec *session.AcctRecord
}

type ack struct {
	rec *session.AcctRecord
	err error
}

// maxIntake bounds the records that wait for a disk that hangs.
const maxIntake = 1 << 17

// Open reads what earlier processes have left. Call Recover and Start next.
func Open(cfg Config) (*Spool, error) {
	cfg = cfg.withDefaults()
	s := &Spool{
		cfg: cfg, index: newIndex(), flying: make(map[*session.AcctRecord]item),
		wake: make(chan struct{}, 1), stop: make(chan struct{}), stopped: make(chan struct{}),
	}
	var err error
	if s.log, err = recordlog.Open(cfg.Dir); err != nil {
		return nil, fmt.Errorf("accounting spool: %w", err)
	}
	s.read = s.log.NewReader()
	if err := s.load(); err != nil {
		return nil, fmt.Errorf("accounting spool: %w", err)
	}
	if _, err := s.log.Begin(); err != nil {
		return nil, fmt.Errorf("accounting spool: %w", err)
	}
	return s, nil
}

// Epoch returns a number for this process that no earlier one had, now if possible,
// for the accounting ids: a daemon may start twice in one second, or after the clock
// was set back.
func (s *Spool) Epoch(now uint32) (uint32, error) {
	s.epoch = max(now, s.epoch+1)
	_, err := s.log.Append(recordlog.AppendFrame(nil, kindEpoch, appendEpoch(nil, s.epoch)))
	return s.epoch, err
}

// Start begins to hand records to deliver, which must not block and returns false
// when it has no room; the outcome of each that it takes comes back by Delivered.
func (s *Spool) Start(deliver func(*session.AcctRecord) bool) {
	s.deliver = deliver
	go s.keep()
	s.signal()
}

// Account takes a record for good. It does not block; false means that too many wait
// for the disk, or that the spool is closed.
func (s *Spool) Account(rec *session.AcctRecord) bool {
	s.mu.Lock()
	ok := !s.closed && len(s.intake) < maxIntake
	if ok {
		s.intake = append(s.intake, rec)
	}
	first := len(s.intake) == 1
	s.mu.Unlock()
	if ok && first {
		s.signal()
	}
	return ok
}

// Delivered is the outcome for a record that deliver took: nil when the server has
// confirmed it. Records that are not the spool's are passed over.
func (s *Spool) Delivered(rec *session.AcctRecord, err error) {
	s.mu.Lock()
	s.acks = append(s.acks, ack{rec, err})
	first := len(s.acks) == 1
	s.mu.Unlock()
	if first {
		s.signal()
	}
}

func (s *Spool) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Drain takes no more records and waits until those that are here are confirmed, or
// ctx ends. It returns how many are left for the next process.
func (s *Spool) Drain(ctx context.Context) int {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		s.signal()
		s.mu.Lock()
		left := int(s.counts.waiting.Load()+s.counts.inFlight.Load()) + len(s.intake)
		s.mu.Unlock()
		if left == 0 {
			return 0
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return left
		}
	}
}

// Close writes what has come in and closes the files. Nothing is delivered any more,
// but what Delivered has been told until now is noted.
func (s *Spool) Close() error {
	s.mu.Lock()
	s.closed = true
	s.mu.Unlock()
	if s.deliver != nil {
		close(s.stop)
		<-s.stopped
	}
	return errors.Join(s.log.Close(), s.read.Close())
}
