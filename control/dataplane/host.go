package dataplane

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/vishvananda/netlink"

	"github.com/lnsd/lnsd/maps"
)

// dumpTries is how often a listing is asked for that changed while it was read.
const dumpTries = 5

// dump repeats a listing until it was not interrupted by a change.
func dump[T any](what string, list func() ([]T, error)) (out []T, err error) {
	for range dumpTries {
		if out, err = list(); !errors.Is(err, netlink.ErrDumpInterrupted) {
			break
		}
	}
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", what, err)
	}
	return out, nil
}

// readHost asks the kernel for the host's interfaces, addresses and routes.
func readHost(nl *netlink.Handle, cfg *Config) (*host, error) {
	links, err := dump("interfaces", nl.LinkList)
	if err != nil {
		return nil, err
	}
	addrs, err := dump("addresses", func() ([]netlink.Addr, error) { return nl.AddrList(nil, cfg.families()) })
	if err != nil {
		return nil, err
	}
	h := &host{}
	tables := map[int]uint32{} // of VRF devices, by index
	for _, l := range links {
		if vrf, ok := l.(*netlink.Vrf); ok {
			tables[vrf.Index] = vrf.Table
		}
	}
	for _, l := range links {
		h.interfaces = append(h.interfaces, newNetif(l, tables))
	}
	for _, a := range addrs {
		if addr, ok := netip.AddrFromSlice(a.IP); ok && !addr.IsLinkLocalUnicast() {
			h.addresses = append(h.addresses, ifAddr{a.LinkIndex, addr.Unmap()})
		}
	}
	if len(cfg.Interfaces) == 0 {
		h.routed, err = routedInterfaces(nl, cfg.LACs)
	}
	return h, err
}

func newNetif(l netlink.Link, tables map[int]uint32) netif {
	a := l.Attrs()
	n := netif{
		index:    a.Index,
		name:     a.Name,
		mac:      a.HardwareAddr,
		loopback: a.EncapType == "loopback",
		vrf:      tables[a.MasterIndex],
	}
	if v, ok := l.(*netlink.Vlan); ok {
		n.parent = a.ParentIndex
		n.tag = maps.VLAN{Protocol: uint16(v.VlanProtocol), ID: uint16(v.VlanId)}
	}
	return n
}

// routedInterfaces returns where default routes and the routes to the LACs lead.
func routedInterfaces(nl *netlink.Handle, lacs []netip.Addr) ([]int, error) {
	routes, err := dump("routes", func() ([]netlink.Route, error) {
		return nl.RouteListFiltered(netlink.FAMILY_V4, &netlink.Route{Dst: nil}, netlink.RT_FILTER_DST)
	})
	if err != nil {
		return nil, err
	}
	for _, lac := range lacs {
		// No route is no error: the LAC may come into reach later.
		if got, err := nl.RouteGet(lac.AsSlice()); err == nil {
			routes = append(routes, got...)
		}
	}
	var out []int
	for _, r := range routes {
		if r.LinkIndex != 0 {
			out = append(out, r.LinkIndex)
		}
		for _, hop := range r.MultiPath {
			out = append(out, hop.LinkIndex)
		}
	}
	return out, nil
}
