package tun

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"sync"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// routeProtocol marks our routes, so that `ip route` tells whose they are; the
// number is one of those that no routing daemon has taken.
const routeProtocol netlink.RouteProtocol = 117

// routes keeps the kernel's routes to subscribers that no pool's route covers.
// Changes are noted at once and made by a goroutine of its own, the last state of
// a prefix winning: a netlink call for each would hold up the engine.
type routes struct {
	pools  []netip.Prefix
	apply  func(t target, add bool) error
	counts *counts
	log    *zap.Logger

	mu     sync.Mutex
	wanted map[target]int // how many sessions want it
	dirty  map[target]struct{}

	wake, stop, done chan struct{}
}

// target is something of a session's that the kernel has to know: a prefix to be routed
// to the device or, with own, an address of ours that the device has.
type target struct {
	prefix netip.Prefix
	// source is our address towards the prefix where the session has one of its own;
	// else it is the device's.
	source netip.Addr
	own    bool
}

func newRoutes(pools []netip.Prefix, apply func(target, bool) error, c *counts, log *zap.Logger) *routes {
	r := &routes{
		apply:  apply,
		counts: c,
		log:    log,
		wanted: map[target]int{},
		dirty:  map[target]struct{}{},
		wake:   make(chan struct{}, 1),
		stop:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	for _, p := range pools {
		r.pools = append(r.pools, p.Masked())
	}
	go r.run()
	return r
}

// replace notes that a session's prefixes are no longer those of removed but
// those of added; either may be nil.
func (r *routes) replace(removed, added *entry) {
	r.mu.Lock()
	if added != nil {
		r.want(added, 1)
	}
	if removed != nil {
		r.want(removed, -1)
	}
	work := len(r.dirty) > 0
	r.mu.Unlock()
	if !work {
		return
	}
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// want counts the prefixes of e that no pool covers.
func (r *routes) want(e *entry, delta int) {
	var source netip.Addr
	if e.own != 0 {
		own := prefix4{e.own, 32}.netip()
		source = own.Addr()
		r.note(target{prefix: own, own: true}, delta)
	}
	if e.address != 0 {
		r.count(prefix4{e.address, 32}.netip(), source, delta)
	}
	for _, p := range e.routes {
		r.count(p.netip(), source, delta)
	}
	for _, p := range e.prefixes6 {
		r.count(p, netip.Addr{}, delta)
	}
}

func (r *routes) count(p netip.Prefix, source netip.Addr, delta int) {
	for _, pool := range r.pools {
		if !source.IsValid() && pool.Bits() <= p.Bits() && pool.Contains(p.Addr()) {
			return
		}
	}
	r.note(target{prefix: p, source: source}, delta)
}

func (r *routes) note(t target, delta int) {
	if r.wanted[t] += delta; r.wanted[t] <= 0 {
		delete(r.wanted, t)
	}
	r.dirty[t] = struct{}{}
}

func (r *routes) run() {
	defer close(r.done)
	installed := map[target]bool{}
	for {
		select {
		case <-r.stop:
			return
		case <-r.wake:
		}
		for _, x := range r.take() {
			if x.add == installed[x.target] {
				continue
			}
			if err := r.apply(x.target, x.add); err != nil {
				r.counts.add(routeError, 1)
				r.log.Warn("kernel route to a subscriber not changed",
					zap.Stringer("prefix", x.prefix), zap.Bool("add", x.add), zap.Error(err))
				continue
			}
			if x.add {
				installed[x.target] = true
			} else {
				delete(installed, x.target)
			}
		}
	}
}

// routeChange is what is to become of a target.
type routeChange struct {
	target
	add bool
}

// stage puts addresses before the routes that have them as their source, and takes them
// away after these.
func (c routeChange) stage() int {
	switch {
	case c.own && c.add:
		return 0
	case c.own:
		return 2
	}
	return 1
}

// take empties the set of changes and returns what is wanted now of each, in the order
// in which it can be done.
func (r *routes) take() []routeChange {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make([]routeChange, 0, len(r.dirty))
	for t := range r.dirty {
		out = append(out, routeChange{t, r.wanted[t] > 0})
	}
	clear(r.dirty)
	slices.SortStableFunc(out, func(a, b routeChange) int { return a.stage() - b.stage() })
	return out
}

// close ends the goroutine; the kernel removes the routes with the device.
func (r *routes) close() {
	close(r.stop)
	<-r.done
}

// kernelTarget returns the function that changes what the kernel knows of a session's.
func kernelTarget(nl *netlink.Handle, index int, device netip.Addr) func(target, bool) error {
	return func(t target, add bool) error {
		if t.own {
			return ownAddress(nl, index, t.prefix.Addr(), add)
		}
		source := device
		if t.source.IsValid() {
			source = t.source
		}
		return kernelRoute(nl, index, source)(t.prefix, add)
	}
}

// ownAddress gives the device an address that a peer has given us, or takes it away.
func ownAddress(nl *netlink.Handle, index int, a netip.Addr, add bool) error {
	link, err := nl.LinkByIndex(index)
	if err != nil {
		return err
	}
	addr := &netlink.Addr{IPNet: &net.IPNet{IP: a.AsSlice(), Mask: net.CIDRMask(32, 32)}}
	if add {
		return nl.AddrReplace(link, addr)
	}
	if err := nl.AddrDel(link, addr); err != nil && !errors.Is(err, unix.EADDRNOTAVAIL) {
		return err
	}
	return nil
}

// kernelRoute returns the function that changes a route to the device.
func kernelRoute(nl *netlink.Handle, index int, source netip.Addr) func(netip.Prefix, bool) error {
	return func(p netip.Prefix, add bool) error {
		route := &netlink.Route{
			LinkIndex: index,
			Dst:       &net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())},
			Scope:     netlink.SCOPE_LINK,
			Protocol:  routeProtocol,
		}
		if !p.Addr().Is4() {
			route.Scope = netlink.SCOPE_UNIVERSE // IPv6 has no other
		}
		if source.IsValid() && source.BitLen() == p.Addr().BitLen() {
			route.Src = source.AsSlice()
		}
		if add {
			return nl.RouteReplace(route)
		}
		if err := nl.RouteDel(route); err != nil && !errors.Is(err, unix.ESRCH) {
			return err
		}
		return nil
	}
}
