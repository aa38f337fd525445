package dae

import (
	"context"
	"net"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// socket is a UDP socket that knows which of our addresses a datagram was sent to, for
// the answer to leave from there: a client takes none from elsewhere.
type socket struct {
	conn *net.UDPConn
}

// controlRoom is the room for the address of one datagram.
const controlRoom = 128

func listen(at netip.AddrPort) (*socket, error) {
	network := "udp"
	if a := at.Addr(); a.IsValid() && a.Unmap().Is4() {
		network = "udp4"
	}
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var inner error
		err := c.Control(func(fd uintptr) { inner = askForDestination(int(fd)) })
		if err != nil {
			return err
		}
		return inner
	}}
	host := ""
	if at.Addr().IsValid() && !at.Addr().IsUnspecified() {
		host = at.Addr().String()
	}
	c, err := lc.ListenPacket(context.Background(), network, net.JoinHostPort(host, strconv.Itoa(int(at.Port()))))
	if err != nil {
		return nil, err
	}
	return &socket{conn: c.(*net.UDPConn)}, nil
}

// askForDestination makes the kernel tell each datagram's destination. A socket of
// one family refuses the other's option.
func askForDestination(fd int) error {
	err4 := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1)
	err6 := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1)
	if err4 != nil && err6 != nil {
		return err4
	}
	return nil
}

func (s *socket) addr() netip.AddrPort { return s.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

func (s *socket) close() error { return s.conn.Close() }

// receive reads one datagram, who sent it, and to which of our addresses.
func (s *socket) receive(b []byte) (n int, source netip.AddrPort, arrived netip.Addr, err error) {
	var control [controlRoom]byte
	n, c, _, source, err := s.conn.ReadMsgUDPAddrPort(b, control[:])
	if err != nil {
		return 0, source, arrived, err
	}
	return n, source, destination(control[:c]), nil
}

// destination finds our address in what the kernel says of a datagram.
func destination(control []byte) netip.Addr {
	messages, err := unix.ParseSocketControlMessage(control)
	if err != nil {
		return netip.Addr{}
	}
	for _, m := range messages {
		switch {
		case m.Header.Level == unix.IPPROTO_IP && m.Header.Type == unix.IP_PKTINFO && len(m.Data) >= unix.SizeofInet4Pktinfo:
			return netip.AddrFrom4([4]byte(m.Data[8:12])) // ipi_addr
		case m.Header.Level == unix.IPPROTO_IPV6 && m.Header.Type == unix.IPV6_PKTINFO && len(m.Data) >= unix.SizeofInet6Pktinfo:
			return netip.AddrFrom16([16]byte(m.Data[:16])).Unmap()
		}
	}
	return netip.Addr{}
}

// send writes a datagram from one of our addresses; the zero address leaves the choice
// to the kernel.
func (s *socket) send(b []byte, to netip.AddrPort, from netip.Addr) error {
	var control []byte
	if from.IsValid() {
		control = s.sourceControl(from)
	}
	if s.isIPv6() {
		to = netip.AddrPortFrom(netip.AddrFrom16(to.Addr().As16()), to.Port())
	}
	_, _, err := s.conn.WriteMsgUDPAddrPort(b, control, to)
	return err
}

func (s *socket) isIPv6() bool { return s.addr().Addr().Is6() }

// sourceControl asks the kernel to send from an address.
func (s *socket) sourceControl(from netip.Addr) []byte {
	if !s.isIPv6() {
		info := make([]byte, unix.SizeofInet4Pktinfo)
		a := from.As4()
		copy(info[4:8], a[:]) // ipi_spec_dst
		return controlMessage(unix.IPPROTO_IP, unix.IP_PKTINFO, info)
	}
	info := make([]byte, unix.SizeofInet6Pktinfo)
	a := from.As16()
	copy(info, a[:])
	return controlMessage(unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, info)
}

func controlMessage(level, kind int, data []byte) []byte {
	b := make([]byte, unix.CmsgSpace(len(data)))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
	h.Level, h.Type = int32(level), int32(kind)
	h.SetLen(unix.CmsgLen(len(data)))
	copy(b[unix.CmsgLen(0):], data)
	return b
}
