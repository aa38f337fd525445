package tun

import (
	"encoding/binary"
	"net/netip"
	"sync"
	"sync/atomic"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// sequence is the data sequence numbers of a session (RFC 2661 section 5.4).
type sequence struct {
	session.Sequence            // shared with who else forwards for the session
	order            sync.Mutex // see downlink.begin
	// heard is one above the highest number received here, used by the uplink alone.
	heard uint32
}

// newSequence returns a sequence at place, or, where that is none, one of its own.
func newSequence(place session.Sequence, next uint16) *sequence {
	s := &sequence{Sequence: place}
	if place.Send == nil {
		own := new([2]atomic.Uint32)
		s.Send, s.Expect = &own[0], &own[1]
	}
	s.Send.Store(uint32(next))
	s.Expect.Store(0)
	return s
}

// next takes the next number to send.
func (s *sequence) next() uint16 { return uint16(s.Send.Add(1) - 1) }

// late reports whether ns was passed already: packets that arrive out of order
// are dropped, a gap is loss. As in section 5.8, the 32768 values below the next
// expected one are the past.
//
// What was passed up by XDP has been judged there, and others may have been
// forwarded since: it is held against nothing but what was heard here.
func (s *sequence) late(ns uint16) bool {
	now := s.Expect.Load() // never behind heard
	at := now + uint32(int16(ns-uint16(now)))
	if d := int32(at - s.heard); d < 0 && d > -1<<16 {
		return true
	}
	s.heard = at + 1
	for now := s.Expect.Load(); int32(s.heard-now) > 0; now = s.Expect.Load() {
		if s.Expect.CompareAndSwap(now, s.heard) {
			break
		}
	}
	return false
}

// Sender sends datagrams: Send copies b into a batch, Flush hands the batch to
// the network. It is used by one goroutine.
type Sender interface {
	Send(local, peer netip.AddrPort, b []byte)
	Flush()
}

// sequenced numbers the data messages that others send.
type sequenced struct {
	path *Path
	next Sender
	copy []byte
}

// Sequenced returns a Sender that passes everything on to next, and puts the next
// number of the session's sequence into data messages that carry one. The control
// plane sends PPP's own frames through it: numbered apart from the subscriber's
// packets, the peer would take one kind or the other for late (RFC 2661 section
// 5.4). Sessions that are not installed are left alone.
func (p *Path) Sequenced(next Sender) Sender { return &sequenced{path: p, next: next} }

func (s *sequenced) Flush() { s.next.Flush() }

func (s *sequenced) Send(local, peer netip.AddrPort, b []byte) {
	if ns, at, ok := s.number(peer, b); ok {
		s.copy = append(s.copy[:0], b...)
		binary.BigEndian.PutUint16(s.copy[at:], ns)
		b = s.copy
	}
	s.next.Send(local, peer, b)
}

// number takes the next sequence number for message b, and says where it belongs.
func (s *sequenced) number(peer netip.AddrPort, b []byte) (ns uint16, at int, ok bool) {
	h, _, err := l2tp.ParseHeader(b)
	if err != nil || h.IsControl() || h.Flags&l2tp.FlagSequence == 0 {
		return 0, 0, false
	}
	t := s.path.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.byPeer[peerKey{peer, key(h.TunnelID, h.SessionID)}]
	if e == nil {
		return 0, 0, false
	}
	at = 6 // behind flags and ids (section 3.1)
	if h.Flags&l2tp.FlagLength != 0 {
		at += 2
	}
	return e.next(), at, true
}
