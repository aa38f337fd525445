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

	outerHeaders = ipv4MinHeader + 8 // IPv4 and UDP
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
		return e.mtu
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
	return min(e.mtu, p.mtu-outerHeaders-e.framing.Overhead(protocol))
}

// newPathMTUs returns one that asks the kernel, and what closes it. The socket is
// connected to each peer in turn, which sends nothing.
func newPathMTUs() (*pathMTUs, func() error, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, fmt.Errorf("socket for path MTUs: %w", err)
	}
	file := os.NewFile(uintptr(fd), "path MTUs")
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, nil, errors.Join(fmt.Errorf("socket for path MTUs: %w", err), file.Close())
	}
	m := &pathMTUs{known: map[netip.Addr]pathMTU{}, ask: func(peer netip.Addr) (int, error) { return askPathMTU(conn, peer) }}
	return m, file.Close, nil
}

func askPathMTU(conn syscall.RawConn, peer netip.Addr) (mtu int, err error) {
	to := &unix.SockaddrInet4{Port: 1, Addr: peer.As4()} // any port will do
	return mtu, errors.Join(conn.Control(func(fd uintptr) {
		if err = unix.Connect(int(fd), to); err == nil {
			mtu, err = unix.GetsockoptInt(int(fd), unix.IPPROTO_IP, unix.IP_MTU)
		}
	}), err)
}
