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

// pktinfoLen and tosLen are the room that the two control messages take.
var (
	pktinfoLen = unix.CmsgSpace(unix.SizeofInet4Pktinfo)
	tosLen     = unix.CmsgSpace(1)
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
		n, _, errno := unix.Syscall6(call, fd, uintptr(unsafe.Pointer(&m[0])), uintptr(len(m)), unix.MSG_DONTWAIT, 0, 0)
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

func rawBytes(sa *unix.RawSockaddrInet4) *byte { return (*byte)(unsafe.Pointer(sa)) }

// bePort converts between host order and the network order of sockaddr_in.
func bePort(p uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], p)
	return binary.NativeEndian.Uint16(b[:])
}

func addrPort(sa *unix.RawSockaddrInet4) netip.AddrPort {
	return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), bePort(sa.Port))
}

// localAddress finds the address that a datagram was sent to, in the control
// messages received with it. Of ipi_spec_dst and ipi_addr it is the first that
// may be used as a source address if the destination was a broadcast.
func localAddress(oob []byte) (netip.Addr, bool) {
	data := message(oob, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
	if data == nil {
		return netip.Addr{}, false
	}
	return netip.AddrFrom4((*unix.Inet4Pktinfo)(unsafe.Pointer(&data[0])).Spec_dst), true
}

// tosOf finds the TOS that a datagram came with, 0 if it is not told.
func tosOf(oob []byte) byte {
	if data := message(oob, unix.IP_TOS, 1); data != nil {
		return data[0]
	}
	return 0
}

// message returns the data, at least size bytes, of the control message of a type,
// or nil.
func message(oob []byte, typ int32, size int) []byte {
	for len(oob) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
		n := int(h.Len)
		if n < unix.SizeofCmsghdr || n > len(oob) {
			return nil
		}
		if h.Level == unix.IPPROTO_IP && h.Type == typ && n >= unix.CmsgLen(size) {
			return oob[unix.CmsgLen(0):n]
		}
		next := unix.CmsgSpace(n - unix.CmsgLen(0))
		if next > len(oob) {
			break
		}
		oob = oob[next:]
	}
	return nil
}

// putPktinfo writes the control message that selects the source address.
func putPktinfo(oob []byte, source [4]byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_PKTINFO
	h.SetLen(unix.CmsgLen(unix.SizeofInet4Pktinfo))
	info := (*unix.Inet4Pktinfo)(unsafe.Pointer(&oob[unix.CmsgLen(0)]))
	*info = unix.Inet4Pktinfo{Spec_dst: source}
}

// putTOS writes the control message that sets the IP header's TOS byte.
func putTOS(oob []byte, tos byte) {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_IP, unix.IP_TOS
	h.SetLen(unix.CmsgLen(1))
	oob[unix.CmsgLen(0)] = tos
}
