package tun

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"github.com/lnsd/lnsd/control/l2tp"
)

// Batch collects datagrams that are written in place: Reserve returns room for one
// of n bytes, nil if it can't be sent, in a packet with a TOS, and Flush hands all to
// the network. It is used by one goroutine.
type Batch interface {
	Reserve(local, peer netip.AddrPort, tos byte, n int) []byte
	Flush()
}

// downlink takes packets from a queue of the TUN device to the LACs.
type downlink struct {
	p     *Path
	send  Batch
	limit *rate.Limiter // of ICMP errors, shared by all queues
	paths *pathMTUs     // nil where outer packets may be fragmented
	now   time.Time     // of one of the last nowFrames frames
	age   int           // how many frames ago that was
	// scratch holds an ICMP message, piece a fragment, segment one that is not
	// sent as it is.
	scratch, piece, segment []byte
}

// nowFrames is how many frames are forwarded with one look at the clock.
const nowFrames = 64

func newDownlink(p *Path, send Batch, limit *rate.Limiter) *downlink {
	return &downlink{
		p:       p,
		send:    send,
		limit:   limit,
		age:     nowFrames,
		scratch: make([]byte, 0, icmpMax),
		piece:   make([]byte, 0, maxPacket),
		segment: make([]byte, 0, maxPacket),
	}
}

// idle sends what has come together when no more packets are waiting.
func (d *downlink) idle() {
	d.send.Flush()
	d.age = nowFrames
}

// frame forwards what was read from the device.
func (d *downlink) frame(b []byte) {
	if d.age++; d.age > nowFrames {
		d.now, d.age = time.Now(), 0
	}
	if !d.p.offload {
		d.p.counts.add(d.packet(b), 1)
		return
	}
	if len(b) < offloadLen {
		d.p.counts.add(downReadError, 1)
		return
	}
	o, b := parseOffload(b), b[offloadLen:]
	p, ok := d.trim(b)
	switch {
	case !ok || o.kind == 0 && o.flags&offloadNeedsChecksum == 0:
		d.p.counts.add(d.packet(b), 1) // which knows what is wrong with it
	case o.kind == 0 && o.complete(p):
		d.p.counts.add(d.packet(p), 1)
	case o.kind == offloadTCP4 && p[0]>>4 == 4:
		d.uncut(&o, p)
	default:
		d.p.counts.add(downReadError, 1)
	}
}

// trim is trimIPv4 or, for IPv6 where it is carried, trimIPv6.
func (d *downlink) trim(b []byte) ([]byte, bool) {
	if d.isIPv6(b) {
		return trimIPv6(b)
	}
	return trimIPv4(b)
}

// isIPv6 says whether b is for packet6.
func (d *downlink) isIPv6(b []byte) bool { return len(b) > 0 && b[0]>>4 == 6 && d.p.ipv6 }

// uncut forwards a packet that stands for many.
func (d *downlink) uncut(o *offload, p []byte) {
	s, ok := newSegmenter(o, p)
	if !ok {
		d.p.counts.add(downReadError, 1)
		return
	}
	e, denied := d.session(p, s.longest(), s.count(), s.total())
	if denied != 0 {
		d.p.counts.add(denied, s.count())
		return
	}
	if e == nil {
		// Each segment has its own end.
		for n := s.length(); n > 0; n = s.length() {
			d.segment = d.segment[:n]
			s.next(d.segment)
			d.p.counts.add(d.packet(d.segment), 1)
		}
		return
	}
	d.p.counts.add(downForwarded, s.count())
	tos := e.outer.TOS(p)
	d.begin(e)
	defer d.end(e)
	for n := s.length(); n > 0; n = s.length() {
		room := d.header(e, l2tp.ProtocolIPv4, tos, n)
		if room == nil {
			return
		}
		s.next(room)
		d.p.watch(e, false, room, downForwarded)
	}
}

// session finds the session that packet p is for, and counts what will be sent to
// it: so many packets of so many bytes in total, the longest of them as given. It
// returns nil when there is no session, or the packets are too long for it, or have to be
// judged one by one; denied is why none of them passes, 0 if they may.
func (d *downlink) session(p []byte, longest, packets, bytes int) (_ *entry, denied reason) {
	t := d.p.table
	t.mu.RLock()
	defer t.mu.RUnlock()
	e := t.byDestination(destination(p))
	if e == nil || longest > d.paths.inner(e, l2tp.ProtocolIPv4, d.now) {
		return nil, 0
	}
	if packets > 1 && e.throttles() {
		return nil, 0
	}
	if !e.filterDown.permits(p, packets) {
		e.downDropped.Add(uint64(packets))
		d.p.watch(e, false, p, downFiltered)
		return nil, downFiltered
	}
	if !d.p.admitsDown(e.liveCounter, p) {
		e.downDropped.Add(1)
		d.p.watch(e, false, p, downThrottled)
		return nil, downThrottled
	}
	d.count(e, packets, bytes)
	return e, 0
}

func (d *downlink) count(e *entry, packets, bytes int) {
	e.down(packets, bytes, d.now.UnixNano())
	d.p.counts.downBytes.Add(uint64(bytes))
}

// packet forwards one packet.
func (d *downlink) packet(b []byte) reason {
	if d.isIPv6(b) {
		return d.packet6(b)
	}
	if len(b) > 0 && b[0]>>4 != 4 {
		return downNotIPv4
	}
	packet, ok := trimIPv4(b)
	if !ok {
		return downMalformed
	}
	e, denied := d.session(packet, len(packet), 1, len(packet))
	if denied != 0 {
		return denied
	}
	if e != nil {
		// Sending may wait for room in the socket; the table is not locked.
		clampMSS(packet, e.mss)
		d.p.watch(e, false, packet, downForwarded)
		d.begin(e)
		copy(d.header(e, l2tp.ProtocolIPv4, e.outer.TOS(packet), len(packet)), packet)
		d.end(e)
		return downForwarded
	}
	return d.refuse(packet)
}

// refuse handles a packet that can't be sent as it is.
func (d *downlink) refuse(packet []byte) reason {
	t := d.p.table
	t.mu.RLock()
	e := t.byDestination(destination(packet))
	if e == nil {
		t.mu.RUnlock()
		d.unreachable(d.p.address, packet, codeHost, 0)
		return downNoSession
	}
	defer t.mu.RUnlock()
	if !e.filterDown.permits(packet, 1) {
		e.downDropped.Add(1)
		d.p.watch(e, false, packet, downFiltered)
		return downFiltered
	}
	if !d.p.admitsDown(e.liveCounter, packet) {
		e.downDropped.Add(1)
		d.p.watch(e, false, packet, downThrottled)
		return downThrottled
	}
	return d.tooBig(e, packet, d.paths.inner(e, l2tp.ProtocolIPv4, d.now))
}

// begin comes before a session's data messages, end after them. Where a session has
// several addresses its packets may come by several queues; if they carry sequence
// numbers, they have to leave in the order of these, and soon, when others number
// messages of the session too.
func (d *downlink) begin(e *entry) {
	if d.ordered(e) {
		e.order.Lock()
	}
}

func (d *downlink) end(e *entry) {
	if d.ordered(e) {
		d.send.Flush()
		e.order.Unlock()
	}
}

func (d *downlink) ordered(e *entry) bool {
	return e.framing.Sequence && (len(d.p.down) > 1 || d.p.shared)
}

// header queues a datagram of session e with a TOS and writes the start of its data
// message. It returns the room for an IP packet of n bytes, which protocol is PPP's
// number for; nil, when it can't be sent.
func (d *downlink) header(e *entry, protocol uint16, tos byte, n int) []byte {
	room := d.send.Reserve(e.local, e.peer, tos, int(e.overhead)+n)
	if room == nil {
		return nil
	}
	var ns uint16
	if e.framing.Sequence {
		ns = e.next()
	}
	f := e.framing
	head := l2tp.AppendDataHeader(room[:0], e.peerTunnel, e.peerSession, f.Length, f.Sequence, ns, int(e.ppp)+n)
	l2tp.AppendPPP(head, protocol, f.AddressControl, f.ShortProtocol)
	return room[e.overhead:]
}

// tooBig handles a packet longer than mtu, the session's or its path's: it is cut,
// or its sender told (RFC 1812 section 4.2.2.7 and RFC 1191 section 3).
func (d *downlink) tooBig(e *entry, packet []byte, mtu int) reason {
	f, fits := newFragmenter(packet, mtu)
	if fragmentWord(packet)&flagDF != 0 || !fits {
		e.downDropped.Add(1)
		d.p.watch(e, false, packet, downTooBig)
		from := d.p.address
		if from == 0 && e.local.Addr().Is4() {
			from = number(e.local.Addr())
		}
		d.unreachable(from, packet, codeFragmentNeed, uint16(mtu))
		return downTooBig
	}
	// A SYN is never this long, so there is no MSS to clamp.
	d.begin(e)
	defer d.end(e)
	for {
		var more bool
		if d.piece, more = f.next(d.piece[:0]); !more {
			return downFragmented
		}
		d.count(e, 1, len(d.piece))
		d.p.watch(e, false, d.piece, downFragmented)
		copy(d.header(e, l2tp.ProtocolIPv4, e.outer.TOS(d.piece), len(d.piece)), d.piece)
	}
}

// unreachable tells the sender of a packet that it could not be forwarded.
func (d *downlink) unreachable(from uint32, packet []byte, code byte, mtu uint16) {
	if from == 0 || !mayAnswer(packet) || !d.limit.AllowN(d.now, 1) {
		d.p.counts.add(icmpSuppressed, 1)
		return
	}
	d.scratch = appendUnreachable(d.scratch[:0], from, packet, code, mtu)
	if err := d.p.icmp.send(d.scratch); err != nil {
		d.p.counts.add(icmpError, 1)
		return
	}
	d.p.counts.add(icmpSent, 1)
}
