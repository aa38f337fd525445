package tun

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

// maxPacket is the longest IPv4 packet.
const maxPacket = 65535

// uplinkBatch is how many packets an Uplink collects before it writes.
const uplinkBatch = 64

// Uplink takes subscribers' packets from the LAC side to the TUN device. It
// belongs to one goroutine.
type Uplink struct {
	p *Path
	// memory holds the packets, each with packetOffset bytes in front and room
	// behind, where the device appends segments of the same TCP stream. bufs
	// are the packets themselves; the device changes them in writing.
	memory [uplinkBatch][]byte
	bufs   [uplinkBatch][]byte
	n      int
	now    int64
	tos    byte // of the datagram
}

// NewUplink returns a new Uplink.
func (p *Path) NewUplink() *Uplink {
	u := &Uplink{p: p}
	for i := range u.memory {
		u.memory[i] = make([]byte, packetOffset+maxPacket)
	}
	return u
}

// Packet takes a datagram received from peer at our address local, with the TOS
// of its header. It returns
// true when it was a session's IP packet, now queued or dropped and counted, and
// false for everything else: control messages, PPP's own protocols, unknown
// sessions. b is not kept, and not changed unless true is returned.
//
// What is queued is written by Flush, or when the batch is full.
func (u *Uplink) Packet(local, peer netip.AddrPort, tos byte, b []byte) bool {
	h, frame, err := l2tp.ParseHeader(b)
	if err != nil || h.IsControl() {
		return false
	}
	if u.n == 0 {
		u.now = time.Now().UnixNano()
	}
	u.tos = tos
	t := u.p.table
	t.mu.RLock()
	e := t.byID[key(h.TunnelID, h.SessionID)]
	var r reason
	known := e != nil
	if known {
		r, known = u.session(e, local, peer, &h, frame)
	}
	t.mu.RUnlock()
	if !known {
		return false
	}
	u.p.counts.add(r, 1)
	if u.n == len(u.bufs) {
		u.Flush()
	}
	return true
}

// session handles a datagram of session e; handled is false when it is not for
// the data path.
func (u *Uplink) session(e *entry, local, peer netip.AddrPort, h *l2tp.Header, frame []byte) (_ reason, handled bool) {
	ip, isIP := l2tp.DataIP(frame)
	// Addresses and ports stay fixed for the life of the tunnel (RFC 2661
	// section 8.1): anybody else's packet is forged, whatever it carries.
	if peer != e.peer || local.Addr() != e.local.Addr() {
		if !isIP {
			return 0, false
		}
		e.upDropped.Add(1)
		return upSpoofedPeer, true
	}
	// One Ns space covers PPP's own frames too.
	if e.framing.Sequence && h.Flags&l2tp.FlagSequence != 0 && e.late(h.Ns) {
		e.upDropped.Add(1)
		return upLate, true
	}
	if !isIP {
		return 0, false
	}
	if ip[0]>>4 == 6 {
		return u.packet6(e, ip)
	}
	packet, ok := trimIPv4(ip)
	if !ok {
		e.upDropped.Add(1)
		return upMalformed, true
	}
	if !e.sourceAllowed(source(packet)) {
		e.upDropped.Add(1)
		return upSpoofedSource, true
	}
	if e.outer.ECN && !markIPv4(packet, u.tos) {
		e.upDropped.Add(1)
		return upECN, true
	}
	clampMSS(packet, e.mss)
	u.queue(e, packet)
	return upForwarded, true
}

// queue counts a packet of e and puts it into the batch.
func (u *Uplink) queue(e *entry, packet []byte) {
	e.up(len(packet), u.now)
	u.p.counts.upBytes.Add(uint64(len(packet)))
	buf := u.memory[u.n]
	u.bufs[u.n] = buf[:packetOffset+copy(buf[packetOffset:], packet)]
	u.n++
}

// Flush writes what is queued to the TUN device. The kernel takes it from there:
// it routes, decrements TTL, and answers with ICMP what it can't forward.
func (u *Uplink) Flush() {
	if u.n == 0 {
		return
	}
	if _, err := u.p.dev.Write(u.bufs[:u.n], packetOffset); err != nil {
		u.p.counts.add(upWriteError, 1)
	}
	u.n = 0
}
