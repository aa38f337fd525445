package engine

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

// directory holds what sessions of different shards share: slots, user names,
// addresses and the pools they come from. It is small and every call is short, so
// one lock serves.
type directory struct {
	notify func(notice)

	mu     sync.Mutex
	slots  *pool.Slots
	places *pool.Places // of the data plane; needs no lock
	table  []holding    // by slot; grows with the highest slot in use
	users  map[string]uint32
	// aliases are the slots of those that the authenticator gave another name.
	aliases map[string][]uint32
	serials map[uint32]uint32 // slots by Ref.Serial
	addrs   map[place]uint32
	vrfs    map[uint32]struct{} // that addresses were ever claimed in
	wanted  map[place]uint32    // first of those that wait for an address
	pools   map[string]*pool.Pool
	order   []*pool.Pool // as configured
	nets    map[net6]uint32
	pools6  map[string]*pool.Prefixes
	order6  []*pool.Prefixes
	acct    uint32 // counts accounting ids
	// tunnels and half-open tunnels by source address, and tunnels by LAC.
	peers    map[netip.Addr]peerCount
	lacs     map[lacName]int
	tunnels  int
	halfOpen int
}

// holding is what a slot's session holds.
type holding struct {
	ref   session.Ref
	user  string
	alias string
	// prev and next chain the sessions of one user; waiting chains those that
	// wait for an address. 0 ends a chain, as no session has slot 0.
	prev, next uint32
	waiting    uint32
	place      place
	pool       *pool.Pool
	six        *holding6
	state      holdState
}

type holdState uint8

const (
	holdsNothing holdState = iota
	holdsName              // the user is registered, no address yet
	waitsAddress           // an older session of the user still has it
	holdsAddress
)

// place is an address in a routing table.
type place struct {
	vrf  uint32
	addr netip.Addr
}

type peerCount struct{ tunnels, halfOpen int }

type lacName struct {
	addr netip.Addr
	name string
}

func newDirectory(cfg Config, notify func(notice)) (*directory, error) {
	d := &directory{
		notify: notify, slots: pool.NewSlots(cfg.MaxSessions), places: pool.NewPlaces(cfg.MaxSessions), table: make([]holding, 1),
		users: make(map[string]uint32), aliases: make(map[string][]uint32), vrfs: make(map[uint32]struct{}), serials: make(map[uint32]uint32), addrs: make(map[place]uint32),
		wanted: make(map[place]uint32), pools: make(map[string]*pool.Pool),
		peers: make(map[netip.Addr]peerCount), lacs: make(map[lacName]int),
		nets: make(map[net6]uint32), pools6: make(map[string]*pool.Prefixes),
	}
	for _, p := range cfg.Pools {
		if d.pools[p.Name()] != nil {
			return nil, errTwice(p.Name())
		}
		for _, q := range d.order {
			if overlap(p, q) {
				return nil, errOverlap(p.Name(), q.Name())
			}
		}
		d.pools[p.Name()] = p
		d.order = append(d.order, p)
	}
	if err := d.addPools6(cfg.Prefixes); err != nil {
		return nil, err
	}
	return d, nil
}

func errTwice(name string) error { return fmt.Errorf("engine: two pools are named %q", name) }

func errOverlap(a, b string) error { return fmt.Errorf("engine: pools %q and %q overlap", a, b) }

func overlap(p, q *pool.Pool) bool {
	for _, a := range p.Prefixes() {
		for _, b := range q.Prefixes() {
			if a.Overlaps(b) {
				return true
			}
		}
	}
	return false
}

var errNoSlot = errors.New("no free session slot")

// open gives a new session its slot and the counter of its accounting id. limit,
// if not 0, is the most sessions there may be.
func (d *directory) open(limit int) (slot, acct uint32, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if limit > 0 && d.slots.Used() >= limit {
		return 0, 0, errNoSlot
	}
	slot, ok := d.slots.Take()
	if !ok {
		return 0, 0, errNoSlot
	}
	for int(slot) >= len(d.table) {
		d.table = append(d.table, holding{})
	}
	d.acct++
	return slot, d.acct, nil
}

// accountID is the counter of an accounting id that is no session's.
func (d *directory) accountID() uint32 {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.acct++
	return d.acct
}

// enter tells the directory whose the slot is.
func (d *directory) enter(slot uint32, ref session.Ref) {
	d.mu.Lock()
	d.table[slot] = holding{ref: ref}
	d.serials[ref.Serial] = slot
	d.mu.Unlock()
}

// claim registers the user and finds an address. decided is false when the
// session has to wait: noticeGranted will come. Older sessions of the user that
// have to go are told so.
func (d *directory) claim(slot uint32, c *session.Claim, now time.Time) (r session.ClaimResult, decided bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	head := d.users[c.User]
	kick := false
	if head != 0 && c.User != "" {
		switch c.Duplicates {
		case session.RefuseNew:
			return session.ClaimResult{Outcome: session.DuplicateUser}, true
		case session.KickOld:
			kick = true
		}
	}
	h := &d.table[slot]
	if kick {
		for i := head; i != 0; i = d.table[i].next {
			d.notify(notice{ref: d.table[i].ref, kind: noticeKick})
		}
	}
	d.register(slot, c.User)
	d.vrfs[c.VRF] = struct{}{}
	if c.Alias != "" {
		h.alias = c.Alias
		d.aliases[c.Alias] = append(d.aliases[c.Alias], slot)
	}
	if c.Address.IsValid() {
		return d.claimExact(slot, h, c, now)
	}
	p := d.pools[c.Pool]
	switch {
	case c.NoAddress, p == nil && c.Optional:
		return session.ClaimResult{}, true
	case p == nil:
		return session.ClaimResult{Outcome: session.NoSuchPool}, true
	}
	user := c.User
	if c.Unchecked {
		user = ""
	}
	a, ok := p.Take(user, now)
	if !ok {
		return session.ClaimResult{Outcome: session.PoolEmpty}, true
	}
	h.place, h.pool, h.state = place{c.VRF, a}, p, holdsAddress
	d.addrs[h.place] = slot
	return session.ClaimResult{Address: a}, true
}

// claimExact takes one certain address, from a pool or from outside of all.
func (d *directory) claimExact(slot uint32, h *holding, c *session.Claim, now time.Time) (session.ClaimResult, bool) {
	at := place{c.VRF, c.Address.Unmap()}
	if !usable(at.addr) {
		return session.ClaimResult{Outcome: session.BadAddress}, true
	}
	if holder := d.addrs[at]; holder != 0 {
		if c.Duplicates == session.KickOld && d.table[holder].user == c.User && c.User != "" {
			// The user's own old session has it and is on its way out.
			h.place, h.state = at, waitsAddress
			h.waiting = d.wanted[at]
			d.wanted[at] = slot
			return session.ClaimResult{}, false
		}
		return session.ClaimResult{Outcome: session.AddressInUse}, true
	}
	if !d.grant(slot, at, now) {
		return session.ClaimResult{Outcome: session.AddressInUse}, true
	}
	return session.ClaimResult{Address: at.addr}, true
}

// usable reports whether a can be a subscriber's address.
func usable(a netip.Addr) bool {
	return a.Is4() && !a.IsUnspecified() && !a.IsMulticast() && !a.IsLoopback() &&
		a != netip.AddrFrom4([4]byte{255, 255, 255, 255})
}

// grant makes an address that nobody holds the slot's.
func (d *directory) grant(slot uint32, at place, now time.Time) bool {
	h := &d.table[slot]
	p := d.poolOf(at.addr)
	if p != nil && !p.TakeAddr(at.addr, h.user, now) {
		return false // taken in another routing table
	}
	h.place, h.pool, h.state = at, p, holdsAddress
	d.addrs[at] = slot
	return true
}

func (d *directory) poolOf(a netip.Addr) *pool.Pool {
	for _, p := range d.order {
		if p.Contains(a) {
			return p
		}
	}
	return nil
}

// register puts the slot at the head of its user's chain.
func (d *directory) register(slot uint32, user string) {
	h := &d.table[slot]
	h.user, h.state = user, holdsName
	if user == "" {
		return
	}
	if head := d.users[user]; head != 0 {
		h.next = head
		d.table[head].prev = slot
	}
	d.users[user] = slot
}

// close takes back all that the slot's session holds, and the slot. The address
// goes to the one who waits for it, if any.
func (d *directory) close(slot uint32, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	h := &d.table[slot]
	if h.state != holdsNothing && h.user != "" {
		d.unregister(h)
	}
	switch h.state {
	case waitsAddress:
		d.unwait(slot)
	case holdsAddress:
		delete(d.addrs, h.place)
		if h.pool != nil {
			h.pool.Free(h.place.addr, now)
		}
		d.passOn(h.place, now)
	}
	d.unalias(slot, h.alias)
	delete(d.serials, h.ref.Serial)
	six := h.six
	d.table[slot] = holding{}
	d.slots.Free(slot)
	d.close6(six, now)
}

func (d *directory) unregister(h *holding) {
	switch {
	case h.prev != 0:
		d.table[h.prev].next = h.next
	case h.next != 0:
		d.users[h.user] = h.next
	default:
		delete(d.users, h.user)
	}
	if h.next != 0 {
		d.table[h.next].prev = h.prev
	}
}

func (d *directory) unalias(slot uint32, alias string) {
	if alias == "" {
		return
	}
	rest := slices.DeleteFunc(d.aliases[alias], func(s uint32) bool { return s == slot })
	if len(rest) == 0 {
		delete(d.aliases, alias)
		return
	}
	d.aliases[alias] = rest
}

// unwait takes the slot out of the chain of those that wait.
func (d *directory) unwait(slot uint32) {
	at := d.table[slot].place
	if d.wanted[at] == slot {
		if next := d.table[slot].waiting; next != 0 {
			d.wanted[at] = next
		} else {
			delete(d.wanted, at)
		}
		return
	}
	for i := d.wanted[at]; i != 0; i = d.table[i].waiting {
		if d.table[i].waiting == slot {
			d.table[i].waiting = d.table[slot].waiting
			return
		}
	}
}

// passOn gives an address that became free to the newest of those that wait: the
// others are older sessions of the same user and being ended themselves.
func (d *directory) passOn(at place, now time.Time) {
	slot := d.wanted[at]
	if slot == 0 {
		return
	}
	d.unwait(slot)
	d.table[slot].waiting = 0
	if d.grant(slot, at, now) {
		d.notify(notice{ref: d.table[slot].ref, kind: noticeGranted, address: at.addr})
	}
}

// find returns the session in a slot.
func (d *directory) find(slot uint32) (session.Ref, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if slot == 0 || int(slot) >= len(d.table) || d.table[slot].ref.TunnelID == 0 {
		return session.Ref{}, false
	}
	return d.table[slot].ref, true
}

// ofUser returns the sessions of a user.
func (d *directory) ofUser(user string) []session.Ref {
	d.mu.Lock()
	defer d.mu.Unlock()
	var refs []session.Ref
	for i := d.users[user]; i != 0; i = d.table[i].next {
		refs = append(refs, d.table[i].ref)
	}
	return refs
}
