package tun

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
	wgtun "golang.zx2c4.com/wireguard/tun"
)

// packetOffset is the room that must be in front of a packet for the header by
// which the kernel and the device agree on offloads.
const packetOffset = 16

// device is the TUN device as the packet paths use it; wireguard's has the same
// methods. Tests have one in memory.
type device interface {
	Read(packets [][]byte, sizes []int, offset int) (int, error)
	Write(packets [][]byte, offset int) (int, error)
	BatchSize() int
}

// openDevice creates the TUN device. With offload, the kernel passes TCP and UDP
// in segments of up to 64 KiB, which are cut and joined here: many packets for
// one system call.
//
// The device is opened here rather than by the library's CreateTUN because that
// one has no off switch for offloads, and keeps goroutines that watch the link.
func openDevice(name string, offload bool) (wgtun.Device, string, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, "", fmt.Errorf("open /dev/net/tun: %w", err)
	}
	ifr, err := unix.NewIfreq(name)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("interface name %q: %w", name, err), unix.Close(fd))
	}
	flags := uint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if offload {
		flags |= unix.IFF_VNET_HDR
	}
	ifr.SetUint16(flags)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return nil, "", errors.Join(fmt.Errorf("create TUN device %q: %w", name, err), unix.Close(fd))
	}
	dev, got, err := wgtun.CreateUnmonitoredTUNFromFD(fd)
	if err != nil {
		return nil, "", errors.Join(fmt.Errorf("TUN device %q: %w", name, err), unix.Close(fd))
	}
	return dev, got, nil
}

// poller asks whether a read of the device would find a packet at once.
type poller struct {
	conn  syscall.RawConn
	fds   [1]unix.PollFd
	ready bool
	poll  func(fd uintptr) // made once: a closure per call would be an allocation
}

func newPoller(file *os.File) (*poller, error) {
	conn, err := file.SyscallConn()
	if err != nil {
		return nil, err
	}
	p := &poller{conn: conn}
	p.poll = func(fd uintptr) {
		p.fds[0] = unix.PollFd{Fd: int32(fd), Events: unix.POLLIN}
		n, err := unix.Poll(p.fds[:], 0)
		p.ready = err == nil && n == 1 && p.fds[0].Revents&unix.POLLIN != 0
	}
	return p, nil
}

func (p *poller) readable() bool {
	p.ready = false
	return p.conn.Control(p.poll) == nil && p.ready
}
