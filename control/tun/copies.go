package tun

import (
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// Copies takes copies of the packets of sessions that somebody looks at. Its methods
// must not wait: packets do.
type Copies interface {
	// Intercepted takes a packet of an intercepted session that was sent on.
	Intercepted(*session.PacketCopy)
	// Captured takes any packet of a session that Capture names.
	Captured(*session.PacketCopy)
}

// noCopies takes nothing.
type noCopies struct{}

func (noCopies) Intercepted(*session.PacketCopy) {}
func (noCopies) Captured(*session.PacketCopy)    {}

// Capture begins or ends the capture of what is in slot, now and later.
func (p *Path) Capture(slot uint32, on bool) {
	t := p.table
	t.mu.Lock()
	defer t.mu.Unlock()
	if int(slot) >= len(t.bySlot) {
		return
	}
	if on {
		t.captured[slot] = struct{}{}
	} else {
		delete(t.captured, slot)
	}
	if c := t.bySlot[slot].Load(); c != nil {
		c.captured.Store(on)
	}
}

// watched reports whether anybody wants copies of e's packets.
func (e *entry) watched() bool { return e.intercepted || e.captured.Load() }

// watch takes a copy of a packet of e, for which end is why it was not sent on, or that
// it was.
func (p *Path) watch(e *entry, up bool, packet []byte, end reason) {
	if !e.watched() {
		return
	}
	sent := end == upForwarded || end == downForwarded || end == downFragmented
	c := session.PacketCopy{
		At: time.Now(), Slot: e.slot, TunnelID: e.ref.TunnelID, SessionID: e.ref.SessionID,
		Up: up, Slow: true, Length: len(packet), Packet: packet,
	}
	if e.intercepted && sent {
		p.copies.Intercepted(&c)
	}
	if !sent {
		c.Reason = reasonNames[end]
	}
	if e.captured.Load() {
		p.copies.Captured(&c)
	}
}

// watchDropped is watch for a data message that was dropped.
func (p *Path) watchDropped(e *entry, frame []byte, end reason) {
	if packet, ok := l2tp.DataIP(frame); ok && e.watched() {
		p.watch(e, true, packet, end)
	}
}
