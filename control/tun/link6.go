package tun

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// prepareIPv6 switches IPv6 on or off on the device, which must be down. The
// kernel must not talk on it by itself (solicitations, MLD reports): each packet
// would be one for a subscriber that does not exist. Without addresses that it
// makes up it has nothing to say.
func prepareIPv6(name string, on bool, log *zap.Logger) error {
	dir := "net/ipv6/conf/" + name + "/"
	if !on {
		if err := setSysctl(dir+"disable_ipv6", "1"); err != nil {
			log.Debug("IPv6 not disabled on the device", zap.String("device", name), zap.Error(err))
		}
		return nil
	}
	return errors.Join(
		setSysctl(dir+"disable_ipv6", "0"),
		setSysctl(dir+"addr_gen_mode", "1"), // no link-local address
		setSysctl(dir+"accept_ra", "0"),
	)
}

// openRawSocket6 is openRawSocket for IPv6.
func openRawSocket6() (*rawSocket6, error) {
	fd, err := unix.Socket(unix.AF_INET6, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_RAW)
	if err != nil {
		return nil, fmt.Errorf("raw socket for ICMPv6: %w", err)
	}
	file := os.NewFile(uintptr(fd), "raw socket")
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("raw socket for ICMPv6: %w", err), file.Close())
	}
	return &rawSocket6{file, conn}, nil
}

// rawSocket6 sends whole IPv6 packets as the host's own.
type rawSocket6 struct {
	file *os.File
	conn syscall.RawConn
}

func (s *rawSocket6) send(packet []byte) error {
	var err error
	to := &unix.SockaddrInet6{Addr: [16]byte(packet[24:40])}
	return errors.Join(s.conn.Control(func(fd uintptr) { err = unix.Sendto(int(fd), packet, 0, to) }), err)
}

func (s *rawSocket6) Close() error { return s.file.Close() }
