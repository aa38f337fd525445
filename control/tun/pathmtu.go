package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// pathMTUAge is how long an answer of the kernel is good. Until a path that
	// got narrower is noticed its large packets are lost, as they are anyway
	// until the first ICMP message arrives.
	pathMTUAge = time.Second
	// pathMTUPeers bounds the answers that are kept.
	pathMTUPeers = 1 << 16

	// Outer headers without the tunnel's own: IP and UDP.
	outerHeaders  = ipv4MinHeader + 8
	outerHeaders6 = ipv6Header + 8
)

// pathMTUs knows the MTU of the paths to the peers. The kernel learns them from
// ICMP (RFC 1191), since the outer packets with DF are those of a socket of ours
// whoever sends them. It belongs to the downlink's goroutine.
type pathMTUs struct {
	ask   func(peer netip.Addr) (int, error)
	known map[netip.Addr]pathMTU
}

type pathMTU struct {
	mtu   int // of the outer packets, bytes
	asked time.Time
}

// inner returns the largest inner packet of protocol that gets to a session's peer
// in one piece, at most the session's own MTU.
func (m *pathMTUs) inner(e *entry, protocol uint16, now time.Time) int {
	if m == nil {
		return int(e.mtu)
	}
	peer := e.peer.Addr()
	p, ok := m.known[peer]
	if !ok || now.Sub(p.asked) >= pathMTUAge {
		mtu, err := m.ask(peer)
		if err != nil { // no route: what is sent is lost in any case
			mtu = maxPacket
		}
		if len(m.known) >= pathMTUPeers {
			clear(m.known)
		}
		p = pathMTU{mtu, now}
		m.known[peer] = p
	}
	headers := outerHeaders
	if peer.Is6() {
		headers = outerHeaders6
	}
	return min(int(e.mtu), p.mtu-headers-e.framing.Overhead(protocol))
}

// newPathMTUs returns one that asks the kernel, and what closes it. A socket of each
// family is connected to each peer in turn, which sends nothing.
func newPathMTUs() (*pathMTUs, func() error, error) {
	v4, err := openAsker(unix.AF_INET)
	if err != nil {
		return nil, nil, err
	}
	// A host without IPv6 has no peers there.
	v6, err := openAsker(unix.AF_INET6)
	if err != nil && !errors.Is(err, unix.EAFNOSUPPORT) {
		return nil, nil, errors.Join(err, v4.close())
	}
	m := &pathMTUs{known: map[netip.Addr]pathMTU{}, ask: func(peer netip.Addr) (int, error) {
		if peer.Is4() {
			return v4.ask(&unix.SockaddrInet4{Port: 1, Addr: peer.As4()}) // any port will do
		}
		return v6.ask(&unix.SockaddrInet6{Port: 1, Addr: peer.As16()})
	}}
	return m, func() error { return errors.Join(v4.close(), v6.close()) }, nil
}

// asker is a socket that knows the MTU of the path to what it is connected to. A nil
// one knows of no path.
type asker struct {
	file *os.File
	conn syscall.RawConn
	// What getsockopt wants.
	level, option int
}

func openAsker(family int) (*asker, error) {
	fd, err := unix.Socket(family, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("socket for path MTUs: %w", err)
	}
	a := &asker{file: os.NewFile(uintptr(fd), "path MTUs"), level: unix.IPPROTO_IP, option: unix.IP_MTU}
	if family == unix.AF_INET6 {
		a.level, a.option = unix.IPPROTO_IPV6, unix.IPV6_MTU
	}
	if a.conn, err = a.file.SyscallConn(); err != nil {
		return nil, errors.Join(fmt.Errorf("socket for path MTUs: %w", err), a.file.Close())
	}
	return a, nil
}

func (a *asker) close() error {
	if a == nil {
		return nil
	}
	return a.file.Close()
}

func (a *asker) ask(peer unix.Sockaddr) (mtu int, err error) {
	if a == nil {
		return 0, unix.EAFNOSUPPORT
	}
	return mtu, errors.Join(a.conn.Control(func(fd uintptr) {
		if err = unix.Connect(int(fd), peer); err == nil {
			mtu, err = unix.GetsockoptInt(int(fd), a.level, a.option)
		}
	}), err)
}
