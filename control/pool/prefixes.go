package pool

import (
	"encoding/binary"
	"fmt"
	"math/bits"
	"net/netip"
	"slices"
	"time"
)

// PrefixConfig describes a pool of IPv6 prefixes.
type PrefixConfig struct {
	Name string
	// Prefixes are cut into pieces of Length bits, which are given out. They must
	// not overlap nor be longer than that.
	Prefixes []netip.Prefix
	Length   int
	// Exclude lists what is never given out: every piece that overlaps one.
	Exclude []netip.Prefix
}

// Bounds of a pool of prefixes.
const (
	// maxPieces keeps indices within what is counted with.
	maxPieces = 1 << 40
	// keptPieces is how many pieces that were given back are kept for their last
	// users at least, as long as there are others.
	keptPieces = 1 << 16
	// maxSpan bounds the pieces that one TakePrefix takes.
	maxSpan = 1 << 12
)

// piece is one piece that was given out at some time.
type piece struct {
	index      uint64
	user       string
	since      uint32 // Unix seconds of the last change
	used       bool
	prev, next *piece // among the free ones, the longest free first
}

// Prefixes is a named set of IPv6 prefixes of one length. What was never given out
// costs no memory: a /32 holds 2^24 prefixes of 56 bits, and 2^32 of 64. A prefix
// that was given back is kept for its last user as long as possible.
type Prefixes struct {
	name   string
	length int
	blocks []prefixBlock
	size   uint64

	known    map[uint64]*piece
	last     map[string]*piece // user → the piece that is, or was last, the user's
	free     piece             // head of a ring: those given back
	kept     int               // in the ring
	fresh    uint64            // first index never given out
	used     int
	excluded []span
}

// prefixBlock is one prefix: its pieces have the indices from base on.
type prefixBlock struct {
	prefix netip.Prefix
	base   uint64
	count  uint64
}

// span is a range of indices, end excluded.
type span struct{ from, end uint64 }

// NewPrefixes makes a pool.
func NewPrefixes(c PrefixConfig) (*Prefixes, error) {
	p := &Prefixes{name: c.Name, length: c.Length, known: map[uint64]*piece{}, last: map[string]*piece{}}
	p.free.prev, p.free.next = &p.free, &p.free
	for _, x := range c.Prefixes {
		if !x.IsValid() || x.Addr().Is4() || x.Addr().Is4In6() || x.Bits() > c.Length || c.Length > 128 {
			return nil, fmt.Errorf("pool %s: %v can't be cut into IPv6 prefixes of %d bits", c.Name, x, c.Length)
		}
		wide := c.Length - x.Bits()
		if wide > 40 || p.size+1<<wide > maxPieces {
			return nil, fmt.Errorf("pool %s: more than 2^40 prefixes", c.Name)
		}
		for _, b := range p.blocks {
			if b.prefix.Overlaps(x) {
				return nil, fmt.Errorf("pool %s: %v and %v overlap", c.Name, b.prefix, x)
			}
		}
		p.blocks = append(p.blocks, prefixBlock{prefix: x.Masked(), base: p.size, count: 1 << wide})
		p.size += 1 << wide
	}
	if p.size == 0 {
		return nil, fmt.Errorf("pool %s: no prefixes", c.Name)
	}
	for _, x := range c.Exclude {
		p.excluded = append(p.excluded, p.spans(x)...)
	}
	p.mergeExcluded()
	return p, nil
}

// mergeExcluded sorts what is excluded and joins what overlaps.
func (p *Prefixes) mergeExcluded() {
	slices.SortFunc(p.excluded, func(a, b span) int {
		if a.from < b.from {
			return -1
		}
		return 1
	})
	merged := p.excluded[:0]
	for _, s := range p.excluded {
		if n := len(merged); n > 0 && s.from <= merged[n-1].end {
			merged[n-1].end = max(merged[n-1].end, s.end)
			continue
		}
		merged = append(merged, s)
	}
	p.excluded = merged
}

// spans are the pieces that overlap x, by their indices.
func (p *Prefixes) spans(x netip.Prefix) []span {
	var out []span
	for _, b := range p.blocks {
		switch {
		case !b.prefix.Overlaps(x):
		case x.Bits() <= b.prefix.Bits():
			out = append(out, span{b.base, b.base + b.count})
		default:
			from := b.base + p.offset(b, x.Addr())
			out = append(out, span{from, from + 1<<max(p.length-x.Bits(), 0)})
		}
	}
	return out
}

// offset is the number of the piece of b that an address lies in.
func (p *Prefixes) offset(b prefixBlock, a netip.Addr) uint64 {
	hi, lo := halves(a)
	// The difference to the first address, without the bits behind the length.
	fh, fl := halves(b.prefix.Addr())
	dl, borrow := bits.Sub64(lo, fl, 0)
	dh, _ := bits.Sub64(hi, fh, borrow)
	shift := 128 - p.length
	if shift >= 64 {
		return dh >> (shift - 64)
	}
	if shift == 0 {
		return dl
	}
	return dh<<(64-shift) | dl>>shift
}

func halves(a netip.Addr) (hi, lo uint64) {
	b := a.As16()
	return binary.BigEndian.Uint64(b[:]), binary.BigEndian.Uint64(b[8:])
}

// prefix is the piece of an index.
func (p *Prefixes) prefix(i uint64) netip.Prefix {
	for _, b := range p.blocks {
		if i-b.base >= b.count {
			continue
		}
		hi, lo := halves(b.prefix.Addr())
		n, shift := i-b.base, 128-p.length
		var carry uint64
		if shift >= 64 {
			hi += n << (shift - 64)
		} else {
			lo, carry = bits.Add64(lo, n<<shift, 0)
			if shift > 0 {
				hi += n >> (64 - shift)
			}
			hi += carry
		}
		var out [16]byte
		binary.BigEndian.PutUint64(out[:], hi)
		binary.BigEndian.PutUint64(out[8:], lo)
		return netip.PrefixFrom(netip.AddrFrom16(out), p.length)
	}
	return netip.Prefix{}
}

// Take gives the user a prefix: the last one it had when that is still free,
// otherwise one that nobody had, otherwise the one that has been free for longest.
// ok is false when none is.
func (p *Prefixes) Take(user string, now time.Time) (_ netip.Prefix, ok bool) {
	if x := p.last[user]; x != nil && !x.used {
		return p.take(x, user, now), true
	}
	if p.kept < keptPieces {
		if i, ok := p.nextFresh(); ok {
			return p.take(p.add(i), user, now), true
		}
	}
	if x := p.free.next; x != &p.free {
		return p.take(x, user, now), true
	}
	if i, ok := p.nextFresh(); ok {
		return p.take(p.add(i), user, now), true
	}
	return netip.Prefix{}, false
}

// Last returns the prefix that is, or was last, the user's, and whether it is in use.
func (p *Prefixes) Last(user string) (_ netip.Prefix, used bool) {
	k := p.last[user]
	if k == nil {
		return netip.Prefix{}, false
	}
	return p.prefix(k.index), k.used
}

// nextFresh finds an index that was never given out.
func (p *Prefixes) nextFresh() (uint64, bool) {
	for p.fresh < p.size {
		at := slices.IndexFunc(p.excluded, func(s span) bool { return s.from <= p.fresh && p.fresh < s.end })
		switch {
		case at >= 0:
			p.fresh = p.excluded[at].end
		case p.known[p.fresh] != nil: // taken by name
			p.fresh++
		default:
			return p.fresh, true
		}
	}
	return 0, false
}

// TakePrefix gives the user one certain prefix: all pieces that it overlaps, or none.
// ok is false when one is in use, or when there are too many.
func (p *Prefixes) TakePrefix(x netip.Prefix, user string, now time.Time) (ok bool) {
	spans := p.spans(x)
	for _, s := range spans {
		if s.end-s.from > maxSpan {
			return false
		}
		for i := s.from; i < s.end; i++ {
			if k := p.known[i]; k != nil && k.used {
				return false
			}
		}
	}
	for _, s := range spans {
		for i := s.from; i < s.end; i++ {
			k := p.known[i]
			if k == nil {
				k = p.add(i)
			}
			p.take(k, user, now)
		}
	}
	return true
}

// Free gives back what TakePrefix, or Take, gave.
func (p *Prefixes) Free(x netip.Prefix, now time.Time) {
	for _, s := range p.spans(x) {
		for i := s.from; i < s.end; i++ {
			k := p.known[i]
			if k == nil || !k.used {
				continue
			}
			k.used, k.since = false, uint32(now.Unix())
			p.used--
			p.kept++
			k.prev, k.next = p.free.prev, &p.free
			k.prev.next, k.next.prev = k, k
		}
	}
}

// add makes a piece known, as one that is free.
func (p *Prefixes) add(i uint64) *piece {
	k := &piece{index: i}
	k.prev, k.next = k, k // a ring of its own, for take
	p.known[i] = k
	p.kept++
	return k
}

func (p *Prefixes) take(k *piece, user string, now time.Time) netip.Prefix {
	k.prev.next, k.next.prev = k.next, k.prev
	k.prev, k.next = nil, nil
	p.kept--
	p.used++
	if k.user != user && p.last[k.user] == k {
		// The former user loses the claim to come back to it.
		delete(p.last, k.user)
	}
	k.used, k.user, k.since = true, user, uint32(now.Unix())
	if user != "" {
		if old := p.last[user]; old != nil && old != k && !old.used {
			old.user = "" // not the one to come back to any more
		}
		p.last[user] = k
	}
	return p.prefix(k.index)
}

// Overlaps reports whether the pool has a part of x, given out or not.
func (p *Prefixes) Overlaps(x netip.Prefix) bool {
	return slices.ContainsFunc(p.blocks, func(b prefixBlock) bool { return b.prefix.Overlaps(x) })
}

// Name is the pool's name; Prefixes are its prefixes as configured, Length is that
// of the pieces.
func (p *Prefixes) Name() string { return p.name }
func (p *Prefixes) Length() int  { return p.length }
func (p *Prefixes) Prefixes() []netip.Prefix {
	var out []netip.Prefix
	for _, b := range p.blocks {
		out = append(out, b.prefix)
	}
	return out
}

// Size is the number of pieces, Used how many are taken, Reserved how many are
// never given out by Take.
func (p *Prefixes) Size() uint64 { return p.size }
func (p *Prefixes) Used() int    { return p.used }
func (p *Prefixes) Reserved() uint64 {
	n := uint64(0)
	for _, s := range p.excluded {
		n += s.end - s.from
	}
	return n
}

// PrefixLease is a prefix that is in use, or kept for the user who had it last.
type PrefixLease struct {
	Prefix netip.Prefix
	User   string
	InUse  bool
	Since  time.Time
}

// Leases lists all leases by their prefixes.
func (p *Prefixes) Leases() []PrefixLease {
	out := make([]PrefixLease, 0, len(p.known))
	for i, k := range p.known {
		if k.used || k.user != "" {
			out = append(out, PrefixLease{p.prefix(i), k.user, k.used, time.Unix(int64(k.since), 0)})
		}
	}
	slices.SortFunc(out, func(a, b PrefixLease) int { return a.Prefix.Addr().Compare(b.Prefix.Addr()) })
	return out
}
