package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// Run reads datagrams until ctx ends or the socket is closed, and then returns
// nil; an error means that the socket is broken. fn is called for each datagram,
// one at a time; local is our address and port, peer the sender's, and b is valid
// only until fn returns.
func (s *Socket) Run(ctx context.Context, fn func(local, peer netip.AddrPort, b []byte)) error {
	return s.RunBatches(ctx, fn, func() {})
}

// RunBatches is Run with a call of after when the last datagram of a batch has
// been handed over, for receivers that collect them: here b is valid until after
// returns, and may be changed.
func (s *Socket) RunBatches(ctx context.Context, fn func(local, peer netip.AddrPort, b []byte), after func()) error {
	return s.RunMarked(ctx, func(local, peer netip.AddrPort, _ byte, b []byte) { fn(local, peer, b) }, after)
}

// RunMarked is RunBatches with the TOS that each datagram came with.
func (s *Socket) RunMarked(ctx context.Context, fn func(local, peer netip.AddrPort, tos byte, b []byte), after func()) error {
	if err := s.conn.SetReadDeadline(time.Time{}); err != nil {
		return ended(err)
	}
	// A deadline in the past wakes the read below, which leaves the socket
	// usable for senders that still have something to say.
	woken := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		defer close(woken)
		_ = s.conn.SetReadDeadline(time.Unix(1, 0))
	})
	defer func() {
		if !stop() {
			<-woken // lest it come to the next Run
		}
	}()

	room := s.cfg.MaxDatagram
	if s.cfg.Segments {
		room = max(room, maxDatagram)
	}
	r := newReceiver(s.cfg.Batch, room)
	for ctx.Err() == nil {
		n, err := r.read(s)
		if err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				continue
			}
			return ended(err)
		}
		s.deliver(r, n, fn)
		after()
	}
	return nil
}

// ended turns the error of a socket that was closed on purpose into nil.
func ended(err error) error {
	if errors.Is(err, net.ErrClosed) {
		return nil
	}
	return fmt.Errorf("udp: %w", err)
}

// deliver counts a batch and hands it over.
func (s *Socket) deliver(r *receiver, n int, fn func(local, peer netip.AddrPort, tos byte, b []byte)) {
	var packets, bytes uint64
	for i := range r.msgs[:n] {
		m := &r.msgs[i]
		bytes += uint64(m.n)
		a, ok := parseAncillary(r.oob[i*r.oobLen : i*r.oobLen+int(m.hdr.Controllen)])
		if !s.anyAddress {
			a.local, ok = s.local.Addr(), true
		}
		length, count := int(m.n), 1
		if a.segment > 0 && a.segment < length {
			count = (length + a.segment - 1) / a.segment
			length = a.segment
		}
		packets += uint64(count)
		if m.hdr.Flags&unix.MSG_TRUNC != 0 || length > s.cfg.MaxDatagram {
			s.truncated.Add(uint64(count))
			continue
		}
		if !ok || m.hdr.Namelen < s.nameLen() {
			s.malformed.Add(uint64(count))
			continue
		}
		local, peer := netip.AddrPortFrom(a.local, s.local.Port()), addrPort(&r.names[i])
		for b := r.buffer(i)[:m.n]; ; b = b[length:] {
			if len(b) <= length {
				fn(local, peer, a.tos, b)
				break
			}
			fn(local, peer, a.tos, b[:length:length])
		}
	}
	s.rx.packets.Add(packets)
	s.rx.bytes.Add(bytes)
	s.rx.batches.Add(1)
}

// receiver is the memory of one Run: everything that the kernel writes to, laid
// out once.
type receiver struct {
	msgs  []mmsghdr
	iovs  []unix.Iovec
	names []sockaddr
	data  []byte
	oob   []byte

	dataLen, oobLen int
	stride          int // from one message's data to the next's

	// fill is the method value r.recv, made once: made per call it would be
	// an allocation per batch.
	fill func(fd uintptr) bool
	n    int
	err  unix.Errno
}

// spread keeps the beginnings of messages, which is all there is of most, out of
// each other's way in the processor's caches: at distances of a power of two they
// would compete for a few lines. It is in bytes, an odd number of lines.
const spread = 5 * 64

func newReceiver(batch, dataLen int) *receiver {
	oobLen, stride := pktinfo6Len+classLen+groLen, dataLen+spread
	r := &receiver{
		msgs:    make([]mmsghdr, batch),
		iovs:    make([]unix.Iovec, batch),
		names:   make([]sockaddr, batch),
		data:    make([]byte, batch*stride),
		oob:     make([]byte, batch*oobLen),
		dataLen: dataLen,
		oobLen:  oobLen,
		stride:  stride,
	}
	for i := range r.msgs {
		r.iovs[i].Base = &r.buffer(i)[0]
		r.iovs[i].SetLen(dataLen)
		h := &r.msgs[i].hdr
		h.Name = rawBytes(&r.names[i])
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = &r.oob[i*r.oobLen]
	}
	r.rewind(batch)
	r.fill = r.recv
	return r
}

// buffer is where message i is received.
func (r *receiver) buffer(i int) []byte { return r.data[i*r.stride:][:r.dataLen] }

// rewind restores what the kernel has overwritten in the first n messages.
func (r *receiver) rewind(n int) {
	for i := range r.msgs[:n] {
		h := &r.msgs[i].hdr
		h.Namelen = uint32(unix.SizeofSockaddrInet6)
		h.SetControllen(r.oobLen)
		h.Flags = 0
	}
}

// read waits for datagrams and reads a batch of at least one.
func (r *receiver) read(s *Socket) (int, error) {
	for {
		r.rewind(max(r.n, 0))
		if err := s.raw.Read(r.fill); err != nil {
			r.n = 0
			return 0, err
		}
		if r.err == 0 {
			return r.n, nil
		}
		r.n = 0
		s.rx.errors.Add(1)
		if !transient(r.err) {
			return 0, os.NewSyscallError("recvmmsg", r.err)
		}
	}
}

// recv is called by the runtime whenever the socket may be readable; false means
// to wait.
func (r *receiver) recv(fd uintptr) bool {
	r.n, r.err = recvmmsg(fd, r.msgs)
	return r.err != unix.EAGAIN
}

// transient tells the errors that a socket reports about some datagram, or about
// the moment, from those that it will report for ever. ICMP errors are among the
// first: a LAC that went away must not end the service of the others.
func transient(e unix.Errno) bool {
	switch e {
	case unix.EBADF, unix.ENOTSOCK, unix.EFAULT, unix.EINVAL, unix.EOPNOTSUPP:
		return false
	}
	return true
}
