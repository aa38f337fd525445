package udp

import (
	"net/netip"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// maxSegments is how many datagrams the kernel takes in one message
// (UDP_MAX_SEGMENTS of linux/udp.h; more since 6.8).
const maxSegments = 64

// bundle is a message of several datagrams that the kernel is to cut: all between the
// same ends, of the same TOS and segment bytes long, the last perhaps shorter.
type bundle struct {
	local, peer netip.AddrPort
	tos         byte
	segment     int
	count       int
	closed      bool // the last one is shorter: nothing can follow
}

// bundleLimits is what the kernel has been found to take.
type bundleLimits struct {
	// longest is the length of the longest datagrams to bundle; 0 makes
	// none.
	longest atomic.Int64
}

func (l *bundleLimits) allow(longest int) { l.longest.Store(int64(longest)) }

// refused learns from the error for a bundle of datagrams of some length.
func (l *bundleLimits) refused(err unix.Errno, segment int) {
	switch err {
	case unix.EIO, unix.ENOPROTOOPT, unix.EOPNOTSUPP:
		// Until Linux 6.11 only devices with checksum offload take bundles.
		l.allow(0)
	case unix.EMSGSIZE, unix.EINVAL:
		// Bundles are never fragmented: these exceed the link's MTU.
		if old := l.longest.Load(); int64(segment) <= old {
			l.longest.CompareAndSwap(old, int64(segment)-1)
		}
	}
}

// extend adds a datagram of n bytes to the last message, if it fits there.
func (x *Sender) extend(local, peer netip.AddrPort, tos byte, n int) bool {
	if x.n == 0 {
		return false
	}
	i := x.n - 1
	r := &x.bundles[i]
	total := int(x.iovs[i].Len) + n
	if n > r.segment || r.closed || r.count == maxSegments || total > maxDatagram ||
		r.peer != peer || r.local != local || r.tos != tos || int64(r.segment) > x.s.bundles.longest.Load() {
		return false
	}
	if r.count == 1 {
		fixed := x.fixed(i)
		putSegment(x.control(i)[fixed:], r.segment)
		x.msgs[i].hdr.SetControllen(fixed + segmentLen)
	}
	r.count++
	r.closed = n < r.segment
	x.iovs[i].SetLen(total)
	return true
}

// refused deals with message i, for which the kernel has returned x.err: the
// datagrams of a bundle get a second chance one by one. It returns what was sent of
// them.
func (x *Sender) refused(i int) (packets, bytes uint64) {
	r := &x.bundles[i]
	if r.count == 1 {
		x.s.tx.errors.Add(1)
		return 0, 0
	}
	x.s.bundles.refused(x.err, r.segment)
	rest := int(x.iovs[i].Len)
	at := uintptr(0)
	base := x.iovs[i].Base
	x.msgs[i].hdr.SetControllen(x.fixed(i))
	x.begun, x.to = i, i+1
	for ; rest > 0; rest -= r.segment {
		x.iovs[i].Base = offset(base, at)
		x.iovs[i].SetLen(min(rest, r.segment))
		at += uintptr(r.segment)
		if x.push() && x.err == 0 {
			packets++
			bytes += uint64(x.msgs[i].n)
		} else {
			x.s.tx.errors.Add(1)
		}
	}
	return packets, bytes
}
