package tun

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// rawSocket sends whole IPv4 packets as the host's own. Written to the TUN device
// instead, a packet from one of our addresses would be a martian to the kernel.
type rawSocket struct{ fd int }

func openRawSocket() (*rawSocket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("raw socket for ICMP: %w", err)
	}
	return &rawSocket{fd}, nil
}

func (s *rawSocket) send(packet []byte) error {
	return unix.Sendto(s.fd, packet, 0, &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])})
}

func (s *rawSocket) Close() error { return unix.Close(s.fd) }
