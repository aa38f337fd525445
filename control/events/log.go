// Package events keeps the last things that happened, numbered, for those who follow
// them: a reader that comes back says where it was and misses nothing that is still
// kept, or is told that it did.
package events

import (
	"context"
	"sync"

	"github.com/lnsd/lnsd/control/session"
)

// Entry is a notice with its place in the order of all. Sequences begin at 1 with the
// start of the daemon and have no gaps.
type Entry struct {
	Sequence uint64
	session.Notice
}

// Log holds the last entries. It is safe for concurrent use, and writing to it never
// waits for a reader.
type Log struct {
	mu   sync.Mutex
	ring []session.Notice
	next uint64 // sequence of the entry to come
	more chan struct{}
}

// NewLog returns a log of that many entries.
func NewLog(size int) *Log {
	return &Log{ring: make([]session.Notice, max(size, 1)), next: 1, more: make(chan struct{})}
}

// Observe appends a notice.
func (l *Log) Observe(n session.Notice) {
	l.mu.Lock()
	l.ring[l.next%uint64(len(l.ring))] = n
	l.next++
	close(l.more)
	l.more = make(chan struct{})
	l.mu.Unlock()
}

// Last is the sequence of the newest entry, 0 before the first.
func (l *Log) Last() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.next - 1
}

// Read appends entries after the given sequence to buf, at most as many as fit in its
// capacity. missed is how many there were that are no longer kept; more is closed when
// there is something new.
func (l *Log) Read(after uint64, buf []Entry) (entries []Entry, missed uint64, more <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first := uint64(1)
	if size := uint64(len(l.ring)); l.next > size {
		first = l.next - size
	}
	at := after + 1
	if at < first {
		missed, at = first-at, first
	}
	for ; at < l.next && len(buf) < cap(buf); at++ {
		buf = append(buf, Entry{at, l.ring[at%uint64(len(l.ring))]})
	}
	return buf, missed, l.more
}

// batch is how many entries are handed to a follower at a time.
const batch = 256

// Follow calls yield with what comes after the given sequence, and then with what
// happens, until ctx ends or yield fails; it returns that error. missed is how many
// entries before the first of the batch were lost to the reader.
func (l *Log) Follow(ctx context.Context, after uint64, yield func(entries []Entry, missed uint64) error) error {
	buf := make([]Entry, 0, batch)
	for {
		entries, missed, more := l.Read(after, buf)
		if len(entries) == 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-more:
				continue
			}
		}
		after = entries[len(entries)-1].Sequence
		if err := yield(entries, missed); err != nil {
			return err
		}
	}
}
