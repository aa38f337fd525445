package tun

import (
	"errors"
	"net"
	"net/netip"
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
	apply  func(p netip.Prefix, add bool) error
	counts *counts
	log    *zap.Logger

	mu     sync.Mutex
	wanted map[netip.Prefix]int // how many sessions want it
	dirty  map[netip.Prefix]struct{}

	wake, stop, done chan struct{}
}

func newRoutes(pools []netip.Prefix, apply func(netip.Prefix, bool) error, c *counts, log *zap.Logger) *routes {
	r := &routes{
		apply:  apply,
		counts: c,
		log:    log,
		wanted: map[netip.Prefix]int{},
		dirty:  map[netip.Prefix]struct{}{},
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
	if e.address != 0 {
		r.count(prefix4{e.address, 32}.netip(), delta)
	}
	for _, p := range e.routes {
		r.count(p.netip(), delta)
	}
	for _, p := range e.prefixes6 {
		r.count(p, delta)
	}
}

func (r *routes) count(p netip.Prefix, delta int) {
	for _, pool := range r.pools {
		if pool.Bits() <= p.Bits() && pool.Contains(p.Addr()) {
			return
		}
	}
	if r.wanted[p] += delta; r.wanted[p] <= 0 {
		delete(r.wanted, p)
	}
	r.dirty[p] = struct{}{}
}

func (r *routes) run() {
	defer close(r.done)
	installed := map[netip.Prefix]bool{}
	for {
		select {
		case <-r.stop:
			return
		case <-r.wake:
		}
		for p, add := range r.take() {
			if add == installed[p] {
				continue
			}
			if err := r.apply(p, add); err != nil {
				r.counts.add(routeError, 1)
				r.log.Warn("kernel route to a subscriber not changed",
					zap.Stringer("prefix", p), zap.Bool("add", add), zap.Error(err))
				continue
			}
			if add {
				installed[p] = true
			} else {
				delete(installed, p)
			}
		}
	}
}

// take empties the set of changes and returns what is wanted now of each.
func (r *routes) take() map[netip.Prefix]bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[netip.Prefix]bool, len(r.dirty))
	for p := range r.dirty {
		out[p] = r.wanted[p] > 0
	}
	clear(r.dirty)
	return out
}

// close ends the goroutine; the kernel removes the routes with the device.
func (r *routes) close() {
	close(r.stop)
	<-r.done
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
