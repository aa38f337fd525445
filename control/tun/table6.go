package tun

import "net/netip"

// ownNetBits is the length of the one prefix of a session that comes before all
// others, as in the XDP program.
const ownNetBits = 64

// prefixes6 finds sessions by their IPv6 prefixes.
type prefixes6 struct {
	// own holds the first /64 of each session: nothing within it is another's.
	own   map[netip.Prefix]*entry
	other map[netip.Prefix]*entry
	// lengths counts the prefixes of each length in other.
	lengths [129]int
}

func newPrefixes6() prefixes6 {
	return prefixes6{own: map[netip.Prefix]*entry{}, other: map[netip.Prefix]*entry{}}
}

// prefixes6Of returns the usable prefixes of a record, the session's own /64 first
// if it has one.
func prefixes6Of(list []netip.Prefix) []netip.Prefix {
	var out []netip.Prefix
	own := false
	for _, p := range list {
		if !p.IsValid() || !p.Addr().Is6() || p.Addr().Is4In6() {
			continue
		}
		out = append(out, p.Masked())
		if last := len(out) - 1; !own && p.Bits() == ownNetBits {
			out[0], out[last] = out[last], out[0]
			own = true
		}
	}
	return out
}

func (t *prefixes6) link(e *entry) {
	for i, p := range e.prefixes6 {
		if i == 0 && p.Bits() == ownNetBits {
			t.own[p] = e
			continue
		}
		if t.other[p] == nil {
			t.lengths[p.Bits()]++
		}
		t.other[p] = e
	}
}

// unlink removes every way to reach e, but not what others have taken over.
func (t *prefixes6) unlink(e *entry) {
	for _, p := range e.prefixes6 {
		if t.own[p] == e {
			delete(t.own, p)
		}
		if t.other[p] == e {
			delete(t.other, p)
			t.lengths[p.Bits()]--
		}
	}
}

// byAddress6 finds the session that address a belongs to. The caller holds the
// table's read lock.
func (t *prefixes6) byAddress6(a netip.Addr) *entry {
	// The error is for lengths that no address has.
	net, _ := a.Prefix(ownNetBits)
	if e := t.own[net]; e != nil || len(t.other) == 0 {
		return e
	}
	for bits := len(t.lengths) - 1; bits >= 0; bits-- {
		if t.lengths[bits] == 0 {
			continue
		}
		p, _ := a.Prefix(bits)
		if e := t.other[p]; e != nil {
			return e
		}
	}
	return nil
}
