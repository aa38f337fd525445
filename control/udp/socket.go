// Package udp carries L2TP datagrams (RFC 2661 section 8.1) in and out of the
// kernel, in batches and without allocating per packet.
//
// A Socket remembers for every datagram which of our addresses it was sent to,
// so that one socket bound to 0.0.0.0 serves a host with many addresses and
// still answers from the address that the peer knows: a tunnel's addresses and
// ports stay fixed for its life.
package udp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/session"
)

// Port is the well-known L2TP port (RFC 2661 section 8.1).
const Port = 1701

// Defaults of Config. The receive buffer holds what tens of thousands of
// subscribers send in the first second after a line card restarts: about 16,000
// control messages at the kernel's price of 1 to 2 KiB each.
const (
	DefaultBuffer      = 32 << 20
	DefaultBatch       = 64
	DefaultMaxDatagram = 16 << 10
)

// Config describes a socket. The zero value of every field but Bind selects its
// default.
type Config struct {
	// Bind is the address and port to listen on, IPv4 or IPv6, of which a socket
	// serves one. The unspecified address listens on all of the host's; port 0 lets
	// the kernel choose.
	Bind netip.AddrPort
	// ReceiveBuffer and SendBuffer are the kernel's queues, in bytes as in
	// socket(7). net.core.rmem_max is overridden where privilege allows.
	ReceiveBuffer, SendBuffer int
	// Batch is how many datagrams one system call moves at most.
	Batch int
	// MaxDatagram is the longest datagram accepted, in bytes; a longer one is
	// counted and dropped, never delivered in part.
	MaxDatagram int
	// ReusePort lets several sockets share the address, the kernel spreading
	// peers over them.
	ReusePort bool
	// Segments exchanges bundles of datagrams between the same two ends with the
	// kernel in one piece, which is cut and joined there (UDP_SEGMENT and
	// UDP_GRO). It changes nothing that a peer or a callback could see.
	Segments bool
	// DontFragment sets the DF bit on everything that is sent and refuses what
	// exceeds the path MTU the kernel has learnt. Without it DF is never set:
	// routers may fragment, and a forged ICMP message can't shrink the path.
	DontFragment bool
	// Inherited are sockets that an earlier daemon has left. The one that is bound to
	// Bind is taken instead of a new one; none of them is closed.
	Inherited []*os.File
}

func (c Config) withDefaults() Config {
	def := func(v *int, d int) {
		if *v <= 0 {
			*v = d
		}
	}
	def(&c.ReceiveBuffer, DefaultBuffer)
	def(&c.SendBuffer, DefaultBuffer/4)
	def(&c.Batch, DefaultBatch)
	def(&c.MaxDatagram, DefaultMaxDatagram)
	return c
}

// Socket is one bound UDP socket. Run may be called by several goroutines at
// once; each Sender belongs to one.
type Socket struct {
	cfg   Config
	conn  *net.UDPConn
	raw   syscall.RawConn
	local netip.AddrPort
	ipv6  bool

	rx, tx  direction
	bundles bundleLimits
	// anyAddress says that the socket is bound to none in particular: datagrams
	// come and go with a control message that tells which.
	anyAddress bool
	truncated  atomic.Uint64
	malformed  atomic.Uint64
}

// direction counts what went one way.
type direction struct {
	packets, bytes, batches, errors atomic.Uint64
}

// Listen opens a socket. The error names the address or the option that failed.
func Listen(cfg Config) (*Socket, error) {
	cfg = cfg.withDefaults()
	network := "udp4"
	switch bind := cfg.Bind.Addr(); {
	case bind.Is4In6() || !bind.IsValid():
		return nil, fmt.Errorf("udp: bind address %s is neither IPv4 nor IPv6", bind)
	case bind.Is6():
		network = "udp6" // and not IPv4 besides
	}
	conn, err := inherit(cfg)
	if conn == nil && err == nil {
		conn, err = bind(cfg, network)
	}
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("udp: %w", err), conn.Close())
	}
	local := conn.LocalAddr().(*net.UDPAddr).AddrPort()
	s := &Socket{
		cfg:   cfg,
		conn:  conn,
		raw:   raw,
		local: netip.AddrPortFrom(local.Addr().Unmap(), local.Port()),
		ipv6:  network == "udp6",

		anyAddress: cfg.Bind.Addr().IsUnspecified(),
	}
	if cfg.Segments {
		s.bundles.allow(maxDatagram)
	}
	return s, nil
}

// bind opens a socket of our own.
func bind(cfg Config, network string) (*net.UDPConn, error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error { return control(c, cfg) }}
	pc, err := lc.ListenPacket(context.Background(), network, cfg.Bind.String())
	if err != nil {
		return nil, fmt.Errorf("udp: listen on %s: %w", cfg.Bind, err)
	}
	return pc.(*net.UDPConn), nil
}

func control(c syscall.RawConn, cfg Config) error {
	var opt error
	if err := c.Control(func(fd uintptr) { opt = setOptions(int(fd), cfg) }); err != nil {
		return err
	}
	return opt
}

func setOptions(fd int, cfg Config) error {
	options := append(cfg.familyOptions(),
		option{"SO_REUSEPORT", unix.SOL_SOCKET, unix.SO_REUSEPORT, number(cfg.ReusePort)},
		// Checksums are on by default for control and data (section 8.1).
		option{"SO_NO_CHECK", unix.SOL_SOCKET, unix.SO_NO_CHECK, 0})
	for _, o := range options {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.value); err != nil {
			return fmt.Errorf("setsockopt %s: %w", o.name, err)
		}
	}
	if cfg.Segments {
		// A kernel without it (before 5.0) hands over one by one.
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_GRO, 1)
	}
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.ReceiveBuffer)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.SendBuffer)
	return nil
}

type option struct {
	name              string
	level, opt, value int
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}

// familyOptions are the options that IPv4 and IPv6 have each of their own.
func (c Config) familyOptions() []option {
	any := number(c.Bind.Addr().IsUnspecified())
	if c.Bind.Addr().Is6() {
		discover := unix.IPV6_PMTUDISC_DONT
		if c.DontFragment {
			discover = unix.IPV6_PMTUDISC_DO
		}
		return []option{
			{"IPV6_RECVPKTINFO", unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, any},
			{"IPV6_RECVTCLASS", unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1},
			{"IPV6_MTU_DISCOVER", unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, discover},
		}
	}
	discover := unix.IP_PMTUDISC_DONT
	if c.DontFragment {
		discover = unix.IP_PMTUDISC_DO
	}
	return []option{
		{"IP_PKTINFO", unix.IPPROTO_IP, unix.IP_PKTINFO, any},
		{"IP_RECVTOS", unix.IPPROTO_IP, unix.IP_RECVTOS, 1},
		{"IP_MTU_DISCOVER", unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, discover},
	}
}

// setBuffer asks for size bytes past the system's limit and, without the
// privilege for that, for what the limit allows. A smaller buffer is no reason
// not to start; Counts shows what it costs.
func setBuffer(fd, force, plain, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size)
	}
}

// LocalAddr is the address and port the socket is bound to, with the port that
// the kernel chose if it was 0.
func (s *Socket) LocalAddr() netip.AddrPort { return s.local }

// Close ends the socket and every Run on it.
func (s *Socket) Close() error { return s.conn.Close() }

// Counts returns the socket's counters. rx_queue_dropped is what the kernel threw
// away because the receive buffer was full.
func (s *Socket) Counts() []session.Count {
	return []session.Count{
		{Name: "udp_rx_packets", Value: s.rx.packets.Load()},
		{Name: "udp_rx_bytes", Value: s.rx.bytes.Load()},
		{Name: "udp_rx_batches", Value: s.rx.batches.Load()},
		{Name: "udp_rx_errors", Value: s.rx.errors.Load()},
		{Name: "udp_rx_truncated", Value: s.truncated.Load()},
		{Name: "udp_rx_malformed", Value: s.malformed.Load()},
		{Name: "udp_rx_queue_dropped", Value: s.queueDropped()},
		{Name: "udp_tx_packets", Value: s.tx.packets.Load()},
		{Name: "udp_tx_bytes", Value: s.tx.bytes.Load()},
		{Name: "udp_tx_batches", Value: s.tx.batches.Load()},
		{Name: "udp_tx_errors", Value: s.tx.errors.Load()},
	}
}

// queueDropped reads the socket's drop count on demand, which costs nothing per
// packet where SO_RXQ_OVFL would add a control message to each.
func (s *Socket) queueDropped() uint64 {
	var info memInfo
	var errno unix.Errno
	err := s.raw.Control(func(fd uintptr) { errno = getMemInfo(int(fd), &info) })
	if err != nil || errno != 0 {
		return 0
	}
	return uint64(info[memInfoDrops])
}
