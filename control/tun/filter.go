package tun

import (
	"sync"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/control/session"
)

// filter is an access list by its name; the list under it may change. A nil filter
// lets everything pass.
type filter struct{ current atomic.Pointer[armed] }

// armed is a list in force, with what each of its rules has decided on, and at the
// end what none has.
type armed struct {
	set  *acl.Set
	hits [acl.Families][]atomic.Uint64
}

func arm(set *acl.Set) *armed {
	a := &armed{set: set}
	for family := range a.hits {
		a.hits[family] = make([]atomic.Uint64, len(set.Rules(acl.Family(family)))+1)
	}
	return a
}

// permits judges a packet that stands for n of its kind.
func (f *filter) permits(packet []byte, n int) bool {
	if f == nil {
		return true
	}
	a := f.current.Load()
	d := a.set.Decide(packet)
	a.hits[d.Family][d.Rule].Add(uint64(n))
	return d.Permit
}

// filters finds lists by name.
type filters struct {
	mu     sync.Mutex
	byName map[string]*filter
}

// get returns the list of a name, nil for none. What is not known denies
// everything: a name says that something is to be kept out.
func (fs *filters) get(name string) *filter {
	if name == "" {
		return nil
	}
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if f := fs.byName[name]; f != nil {
		return f
	}
	f := &filter{}
	f.current.Store(arm(&acl.Set{Name: name}))
	return f
}

// SetFilters puts access lists in force under their names, each as a whole. Lists
// that are not among them stay in force for the sessions that are held to them.
func (p *Path) SetFilters(sets []acl.Set) {
	fs := &p.filters
	fs.mu.Lock()
	defer fs.mu.Unlock()
	if fs.byName == nil {
		fs.byName = map[string]*filter{}
	}
	for i := range sets {
		set := &sets[i]
		f := fs.byName[set.Name]
		if f == nil {
			f = &filter{}
			fs.byName[set.Name] = f
		} else if f.current.Load().set.Equal(set) {
			continue // and its counters go on
		}
		f.current.Store(arm(set))
	}
}

// FilterHits returns how many packets each rule of a list has decided on in the slow
// path, by family, and at the end of each how many none did.
func (p *Path) FilterHits(name string) (hits [acl.Families][]uint64) {
	p.filters.mu.Lock()
	f := p.filters.byName[name]
	p.filters.mu.Unlock()
	if f == nil {
		return hits
	}
	a := f.current.Load()
	for family := range a.hits {
		for i := range a.hits[family] {
			hits[family] = append(hits[family], a.hits[family][i].Load())
		}
	}
	return hits
}

// newEntry is newEntry with the session's services.
func (p *Path) newEntry(r *session.Record) *entry {
	e := newEntry(r)
	if s := r.Services; s != nil {
		e.rateUp, e.rateDown = s.Up, s.Down
		e.intercepted = s.Intercept.IsValid()
		e.filterUp, e.filterDown = p.filters.get(s.FilterUp), p.filters.get(s.FilterDown)
	}
	return e
}
