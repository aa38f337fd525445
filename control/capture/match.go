package capture

import (
	"bytes"

	"github.com/lnsd/lnsd/control/session"
)

// verdict is whether a message is meant.
type verdict int

const (
	no verdict = iota
	yes
	later // not known yet
)

// What waits until it is known whose it is.
const (
	mostWaiting     = 4096 // sessions
	mostWaitingEach = 32   // messages of one
)

// ids name a session, as far as copies of packets do. A session is over before another
// has its ids.
type ids struct{ tunnel, session uint16 }

func idsOf(r session.Ref) ids { return ids{r.TunnelID, r.SessionID} }

// key names a session that is not known yet to be meant; peer: as the peer does.
type key struct {
	tunnel, id uint16
	peer       bool
}

// meant decides on a message, or a session described like one.
func (t *Target) meant(m *session.Tapped) verdict {
	if t.LAC.IsValid() {
		return of(m.Peer.Addr().Unmap() == t.LAC)
	}
	if m.SessionID == 0 {
		if m.PeerSessionID == 0 {
			return no // of the tunnel
		}
		return later
	}
	switch {
	case t.Slot != 0 && m.Slot == 0, t.User != "" && m.User == "":
		return later
	case t.Slot != 0:
		return of(m.Slot == t.Slot)
	case t.User != "":
		return of(m.User == t.User)
	}
	return of(m.Calling == t.Calling)
}

func of(b bool) verdict {
	if b {
		return yes
	}
	return no
}

// join makes a session one of the capture's. It reports whether its slot is new.
func (c *capture) join(m *session.Tapped) bool {
	if m.SessionID == 0 {
		return false
	}
	slot, known := c.members[idsOf(m.Ref)]
	if !known && len(c.members) >= mostSessions {
		return false
	}
	c.members[idsOf(m.Ref)] = m.Slot
	return m.Slot != 0 && slot != m.Slot
}

// passed takes a message, and reports whether the slot of its session is new.
func (c *capture) passed(m *session.Tapped) (joined bool) {
	_, member := c.members[idsOf(m.Ref)]
	if !member {
		switch c.meant(m) {
		case later:
			c.wait(m)
			return false
		case no:
			c.release(m, func(*session.Tapped) {})
			return false
		}
		c.release(m, c.message)
	}
	joined = c.join(m)
	if _, member = c.members[idsOf(m.Ref)]; !member && m.SessionID != 0 {
		c.dropped[layerOf(m)]++ // a session too many
		return false
	}
	c.message(m)
	return joined
}

func keyOf(m *session.Tapped) key {
	if m.SessionID == 0 {
		return key{m.TunnelID, m.PeerSessionID, true}
	}
	return key{m.TunnelID, m.SessionID, false}
}

// wait keeps a message until its session is known. Where too many wait, any of them
// makes room.
func (c *capture) wait(m *session.Tapped) {
	k := keyOf(m)
	all, known := c.waiting[k]
	if !known && len(c.waiting) >= mostWaiting {
		for other := range c.waiting {
			delete(c.waiting, other)
			break
		}
	}
	if len(all) >= mostWaitingEach {
		return
	}
	x := *m
	x.Data = bytes.Clone(m.Data)
	c.waiting[k] = append(all, x)
}

// release calls f with what has waited for m's session, and forgets it.
func (c *capture) release(m *session.Tapped, f func(*session.Tapped)) {
	if len(c.waiting) == 0 {
		return
	}
	keys := [...]key{{m.TunnelID, m.PeerSessionID, true}, {m.TunnelID, m.SessionID, false}}
	for _, k := range keys {
		if k.id == 0 {
			continue
		}
		for i := range c.waiting[k] {
			f(&c.waiting[k][i])
		}
		delete(c.waiting, k)
	}
}

// over forgets a session, and reports whether it was a member.
func (c *capture) over(ref session.Ref) bool {
	delete(c.waiting, key{ref.TunnelID, ref.SessionID, false})
	_, was := c.members[idsOf(ref)]
	delete(c.members, idsOf(ref))
	if was && c.Slot != 0 {
		c.ended = true
		select {
		case c.wake <- struct{}{}:
		default:
		}
	}
	return was
}

// wants reports whether packets of what is in slot are wanted.
func (c *capture) wants(slot uint32) bool {
	if c.Slot == slot {
		return !c.ended
	}
	for _, s := range c.members {
		if s == slot {
			return true
		}
	}
	return false
}

// slots are all those whose packets are wanted.
func (c *capture) slots() (out []uint32) {
	if c.Slot != 0 {
		out = append(out, c.Slot)
	}
	for _, s := range c.members {
		if s != 0 {
			out = append(out, s)
		}
	}
	return out
}
