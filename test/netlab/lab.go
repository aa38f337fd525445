package netlab

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The addresses of a Lab. The LAC and the core router are one hop away from the
// LNS, on both sides of it:
//
//	lac 10.1.0.1 ──lac0──lns0── 10.1.0.2 lns 10.2.0.2 ──lns1──core0── 10.2.0.1 core
//
// The core routes Pool to the LNS, as an upstream router would, and the LNS sends
// what it has no other route for to the core.
var (
	LACAddr  = netip.MustParseAddr("10.1.0.1")
	LNSAddr  = netip.MustParseAddr("10.1.0.2") // where the LNS answers L2TP
	LNSCore  = netip.MustParseAddr("10.2.0.2")
	CoreAddr = netip.MustParseAddr("10.2.0.1")
	Pool     = netip.MustParsePrefix("10.64.0.0/14") // subscribers
)

// The addresses between LAC and LNS after AddIPv6.
var (
	LACAddr6 = netip.MustParseAddr("fd00:1::1")
	LNSAddr6 = netip.MustParseAddr("fd00:1::2")
)

var defaultRoute = netip.MustParsePrefix("0.0.0.0/0")

// Names of the LNS's interfaces.
const (
	LACSide  = "lns0"
	CoreSide = "lns1"
)

// Lab is the three namespaces, wired and addressed.
type Lab struct {
	LAC, LNS, Core *Namespace
}

// New makes a lab; prefix makes the namespaces' names unique. It needs root.
func New(prefix string) (lab *Lab, err error) {
	if os.Geteuid() != 0 {
		return nil, errors.New("network namespaces need root")
	}
	lab = &Lab{}
	defer func() {
		if err != nil {
			err = errors.Join(err, lab.Close())
			lab = nil
		}
	}()
	for _, n := range []struct {
		name string
		to   **Namespace
	}{{"lac", &lab.LAC}, {"lns", &lab.LNS}, {"core", &lab.Core}} {
		if *n.to, err = newNamespace(prefix + "-" + n.name); err != nil {
			return lab, err
		}
	}
	if err = wire(lab.LAC, "lac0", LACAddr, lab.LNS, LACSide, LNSAddr); err != nil {
		return lab, err
	}
	if err = lab.LNS.Sysctl("net/ipv4/ip_forward", "1"); err != nil {
		return lab, err
	}
	return lab, lab.ConnectCore()
}

// AddIPv6 gives LAC and LNS addresses to speak IPv6 with each other.
func (l *Lab) AddIPv6() error {
	return errors.Join(addIPv6(l.LAC, "lac0", LACAddr6), addIPv6(l.LNS, LACSide, LNSAddr6))
}

func addIPv6(n *Namespace, name string, addr netip.Addr) error {
	return n.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a, err := netlink.ParseAddr(netip.PrefixFrom(addr, 64).String())
		if err != nil {
			return err
		}
		a.Flags = unix.IFA_F_NODAD // usable at once
		if err := netlink.AddrAdd(link, a); err != nil {
			return fmt.Errorf("%s: address %s: %w", name, addr, err)
		}
		return nil
	})
}

// SetMTU sets the MTU of both links, in bytes.
func (l *Lab) SetMTU(mtu int) error {
	var errs []error
	for _, end := range []struct {
		in   *Namespace
		name string
	}{{l.LAC, "lac0"}, {l.LNS, LACSide}, {l.Core, "core0"}, {l.LNS, CoreSide}} {
		errs = append(errs, end.in.Do(func() error {
			link, err := netlink.LinkByName(end.name)
			if err != nil {
				return fmt.Errorf("%s: %w", end.name, err)
			}
			return netlink.LinkSetMTU(link, mtu)
		}))
	}
	return errors.Join(errs...)
}

// ConnectCore makes the link between LNS and core, with the routes over it.
func (l *Lab) ConnectCore() error {
	if err := wire(l.Core, "core0", CoreAddr, l.LNS, CoreSide, LNSCore); err != nil {
		return err
	}
	if err := l.LNS.AddRoute(defaultRoute, CoreAddr); err != nil {
		return err
	}
	return l.Core.AddRoute(Pool, LNSCore)
}

// DisconnectCore removes the link between LNS and core.
func (l *Lab) DisconnectCore() error {
	return l.LNS.Do(func() error {
		link, err := netlink.LinkByName(CoreSide)
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	})
}

// Close removes the namespaces and all that is in them.
func (l *Lab) Close() error {
	var errs []error
	for _, n := range []*Namespace{l.LAC, l.LNS, l.Core} {
		if n != nil {
			errs = append(errs, n.close())
		}
	}
	return errors.Join(errs...)
}

// wire joins two namespaces by a veth pair with a /24 on it.
func wire(a *Namespace, aName string, aAddr netip.Addr, b *Namespace, bName string, bAddr netip.Addr) error {
	err := a.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs:     netlink.LinkAttrs{Name: aName, MTU: 1500, NumTxQueues: 1, NumRxQueues: 1},
			PeerName:      bName,
			PeerNamespace: netlink.NsFd(b.handle),
		})
	})
	if err != nil {
		return fmt.Errorf("veth %s to %s: %w", aName, bName, err)
	}
	if err := configure(a, aName, aAddr); err != nil {
		return err
	}
	if err := configure(b, bName, bAddr); err != nil {
		return err
	}
	if err := a.awaitLink(aName); err != nil {
		return err
	}
	return b.awaitLink(bName)
}

// configure addresses one end of a veth pair and makes it fit for XDP on the other
// end: frames redirected into a veth are taken only when the receiving end polls
// (which generic receive offload switches on), and the checksums of what is sent
// must be in the packets, since the program on the other end rewrites and forwards
// them below the stack that would fill them in.
func configure(n *Namespace, name string, addr netip.Addr) error {
	return n.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		a, err := netlink.ParseAddr(netip.PrefixFrom(addr, 24).String())
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(link, a); err != nil {
			return fmt.Errorf("%s: address %s: %w", name, addr, err)
		}
		if err := setOffloads(name); err != nil {
			return err
		}
		return netlink.LinkSetUp(link)
	})
}
