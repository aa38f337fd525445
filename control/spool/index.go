package spool

import (
	"cmp"
	"slices"

	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
)

// place is where a record is on disk; the zero place is nowhere: it could not be
// written.
type place struct {
	recordlog.Position
	size int64
}

func (p place) onDisk() bool { return p.Segment != 0 }

// account names what a Start opens and a Stop closes. A session and its link have
// the same id.
type account struct {
	id  string
	end session.AcctKind
}

func accountOf(r *session.AcctRecord) account { return account{r.Call.AcctSessionID, closing(r.Kind)} }

func closing(k session.AcctKind) session.AcctKind {
	if k.Ends() {
		return k
	}
	return k.End()
}

// index knows what of each segment is still needed.
type index struct {
	// open holds the last record of each account that has no Stop.
	open  map[account]place
	needs map[uint64]*need
	live  int64 // bytes of records that are needed
}

// need is why a segment is kept: records that are not delivered, and the last
// records of open accounts.
type need struct{ undelivered, open int }

func newIndex() index {
	return index{open: make(map[account]place), needs: make(map[uint64]*need)}
}

func (x *index) of(segment uint64) *need {
	n := x.needs[segment]
	if n == nil {
		n = &need{}
		x.needs[segment] = n
	}
	return n
}

// kept notes a record that has to be delivered, delivered that it was.
func (x *index) kept(p place) {
	if p.onDisk() {
		x.of(p.Segment).undelivered++
		x.live += p.size
	}
}

func (x *index) delivered(p place) {
	if p.onDisk() {
		x.of(p.Segment).undelivered--
		x.live -= p.size
	}
}

// note takes what a record means for its account.
func (x *index) note(r *session.AcctRecord, p place) {
	a := accountOf(r)
	old, known := x.open[a]
	switch {
	case r.Kind.Ends():
		delete(x.open, a)
	case (r.Kind.Begins() || r.Kind == session.AcctInterim) && p.onDisk():
		x.open[a] = p
		x.of(p.Segment).open++
		x.live += p.size
	default:
		return
	}
	if known {
		x.of(old.Segment).open--
		x.live -= old.size
	}
}

// forget lets go of a segment that is not needed.
func (x *index) forget(segment uint64) { delete(x.needs, segment) }

// places lists the last records of the open accounts in the order they were written.
func (x *index) places() []place {
	list := make([]place, 0, len(x.open))
	for _, p := range x.open {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b place) int {
		return cmp.Or(cmp.Compare(a.Segment, b.Segment), cmp.Compare(a.Offset, b.Offset))
	})
	return list
}
