package sim

import (
	"cmp"
	"net/netip"
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

// deals are the changes of live sessions in a storm.
type deals struct {
	asked, answered, made int
	// times is how often a session was changed.
	times map[session.Ref]int
}

// live lists the sessions by slot, those that come and go too.
func (w *World) live() []*session.Session {
	var all []*session.Session
	for _, s := range w.Engine.Shards() {
		s.Each(func(x *session.Session) { all = append(all, x) })
	}
	slices.SortFunc(all, func(a, b *session.Session) int { return cmp.Compare(a.Slot(), b.Slot()) })
	return all
}

// change changes up to four sessions in one deal, or ends them.
func (s *storm) change() {
	live := s.live()
	if len(live) == 0 {
		return
	}
	var refs []session.Ref
	before := make(map[session.Ref]session.Services)
	times := make(map[session.Ref]int)
	for range 1 + s.rng.IntN(4) {
		x := live[s.rng.IntN(len(live))]
		if _, twice := before[x.Ref()]; twice {
			continue
		}
		refs = append(refs, x.Ref())
		before[x.Ref()], times[x.Ref()] = valueOf(x.Services()), s.deals.times[x.Ref()]
		if x.IsChanging() {
			times[x.Ref()] = -1 // what it will be is not known
		}
	}
	s.deals.asked++
	if s.rng.IntN(8) == 0 {
		s.Engine.StartEnd(refs, session.EndByOperator(0), s.ended(refs))
		return
	}
	c := s.randomChange()
	s.Engine.StartChange(refs, c, "storm", func(n int, err error) {
		s.deals.answered++
		for _, ref := range refs {
			if err == nil {
				s.deals.times[ref]++
			}
			r, ok := s.Forward.records[ref]
			if !ok || !s.isUp(ref) || s.deals.times[ref] != times[ref] && err != nil {
				continue // it has ended, or somebody else changed it
			}
			want := before[ref]
			if err == nil {
				want = valueOf(c.Services(r.Services))
			}
			if got := valueOf(r.Services); got != want {
				s.T.Errorf("%v: served with %+v after a change that ended with %v, want %+v", ref, got, err, want)
			}
		}
		if err == nil {
			s.deals.made++
		}
		if (err == nil) != (n > 0) {
			s.T.Errorf("%d sessions changed, error %v", n, err)
		}
	})
}

// ended checks that those who were ended are gone.
func (s *storm) ended(refs []session.Ref) func(int, error) {
	return func(int, error) {
		s.deals.answered++
		for _, ref := range refs {
			if s.Forward.has(ref) {
				s.T.Errorf("%v has ended and is installed", ref)
			}
		}
	}
}

func valueOf(s *session.Services) session.Services {
	if s == nil {
		return session.Services{}
	}
	return *s
}

func (s *storm) randomChange() *session.Change {
	c := &session.Change{}
	if s.rng.IntN(2) == 0 {
		c.Up = &session.Rate{Bits: []uint64{0, 64_000, 10_000_000}[s.rng.IntN(3)]}
	}
	if s.rng.IntN(2) == 0 {
		g := []string{"", "unpaid", "abuse"}[s.rng.IntN(3)]
		c.Garden = &g
	}
	if s.rng.IntN(3) == 0 {
		to := []netip.AddrPort{{}, netip.MustParseAddrPort("192.0.2.200:4000")}[s.rng.IntN(2)]
		c.Intercept = &to
	}
	if s.rng.IntN(4) == 0 {
		d := time.Duration(s.rng.IntN(300)) * time.Second
		c.SessionTimeout = &d
	}
	if s.rng.IntN(4) == 0 {
		d := time.Duration(s.rng.IntN(300)) * time.Second
		c.IdleTimeout = &d
	}
	return c
}

// checkDeals wants an answer to every order.
func (s *storm) checkDeals() {
	if s.deals.answered != s.deals.asked || s.deals.made == 0 {
		s.T.Errorf("%d orders, %d answered, %d changes made", s.deals.asked, s.deals.answered, s.deals.made)
	}
}
