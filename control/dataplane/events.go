package dataplane

import (
	"net/netip"
	"slices"
	"syscall"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// groups are the kernel's announcements that the choice of interfaces depends on.
func (c *Config) groups() []uint {
	groups := []uint{unix.RTNLGRP_LINK, unix.RTNLGRP_IPV4_IFADDR}
	if c.Outer6 {
		groups = append(groups, unix.RTNLGRP_IPV6_IFADDR)
	}
	if len(c.Interfaces) == 0 {
		groups = append(groups, unix.RTNLGRP_IPV4_ROUTE)
	}
	return groups
}

// families are the versions of IP whose addresses can be those of our sockets.
func (c *Config) families() int {
	if c.Outer6 {
		return netlink.FAMILY_ALL
	}
	return netlink.FAMILY_V4
}

// concerns reports whether an announcement is reason to look at the host again. Of
// routes, only those count that choose interfaces: a routing daemon, and our own slow
// path with its subscribers, change others all the time.
func (c *Config) concerns(m *syscall.NetlinkMessage) bool {
	if m.Header.Type != unix.RTM_NEWROUTE && m.Header.Type != unix.RTM_DELROUTE {
		return true
	}
	if len(m.Data) < unix.SizeofRtMsg {
		return true
	}
	bits := int(nl.DeserializeRtMsg(m.Data).Dst_len)
	if bits == 0 {
		return true
	}
	attrs, err := nl.ParseRouteAttr(m.Data[unix.SizeofRtMsg:])
	if err != nil {
		return true
	}
	for _, a := range attrs {
		if a.Attr.Type != unix.RTA_DST {
			continue
		}
		dst, ok := netip.AddrFromSlice(a.Value)
		return !ok || slices.ContainsFunc(c.LACs, netip.PrefixFrom(dst, bits).Contains)
	}
	return true
}
