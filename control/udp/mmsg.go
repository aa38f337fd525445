package udp

import (
	"encoding/binary"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is the kernel's struct mmsghdr. golang.org/x/net's batch calls would
// do the same work, but make a net.Addr for each datagram.
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32 // length of the datagram
}

// The room that the control messages take: the source address, the TOS byte, and
// the length of the datagrams in a bundle, to the kernel and from it.
var (
	pktinfoLen = unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	tosLen     = unix.CmsgSpace(1)
	// The same for IPv6, whose traffic class comes as an int.
	pktinfo6Len = unix.CmsgSpace(unix.SizeofInet6Pktinfo)
	classLen    = unix.CmsgSpace(4)

	segmentLen = unix.CmsgSpace(2)
	groLen     = unix.CmsgSpace(4)
)

// memInfo is the answer to SO_MEMINFO (linux/sock_diag.h); the last of its values
// counts the datagrams dropped.
type memInfo [9]uint32

const memInfoDrops = 8

func recvmmsg(fd uintptr, m []mmsghdr) (int, unix.Errno) {
	return mmsg(unix.SYS_RECVMMSG, fd, m)
}

func sendmmsg(fd uintptr, m []mmsghdr) (int, unix.Errno) {
	return mmsg(unix.SYS_SENDMMSG, fd, m)
}

func mmsg(call, fd uintptr, m []mmsghdr) (int, unix.Errno) {
	for {
		// It doesn't block, so the scheduler need not know of it: told of every
		// call, it keeps a thread busy with watching.
		n, _, errno := unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), unix.MSG_DONTWAIT, 0, 0)
		if errno == unix.EINTR {
			continue
		}
		return int(n), errno
	}
}

func getMemInfo(fd int, info *memInfo) unix.Errno {
	size := uint32(unsafe.Sizeof(*info))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(info)), uintptr(unsafe.Pointer(&size)), 0)
	return errno
}

// sockaddr has room for an address of either family, which its first word tells;
// that of IPv4 is the shorter one and of the same alignment.
type sockaddr struct{ unix.RawSockaddrInet6 }

func (sa *sockaddr) inet4() *unix.RawSockaddrInet4 {
	return (*unix.RawSockaddrInet4)(unsafe.Pointer(&sa.RawSockaddrInet6))
}

func rawBytes(sa *sockaddr) *byte { return (*byte)(unsafe.Pointer(sa)) }

// nameLen is the length of the socket's addresses.
func (s *Socket) nameLen() uint32 {
	if s.ipv6 {
		return unix.SizeofSockaddrInet6
	}
	return unix.SizeofSockaddrInet4
}

// put writes an address and port.
func (sa *sockaddr) put(to netip.AddrPort) {
	if to.Addr().Is4() {
		*sa.inet4() = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: bePort(to.Port()), Addr: to.Addr().As4()}
		return
	}
	sa.RawSockaddrInet6 = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: bePort(to.Port()), Addr: to.Addr().As16()}
}

// bePort converts between host order and the network order of sockaddr_in.
func bePort(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}

// addrPort reads an address and port, without the interface of a link-local one.
func addrPort(sa *sockaddr) netip.AddrPort {
	if v4 := sa.inet4(); v4.Family == unix.AF_INET {
		return netip.AddrPortFrom(netip.AddrFrom4(v4.Addr), bePort(v4.Port))
	}
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), bePort(sa.Port))
}

// ancillary is what came with a datagram in control messages.
type ancillary struct {
	// local is the address that it was sent to. Of ipi_spec_dst and ipi_addr it
	// is the first that may be used as a source address if the destination was a
	// broadcast.
	local netip.Addr
	// segment is the length of each datagram of a bundle but the last, 0 when there
	// is only one.
	segment int
	tos     byte // the same of all datagrams of a bundle; 0 if it is not told
}

// parseAncillary reads control messages; ok is false without a local address.
func parseAncillary(oob []byte) (a ancillary, ok bool) {
	for len(oob) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(oob) {
			return a, false
		}
		data := oob[unix.CmsgLen(0):n]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0]))
			a.local, ok = netip.AddrFrom4(info.Spec_dst), true
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			a.tos = data[0]
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			a.local, ok = netip.AddrFrom16([16]byte(data)), true
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			a.tos = byte(binary.NativeEndian.Uint32(data))
		case h.Level == unix.IPPROTO_UDP && h.Type == unix.UDP_GRO && len(data) >= 4:
			a.segment = int(binary.NativeEndian.Uint32(data))
		}
		next := unix.CmsgSpace(n - unix.CmsgLen(0))
		if next > len(oob) {
			break
		}
		oob = oob[next:]
	}
	return a, ok
}

// putPktinfo writes the control message that selects the source address.
func putPktinfo(oob []byte, source [4]byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&oob[unix.CmsgLen(0)]))
	*info = unix.Inet4Pktinfo{Spec_dst: source}
}

// putPktinfo6 is putPktinfo for IPv6; the interface is the routes' to choose.
func putPktinfo6(oob []byte, source [16]byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet6Pktinfo))
	info := (*unix.Inet6Pktinfo)(unsafe.Pointer(&oob[unix.CmsgLen(0)]))
	*info = unix.Inet6Pktinfo{Addr: source}
}

// putClass writes the control message that sets the IPv6 header's traffic class.
func putClass(oob []byte, class byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(oob[unix.CmsgLen(0):], uint32(class))
}

// putTOS writes the control message that sets the IP header's TOS byte.
func putTOS(oob []byte, tos byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TOS
	h.SetLen(unix.CmsgLen(1))
	oob[unix.CmsgLen(0)] = tos
}

// putSegment writes the control message that has the kernel cut a message into
// datagrams of size bytes.
func putSegment(oob []byte, size int) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgLen(0):], uint16(size))
}

// offset is the address n bytes behind p, within the same memory.
func offset(p *byte, n uintptr) *byte { return (*byte)(unsafe.Add(unsafe.Pointer(p), n)) }
