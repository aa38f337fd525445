package dataplane

import (
	"cmp"
	"net/netip"
	"slices"

	"github.com/lnsd/lnsd/maps"
)

// netif is one interface of the host.
type netif struct {
	index    int
	name     string
	mac      []byte
	loopback bool
	// parent is the device under a VLAN interface, with its tag; 0 for others.
	parent int
	tag    maps.VLAN
	// vrf is the routing table of the VRF the interface belongs to, 0 for main.
	vrf uint32
}

// host is what is known of the host's network at one moment.
type host struct {
	interfaces []netif
	addresses  []ifAddr
	// routed are the interfaces of default routes and of routes to the LACs.
	routed []int
}

type ifAddr struct {
	index int
	addr  netip.Addr
}

// plan is how the maps should look for a host.
type plan struct {
	devices []netif // to attach to
	ports   []maps.Port
	locals  []netip.AddrPort
	// unfit are interfaces that are wanted and can't be used.
	unfit []Mode
}

func (h *host) byIndex(index int) (netif, bool) {
	i := slices.IndexFunc(h.interfaces, func(n netif) bool { return n.index == index })
	if i < 0 {
		return netif{}, false
	}
	return h.interfaces[i], true
}

// plan decides what to attach to. It is a pure function of configuration and host.
func (c *Config) plan(h *host) plan {
	var p plan
	chosen := c.choose(h, &p)
	for _, n := range h.interfaces {
		device, tags, ok := h.device(n)
		if !ok || !h.standsOn(n, chosen) {
			continue
		}
		if len(n.mac) != len(maps.Port{}.MAC) {
			p.unfit = append(p.unfit, Mode{Interface: n.name, Mode: maps.Mode(0).String(), Reason: "not an Ethernet interface"})
			continue
		}
		if !slices.ContainsFunc(p.devices, func(d netif) bool { return d.index == device.index }) {
			p.devices = append(p.devices, device)
		}
		p.ports = append(p.ports, maps.Port{
			Ifindex: n.index, Device: device.index, VLANs: tags, MAC: [6]byte(n.mac), VRF: n.vrf,
		})
	}
	p.locals = c.locals(h)
	slices.SortFunc(p.devices, func(a, b netif) int { return cmp.Compare(a.index, b.index) })
	slices.SortFunc(p.ports, func(a, b maps.Port) int { return cmp.Compare(a.Ifindex, b.Ifindex) })
	return p
}

// choose returns the indexes of the interfaces that were named, or that the
// routes and addresses point at.
func (c *Config) choose(h *host, p *plan) []int {
	var chosen []int
	if len(c.Interfaces) > 0 {
		for _, name := range c.Interfaces {
			i := slices.IndexFunc(h.interfaces, func(n netif) bool { return n.name == name })
			if i < 0 {
				p.unfit = append(p.unfit, Mode{Interface: name, Mode: maps.Mode(0).String(), Reason: "no such interface"})
				continue
			}
			chosen = append(chosen, h.interfaces[i].index)
		}
		return chosen
	}
	chosen = append(chosen, h.routed...)
	for _, a := range h.addresses {
		if slices.ContainsFunc(c.Locals, func(l netip.AddrPort) bool { return l.Addr() == a.addr }) {
			chosen = append(chosen, a.index)
		}
	}
	return slices.DeleteFunc(chosen, func(index int) bool {
		n, ok := h.byIndex(index)
		return !ok || n.loopback || slices.Contains(c.Ignore, n.name)
	})
}

// device finds the device that an interface's frames come in on, and the tags
// they carry there, outermost first; ok is false with more than two tags.
func (h *host) device(n netif) (device netif, tags []maps.VLAN, ok bool) {
	for n.parent != 0 {
		if len(tags) == 2 {
			return n, nil, false
		}
		tags = append(tags, n.tag)
		if n, ok = h.byIndex(n.parent); !ok {
			return n, nil, false // the device is in another namespace
		}
	}
	slices.Reverse(tags)
	return n, tags, true
}

// standsOn says whether an interface is chosen, or is a VLAN interface on top of
// one that is: its frames pass the same program.
func (h *host) standsOn(n netif, chosen []int) bool {
	for range 3 {
		if slices.Contains(chosen, n.index) {
			return true
		}
		below, ok := h.byIndex(n.parent)
		if !ok {
			return false
		}
		n = below
	}
	return false
}

// locals lists our sockets by real addresses.
func (c *Config) locals(h *host) []netip.AddrPort {
	var out []netip.AddrPort
	for _, l := range c.Locals {
		if !l.Addr().IsUnspecified() {
			out = append(out, l)
			continue
		}
		for _, a := range h.addresses {
			if a.addr.Is4() == l.Addr().Is4() {
				out = append(out, netip.AddrPortFrom(a.addr, l.Port()))
			}
		}
	}
	slices.SortFunc(out, func(a, b netip.AddrPort) int {
		return cmp.Or(a.Addr().Compare(b.Addr()), cmp.Compare(a.Port(), b.Port()))
	})
	return slices.Compact(out)
}
