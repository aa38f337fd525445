package radius

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"syscall"

	"go.uber.org/zap"
)

// receiveBuffer is asked of the kernel for each socket, in bytes: room for the
// answers to all 256 requests that it may have in flight.
const receiveBuffer = 512 << 10

// opener binds local UDP ports, in turn from the configured range.
type opener struct {
	source   netip.Addr
	min, max uint16

	mu   sync.Mutex
	last uint16
}

// open binds a socket that can reach server. It is not connected, so that an
// answer from elsewhere is seen and counted.
func (o *opener) open(server netip.AddrPort) (*net.UDPConn, error) {
	network, source := "udp4", o.source.Unmap()
	if server.Addr().Is6() {
		network = "udp6"
	}
	if !source.IsValid() {
		source = netip.IPv4Unspecified()
		if server.Addr().Is6() {
			source = netip.IPv6Unspecified()
		}
	}
	if o.min == 0 {
		return net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, 0)))
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	for range int(o.max) - int(o.min) + 1 {
		if o.last < o.min || o.last >= o.max {
			o.last = o.min
		} else {
			o.last++
		}
		c, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(netip.AddrPortFrom(source, o.last)))
		if err == nil || !errors.Is(err, syscall.EADDRINUSE) {
			return c, err
		}
	}
	return nil, fmt.Errorf("all source ports from %d to %d are in use", o.min, o.max)
}

// udpPort is a port on a real socket.
type udpPort struct {
	conn *net.UDPConn
	log  *limited
}

func (p *udpPort) send(b []byte, to netip.AddrPort) {
	if _, err := p.conn.WriteToUDPAddrPort(b, to); err != nil && !errors.Is(err, net.ErrClosed) {
		p.log.warn("RADIUS packet not sent", zap.Stringer("server", to), zap.Error(err))
	}
}

func (p *udpPort) close() { p.conn.Close() }
