package dataplane

import (
	"errors"
	"fmt"
	"sync"
	"syscall"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
)

// Next hops are kept by the program for one tick of the kernel's clock. Here it is
// told in between what has changed, and whether it may keep any: not where the way
// of a packet depends on more than its destination, its TOS and where it came in.

// hopTable is the part of the maps that keeps next hops.
type hopTable interface {
	TrustHops(until time.Duration)
	ForgetHops()
}

// hopTimes are how often trust is renewed, how long it lasts then (after a crash it
// ends by itself), and how long to wait before the routes are read again that did not
// allow it: there may be a million of them.
type hopTimes struct{ renew, last, reread time.Duration }

var usualHopTimes = hopTimes{renew: time.Second, last: 3 * time.Second, reread: 30 * time.Second}

// hopGroups are the kernel's announcements of what a next hop depends on.
var hopGroups = []uint{
	unix.RTNLGRP_LINK, unix.RTNLGRP_NEIGH, unix.RTNLGRP_IPV4_IFADDR, unix.RTNLGRP_IPV4_ROUTE,
	unix.RTNLGRP_IPV4_RULE, unix.RTNLGRP_IPV4_NETCONF, unix.RTNLGRP_NEXTHOP,
}

// rtaNextHop is RTA_NH_ID, which the unix package does not have: the number of a next
// hop object.
const rtaNextHop = 30

// hopKeeper follows the kernel's routing.
type hopKeeper struct {
	table  hopTable
	times  hopTimes
	handle *netlink.Handle
	events *nl.NetlinkSocket
	log    *zap.Logger
	stop   chan struct{}
	wg     sync.WaitGroup

	mu      sync.Mutex
	trusted bool
	doubts  uint64 // times that something was heard that may end trust
	deaf    bool   // nothing is heard any more
}

// newHopKeeper begins to follow the routing of the calling thread's namespace.
func newHopKeeper(table hopTable, times hopTimes, log *zap.Logger) (k *hopKeeper, err error) {
	k = &hopKeeper{table: table, times: times, log: log, stop: make(chan struct{})}
	if k.handle, err = netlink.NewHandle(unix.NETLINK_ROUTE); err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	if k.events, err = nl.Subscribe(unix.NETLINK_ROUTE, hopGroups...); err != nil {
		k.handle.Close()
		return nil, fmt.Errorf("netlink subscription: %w", err)
	}
	// A routing daemon announces its whole table at once. Too little room is not
	// fatal: what is lost is noticed.
	_ = k.events.SetReceiveBufferSize(hopBuffer, true)
	k.wg.Go(k.listen)
	k.wg.Go(k.run)
	return k, nil
}

// hopBuffer is the room for announcements that are not read yet, in bytes.
const hopBuffer = 4 << 20

func (k *hopKeeper) close() {
	close(k.stop)
	k.events.Close()
	k.wg.Wait()
	k.doubt()
	k.handle.Close()
}

// listen forgets all next hops with each change.
func (k *hopKeeper) listen() {
	for {
		messages, _, err := k.events.Receive()
		select {
		case <-k.stop:
			return
		default:
		}
		k.table.ForgetHops()
		switch {
		case errors.Is(err, unix.ENOBUFS):
			k.doubt() // the lost ones may have been of any kind
		case err != nil:
			k.log.Warn("netlink subscription failed; next hops are looked up for every packet", zap.Error(err))
			k.doubt()
			k.mu.Lock()
			k.deaf = true
			k.mu.Unlock()
			return
		}
		for i := range messages {
			if doubtful(&messages[i]) {
				k.doubt()
			}
		}
	}
}

// doubtful reports whether an announcement may mean that next hops can't be kept.
func doubtful(m *syscall.NetlinkMessage) bool {
	switch m.Header.Type {
	case unix.RTM_NEWRULE, unix.RTM_DELRULE:
		return true
	case unix.RTM_NEWROUTE:
	default:
		return false
	}
	if len(m.Data) < unix.SizeofRtMsg {
		return true
	}
	attrs, err := nl.ParseRouteAttr(m.Data[unix.SizeofRtMsg:])
	if err != nil {
		return true
	}
	object, hop := false, false
	for _, a := range attrs {
		switch a.Attr.Type {
		case unix.RTA_MULTIPATH:
			return true
		case rtaNextHop:
			object = true
		case unix.RTA_OIF:
			hop = true
		}
	}
	// A next hop object that is not spelt out may be a group.
	return object && !hop
}

// doubt ends trust at once; run looks into it.
func (k *hopKeeper) doubt() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.doubts++
	k.trusted = false
	k.table.TrustHops(0)
}

// run renews trust as long as nothing speaks against it.
func (k *hopKeeper) run() {
	tick := time.NewTicker(k.times.renew)
	defer tick.Stop()
	last := "at the start"
	var notBefore time.Time
	for {
		if !k.renew() && !time.Now().Before(notBefore) {
			why := k.examine()
			notBefore = time.Now().Add(k.times.reread)
			if why == "" {
				notBefore = time.Time{}
			}
			if why != last {
				k.log.Info("next hops kept by XDP", zap.Bool("kept", why == ""), zap.String("reason", why))
				last = why
			}
		}
		select {
		case <-k.stop:
			return
		case <-tick.C:
		}
	}
}

// renew lets trust last on, and reports whether there is any.
func (k *hopKeeper) renew() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	if !k.trusted {
		return false
	}
	var now unix.Timespec
	if unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil {
		k.table.TrustHops(time.Duration(now.Nano()) + k.times.last)
	}
	return true
}

// examine reads rules and routes, and begins to trust if they allow it; else it says
// why not.
func (k *hopKeeper) examine() (why string) {
	k.mu.Lock()
	doubts, deaf := k.doubts, k.deaf
	k.mu.Unlock()
	if deaf {
		return "changes are not announced"
	}
	why, err := k.obstacle()
	if err != nil {
		return err.Error()
	}
	if why != "" {
		return why
	}
	k.mu.Lock()
	k.trusted = doubts == k.doubts
	k.mu.Unlock()
	if !k.renew() {
		return "the routing is changing"
	}
	return ""
}

// obstacle looks for a rule or a route that next hops can't be kept with.
func (k *hopKeeper) obstacle() (why string, err error) {
	rules, err := dump("rules", func() ([]netlink.Rule, error) { return k.handle.RuleList(netlink.FAMILY_V4) })
	if err != nil {
		return "", err
	}
	for i := range rules {
		if r := &rules[i]; r.Src != nil || r.Sport != nil || r.Dport != nil || r.IPProto != 0 {
			return fmt.Sprintf("routing rule %d looks at more than the destination", r.Priority), nil
		}
	}
	_, err = dump("routes", func() ([]netlink.Route, error) {
		why = ""
		return nil, k.handle.RouteListFilteredIter(netlink.FAMILY_V4, &netlink.Route{}, netlink.RT_FILTER_TABLE, func(r netlink.Route) bool {
			if len(r.MultiPath) > 0 {
				why = fmt.Sprintf("the route to %v has several next hops", r.Dst)
			} else if r.Type == unix.RTN_UNICAST && r.LinkIndex == 0 {
				why = fmt.Sprintf("the route to %v has a next hop that is not spelt out", r.Dst)
			}
			return why == ""
		})
	})
	return why, err
}
