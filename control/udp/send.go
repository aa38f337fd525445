package udp

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// TOSControl is the TOS byte of control traffic: class selector 6 (RFC 2474
// section 4.2.2.2), so that a congested link drops a subscriber's data before
// the tunnel's HELLO.
const TOSControl = 0xC0

// arenaPerMessage is the mean room for one datagram in a Sender; longer ones only
// make the batch shorter.
const arenaPerMessage = 2048

// maxDatagram is the largest payload that UDP over IPv4 can carry.
const maxDatagram = 65507

// Sender collects datagrams and sends them in batches. It belongs to one
// goroutine. What it could not send is counted by the socket and lost, as in the
// network itself: the control channel repeats its messages.
type Sender struct {
	s     *Socket
	tos   byte // of what Send is given
	msgs  []mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet4
	oob   []byte
	arena []byte
	used  int // bytes of arena
	n     int // messages

	// The batch that is being sent: flush is the method value x.send, made
	// once; from, sent and err are its arguments and results.
	flush func(fd uintptr) bool
	try   func(fd uintptr)
	from  int
	sent  int
	err   unix.Errno
}

// NewSender returns a sender of subscribers' data, with TOS 0.
func (s *Socket) NewSender() *Sender { return s.newSender(0) }

// NewControlSender returns a sender of control messages, with TOSControl.
func (s *Socket) NewControlSender() *Sender { return s.newSender(TOSControl) }

func (s *Socket) newSender(tos byte) *Sender {
	batch := s.cfg.Batch
	oobLen := pktinfoLen + tosLen
	x := &Sender{
		s:     s,
		tos:   tos,
		msgs:  make([]mmsghdr, batch),
		iovs:  make([]unix.Iovec, batch),
		names: make([]unix.RawSockaddrInet4, batch),
		oob:   make([]byte, batch*oobLen),
		arena: make([]byte, max(batch*arenaPerMessage, maxDatagram)),
	}
	for i := range x.msgs {
		oob := x.oob[i*oobLen : (i+1)*oobLen]
		putPktinfo(oob, [4]byte{})
		putTOS(oob[pktinfoLen:], tos)
		h := &x.msgs[i].hdr
		h.Name = rawBytes(&x.names[i])
		h.Namelen = unix.SizeofSockaddrInet4
		h.Iov = &x.iovs[i]
		h.SetIovlen(1)
		h.Control = &oob[0]
		h.SetControllen(oobLen)
	}
	x.flush = x.send
	x.try = func(fd uintptr) { x.send(fd) }
	return x
}

// Send queues a copy of b for peer. local is our address to send from, as Run
// gave it; the unspecified or zero address leaves the choice to the kernel, and
// the port is always the socket's own. A full batch is sent at once.
func (x *Sender) Send(local, peer netip.AddrPort, b []byte) { x.SendTOS(local, peer, x.tos, b) }

// SendTOS is Send with a TOS of its own.
func (x *Sender) SendTOS(local, peer netip.AddrPort, tos byte, b []byte) {
	if !peer.Addr().Is4() || len(b) == 0 || len(b) > maxDatagram {
		x.s.tx.errors.Add(1)
		return
	}
	if x.n == len(x.msgs) || x.used+len(b) > len(x.arena) {
		x.Flush()
	}
	i := x.n
	copy(x.arena[x.used:], b)
	x.iovs[i].Base = &x.arena[x.used]
	x.iovs[i].SetLen(len(b))
	x.names[i] = unix.RawSockaddrInet4{
		Family: unix.AF_INET,
		Port:   bePort(peer.Port()),
		Addr:   peer.Addr().As4(),
	}
	var source [4]byte
	if local.Addr().Is4() {
		source = local.Addr().As4()
	}
	oob := x.oob[i*(pktinfoLen+tosLen):]
	putPktinfo(oob, source)
	putTOS(oob[pktinfoLen:], tos)
	x.used += len(b)
	x.n++
}

// Flush sends what is queued. When the kernel's send buffer is full it waits for
// room.
func (x *Sender) Flush() {
	var bytes, packets uint64
	for x.from = 0; x.from < x.n; {
		if !x.push() {
			x.s.tx.errors.Add(uint64(x.n - x.from))
			break
		}
		if x.err != 0 {
			// sendmmsg reports an error only for the first message it
			// looks at: skip that one, the next may go elsewhere.
			x.s.tx.errors.Add(1)
			x.from++
			continue
		}
		for i := range x.msgs[x.from : x.from+x.sent] {
			bytes += uint64(x.msgs[x.from+i].n)
		}
		packets += uint64(x.sent)
		x.from += x.sent
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
	x.sent, x.err = sendmmsg(fd, x.msgs[x.from:x.n])
	return x.err != unix.EAGAIN
}
