package tun

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// rawSocket sends whole IPv4 packets as the host's own. Written to the TUN device
// instead, a packet from one of our addresses would be a martian to the kernel.
type rawSocket struct {
	file *os.File // makes Close safe while another goroutine sends
	conn syscall.RawConn
}

func openRawSocket() (*rawSocket, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("raw socket for ICMP: %w", err)
	}
	file := os.NewFile(uintptr(fd), "raw socket")
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raw socket for ICMP: %w", err), file.Close())
	}
	return &rawSocket{file, conn}, nil
}

// send sends packet; the kernel routes it by its destination address. A full
// buffer loses it.
func (s *rawSocket) send(packet []byte) error {
	var err error
	to := &unix.SockaddrInet4{Addr: [4]byte(packet[16:20])}
	return errors.Join(s.conn.Control(func(fd uintptr) { err = unix.Sendto(int(fd), packet, 0, to) }), err)
}

func (s *rawSocket) Close() error { return s.file.Close() }
