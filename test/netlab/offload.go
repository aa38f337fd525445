package netlab

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ethtoolValue is struct ethtool_value of linux/ethtool.h.
type ethtoolValue struct {
	command uint32
	value   uint32
}

// The ethtool commands that x/sys/unix does not name.
const (
	ethtoolSetTxChecksum = 0x00000017 // ETHTOOL_STXCSUM
	ethtoolSetTSO        = 0x0000001f // ETHTOOL_STSO
	ethtoolSetGRO        = 0x0000002c // ETHTOOL_SGRO
)

// setOffloads switches generic receive offload on, and transmit checksum and
// segmentation offload off.
func setOffloads(ifname string) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	for _, v := range []ethtoolValue{
		{ethtoolSetGRO, 1},
		{ethtoolSetTSO, 0},
		{ethtoolSetTxChecksum, 0},
	} {
		if err := ethtool(fd, ifname, &v); err != nil {
			return fmt.Errorf("%s: ethtool command %#x: %w", ifname, v.command, err)
		}
	}
	return nil
}

func ethtool(fd int, ifname string, v *ethtoolValue) error {
	var req struct {
		name [unix.IFNAMSIZ]byte
		data unsafe.Pointer
		_    [16]byte // the rest of struct ifreq's union
	}
	copy(req.name[:unix.IFNAMSIZ-1], ifname)
	req.data = unsafe.Pointer(v)
	if _, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), unix.SIOCETHTOOL, uintptr(unsafe.Pointer(&req))); errno != 0 {
		return errno
	}
	return nil
}
