// Package history remembers what became of the last sessions, and of attempts that
// never became one.
package history

import (
	"container/list"
	"net/netip"
	"strings"
	"sync"

	"github.com/lnsd/lnsd/control/session"
)

const (
	// maxNotices is how many notices are kept of one story: the first, then the last.
	maxNotices = 16
	// firstNotices of them are never dropped.
	firstNotices = 4
	// maxDetail bounds the texts of others, in bytes.
	maxDetail = 200
)

// Book holds the last stories. Those that failed have room of their own, so that a
// thousand good sessions don't wipe out the bad one. It is safe for concurrent use.
type Book struct {
	mu   sync.Mutex
	size int
	// good and failed hold *entry, the one that was touched last at the back.
	good, failed list.List
	sessions     map[session.Ref]*list.Element // of good
	same         map[failure]*list.Element     // of failed
}

// entry is a story before it is told.
type entry struct {
	notices  []session.Notice
	failed   bool
	repeated uint64
	same     failure
}

// failure tells repetitions of what has no session. A LAC that tries again and again
// has one story.
type failure struct {
	kind   session.NoticeKind
	lac    netip.Addr
	detail string
}

// NewBook returns a book of that many stories of each kind; none when size is 0.
func NewBook(size int) *Book {
	return &Book{size: size, sessions: make(map[session.Ref]*list.Element), same: make(map[failure]*list.Element)}
}

// Observe takes what happened.
func (b *Book) Observe(n session.Notice) {
	if b.size == 0 {
		return
	}
	if len(n.Detail) > maxDetail {
		n.Detail = strings.Clone(n.Detail[:maxDetail])
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case n.SessionID != 0:
		b.session(n)
	case n.Stage != "":
		b.attempt(n)
	default: // a tunnel comes and goes
		b.session(n)
	}
}

// session adds to the story of a session, or of a tunnel that was up.
func (b *Book) session(n session.Notice) {
	e := b.sessions[n.Ref]
	if e == nil {
		e = b.good.PushBack(&entry{})
		b.sessions[n.Ref] = e
	} else {
		b.good.MoveToBack(e)
	}
	x := e.Value.(*entry)
	x.add(n)
	switch n.Kind {
	case session.SessionFailed:
		b.good.Remove(e)
		delete(b.sessions, n.Ref)
		x.failed = true
		b.fail(x)
	case session.SessionDown, session.TunnelDown:
		// Its ids may come again; the story stays where it is.
		delete(b.sessions, n.Ref)
	}
	if b.good.Len() > b.size {
		b.drop(&b.good)
	}
}

// attempt adds a failure that has no session.
func (b *Book) attempt(n session.Notice) {
	key := failure{n.Kind, n.LAC.Addr(), n.Detail}
	if e := b.same[key]; e != nil {
		x := e.Value.(*entry)
		x.repeated++
		x.add(n)
		b.failed.MoveToBack(e)
		return
	}
	x := &entry{failed: true, same: key}
	x.add(n)
	b.same[key] = b.fail(x)
}

func (b *Book) fail(x *entry) *list.Element {
	e := b.failed.PushBack(x)
	if b.failed.Len() > b.size {
		b.drop(&b.failed)
	}
	return e
}

// drop forgets the oldest of a list.
func (b *Book) drop(l *list.List) {
	e := l.Front()
	x := l.Remove(e).(*entry)
	last := &x.notices[len(x.notices)-1]
	if b.sessions[last.Ref] == e {
		delete(b.sessions, last.Ref)
	}
	if b.same[x.same] == e {
		delete(b.same, x.same)
	}
}

func (x *entry) add(n session.Notice) {
	if len(x.notices) == maxNotices {
		copy(x.notices[firstNotices:], x.notices[firstNotices+1:])
		x.notices = x.notices[:maxNotices-1]
	}
	x.notices = append(x.notices, n)
}

// Query selects stories; what is zero does not matter.
type Query struct {
	Slot     uint32
	User     string
	TunnelID uint16
	Failed   bool
}

// Stories returns those that q selects, the oldest first.
func (b *Book) Stories(q Query) []session.Story {
	b.mu.Lock()
	defer b.mu.Unlock()
	var all []session.Story
	add := func(l *list.List) {
		for e := l.Front(); e != nil; e = e.Next() {
			if s := tell(e.Value.(*entry)); q.selects(&s) {
				all = append(all, s)
			}
		}
	}
	add(&b.failed)
	if !q.Failed {
		add(&b.good)
	}
	sortByLast(all)
	return all
}

func (q *Query) selects(s *session.Story) bool {
	return (q.Slot == 0 || q.Slot == s.Slot) && (q.User == "" || q.User == s.User) && (q.TunnelID == 0 || q.TunnelID == s.TunnelID)
}
