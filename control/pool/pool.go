// Package pool hands out what is scarce: IPv4 addresses, session slots, and
// unpredictable 16-bit ids. Nothing here locks, reads a clock or allocates once
// it is warm; the owner serialises the calls.
package pool

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"sort"
	"time"
)

// Edges says which addresses of a prefix are left out because hosts or routers
// may take them for network or broadcast addresses.
type Edges uint8

// The choices.
const (
	// UseAll gives out every address; on a point-to-point link each is good.
	UseAll Edges = iota
	// SkipEnds leaves out the first and the last address of each prefix that has
	// more than two.
	SkipEnds
	// SkipOctets leaves out every address that ends in .0 or .255, since some
	// hosts refuse to talk to them whatever the prefix length.
	SkipOctets
)

// Config describes an address pool.
type Config struct {
	Name string
	// Prefixes are IPv4 and must not overlap; a single address is a /32.
	Prefixes []netip.Prefix
	Edges    Edges
	// Exclude lists addresses never to be given out, such as our own.
	Exclude []netip.Addr
}

// maxSize bounds a pool: a /8, sixteen times the most sessions there can be.
const maxSize = 1 << 24

// link places an address in the list of free ones. In-use and excluded
// addresses are in no list, and marked in next.
type link struct{ prev, next uint32 }

const (
	none     uint32 = 0xFFFFFFFF // end of list
	inUse    uint32 = 0xFFFFFFFE
	excluded uint32 = 0xFFFFFFFD
)

// block is one prefix: its addresses have the indices from base on.
type block struct {
	prefix netip.Prefix
	first  uint32 // the first address as a number
	size   uint32
	base   uint32
}

// Pool is a named set of IPv4 addresses. Taking and freeing cost the same however
// large it is. An address that was freed goes to the end of the queue, so that it
// rests as long as possible, and is kept for the user who had it last until then.
type Pool struct {
	name     string
	blocks   []block // by first
	prefixes []netip.Prefix

	links      []link
	head, tail uint32
	// users and since hold the present or the last user of an address and the
	// Unix second of its last change.
	users []string
	since []uint32
	last  map[string]uint32 // user → the address that is, or was last, the user's

	used, reserved int
}

// New makes a pool.
func New(c Config) (*Pool, error) {
	p := &Pool{name: c.Name, head: none, tail: none, last: make(map[string]uint32)}
	total := 0
	for _, x := range c.Prefixes {
		if !x.Addr().Is4() {
			return nil, fmt.Errorf("pool %s: %v is not an IPv4 prefix", c.Name, x)
		}
		x = x.Masked()
		size := uint64(1) << (32 - x.Bits())
		if size > maxSize || total+int(size) > maxSize {
			return nil, fmt.Errorf("pool %s: more than %d addresses", c.Name, maxSize)
		}
		p.prefixes = append(p.prefixes, x)
		p.blocks = append(p.blocks, block{prefix: x, first: number(x.Addr()), size: uint32(size)})
		total += int(size)
	}
	if total == 0 {
		return nil, fmt.Errorf("pool %s: no addresses", c.Name)
	}
	if err := p.order(); err != nil {
		return nil, err
	}
	p.links = make([]link, total)
	p.users = make([]string, total)
	p.since = make([]uint32, total)
	p.exclude(c)
	for i := range p.links {
		if p.links[i].next != excluded {
			p.push(uint32(i))
		}
	}
	return p, nil
}

// order sorts the blocks, numbers them and refuses overlaps.
func (p *Pool) order() error {
	slices.SortFunc(p.blocks, func(a, b block) int {
		if a.first < b.first {
			return -1
		}
		return 1
	})
	base := uint32(0)
	for i := range p.blocks {
		b := &p.blocks[i]
		if i > 0 && p.blocks[i-1].prefix.Overlaps(b.prefix) {
			return fmt.Errorf("pool %s: %v and %v overlap", p.name, p.blocks[i-1].prefix, b.prefix)
		}
		b.base = base
		base += b.size
	}
	return nil
}

func (p *Pool) exclude(c Config) {
	mark := func(i uint32) {
		if p.links[i].next != excluded {
			p.links[i].next = excluded
			p.reserved++
		}
	}
	for _, b := range p.blocks {
		switch c.Edges {
		case SkipEnds:
			if b.size > 2 {
				mark(b.base)
				mark(b.base + b.size - 1)
			}
		case SkipOctets:
			for i := uint32(0); i < b.size; i++ {
				if o := byte(b.first + i); o == 0 || o == 255 {
					mark(b.base + i)
				}
			}
		}
	}
	for _, a := range c.Exclude {
		if i, ok := p.index(a); ok {
			mark(i)
		}
	}
}

// Take gives the user an address: the last one it had when that is still free,
// otherwise the one that has been free for longest. ok is false when none is.
func (p *Pool) Take(user string, now time.Time) (a netip.Addr, ok bool) {
	if i, known := p.last[user]; known && user != "" && p.isFree(i) {
		return p.take(i, user, now), true
	}
	if p.head == none {
		return netip.Addr{}, false
	}
	return p.take(p.head, user, now), true
}

// TakeAddr gives the user one certain address. ok is false when it is in use.
// An excluded address is given when it is asked for by name: whoever set that up
// knows more than the pool. Contains must be true for a.
func (p *Pool) TakeAddr(a netip.Addr, user string, now time.Time) (ok bool) {
	i, in := p.index(a)
	if !in || p.links[i].next == inUse {
		return false
	}
	p.take(i, user, now)
	return true
}

// Free returns an address. Freeing one that is not in use does nothing and
// returns false.
func (p *Pool) Free(a netip.Addr, now time.Time) bool {
	i, in := p.index(a)
	if !in || p.links[i].next != inUse {
		return false
	}
	p.used--
	p.since[i] = uint32(now.Unix())
	p.push(i)
	return true
}

// Contains reports whether a belongs to the pool, given out or not.
func (p *Pool) Contains(a netip.Addr) bool {
	_, ok := p.index(a)
	return ok
}

// Name is the pool's name; Prefixes are its prefixes as configured.
func (p *Pool) Name() string             { return p.name }
func (p *Pool) Prefixes() []netip.Prefix { return slices.Clone(p.prefixes) }

// Size is the number of addresses, Used how many are taken, Reserved how many
// are never given out by Take.
func (p *Pool) Size() int     { return len(p.links) }
func (p *Pool) Used() int     { return p.used }
func (p *Pool) Reserved() int { return p.reserved }

// Lease is an address that is in use, or kept for the user who had it last.
type Lease struct {
	Address netip.Addr
	User    string
	InUse   bool
	Since   time.Time // when it was taken, or freed
}

// Leases appends to dst the leases among n addresses from index i on; the next
// call begins at the index returned, 0 after the last. So an owner can list a
// large pool without holding up others for long.
func (p *Pool) Leases(dst []Lease, i, n int) ([]Lease, int) {
	end := min(i+n, len(p.links))
	for ; i < end; i++ {
		busy := p.links[i].next == inUse
		if !busy && p.users[i] == "" {
			continue
		}
		dst = append(dst, Lease{
			Address: p.addr(uint32(i)), User: p.users[i], InUse: busy,
			Since: time.Unix(int64(p.since[i]), 0),
		})
	}
	if i >= len(p.links) {
		return dst, 0
	}
	return dst, i
}

func (p *Pool) isFree(i uint32) bool {
	n := p.links[i].next
	return n != inUse && n != excluded
}

func (p *Pool) take(i uint32, user string, now time.Time) netip.Addr {
	if p.links[i].next != excluded {
		p.unlink(i)
	} else {
		p.reserved-- // it is in the list like others from now on
	}
	p.links[i].next = inUse
	p.used++
	p.since[i] = uint32(now.Unix())
	if old := p.users[i]; old != user {
		// The former user loses the claim to come back to it.
		if j, ok := p.last[old]; ok && j == i {
			delete(p.last, old)
		}
		p.users[i] = user
	}
	if user != "" {
		// An earlier address of the user is no longer the one to come back to,
		// and need not remember the user.
		if j, ok := p.last[user]; ok && j != i && p.isFree(j) {
			p.users[j] = ""
		}
		p.last[user] = i
	}
	return p.addr(i)
}

func (p *Pool) push(i uint32) {
	p.links[i] = link{prev: p.tail, next: none}
	if p.tail == none {
		p.head = i
	} else {
		p.links[p.tail].next = i
	}
	p.tail = i
}

func (p *Pool) unlink(i uint32) {
	l := p.links[i]
	if l.prev == none {
		p.head = l.next
	} else {
		p.links[l.prev].next = l.next
	}
	if l.next == none {
		p.tail = l.prev
	} else {
		p.links[l.next].prev = l.prev
	}
}

func (p *Pool) index(a netip.Addr) (uint32, bool) {
	a = a.Unmap()
	if !a.Is4() {
		return 0, false
	}
	n := number(a)
	k := sort.Search(len(p.blocks), func(i int) bool { return p.blocks[i].first > n }) - 1
	if k < 0 || n-p.blocks[k].first >= p.blocks[k].size {
		return 0, false
	}
	return p.blocks[k].base + n - p.blocks[k].first, true
}

func (p *Pool) addr(i uint32) netip.Addr {
	k := sort.Search(len(p.blocks), func(j int) bool { return p.blocks[j].base > i }) - 1
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], p.blocks[k].first+i-p.blocks[k].base)
	return netip.AddrFrom4(b)
}

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}
