package inside

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"

	"github.com/lnsd/lnsd/maps"
	"github.com/lnsd/lnsd/test/netlab"
)

// network is a LAC, an LNS and a core router in namespaces, joined by cables of
// both kinds. Each cable carries plain frames and VLANs, each in a subnet of its
// own; nothing but the XDP program carries L2TP, for no daemon runs.
type network struct {
	lab          *netlab.Lab
	virtio, veth wiring
}

// wiring is a cable from the LAC to the LNS, and one from there to the core.
type wiring struct {
	lacSide, coreSide int // devices of the LNS, by interface index
	legs              struct{ lac, core []leg }
}

// leg is one subnet on a cable.
type leg struct {
	name     string
	tags     []maps.VLAN
	lns, far netip.Addr // the LNS's end and the other one
	ifindex  int        // of the LNS's interface
	mac      [6]byte    // and its address
	mtu      int
}

// Indexes of a cable's legs.
const (
	untagged = iota
	tagged
	stacked
)

// legKinds are what a cable carries. The two tags of the last need a larger
// frame than other devices of the same MTU let through, so its packets are
// smaller by one tag.
var legKinds = []struct {
	name string
	tags []maps.VLAN
	mtu  int
}{
	untagged: {"untagged", nil, 1500},
	tagged:   {"802.1Q", []maps.VLAN{{Protocol: 0x8100, ID: 100}}, 1500},
	stacked:  {"QinQ", []maps.VLAN{{ID: 200}, {Protocol: 0x8100, ID: 300}}, 1496},
}

// Ethertypes of the outer of two tags: 802.1ad, and what equipment older than
// that uses. The second is for veth, which carries service tags beside the frame,
// where no program sees them.
const (
	serviceTag  = 0x88A8
	customerTag = 0x8100
)

// The virtual machine's network devices: the first is wired to the third, the
// second to the fourth.
var nics = []struct {
	mac  string
	name string
	ns   func(*netlab.Lab) *netlab.Namespace
}{
	{"52:54:00:00:00:01", "vlac", func(l *netlab.Lab) *netlab.Namespace { return l.LNS }},
	{"52:54:00:00:00:02", "vcore", func(l *netlab.Lab) *netlab.Namespace { return l.LNS }},
	{"52:54:00:00:00:03", "vlac", func(l *netlab.Lab) *netlab.Namespace { return l.LAC }},
	{"52:54:00:00:00:04", "vcore", func(l *netlab.Lab) *netlab.Namespace { return l.Core }},
}

// newNetwork builds the network for the length of the test.
func newNetwork(t *testing.T) *network {
	t.Helper()
	lab, err := netlab.New("kernels")
	if err != nil {
		t.Fatal(err)
	}
	n := &network{lab: lab}
	t.Cleanup(func() {
		for _, nic := range nics { // or they would vanish for a while
			if err := nic.ns(lab).Do(func() error { return sendHome(nic.name) }); err != nil {
				t.Error(err)
			}
		}
		if err := lab.Close(); err != nil {
			t.Error(err)
		}
	})
	for _, nic := range nics {
		if err := moveIn(nic.mac, nic.name, nic.ns(lab)); err != nil {
			t.Fatal(err)
		}
	}
	for _, ns := range []*netlab.Namespace{lab.LAC, lab.LNS, lab.Core} {
		if err := ns.Do(noVLANOffload); err != nil {
			t.Fatal(err)
		}
	}
	n.virtio = n.wire(t, 10, serviceTag, "vlac", "vcore", "vlac", "vcore")
	n.veth = n.wire(t, 20, customerTag, netlab.LACSide, netlab.CoreSide, "lac0", "core0")
	return n
}

// moveIn gives the device with a MAC address to a namespace, under a new name.
func moveIn(mac, name string, ns *netlab.Namespace) error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	handle, err := netns.GetFromName(ns.Name)
	if err != nil {
		return err
	}
	defer handle.Close()
	for _, l := range links {
		if l.Attrs().HardwareAddr.String() != mac {
			continue
		}
		if err := netlink.LinkSetName(l, name); err != nil {
			return fmt.Errorf("%s: %w", mac, err)
		}
		if err := netlink.LinkSetNsFd(l, int(handle)); err != nil {
			return fmt.Errorf("%s: %w", mac, err)
		}
		return ns.Do(func() error {
			moved, err := netlink.LinkByName(name) // its index may be new
			if err != nil {
				return fmt.Errorf("%s: %w", mac, err)
			}
			return netlink.LinkSetUp(moved)
		})
	}
	return fmt.Errorf("no device has the address %s", mac)
}

// sendHome gives a device back to the namespace of the first process, without the
// VLAN interfaces on it, which would stay behind and be in the way of others.
func sendHome(name string) error {
	for _, kind := range []int{tagged, stacked} {
		vlan, err := netlink.LinkByName(vlanName(name, legKinds[kind].tags[0]))
		if err != nil {
			continue
		}
		if err := netlink.LinkDel(vlan); err != nil {
			return err
		}
	}
	l, err := netlink.LinkByName(name)
	if err != nil {
		return err
	}
	home := fmt.Sprintf("nic%x", l.Attrs().HardwareAddr[5])
	if err := netlink.LinkSetDown(l); err != nil {
		return err
	}
	if err := netlink.LinkSetName(l, home); err != nil {
		return err
	}
	return netlink.LinkSetNsPid(l, 1)
}

// wire puts the legs on both cables, in subnets 10.base.x.0/24 and
// 10.(base+1).x.0/24; outer is the ethertype of the outer of two tags.
func (n *network) wire(t *testing.T, base byte, outer uint16, lacSide, coreSide, lac, core string) wiring {
	t.Helper()
	var w wiring
	for _, cable := range []struct {
		side string
		far  *netlab.Namespace
		dev  string
		net  byte
		at   *int
		legs *[]leg
	}{
		{lacSide, n.lab.LAC, lac, base, &w.lacSide, &w.legs.lac},
		{coreSide, n.lab.Core, core, base + 1, &w.coreSide, &w.legs.core},
	} {
		for i, kind := range legKinds {
			l := leg{
				name: kind.name, tags: slices.Clone(kind.tags), mtu: kind.mtu,
				lns: netip.AddrFrom4([4]byte{10, cable.net, byte(i), 1}),
				far: netip.AddrFrom4([4]byte{10, cable.net, byte(i), 2}),
			}
			if len(l.tags) == 2 {
				l.tags[0].Protocol = outer
			}
			if err := n.join(&l, cable.side, cable.far, cable.dev); err != nil {
				t.Fatalf("%s %s: %v", cable.side, kind.name, err)
			}
			*cable.legs = append(*cable.legs, l)
		}
		*cable.at = (*cable.legs)[untagged].ifindex
	}
	return w
}

// join makes both ends of a leg, and makes them known to the LNS, since the
// program leaves packets for unknown neighbours to the kernel.
func (n *network) join(l *leg, side string, far *netlab.Namespace, dev string) error {
	var farMAC net.HardwareAddr
	err := far.Do(func() error {
		end, err := addEnd(dev, l, l.far)
		if err == nil {
			farMAC = end.Attrs().HardwareAddr
		}
		return err
	})
	if err != nil {
		return err
	}
	return n.lab.LNS.Do(func() error {
		end, err := addEnd(side, l, l.lns)
		if err != nil {
			return err
		}
		l.ifindex = end.Attrs().Index
		copy(l.mac[:], end.Attrs().HardwareAddr)
		return netlink.NeighSet(&netlink.Neigh{
			LinkIndex: l.ifindex, IP: l.far.AsSlice(), HardwareAddr: farMAC, State: netlink.NUD_PERMANENT,
		})
	})
}

// addEnd makes one end of a leg on the device dev: the device itself, or VLAN
// interfaces on top of it.
func addEnd(dev string, l *leg, addr netip.Addr) (netlink.Link, error) {
	end, err := netlink.LinkByName(dev)
	if err != nil {
		return nil, err
	}
	for _, tag := range l.tags {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = vlanName(dev, tag)
		attrs.ParentIndex = end.Attrs().Index
		attrs.MTU = l.mtu
		vlan := &netlink.Vlan{LinkAttrs: attrs, VlanId: int(tag.ID), VlanProtocol: netlink.VlanProtocol(tag.Protocol)}
		if err := netlink.LinkAdd(vlan); err != nil {
			return nil, fmt.Errorf("%s: %w", attrs.Name, err)
		}
		if err := netlink.LinkSetUp(vlan); err != nil {
			return nil, err
		}
		if end, err = netlink.LinkByName(attrs.Name); err != nil {
			return nil, err
		}
	}
	a, err := netlink.ParseAddr(netip.PrefixFrom(addr, 24).String())
	if err != nil {
		return nil, err
	}
	return end, netlink.AddrAdd(end, a)
}

func vlanName(dev string, tag maps.VLAN) string { return fmt.Sprintf("%s.%d", dev, tag.ID) }

// open loads the program for the length of the test.
func (n *network) open(t *testing.T, cfg maps.Config) *maps.Maps {
	t.Helper()
	m, err := maps.Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	return m
}

// attach attaches the program to a device of the LNS.
func (n *network) attach(m *maps.Maps, ifindex int) (at maps.Attachment, err error) {
	err = n.lab.LNS.Do(func() error {
		at, err = m.Attach(ifindex)
		return err
	})
	return at, err
}

// noVLANOffload makes the devices of a namespace write VLAN tags into frames
// instead of carrying them beside: a program at the other end of a veth cable
// sees the frame alone.
func noVLANOffload() error {
	links, err := netlink.LinkList()
	if err != nil {
		return err
	}
	for _, l := range links {
		if l.Type() != "veth" {
			continue
		}
		if err := clearFlags(l.Attrs().Name, flagTxVLAN|flagRxVLAN); err != nil {
			return fmt.Errorf("%s: VLAN offload: %w", l.Attrs().Name, err)
		}
	}
	return nil
}
