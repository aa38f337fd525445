// Package journal keeps what another process needs to go on with the tunnels and
// sessions of this one: their last state, written before the peers hear of it.
//
//	shard ─ changes of a step ─▶ one write ─▶ segments on tmpfs
//	next process: segments ─▶ the last state of everything that lives
//
// It belongs on tmpfs, /run: it must outlive the process and not the host, whose
// data plane goes with it.
package journal

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
)

// Kinds of records in a segment.
const (
	kindTunnel  = 1 // session.TunnelSnapshot
	kindSession = 2 // session.Snapshot
	kindCall    = 3 // session.CallID
	kindGone    = 4 // key
	kindEpoch   = 5 // key: of a process
)

// Config is what a journal is made with.
type Config struct {
	// Dir is the folder, which no other process may use.
	Dir string
	// SegmentBytes is the size of one file; default 1 MiB: as much is copied at
	// once, at most, to make room.
	SegmentBytes int64
	Log          *zap.Logger
}

// Journal is safe for concurrent use.
type Journal struct {
	cfg   Config
	codec codec
	seed  maphash.Seed

	mu    sync.Mutex
	log   *recordlog.Log
	live  map[key]entry
	needs map[uint64]int // live records by segment
	bytes int64          // of live records
	epoch uint32
	// complained is when a failure was last logged.
	complained time.Time

	written, unchanged, failed, damaged atomic.Uint64
}

// entry is the last record of one thing.
type entry struct {
	at   recordlog.Position
	size int64
	// sum is of the payload: what has not changed is not written again.
	sum uint64
}

// Open reads what an earlier process has left. What can't be read is left out, and
// counted.
func Open(cfg Config) (*Journal, *session.Durable, error) {
	if cfg.SegmentBytes == 0 {
		cfg.SegmentBytes = 1 << 20
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	c, err := newCodec()
	if err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	j := &Journal{cfg: cfg, codec: c, seed: maphash.MakeSeed(), live: make(map[key]entry), needs: make(map[uint64]int)}
	if j.log, err = recordlog.Open(cfg.Dir); err != nil {
		return nil, nil, fmt.Errorf("journal: %w", err)
	}
	d, err := j.load()
	if err == nil {
		_, err = j.log.Begin()
	}
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("journal: %w", err), j.Close())
	}
	return j, d, nil
}

// Epoch returns a number for this process that no earlier one had, now if possible.
func (j *Journal) Epoch(now uint32) uint32 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.epoch = max(now, j.epoch+1)
	j.append(recordlog.AppendFrame(nil, kindEpoch, appendKey(nil, key(j.epoch))), nil)
	return j.epoch
}

// change is a record on its way to the log.
type change struct {
	key  key
	from int // in the buffer
	size int
	sum  uint64
	gone bool
}

// Write implements engine.Journal.
func (j *Journal) Write(d *session.Durable) {
	b := &buffer{j: j}
	for i := range d.Tunnels {
		b.value(kindTunnel, tunnelKey(d.Tunnels[i].ID), &d.Tunnels[i])
	}
	for _, c := range d.Calls {
		b.put(kindCall, callKey(c.TunnelID, c.SessionID), appendCall(nil, c))
	}
	for _, s := range d.Sessions {
		b.value(kindSession, callKey(s.TunnelID, s.SessionID), s)
	}
	for _, c := range d.CallsGone {
		b.gone(callKey(c.TunnelID, c.SessionID))
	}
	for _, id := range d.TunnelsGone {
		b.gone(tunnelKey(id))
	}
	if len(b.frames) == 0 {
		return
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.append(b.frames, b.changes)
	j.reclaim()
}

// buffer collects the records of one write.
type buffer struct {
	j       *Journal
	frames  []byte
	changes []change
}

func (b *buffer) value(kind byte, k key, v any) {
	payload, err := b.j.codec.marshal(k, v)
	if err != nil {
		b.j.failed.Add(1)
		b.j.cfg.Log.Error("state was not written down", zap.Error(err))
		return
	}
	b.put(kind, k, payload)
}

func (b *buffer) put(kind byte, k key, payload []byte) {
	sum := maphash.Bytes(b.j.seed, payload)
	b.j.mu.Lock()
	old, ok := b.j.live[k]
	b.j.mu.Unlock()
	if ok && old.sum == sum {
		b.j.unchanged.Add(1)
		return
	}
	from := len(b.frames)
	b.frames = recordlog.AppendFrame(b.frames, kind, payload)
	b.changes = append(b.changes, change{key: k, from: from, size: len(b.frames) - from, sum: sum})
}

func (b *buffer) gone(k key) {
	from := len(b.frames)
	b.frames = recordlog.AppendFrame(b.frames, kindGone, appendKey(nil, k))
	b.changes = append(b.changes, change{key: k, from: from, gone: true})
}

// append writes frames and notes where the last state of each thing is.
func (j *Journal) append(frames []byte, changes []change) {
	at, err := j.log.Append(frames)
	if err != nil {
		j.failed.Add(1)
		if time.Since(j.complained) > time.Minute {
			j.complained = time.Now()
			j.cfg.Log.Error("state is not written down: a restart would lose it", zap.Error(err))
		}
		return
	}
	j.written.Add(uint64(len(changes)))
	for i := range changes {
		c := &changes[i]
		j.forget(c.key)
		if !c.gone {
			p := recordlog.Position{Segment: at.Segment, Offset: at.Offset + int64(c.from)}
			j.note(c.key, entry{p, int64(c.size), c.sum})
		}
	}
}

func (j *Journal) note(k key, e entry) {
	j.live[k] = e
	j.needs[e.at.Segment]++
	j.bytes += e.size
}

func (j *Journal) forget(k key) {
	if e, ok := j.live[k]; ok {
		delete(j.live, k)
		j.needs[e.at.Segment]--
		j.bytes -= e.size
	}
}

// reclaim begins a new segment when the current one is full and gives back the
// oldest ones. What is still true of the oldest is copied to the end once the log is
// mostly out of date; a note that something is gone must not go before the thing.
func (j *Journal) reclaim() {
	if j.log.SizeOf(j.log.Current()) < j.cfg.SegmentBytes {
		return
	}
	if _, err := j.log.Begin(); err != nil {
		j.cfg.Log.Error("no new journal segment", zap.Error(err))
		return
	}
	for _, oldest := range j.log.Segments() {
		if oldest == j.log.Current() {
			return
		}
		if j.needs[oldest] > 0 {
			if j.log.Size() < 2*j.bytes+4*j.cfg.SegmentBytes {
				return
			}
			if err := j.carry(oldest); err != nil {
				j.cfg.Log.Error("journal not compacted", zap.Error(err))
				return
			}
		}
		if err := j.log.Remove(oldest); err != nil {
			j.cfg.Log.Error("journal segment not removed", zap.Error(err))
			return
		}
		delete(j.needs, oldest)
	}
}

// carry copies what is live of a segment to the current one.
func (j *Journal) carry(segment uint64) error {
	b := &buffer{j: j}
	epoch := false
	_, err := j.log.Scan(segment, func(p recordlog.Position, kind byte, payload []byte) error {
		if kind == kindEpoch {
			epoch = true
			return nil
		}
		k, ok := keyOf(kind, payload)
		if e := j.live[k]; ok && e.at == p {
			from := len(b.frames)
			b.frames = recordlog.AppendFrame(b.frames, kind, payload)
			b.changes = append(b.changes, change{key: k, from: from, size: len(b.frames) - from, sum: e.sum})
		}
		return nil
	})
	if err != nil {
		return err
	}
	if epoch {
		b.frames = recordlog.AppendFrame(b.frames, kindEpoch, appendKey(nil, key(j.epoch)))
	}
	before := j.failed.Load()
	j.append(b.frames, b.changes)
	if j.failed.Load() != before {
		return errors.New("write failed")
	}
	return nil
}

// Counts are the journal's counters since the start, and its size.
func (j *Journal) Counts() []session.Count {
	j.mu.Lock()
	size, live := j.log.Size(), len(j.live)
	j.mu.Unlock()
	return []session.Count{
		{Name: "journal_written", Value: j.written.Load()},
		{Name: "journal_unchanged", Value: j.unchanged.Load()},
		{Name: "journal_failed", Value: j.failed.Load()},
		{Name: "journal_damaged", Value: j.damaged.Load()},
		{Name: "journal_live", Value: uint64(live)},
		{Name: "journal_bytes", Value: uint64(size)},
	}
}

// Empty removes all that was written: nothing lives any more.
func (j *Journal) Empty() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	clear(j.live)
	clear(j.needs)
	j.bytes = 0
	if _, err := j.log.Begin(); err != nil {
		return err
	}
	j.append(recordlog.AppendFrame(nil, kindEpoch, appendKey(nil, key(j.epoch))), nil)
	var errs []error
	for _, s := range slices.Clone(j.log.Segments()) {
		if s != j.log.Current() {
			errs = append(errs, j.log.Remove(s))
		}
	}
	return errors.Join(errs...)
}

// Close closes the files. What was written stays for the next process.
func (j *Journal) Close() error {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.log.Close()
}
