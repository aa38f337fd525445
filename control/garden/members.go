package garden

import (
	"net/netip"

	"github.com/google/nftables"

	"github.com/lnsd/lnsd/control/session"
)

// member is a session in a garden, by its addresses.
type member struct {
	garden   string
	prefixes []netip.Prefix
}

// element is one entry of a garden's sets.
type element struct {
	garden string
	prefix netip.Prefix
}

func (e element) set() string {
	p := e.prefix
	switch {
	case p.Addr().Is4() && p.Bits() == 32:
		return addresses4 + e.garden
	case p.Addr().Is4():
		return prefixes4 + e.garden
	case p.Bits() == 64:
		return nets6 + e.garden
	default:
		return prefixes6 + e.garden
	}
}

func (e element) interval() bool { return e.prefix.Bits() != 64 && !e.single4() }
func (e element) single4() bool  { return e.prefix.Addr().Is4() && e.prefix.Bits() == 32 }

// elements are what nftables want for e: in a set of intervals, where it begins and
// where the next address is that is not in it.
func (e element) elements() []nftables.SetElement {
	first := nftables.SetElement{Key: e.prefix.Addr().AsSlice()}
	if !e.interval() {
		return []nftables.SetElement{first}
	}
	return []nftables.SetElement{first, {Key: after(e.prefix), IntervalEnd: true}}
}

// after is the first address behind p; behind the last of all it is the first.
func after(p netip.Prefix) []byte {
	b := p.Addr().AsSlice()
	for i := p.Bits(); i < 8*len(b); i++ {
		b[i/8] |= 0x80 >> (i % 8)
	}
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	return b
}

// members knows who is in which garden, and what of it the kernel has been told.
type members struct {
	bySlot map[uint32]*member
	// refs counts the sessions that an element is of: one, but for moments.
	refs map[element]int
	// adopted are those of an earlier process that nobody has claimed yet.
	adopted map[element]bool
	// lengths counts the elements of each prefix length of each family, for the
	// search by an address.
	lengths [2][129]int
	owners  map[netip.Prefix]string
}

func newMembers() members {
	return members{
		bySlot: map[uint32]*member{}, refs: map[element]int{}, adopted: map[element]bool{},
		owners: map[netip.Prefix]string{},
	}
}

// memberOf is what a record says; nil outside of gardens.
func memberOf(r *session.Record) *member {
	if r.Services == nil || r.Services.Garden == "" {
		return nil
	}
	m := &member{garden: r.Services.Garden}
	add := func(p netip.Prefix) {
		// What all would be in is in no set: a default route is the core's.
		if p.IsValid() && p.Bits() > 0 {
			m.prefixes = append(m.prefixes, p.Masked())
		}
	}
	if r.Address.IsValid() {
		add(netip.PrefixFrom(r.Address, r.Address.BitLen()))
	}
	for _, p := range r.Routes {
		add(p)
	}
	for _, p := range r.Prefixes6 {
		add(p)
	}
	return m
}

func (m *member) elements() []element {
	if m == nil {
		return nil
	}
	out := make([]element, len(m.prefixes))
	for i, p := range m.prefixes {
		out[i] = element{m.garden, p}
	}
	return out
}

func index(p netip.Prefix) int {
	i := 0
	if p.Addr().Is6() {
		i = 1
	}
	return i
}

// hold notes that another session has e, and returns whether the kernel does not know
// it yet.
func (s *members) hold(e element) (fresh bool) {
	s.refs[e]++
	if s.refs[e] > 1 {
		return false
	}
	if _, known := s.owners[e.prefix]; !known {
		s.lengths[index(e.prefix)][e.prefix.Bits()]++
	}
	s.owners[e.prefix] = e.garden
	fresh = !s.adopted[e]
	delete(s.adopted, e)
	return fresh
}

// release notes that a session has e no more, and returns whether none has.
func (s *members) release(e element) (last bool) {
	if s.refs[e]--; s.refs[e] > 0 {
		return false
	}
	delete(s.refs, e)
	if s.owners[e.prefix] == e.garden {
		delete(s.owners, e.prefix)
		s.lengths[index(e.prefix)][e.prefix.Bits()]--
	}
	return true
}

// of finds the garden that an address is in; "" for none.
func (s *members) of(a netip.Addr) string {
	lengths := &s.lengths[index(netip.PrefixFrom(a, 0))]
	for bits := a.BitLen(); bits > 0; bits-- {
		if lengths[bits] == 0 {
			continue
		}
		if p, err := a.Prefix(bits); err == nil {
			if g, ok := s.owners[p]; ok {
				return g
			}
		}
	}
	return ""
}

// wanted are the elements that the kernel should have.
func (s *members) wanted() map[element]bool {
	w := make(map[element]bool, len(s.refs)+len(s.adopted))
	for e := range s.refs {
		w[e] = true
	}
	for e := range s.adopted {
		w[e] = true
	}
	return w
}
