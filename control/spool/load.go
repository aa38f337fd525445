package spool

import (
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/wire"
)

// Kinds of records in a segment.
const (
	kindRecord  = 1 // number, accounting record: to be delivered
	kindDone    = 2 // numbers of records that were delivered
	kindCarried = 3 // accounting record of an open account, delivered long ago
	kindEpoch   = 4 // of a process
)

func appendEpoch(b []byte, epoch uint32) []byte { return wire.AppendUint(b, uint64(epoch)) }

// load reads all segments: what was not delivered waits again, in its order, and
// accounts without a Stop are open.
func (s *Spool) load() error {
	var order []uint64
	undelivered := make(map[uint64]item)
	for _, segment := range s.log.Segments() {
		whole, err := s.log.Scan(segment, func(p recordlog.Position, kind byte, payload []byte) error {
			at := place{p, recordlog.FrameSize(len(payload))}
			switch kind {
			case kindRecord, kindCarried:
				seq, rec, err := decode(kind, payload)
				if err != nil {
					s.damaged(p, err)
					return nil
				}
				s.index.note(rec, at)
				if rec.At.After(s.newest) {
					s.newest = rec.At
				}
				if kind == kindRecord {
					s.next = max(s.next, seq)
					undelivered[seq] = item{seq: seq, at: at, event: rec.At.UnixNano()}
					order = append(order, seq)
					s.index.kept(at)
				}
			case kindDone:
				for r := wire.NewReader(payload); r.More(); {
					seq := r.Uint()
					if it, ok := undelivered[seq]; ok {
						s.index.delivered(it.at)
						delete(undelivered, seq)
					}
				}
			case kindEpoch:
				s.epoch = max(s.epoch, wire.NewReader(payload).U32())
			}
			return nil
		})
		if err != nil {
			return err
		}
		if !whole {
			// The last record of a process that was killed, as a rule.
			s.counts.damaged.Add(1)
			s.cfg.Log.Info("accounting log ends in a torn record", zap.Uint64("segment", segment))
		}
	}
	for _, seq := range order {
		if it, ok := undelivered[seq]; ok {
			s.waiting = append(s.waiting, it)
			delete(undelivered, seq)
		}
	}
	s.counts.found.Store(uint64(len(s.waiting)))
	s.gauge()
	return nil
}

func (s *Spool) damaged(p recordlog.Position, err error) {
	s.counts.damaged.Add(1)
	s.cfg.Log.Warn("accounting record not readable", zap.Uint64("segment", p.Segment),
		zap.Int64("offset", p.Offset), zap.Error(err))
}

// decode reads what a segment holds of an accounting record; seq is 0 for one that
// was carried.
func decode(kind byte, payload []byte) (seq uint64, rec *session.AcctRecord, err error) {
	if kind == kindRecord {
		seq = wire.NewReader(payload).Uint()
		n := len(wire.AppendUint(make([]byte, 0, 10), seq))
		if seq == 0 || n > len(payload) {
			return 0, nil, wire.ErrMalformed
		}
		payload = payload[n:]
	}
	rec, err = parseRecord(payload)
	return seq, rec, err
}

// fetch reads the accounting record at p.
func (s *Spool) fetch(p place) (*session.AcctRecord, error) {
	kind, payload, err := s.read.Read(p.Position)
	if err != nil {
		return nil, err
	}
	_, rec, err := decode(kind, payload)
	return rec, err
}

// Recover closes accounts that an earlier process left open, before Start. end gets
// the last record of each, and when the last of all records was written: the earlier
// process lived until then at least. It returns the record that closes the account,
// or nil when the session goes on. Recover returns how many were closed.
func (s *Spool) Recover(end func(last *session.AcctRecord, alive time.Time) *session.AcctRecord) (int, error) {
	n := 0
	for _, p := range s.index.places() {
		last, err := s.fetch(p)
		if err != nil {
			s.damaged(p.Position, err)
			continue
		}
		if stop := end(last, s.newest); stop != nil {
			s.taken = append(s.taken, stop)
			n++
		}
		if len(s.taken) >= 1024 {
			s.write()
		}
	}
	s.write()
	s.counts.recovered.Add(uint64(n))
	s.gauge()
	return n, s.log.Sync()
}
