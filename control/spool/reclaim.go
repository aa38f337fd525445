package spool

import (
	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
)

// reclaim begins a new segment when the current one is large enough, and gives back
// segments that nothing in them is needed of, oldest first: a note that a record was
// delivered must not go before the record.
func (s *Spool) reclaim() {
	if s.log.SizeOf(s.log.Current()) >= s.cfg.SegmentBytes {
		if _, err := s.log.Begin(); err != nil {
			s.complain("no new segment for accounting records", zap.Error(err))
			return
		}
	}
	for _, oldest := range s.log.Segments() {
		if oldest == s.log.Current() {
			return
		}
		n := s.index.of(oldest)
		if n.undelivered > 0 || n.open > 0 && !s.carry(oldest) {
			return
		}
		if err := s.log.Remove(oldest); err != nil {
			s.complain("accounting records not removed", zap.Error(err))
			return
		}
		s.index.forget(oldest)
	}
}

// carry copies what a segment has of open accounts to the current one, when the log
// is mostly waste: sessions may be up for months, and their Starts must not hold on
// to all that was written since.
func (s *Spool) carry(segment uint64) bool {
	if s.log.Size() < max(2*s.index.live, 4*s.cfg.SegmentBytes) {
		return false
	}
	var buf, scratch []byte
	var moved []func(at recordlog.Position)
	_, err := s.log.Scan(segment, func(p recordlog.Position, kind byte, payload []byte) error {
		if kind != kindRecord && kind != kindCarried {
			return nil
		}
		_, rec, err := decode(kind, payload)
		if err != nil {
			return nil // found and counted when it was loaded
		}
		if old, ok := s.index.open[accountOf(rec)]; !ok || old.Position != p {
			return nil
		}
		scratch = appendRecord(scratch[:0], rec)
		from := len(buf)
		buf = recordlog.AppendFrame(buf, kindCarried, scratch)
		size := int64(len(buf) - from)
		moved = append(moved, func(at recordlog.Position) {
			at.Offset += int64(from)
			s.index.note(rec, place{at, size})
		})
		return nil
	})
	if err != nil {
		s.complain("accounting records not compacted", zap.Error(err))
		return false
	}
	at, err := s.log.Append(buf)
	if err == nil {
		// The copies must be on the disk before the originals go.
		err = s.log.Sync()
	}
	if err != nil {
		s.complain("accounting records not compacted", zap.Error(err))
		return false
	}
	for _, f := range moved {
		f(at)
	}
	return s.index.of(segment).open == 0
}
