package engine

import (
	"net/netip"
	"slices"
	"time"

	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// net6 is an IPv6 prefix in a routing table.
type net6 struct {
	vrf    uint32
	prefix netip.Prefix
}

// holding6 is what a slot's session holds of IPv6.
type holding6 struct {
	// nets are the prefixes, whether from a pool or from outside of all.
	nets []net6
	// waiters are the newer sessions of the same user that want one of them.
	waiters []waiter6
}

// waiter6 is a session whose claim is tried again once another has closed.
type waiter6 struct {
	ref   session.Ref
	slot  uint32
	claim session.Claim6
}

func (d *directory) addPools6(list []*pool.Prefixes) error {
	for _, p := range list {
		if d.pools6[p.Name()] != nil {
			return errTwice(p.Name())
		}
		for _, q := range d.order6 {
			for _, x := range q.Prefixes() {
				if p.Overlaps(x) {
					return errOverlap(p.Name(), q.Name())
				}
			}
		}
		d.pools6[p.Name()] = p
		d.order6 = append(d.order6, p)
	}
	return nil
}

// claim6 finds the prefixes of a session. decided is false when it has to wait for
// an older session of its user: noticeGranted6 will come.
func (d *directory) claim6(slot uint32, c *session.Claim6, now time.Time) (r session.ClaimResult6, decided bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.tryClaim6(slot, c, now)
}

func (d *directory) tryClaim6(slot uint32, c *session.Claim6, now time.Time) (r session.ClaimResult6, decided bool) {
	if older := d.inTheWay(slot, c); older != 0 {
		h := d.table[older].six
		h.waiters = append(h.waiters, waiter6{d.table[slot].ref, slot, *c})
		return session.ClaimResult6{}, false
	}
	network := &session.Network6{}
	note := func(o session.ClaimOutcome) {
		if r.Outcome == session.Granted {
			r.Outcome = o
		}
	}
	take := func(list []netip.Prefix, to *[]netip.Prefix) {
		for _, p := range list {
			if o := d.takeNet(slot, c.VRF, p, c.User, now); o != session.Granted {
				note(o)
				continue
			}
			*to = append(*to, p)
		}
	}
	// What is delegated may hold the link's prefix, seldom the other way round.
	take(c.Delegated, &network.Delegated)
	take(c.Prefixes, &network.Prefixes)
	for _, from := range [...]struct {
		pool   string
		single bool // of 128 bits alone
		to     *[]netip.Prefix
	}{{c.Pool, false, &network.Prefixes}, {c.PDPool, false, &network.Delegated}, {c.AddressPool, true, &network.Prefixes}} {
		if from.pool == "" {
			continue
		}
		if p := d.pools6[from.pool]; from.single && p != nil && p.Length() != 128 {
			note(session.BadAddress)
			continue
		}
		p, o := d.takeAny(slot, c, from.pool, now)
		if note(o); o == session.Granted {
			*from.to = append(*from.to, p)
		}
	}
	r.Network = network
	return r, true
}

// inTheWay finds a session of the same user that is on its way out and holds what
// is claimed: a certain prefix, or the one that the pool keeps for the user.
func (d *directory) inTheWay(slot uint32, c *session.Claim6) (older uint32) {
	if c.Duplicates != session.KickOld || c.User == "" {
		return 0
	}
	want := append(slices.Clone(c.Prefixes), c.Delegated...)
	for _, name := range [...]string{c.Pool, c.PDPool, c.AddressPool} {
		if p := d.pools6[name]; p != nil {
			if last, used := p.Last(c.User); used {
				want = append(want, last)
			}
		}
	}
	for _, p := range want {
		holder := d.nets[net6{c.VRF, p.Masked()}]
		if holder != 0 && holder != slot && d.table[holder].user == c.User {
			return holder
		}
	}
	return 0
}

// takeNet takes one certain prefix, from pools or from outside of all.
func (d *directory) takeNet(slot, vrf uint32, p netip.Prefix, user string, now time.Time) session.ClaimOutcome {
	at := net6{vrf, p.Masked()}
	if !usable6(p) {
		return session.BadAddress
	}
	if holder := d.nets[at]; holder != 0 {
		return session.AddressInUse
	}
	if d.within(slot, at) {
		d.hold(slot, at)
		return session.Granted
	}
	for i, q := range d.order6 {
		if !q.Overlaps(p) || q.TakePrefix(p, user, now) {
			continue
		}
		for _, taken := range d.order6[:i] {
			if taken.Overlaps(p) {
				taken.Free(p, now)
			}
		}
		return session.AddressInUse
	}
	d.hold(slot, at)
	return session.Granted
}

// within reports whether a prefix is a part of what the slot's session has already.
func (d *directory) within(slot uint32, at net6) bool {
	six := d.table[slot].six
	return six != nil && slices.ContainsFunc(six.nets, func(n net6) bool {
		return n.prefix.Bits() <= at.prefix.Bits() && n.prefix.Contains(at.prefix.Addr())
	})
}

// takeAny takes a prefix of a pool.
func (d *directory) takeAny(slot uint32, c *session.Claim6, name string, now time.Time) (netip.Prefix, session.ClaimOutcome) {
	p := d.pools6[name]
	if p == nil {
		return netip.Prefix{}, session.NoSuchPool
	}
	x, ok := p.Take(c.User, now)
	if !ok {
		return netip.Prefix{}, session.PoolEmpty
	}
	d.hold(slot, net6{c.VRF, x})
	return x, session.Granted
}

func (d *directory) hold(slot uint32, at net6) {
	h := &d.table[slot]
	if h.six == nil {
		h.six = &holding6{}
	}
	h.six.nets = append(h.six.nets, at)
	d.nets[at] = slot
}

// usable6 reports whether p can be a subscriber's: global or unique local, and
// longer than any prefix that a registry hands out.
func usable6(p netip.Prefix) bool {
	const shortest = 16
	a := p.Addr()
	return p.IsValid() && a.Is6() && !a.Is4In6() && p.Bits() >= shortest && !a.IsUnspecified() && !a.IsLoopback() &&
		!a.IsMulticast() && !a.IsLinkLocalUnicast()
}

// close6 takes back what the slot's session holds of IPv6, and lets those who waited
// for it try again.
func (d *directory) close6(h *holding6, now time.Time) {
	if h == nil {
		return
	}
	for _, at := range h.nets {
		delete(d.nets, at)
		for _, q := range d.order6 {
			if q.Overlaps(at.prefix) {
				q.Free(at.prefix, now)
			}
		}
	}
	for i := range h.waiters {
		w := &h.waiters[i]
		if d.table[w.slot].ref != w.ref {
			continue // it has ended meanwhile
		}
		if r, decided := d.tryClaim6(w.slot, &w.claim, now); decided {
			d.notify(notice{ref: w.ref, kind: noticeGranted6, six: &r})
		}
	}
}

// leases6 shows a pool of prefixes.
func (d *directory) leases6(p *pool.Prefixes) []session.LeaseView {
	d.mu.Lock()
	defer d.mu.Unlock()
	var views []session.LeaseView
	for _, l := range p.Leases() {
		v := session.LeaseView{Pool: p.Name(), Prefix: l.Prefix, InUse: l.InUse, User: l.User, Since: l.Since}
		if l.InUse {
			v.Ref = d.table[d.nets[net6{0, l.Prefix}]].ref
		}
		views = append(views, v)
	}
	return views
}
