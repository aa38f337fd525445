package udp

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
)

// inherit takes over the inherited socket that is bound to where cfg says, if there is
// one; what has arrived since nobody read from it is still in it.
func inherit(cfg Config) (*net.UDPConn, error) {
	for _, f := range cfg.Inherited {
		pc, err := net.FilePacketConn(f) // a duplicate
		if err != nil {
			continue // something else than a socket for datagrams
		}
		conn, ok := pc.(*net.UDPConn)
		if !ok || !boundTo(conn, cfg.Bind) {
			pc.Close()
			continue
		}
		raw, err := conn.SyscallConn()
		if err == nil {
			err = control(raw, cfg)
		}
		if err != nil {
			return nil, errors.Join(fmt.Errorf("udp: inherited socket on %s: %w", cfg.Bind, err), conn.Close())
		}
		return conn, nil
	}
	return nil, nil
}

func boundTo(c *net.UDPConn, to netip.AddrPort) bool {
	local := c.LocalAddr().(*net.UDPAddr).AddrPort()
	return local.Port() == to.Port() && local.Addr().Unmap() == to.Addr()
}

// File returns a duplicate of the socket, for somebody who keeps it open while no
// daemon is there: the kernel then answers no peer that the port is closed.
func (s *Socket) File() (*os.File, error) { return s.conn.File() }
