package tun

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/shape"
)

// entry is one session as the packet paths need it. All but the two sequence
// numbers and the counters is fixed once it is in the table.
type entry struct {
	ref session.Ref
	*ends
	peerTunnel  uint16
	peerSession uint16
	address     uint32 // 0: none
	own         uint32 // our address on the link, where the peer gives them; 0: none
	routes      []prefix4
	prefixes6   []netip.Prefix
	framing     l2tp.Framing
	overhead    uint8 // bytes before the IP packet, of any version, in a data message,
	ppp         uint8 // and how many of them are PPP's
	mtu         uint16
	mss         uint16
	outer       session.Framing // for its TOS
	// What packets must pass, nil for nothing.
	filterUp, filterDown *filter
	rateUp, rateDown     session.Rate
	firstNs              uint16 // where its sequence begins
	intercepted          bool
	slot                 uint32
	*liveCounter         // outlives the entry, see table.counters
}

// ends are those of a tunnel. Its sessions share them, once they are in the table.
type ends struct{ local, peer netip.AddrPort }

// endsInUse are ends, and how many entries have them.
type endsInUse struct {
	ends
	entries int
}

// liveCounter is what a session has counted, and its data sequence numbers, which
// go on when a session's record is replaced.
type liveCounter struct {
	upPackets, upBytes, upDropped       atomic.Uint64
	downPackets, downBytes, downDropped atomic.Uint64
	// The part of packets and bytes that is IPv6.
	upPackets6, upBytes6, downPackets6, downBytes6 atomic.Uint64

	lastSeen atomic.Int64 // Unix nanoseconds, 0 never

	captured atomic.Bool

	*sequence // nil without sequence numbers

	// What holds its packets to a rate, nil for nothing.
	shapeUp, shapeDown atomic.Pointer[shape.Shaper]
	// Packets that these have dropped.
	upThrottled, downThrottled atomic.Uint64
}

func (c *liveCounter) up(bytes int, now int64) {
	c.upPackets.Add(1)
	c.upBytes.Add(uint64(bytes))
	c.lastSeen.Store(now)
}

// up6 and down6 note that a packet, counted by up or down, is IPv6.
func (c *liveCounter) up6(bytes int) {
	c.upPackets6.Add(1)
	c.upBytes6.Add(uint64(bytes))
}

func (c *liveCounter) down6(bytes int) {
	c.downPackets6.Add(1)
	c.downBytes6.Add(uint64(bytes))
}

func (c *liveCounter) down(packets, bytes int, now int64) {
	c.downPackets.Add(uint64(packets))
	c.downBytes.Add(uint64(bytes))
	c.lastSeen.Store(now)
}

func (c *liveCounter) read() session.Counters {
	s := session.Counters{
		UpPackets: c.upPackets.Load(), UpBytes: c.upBytes.Load(), UpDropped: c.upDropped.Load(),
		DownPackets: c.downPackets.Load(), DownBytes: c.downBytes.Load(), DownDropped: c.downDropped.Load(),
		UpThrottled: c.upThrottled.Load(), DownThrottled: c.downThrottled.Load(),
		UpPackets6: c.upPackets6.Load(), UpBytes6: c.upBytes6.Load(),
		DownPackets6: c.downPackets6.Load(), DownBytes6: c.downBytes6.Load(),
	}
	if t := c.lastSeen.Load(); t != 0 {
		s.LastSeen = time.Unix(0, t)
	}
	return s
}

// prefix4 is an IPv4 prefix in host order.
type prefix4 struct {
	address uint32
	bits    uint8
}

func (p prefix4) contains(a uint32) bool { return mask(a, p.bits) == p.address }

func (p prefix4) netip() netip.Prefix {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], p.address)
	return netip.PrefixFrom(netip.AddrFrom4(b), int(p.bits))
}

func newPrefix4(p netip.Prefix) prefix4 {
	return prefix4{number(p.Masked().Addr()), uint8(p.Bits())}
}

func mask(a uint32, bits uint8) uint32 { return a &^ uint32(uint64(1)<<(32-bits)-1) }

func number(a netip.Addr) uint32 {
	b := a.As4()
	return binary.BigEndian.Uint32(b[:])
}

// sourceAllowed is the check of the inner source address (BCP 38): the
// subscriber's own address or one routed to it.
func (e *entry) sourceAllowed(a uint32) bool {
	if a == e.address && a != 0 {
		return true
	}
	for _, r := range e.routes {
		if r.contains(a) {
			return true
		}
	}
	return false
}

// table finds sessions. Its readers are the uplink and the downlink goroutines,
// few and quick, so one lock serves; a reader holds it until it has counted its
// packet, so that once a session is removed its counters don't move any more.
type table struct {
	mu        sync.RWMutex
	byID      map[uint32]*entry
	byAddress map[uint32]*entry
	byRoute   map[prefix4]*entry
	// byPeer finds the sessions that use data sequence numbers by what is in the
	// messages to the peer.
	byPeer map[peerKey]*entry
	prefixes6
	// ends are those of all entries.
	ends map[ends]*endsInUse
	// lengths counts the routes of each prefix length: a lookup tries only
	// those that occur, the longest first.
	lengths [33]int
	// bySlot holds the counters of the session that had the slot last, kept
	// after its end until the slot is given to another.
	bySlot []atomic.Pointer[liveCounter]
	// captured are the slots whose packets are captured.
	captured map[uint32]struct{}
	// places finds where the sessions of a slot count.
	places func(slot uint32) session.Sequence
}

// newTable returns an empty table. places may be nil: then the slow path counts alone.
func newTable(maxSlot uint32, places func(slot uint32) session.Sequence) *table {
	if places == nil {
		places = func(uint32) session.Sequence { return session.Sequence{} }
	}
	return &table{
		places:    places,
		byID:      map[uint32]*entry{},
		byAddress: map[uint32]*entry{},
		byRoute:   map[prefix4]*entry{},
		byPeer:    map[peerKey]*entry{},
		prefixes6: newPrefixes6(),
		ends:      map[ends]*endsInUse{},
		captured:  map[uint32]struct{}{},
		bySlot:    make([]atomic.Pointer[liveCounter], maxSlot+1),
	}
}

// peerKey names a session as its peer does.
type peerKey struct {
	peer netip.AddrPort
	ids  uint32
}

func (e *entry) peerKey() peerKey { return peerKey{e.peer, key(e.peerTunnel, e.peerSession)} }

func key(tunnelID, sessionID uint16) uint32 { return uint32(tunnelID)<<16 | uint32(sessionID) }

// install puts a session in, and returns what its ids had before, if anything.
func (t *table) install(e *entry, slot uint32) (old *entry) {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key(e.ref.TunnelID, e.ref.SessionID)
	if old = t.byID[k]; old != nil {
		if old.ref == e.ref {
			e.liveCounter = old.liveCounter
		}
		t.unlink(k, old)
	}
	_, captured := t.captured[slot]
	e.captured.Store(captured)
	setRate(&e.shapeUp, e.rateUp)
	setRate(&e.shapeDown, e.rateDown)
	t.byID[k] = e
	t.share(e)
	if e.framing.Sequence && e.sequence == nil {
		e.sequence = newSequence(t.places(slot), e.firstNs)
	}
	if e.address != 0 {
		t.byAddress[e.address] = e
	}
	if e.framing.Sequence {
		t.byPeer[e.peerKey()] = e
	}
	for _, p := range e.routes {
		if t.byRoute[p] == nil {
			t.lengths[p.bits]++
		}
		t.byRoute[p] = e
	}
	t.link(e)
	if int(slot) < len(t.bySlot) {
		t.bySlot[slot].Store(e.liveCounter)
	}
	return old
}

// remove takes a session out and returns it, or nil if it was not there; one that
// has taken over its ids stays.
func (t *table) remove(ref session.Ref) *entry {
	t.mu.Lock()
	defer t.mu.Unlock()
	k := key(ref.TunnelID, ref.SessionID)
	e := t.byID[k]
	if e == nil || e.ref != ref {
		return nil
	}
	t.unlink(k, e)
	return e
}

// unlink removes every way to reach e, but not what others have taken over.
func (t *table) unlink(k uint32, e *entry) {
	t.prefixes6.unlink(e)
	t.release(e)
	delete(t.byID, k)
	if t.byAddress[e.address] == e {
		delete(t.byAddress, e.address)
	}
	if k := e.peerKey(); t.byPeer[k] == e {
		delete(t.byPeer, k)
	}
	for _, p := range e.routes {
		if t.byRoute[p] == e {
			delete(t.byRoute, p)
			t.lengths[p.bits]--
		}
	}
}

// share has e share its ends with the tunnel's other sessions.
func (t *table) share(e *entry) {
	x := t.ends[*e.ends]
	if x == nil {
		x = &endsInUse{ends: *e.ends}
		t.ends[x.ends] = x
	}
	x.entries++
	e.ends = &x.ends
}

// release undoes share; e keeps what it has for those who still use it.
func (t *table) release(e *entry) {
	x := t.ends[*e.ends]
	if x.entries--; x.entries == 0 {
		delete(t.ends, x.ends)
	}
}

// byDestination finds the session that address a belongs to. The caller holds
// the read lock.
func (t *table) byDestination(a uint32) *entry {
	if e := t.byAddress[a]; e != nil {
		return e
	}
	if len(t.byRoute) == 0 {
		return nil
	}
	for bits := len(t.lengths) - 1; bits >= 0; bits-- {
		if t.lengths[bits] == 0 {
			continue
		}
		if e := t.byRoute[prefix4{mask(a, uint8(bits)), uint8(bits)}]; e != nil {
			return e
		}
	}
	return nil
}

// counters reads a slot without the lock.
func (t *table) counters(slot uint32) session.Counters {
	if int(slot) >= len(t.bySlot) {
		return session.Counters{}
	}
	c := t.bySlot[slot].Load()
	if c == nil {
		return session.Counters{}
	}
	return c.read()
}

func newEntry(r *session.Record) *entry {
	e := &entry{
		ref:         r.Ref,
		slot:        r.Slot,
		ends:        &ends{r.Local, r.Peer},
		peerTunnel:  r.PeerTunnelID,
		peerSession: r.PeerSessionID,
		framing: l2tp.Framing{
			Length:         r.Framing.Length,
			Sequence:       r.Framing.Sequence,
			AddressControl: r.Framing.AddressControl,
			ShortProtocol:  r.Framing.CompressProtocol,
		},
		mtu:         r.MTU,
		mss:         r.ClampMSS,
		outer:       r.Framing,
		firstNs:     r.NextNs,
		liveCounter: &liveCounter{},
	}
	e.prefixes6 = prefixes6Of(r.Prefixes6)
	e.overhead = uint8(e.framing.Overhead(l2tp.ProtocolIPv4))
	e.ppp = e.overhead - uint8(len(l2tp.AppendDataHeader(nil, 0, 0, r.Framing.Length, r.Framing.Sequence, 0, 0)))
	if r.Address.Is4() {
		e.address = number(r.Address)
	}
	if r.OwnAddress.Is4() {
		e.own = number(r.OwnAddress)
	}
	for _, p := range r.Routes {
		if p.IsValid() && p.Addr().Is4() {
			e.routes = append(e.routes, newPrefix4(p))
		}
	}
	return e
}
