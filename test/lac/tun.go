package lac

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/ip6"
)

// tunDevice is a TUN interface whose packets are those of one subscriber.
type tunDevice struct {
	name    string
	file    *os.File
	links   *netlink.Handle // in the namespace of the interface
	session *session        // nil until it is up
}

// openTUN makes the interface in the caller's network namespace.
func openTUN(name string) (*tunDevice, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("open /dev/net/tun: %w", err)
	}
	request, err := unix.NewIfreq(name)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("interface name %q: %w", name, err), unix.Close(fd))
	}
	request.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
		return nil, errors.Join(fmt.Errorf("make TUN interface %s: %w", name, err), unix.Close(fd))
	}
	file := os.NewFile(uintptr(fd), name)
	links, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("netlink: %w", err), file.Close())
	}
	return &tunDevice{name: name, file: file, links: links}, nil
}

// attach gives the interface the session's address and MTU and brings it up. A
// failure shows as a lost session: the caller asked for what can't be had.
func (d *tunDevice) attach(s *session) {
	d.session = s
	if err := d.configure(s); err != nil {
		s.drop(Failure{Stage: stageUp, Cause: "tun", Message: err.Error()})
	}
}

func (d *tunDevice) configure(s *session) error {
	link, err := d.links.LinkByName(d.name)
	if err != nil {
		return err
	}
	if s.address.Is4() {
		host := &net.IPNet{IP: s.address.AsSlice(), Mask: net.CIDRMask(32, 32)}
		if err := d.links.AddrReplace(link, &netlink.Addr{IPNet: host}); err != nil {
			return err
		}
	}
	if err := d.links.LinkSetMTU(link, int(s.n.MRU)); err != nil {
		return err
	}
	return d.links.LinkSetUp(link)
}

// attach6 gives the interface its link-local address, and lets the kernel listen to
// router advertisements on it as on any interface of a host.
func (d *tunDevice) attach6(s *session) {
	d.session = s
	if err := d.configure6(s); err != nil {
		s.drop(Failure{Stage: stageUp, Cause: "tun", Message: err.Error()})
	}
}

func (d *tunDevice) configure6(s *session) error {
	// The kernel's own link-local address would have another identifier than IPV6CP
	// agreed on (RFC 5072 section 5); a global one takes it from that address.
	dir := "/proc/sys/net/ipv6/conf/" + d.name + "/"
	for name, value := range map[string]string{"disable_ipv6": "0", "addr_gen_mode": "1", "accept_ra": "2"} {
		if err := os.WriteFile(dir+name, []byte(value), 0); err != nil {
			return err
		}
	}
	link, err := d.links.LinkByName(d.name)
	if err != nil {
		return err
	}
	if err := d.links.LinkSetMTU(link, int(s.n.MRU)); err != nil {
		return err
	}
	if err := d.links.LinkSetUp(link); err != nil {
		return err
	}
	local := &net.IPNet{IP: ip6.LinkLocal(s.six.id).AsSlice(), Mask: net.CIDRMask(64, 128)}
	return d.links.AddrReplace(link, &netlink.Addr{IPNet: local})
}

// write hands a packet to the interface. Like any interface it drops what does not
// fit its queue.
func (d *tunDevice) write(p []byte) { _, _ = d.file.Write(p) }

// read sends what programs send through the interface, until it is closed.
func (d *tunDevice) read(w *worker, ended <-chan struct{}) {
	buf := make([]byte, maxPacketSize)
	for {
		n, err := d.file.Read(buf)
		if err != nil {
			return
		}
		if n < ipv4HeaderLen || buf[0]>>4 != 4 && (buf[0]>>4 != 6 || !w.cfg.IPv6) {
			continue // the kernel also tries IPv6 where there is none
		}
		p := bytes.Clone(buf[:n])
		w.do(ended, func() {
			if d.session != nil {
				d.session.sendIP(p)
			}
		})
	}
}

func (d *tunDevice) close() error {
	d.links.Close()
	return d.file.Close()
}
