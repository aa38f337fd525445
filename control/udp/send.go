package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// TOSControl is the TOS byte of control traffic: class selector 6 (RFC 2474
// section 4.2.2.2), so that a congested link drops a subscriber's data before
// the tunnel's HELLO.
const TOSControl = 0xC0

// The mean room for one message in a Sender; longer ones only make the batch
// shorter. Bundles are longer, as a rule.
const (
	arenaPerMessage = 2048
	arenaPerBundle  = 4096
)

// maxDatagram is the largest payload that UDP over IPv4 can carry.
const maxDatagram = 65507

// Sender collects datagrams and sends them in batches. It belongs to one
// goroutine. What it could not send is counted by the socket and lost, as in the
// network itself: the control channel repeats its messages.
type Sender struct {
	s       *Socket
	tos     byte // of what Send is given
	msgs    []mmsghdr
	iovs    []unix.Iovec
	names   []sockaddr
	bundles []bundle
	oob     []byte
	arena   []byte
	// oobLen is the room for the control messages of each message, source how much
	// of it the source address takes, and marked the TOS.
	oobLen, source, marked int
	used                   int // bytes of arena
	n                      int // messages

	// The batch that is being sent: flush is the method value x.send, made
	// once; begun, to, sent and err are its arguments and results.
	flush     func(fd uintptr) bool
	try       func(fd uintptr)
	begun, to int
	sent      int
	err       unix.Errno
}

// NewSender returns a sender of subscribers' data, with TOS 0.
func (s *Socket) NewSender() *Sender { return s.newSender(0) }

// NewControlSender returns a sender of control messages, with TOSControl.
func (s *Socket) NewControlSender() *Sender { return s.newSender(TOSControl) }

func (s *Socket) newSender(tos byte) *Sender {
	batch := s.cfg.Batch
	arena := batch * arenaPerMessage
	if s.cfg.Segments {
		arena = batch * arenaPerBundle
	}
	// Only what differs from the socket's own is said in control messages.
	source, marked := 0, tosLen
	if s.ipv6 {
		marked = classLen
	}
	switch {
	case s.anyAddress && s.ipv6:
		source = pktinfo6Len
	case s.anyAddress:
		source = pktinfoLen
	}
	oobLen := source + marked + segmentLen
	x := &Sender{
		s:       s,
		tos:     tos,
		msgs:    make([]mmsghdr, batch),
		iovs:    make([]unix.Iovec, batch),
		names:   make([]sockaddr, batch),
		bundles: make([]bundle, batch),
		oob:     make([]byte, batch*oobLen),
		arena:   make([]byte, max(arena, maxDatagram)),
		oobLen:  oobLen,
		source:  source,
		marked:  marked,
	}
	for i := range x.msgs {
		oob := x.control(i)
		h := &x.msgs[i].hdr
		h.Name = rawBytes(&x.names[i])
		h.Namelen = s.nameLen()
		h.Iov = &x.iovs[i]
		h.SetIovlen(1)
		h.Control = &oob[0]
		h.SetControllen(source)
	}
	x.flush = x.send
	x.try = func(fd uintptr) { x.send(fd) }
	return x
}

// Send queues a copy of b for peer. local is our address to send from, as Run
// gave it; the unspecified or zero address leaves the choice to the kernel, and
// the port is always the socket's own. A full batch is sent at once.
func (x *Sender) Send(local, peer netip.AddrPort, b []byte) {
	if room := x.Reserve(local, peer, x.tos, len(b)); room != nil {
		copy(room, b)
	}
}

// Reserve queues a datagram of n bytes, as Send does but with a TOS of its own, and
// returns the room that it is to be written to before any other method is called;
// nil, when it can't be sent.
func (x *Sender) Reserve(local, peer netip.AddrPort, tos byte, n int) []byte {
	if peer.Addr().Is4() == x.s.ipv6 || n <= 0 || n > maxDatagram {
		x.s.tx.errors.Add(1)
		return nil
	}
	if x.used+n > len(x.arena) {
		x.Flush()
	}
	if !x.extend(local, peer, tos, n) {
		x.begin(local, peer, tos, n)
	}
	room := x.arena[x.used : x.used+n : x.used+n]
	x.used += n
	return room
}

// begin queues a datagram as a message of its own.
func (x *Sender) begin(local, peer netip.AddrPort, tos byte, n int) {
	if x.n == len(x.msgs) {
		x.Flush()
	}
	i := x.n
	x.bundles[i] = bundle{local: local, peer: peer, tos: tos, segment: n, count: 1}
	x.iovs[i].Base = &x.arena[x.used]
	x.iovs[i].SetLen(n)
	x.names[i].put(peer)
	if x.s.anyAddress {
		x.from(i, local.Addr())
	}
	x.msgs[i].hdr.SetControllen(x.source)
	if tos != 0 {
		x.mark(i, tos)
		x.msgs[i].hdr.SetControllen(x.fixed(i))
	}
	x.n++
}

// from has message i leave from local; the zero address leaves the choice to the
// kernel.
func (x *Sender) from(i int, local netip.Addr) {
	switch {
	case x.s.ipv6 && local.Is6():
		putPktinfo6(x.control(i), local.As16())
	case x.s.ipv6:
		putPktinfo6(x.control(i), [16]byte{})
	case local.Is4():
		putPktinfo(x.control(i), local.As4())
	default:
		putPktinfo(x.control(i), [4]byte{})
	}
}

// mark gives message i a TOS.
func (x *Sender) mark(i int, tos byte) {
	if x.s.ipv6 {
		putClass(x.control(i)[x.source:], tos)
	} else {
		putTOS(x.control(i)[x.source:], tos)
	}
}

// control is the room for message i's control messages: source address and TOS as
// needed, then the length of a bundle's datagrams.
func (x *Sender) control(i int) []byte { return x.oob[i*x.oobLen:][:x.oobLen] }

// fixed is how much of control(i) the source address and TOS take.
func (x *Sender) fixed(i int) int {
	if x.bundles[i].tos != 0 {
		return x.source + x.marked
	}
	return x.source
}

// Flush sends what is queued. When the kernel's send buffer is full it waits for
// room.
func (x *Sender) Flush() {
	var bytes, packets uint64
	for x.begun, x.to = 0, x.n; x.begun < x.n; {
		if !x.push() {
			for _, r := range x.bundles[x.begun:x.n] {
				x.s.tx.errors.Add(uint64(r.count))
			}
			break
		}
		if x.err != 0 {
			// sendmmsg reports an error only for the first message it
			// looks at: skip that one, the next may go elsewhere.
			p, b := x.refused(x.begun)
			packets, bytes = packets+p, bytes+b
			x.begun, x.to = x.begun+1, x.n
			continue
		}
		for i := range x.msgs[x.begun : x.begun+x.sent] {
			packets += uint64(x.bundles[x.begun+i].count)
			bytes += uint64(x.msgs[x.begun+i].n)
		}
		x.begun += x.sent
		x.s.tx.batches.Add(1)
	}
	x.s.tx.packets.Add(packets)
	x.s.tx.bytes.Add(bytes)
	x.n, x.used = 0, 0
}

// push sends once; false means that the socket is closed. The first try goes
// around the runtime's write lock, so that senders don't wait for each other;
// only a full send buffer is waited for under it.
func (x *Sender) push() bool {
	if x.s.raw.Control(x.try) != nil {
		return false
	}
	if x.err != unix.EAGAIN {
		return true
	}
	return x.s.raw.Write(x.flush) == nil
}

func (x *Sender) send(fd uintptr) bool {
	x.sent, x.err = sendmmsg(fd, x.msgs[x.begun:x.to])
	return x.err != unix.EAGAIN
}
