package spool

import (
	"cmp"
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/wire"
)

// retry is the pause after the RADIUS client had no room or no answer.
const retry = 100 * time.Millisecond

// keep is the keeper's goroutine.
func (s *Spool) keep() {
	defer close(s.stopped)
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	sync := time.NewTicker(max(s.cfg.Sync, 10*time.Millisecond))
	defer sync.Stop()
	for {
		s.turn()
		wait := time.Hour
		if !s.retryAt.IsZero() {
			wait = max(time.Until(s.retryAt), 0)
		}
		timer.Reset(wait)
		select {
		case <-s.wake:
		case <-timer.C:
		case <-sync.C:
			s.sync()
		case <-s.stop:
			s.retryAt = time.Now().Add(time.Hour) // write only
			s.turn()
			return
		}
	}
}

// turn writes what has come in, then hands on what there is room for.
func (s *Spool) turn() {
	s.mu.Lock()
	s.taken, s.intake = s.intake, s.taken[:0]
	s.settled, s.acks = s.acks, s.settled[:0]
	s.counts.waiting.Add(uint64(len(s.taken))) // until gauge, lest Drain miss them
	s.mu.Unlock()
	if !s.retryAt.IsZero() && !time.Now().Before(s.retryAt) {
		s.retryAt = time.Time{}
	}
	s.settle()
	s.write()
	s.handOver()
	s.reclaim()
	s.gauge()
	s.answer()
}

// settle takes the outcomes of deliveries, and notes those that were confirmed.
func (s *Spool) settle() {
	done := s.writeBuf[:0]
	var seqs []byte
	var again []item
	for i := range s.settled {
		a := &s.settled[i]
		it, ours := s.flying[a.rec]
		if !ours {
			continue
		}
		delete(s.flying, a.rec)
		switch {
		case a.err == nil:
			s.counts.delivered.Add(1)
		case errors.Is(a.err, ErrUndeliverable) || !it.at.onDisk():
			s.lose(a.rec, a.err)
		default:
			s.counts.unanswered.Add(1)
			it.rec = nil
			again = append(again, it)
			continue
		}
		s.index.delivered(it.at)
		seqs = wire.AppendUint(seqs, it.seq)
		if len(seqs) > maxDone {
			done, seqs = recordlog.AppendFrame(done, kindDone, seqs), seqs[:0]
		}
	}
	clear(s.settled)
	if len(seqs) > 0 {
		done = recordlog.AppendFrame(done, kindDone, seqs)
	}
	s.writeBuf = done
	if len(again) > 0 {
		s.again(again)
		s.retryAt = time.Now().Add(retry)
	}
}

const maxDone = 64 << 10

// again lines items up once more, in their place: those that went out together may come
// back one by one.
func (s *Spool) again(items []item) {
	last := slices.MaxFunc(items, bySeq)
	behind, _ := slices.BinarySearchFunc(s.waiting, last, bySeq)
	s.waiting = append(items, s.waiting...)
	slices.SortFunc(s.waiting[:len(items)+behind], bySeq)
}

func bySeq(a, b item) int { return cmp.Compare(a.seq, b.seq) }

// write appends the notes of settle and the records in taken to the log, in one
// write, and lines the records up for delivery.
func (s *Spool) write() {
	buf := s.writeBuf
	items := make([]item, 0, len(s.taken))
	var scratch []byte
	for _, rec := range s.taken {
		if s.refuse(rec, s.log.Size()+int64(len(buf))) {
			continue
		}
		s.next++
		scratch = appendRecord(wire.AppendUint(scratch[:0], s.next), rec)
		from := int64(len(buf))
		buf = recordlog.AppendFrame(buf, kindRecord, scratch)
		items = append(items, item{seq: s.next, rec: rec, event: rec.At.UnixNano(),
			at: place{recordlog.Position{Offset: from}, int64(len(buf)) - from}})
	}
	clear(s.taken)
	s.taken = s.taken[:0]
	s.writeBuf = buf[:0]
	if len(buf) == 0 {
		return
	}
	at, err := s.log.Append(buf)
	s.report(err, len(items))
	for i := range items {
		it := &items[i]
		if err != nil {
			it.at = place{} // what is not on disk is sent all the same
		} else {
			it.at.Segment, it.at.Offset = at.Segment, at.Offset+it.at.Offset
		}
		s.index.kept(it.at)
		s.index.note(it.rec, it.at)
	}
	s.dirty = true
	if s.cfg.Sync < 0 {
		s.sync()
	}
	s.counts.written.Add(uint64(len(items)))
	s.waiting = append(s.waiting, items...)
	// What is far from its turn is read from disk when that comes.
	for i := max(2*s.cfg.Window, len(s.waiting)-len(items)); i < len(s.waiting); i++ {
		if s.waiting[i].at.onDisk() {
			s.waiting[i].rec = nil
		}
	}
}

// refuse keeps the spool within its bound: the more a record matters for the bill,
// the longer it is taken.
func (s *Spool) refuse(rec *session.AcctRecord, size int64) bool {
	limit := s.cfg.MaxBytes
	switch {
	case rec.Kind == session.AcctInterim && size >= limit/4*3:
		s.counts.interimRefused.Add(1)
	case !rec.Kind.Ends() && size >= limit/10*9:
		s.counts.startsRefused.Add(1)
	case size >= limit:
		s.lose(rec, errors.New("the accounting spool is full"))
	default:
		return false
	}
	s.complain("accounting spool is full: records are refused", zap.Int64("bytes", size), zap.Int64("limit", limit))
	return true
}

// lose is the end of a record that cannot be kept or sent. It goes to the log as a
// whole: somebody may have to bill from it.
func (s *Spool) lose(rec *session.AcctRecord, why error) {
	s.counts.lost.Add(1)
	s.cfg.Log.Warn("accounting record lost", zap.Error(why),
		zap.Uint8("kind", uint8(rec.Kind)), zap.String("acct_session_id", rec.Call.AcctSessionID),
		zap.String("user", rec.User), zap.Time("at", rec.At), zap.Duration("duration", rec.Duration),
		zap.Uint64("up_bytes", rec.Counters.UpBytes), zap.Uint64("down_bytes", rec.Counters.DownBytes))
}

// report tells when the disk begins to fail and when it is well again.
func (s *Spool) report(err error, records int) {
	if err != nil {
		s.counts.unwritten.Add(uint64(records))
		s.complain("accounting records are not kept on disk", zap.Error(err))
	} else if s.failing {
		s.cfg.Log.Info("accounting records are kept on disk again")
	}
	s.failing = err != nil
}

// handOver gives the RADIUS client what it has room for.
func (s *Spool) handOver() {
	n := 0
	for n < len(s.waiting) && len(s.flying) < s.cfg.Window && s.retryAt.IsZero() {
		it := s.waiting[n]
		if it.rec == nil {
			rec, err := s.fetch(it.at)
			if err != nil {
				s.damaged(it.at.Position, err)
				s.index.delivered(it.at)
				n++
				continue
			}
			it.rec = rec
			s.counts.resent.Add(1)
		}
		// The answer may come before deliver returns; it is looked at in the next turn.
		if !s.deliver(it.rec) {
			s.retryAt = time.Now().Add(retry)
			break
		}
		s.flying[it.rec] = it
		n++
	}
	clear(s.waiting[:n])
	if s.waiting = s.waiting[n:]; len(s.waiting) == 0 {
		s.waiting = nil
	}
}

func (s *Spool) sync() {
	if !s.dirty {
		return
	}
	s.dirty = false
	if err := s.log.Sync(); err != nil {
		s.complain("accounting records may not outlive the host", zap.Error(err))
	}
}
