package engine

import (
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// Tap sees the messages of tunnels and sessions pass: control messages as they
// arrive and leave, again when they are repeated, and PPP frames. Its methods must
// not block; the shards call them at once.
type Tap interface {
	// Wanted reports whether anybody looks on. It is asked for every message, so that
	// it costs nearly nothing when nobody does.
	Wanted() bool
	// Passed tells of a message, in the order in which those of a session are.
	Passed(*session.Tapped)
	// Over tells that a session is gone and its slot will be another's, whether
	// anybody looks on or not.
	Over(ref session.Ref, slot uint32)
}

// noTap looks at nothing.
type noTap struct{}

func (noTap) Wanted() bool             { return false }
func (noTap) Passed(*session.Tapped)   {}
func (noTap) Over(session.Ref, uint32) {}

// tapControl shows a control message of t.
func (s *Shard) tapControl(t *tunnel, sent bool, b []byte) {
	tap := s.e.ports.Tap
	if !tap.Wanted() {
		return
	}
	h, body, err := l2tp.ParseHeader(b)
	if err != nil {
		return
	}
	m := session.Tapped{
		At: s.now, Layer: session.TapControl, Sent: sent, Ref: session.Ref{TunnelID: t.id()},
		Local: t.local, Peer: t.peer, LACName: t.name, Data: b,
	}
	// The id in the header is the receiver's (RFC 2661 section 3.1); the sender's is
	// in an AVP of requests, and of what follows before the receiver has told its own.
	own := h.SessionID
	if sent {
		own, m.PeerSessionID = 0, h.SessionID
		if c := t.t.CallOfPeer(h.SessionID); c != nil && h.SessionID != 0 {
			own = c.LocalID
		}
	} else {
		m.PeerSessionID = l2tp.PeekAssignedSession(body)
	}
	if c := s.calls[keyOf(t.id(), own)]; c != nil && own != 0 && c.tun == t {
		describe(&m, c)
	}
	tap.Passed(&m)
}

// tapFrame shows a PPP frame of c.
func (s *Shard) tapFrame(c *call, sent bool, frame []byte) {
	tap := s.e.ports.Tap
	if !tap.Wanted() {
		return
	}
	m := session.Tapped{
		At: s.now, Layer: session.TapPPP, Sent: sent,
		Local: c.tun.local, Peer: c.tun.peer, LACName: c.tun.name, Data: frame,
	}
	describe(&m, c)
	tap.Passed(&m)
}

// tapSent is tapFrame for what is on its way out, in an L2TP data message.
func (s *Shard) tapSent(c *call, b []byte) {
	if !s.e.ports.Tap.Wanted() {
		return
	}
	if _, frame, err := l2tp.ParseHeader(b); err == nil {
		s.tapFrame(c, true, frame)
	}
}

// describe says whose message it is.
func describe(m *session.Tapped, c *call) {
	m.Ref, m.Slot, m.User, m.Calling = c.s.Ref(), c.s.Slot(), c.s.User(), c.s.Calling()
	m.PeerSessionID = c.call.PeerID
}
