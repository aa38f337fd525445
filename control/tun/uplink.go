package tun

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
)

// maxPacket is the longest IPv4 packet.
const maxPacket = 65535

// uplinkBatch is how many packets an Uplink collects before it writes.
const uplinkBatch = 256

// Uplink takes subscribers' packets from the LAC side to the TUN device. It
// belongs to one goroutine.
type Uplink struct {
	p     *Path
	out   frameWriter
	batch joiner
	now   int64
	tos   byte // of the datagram
	// What was forwarded and is not in the path's counters yet.
	packets, bytes int
}

// frameWriter writes all frames of a batch, and returns how many packets were
// refused.
type frameWriter interface{ write(*joiner) (failed int) }

// NewUplink returns a new Uplink.
func (p *Path) NewUplink() *Uplink {
	return &Uplink{p: p, out: p.newWriter(), batch: newJoiner(uplinkBatch, p.offload)}
}

// Packet takes a datagram received from peer at our address local, with the TOS
// of its header. It returns true when it was a session's IP packet, now queued or
// dropped and counted, and false for everything else: control messages, PPP's own
// protocols, unknown sessions. When it returns true, b is used until Flush, and may be changed.
//
// What is queued is written by Flush, or when the batch is full.
func (u *Uplink) Packet(local, peer netip.AddrPort, tos byte, b []byte) bool {
	h, frame, err := l2tp.ParseHeader(b)
	if err != nil || h.IsControl() {
		return false
	}
	if u.batch.packets() == 0 {
		u.now = time.Now().UnixNano()
	}
	u.tos = tos
	t := u.p.table
	t.mu.RLock()
	e := t.byID[key(h.TunnelID, h.SessionID)]
	var r reason
	known := e != nil
	if known {
		if r, known = u.session(e, local, peer, &h, b, frame); known && r != upForwarded {
			u.p.watchDropped(e, frame, r)
		}
	}
	t.mu.RUnlock()
	if !known {
		return false
	}
	if r != upForwarded {
		u.p.counts.add(r, 1)
	} else if u.packets++; u.packets == uplinkBatch {
		u.Flush()
	}
	return true
}

// session handles datagram b of session e, in which frame is PPP's; handled is false when it is not for
// the data path.
func (u *Uplink) session(e *entry, local, peer netip.AddrPort, h *l2tp.Header, b, frame []byte) (_ reason, handled bool) {
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
		return u.packet6(e, b, ip)
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
	if u.p.isolate && u.p.table.byDestination(destination(packet)) != nil {
		e.upDropped.Add(1)
		return upHairpin, true
	}
	if !e.filterUp.permits(packet, 1) {
		e.upDropped.Add(1)
		return upFiltered, true
	}
	if !u.p.admitsUp(e.liveCounter, packet) {
		e.upDropped.Add(1)
		return upThrottled, true
	}
	if e.outer.ECN && !markIPv4(packet, u.tos) {
		e.upDropped.Add(1)
		return upECN, true
	}
	clampMSS(packet, e.mss)
	u.queue(e, b, packet)
	return upForwarded, true
}

// queue counts a packet of e and puts it into the batch; b is the datagram that it
// is in.
func (u *Uplink) queue(e *entry, b, packet []byte) {
	u.p.watch(e, true, packet, upForwarded)
	e.up(len(packet), u.now)
	u.bytes += len(packet)
	// What is in front of the packet is not needed any more.
	at := cap(b) - cap(packet)
	u.batch.add(b[:at+len(packet)], at)
}

// Flush writes what is queued to the TUN device. The kernel takes it from there:
// it routes, decrements TTL, and answers with ICMP what it can't forward.
func (u *Uplink) Flush() {
	if u.packets == 0 {
		return
	}
	u.batch.finish()
	if failed := u.out.write(&u.batch); failed > 0 {
		u.p.counts.add(upWriteError, failed)
	}
	u.batch.reset()
	u.p.counts.add(upForwarded, u.packets)
	u.p.counts.upBytes.Add(uint64(u.bytes))
	u.packets, u.bytes = 0, 0
}
