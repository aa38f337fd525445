package tun

import (
	"encoding/binary"
	"net/netip"

	"github.com/lnsd/lnsd/control/l2tp"
)

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
	return e.nextNs(), at, true
}
