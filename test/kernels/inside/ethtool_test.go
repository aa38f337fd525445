package inside

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// Of linux/ethtool.h, what x/sys/unix does not name.
const (
	ethtoolGetFlags = 0x25
	ethtoolSetFlags = 0x26
	flagTxVLAN      = 1 << 7
	flagRxVLAN      = 1 << 8
)

// clearFlags switches device features off.
func clearFlags(ifname string, flags uint32) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	value := struct{ command, data uint32 }{command: ethtoolGetFlags}
	var request struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq's union
	}
	copy(request.name[:unix.IFNAMSIZ-1], ifname)
	request.data = unsafe.Pointer(&value)
	call := func() error {
		_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&request)))
		if errno != 0 {
			return errno
		}
		return nil
	}
	if err := call(); err != nil {
		return err
	}
	value.command = ethtoolSetFlags
	value.data &^= flags
	return call()
}
