package tun

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// queueLength is the device's transmit queue in packets. The kernel's default of
// 500 overflows while the reader is descheduled.
const queueLength = 4096

// configure gives the device its MTU, address and pool routes, and returns its
// index.
func configure(nl *netlink.Handle, name string, cfg Config) (int, error) {
	link, err := nl.LinkByName(name)
	if err != nil {
		return 0, fmt.Errorf("device %s: %w", name, err)
	}
	if err := nl.LinkSetMTU(link, cfg.MTU); err != nil {
		return 0, fmt.Errorf("device %s: MTU %d: %w", name, cfg.MTU, err)
	}
	if err := nl.LinkSetTxQLen(link, queueLength); err != nil {
		return 0, fmt.Errorf("device %s: queue length: %w", name, err)
	}
	if cfg.Address.IsValid() && !hasAddress(nl, cfg.Address) {
		// A host address: a wider prefix would make the kernel answer for
		// a subnet with broadcast and network addresses, which subscribers use.
		addr := &netlink.Addr{IPNet: &net.IPNet{IP: cfg.Address.AsSlice(), Mask: net.CIDRMask(32, 32)}}
		if err := nl.AddrReplace(link, addr); err != nil {
			return 0, fmt.Errorf("device %s: address %s: %w", name, cfg.Address, err)
		}
	}
	if cfg.IPv6 {
		// A router would report that it listens to ff02::2.
		if err := nl.LinkSetMulticastOff(link); err != nil {
			return 0, fmt.Errorf("device %s: multicast off: %w", name, err)
		}
	}
	if cfg.Address6.IsValid() && !hasAddress(nl, cfg.Address6) {
		addr := &netlink.Addr{
			IPNet: &net.IPNet{IP: cfg.Address6.AsSlice(), Mask: net.CIDRMask(128, 128)},
			Flags: unix.IFA_F_NODAD, // there is nobody to ask
		}
		if err := nl.AddrReplace(link, addr); err != nil {
			return 0, fmt.Errorf("device %s: address %s: %w", name, cfg.Address6, err)
		}
	}
	if err := nl.LinkSetUp(link); err != nil {
		return 0, fmt.Errorf("device %s: up: %w", name, err)
	}
	route := kernelRoute(nl, link.Attrs().Index, cfg.Address)
	for _, p := range cfg.Pools {
		if !p.Addr().Is4() && !cfg.IPv6 {
			return 0, fmt.Errorf("pool %s is not IPv4", p)
		}
		if err := route(p.Masked(), true); err != nil {
			return 0, fmt.Errorf("route for pool %s: %w", p, err)
		}
	}
	return link.Attrs().Index, nil
}

// hasAddress says whether some interface of the host has the address already, as
// when the address that L2TP is served on is ours on the subscribers' side too.
func hasAddress(nl *netlink.Handle, a netip.Addr) bool {
	routes, err := nl.RouteGet(a.AsSlice())
	return err == nil && len(routes) > 0 && routes[0].Type == unix.RTN_LOCAL
}

// checkHost looks at the host's settings that forwarding depends on. Those of IPv6
// wait for the first session that has some, see forward6.
//
// Reverse path filtering needs no change: the route back to every source that an
// Uplink lets through is the device itself, which passes even the strict mode.
func checkHost(forwarding bool, log *zap.Logger) error {
	return checkForwarding("net.ipv4.ip_forward", forwarding, log)
}

// forward6 returns what has the host forward IPv6, the first time it is called: a
// host that forwards heeds no router advertisements, and may lose its own default
// route, which must not happen where nobody uses IPv6.
func forward6(forwarding bool, log *zap.Logger) func() {
	return sync.OnceFunc(func() {
		if err := checkForwarding("net.ipv6.conf.all.forwarding", forwarding, log); err != nil {
			log.Error("subscribers' IPv6 is not forwarded by the kernel", zap.Error(err))
		}
	})
}

// checkForwarding looks at a forwarding switch, and turns it on where that is
// wanted.
func checkForwarding(setting string, wanted bool, log *zap.Logger) error {
	path := strings.ReplaceAll(setting, ".", "/")
	on, err := os.ReadFile("/proc/sys/" + path)
	if err != nil {
		log.Warn("can't tell whether the host forwards", zap.String("setting", setting), zap.Error(err))
		return nil
	}
	if strings.TrimSpace(string(on)) == "1" {
		return nil
	}
	if !wanted {
		log.Warn("the host does not forward: subscribers reach nothing but this host", zap.String("setting", setting))
		return nil
	}
	if err := setSysctl(path, "1"); err != nil {
		return fmt.Errorf("switch %s on: %w", setting, err)
	}
	log.Info("switched forwarding on", zap.String("setting", setting))
	return nil
}

func setSysctl(path, value string) error {
	return os.WriteFile("/proc/sys/"+path, []byte(value), 0)
}
