package dataplane

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"github.com/vishvananda/netns"
	"go.uber.org/zap/zaptest"
	"golang.org/x/sys/unix"
)

// fakeHops is what the keeper says.
type fakeHops struct {
	until  atomic.Int64
	forgot atomic.Int64
}

func (f *fakeHops) TrustHops(until time.Duration) { f.until.Store(int64(until)) }
func (f *fakeHops) ForgetHops()                   { f.forgot.Add(1) }

// trusts reports whether kept hops may be used now.
func (f *fakeHops) trusts() bool {
	var now unix.Timespec
	return unix.ClockGettime(unix.CLOCK_MONOTONIC, &now) == nil && now.Nano() < f.until.Load()
}

// hopLab is a keeper in a namespace with one interface.
type hopLab struct {
	*fakeHops
	t      *testing.T
	keeper *hopKeeper
	nl     *netlink.Handle
	dev    netlink.Link
}

func newHopLab(t *testing.T) *hopLab {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("network namespaces need root")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	l := &hopLab{fakeHops: &fakeHops{}, t: t}
	l.must(err)
	ns, err := netns.New()
	l.must(err)
	l.nl, err = netlink.NewHandle(unix.NETLINK_ROUTE)
	l.must(err)
	l.dev = &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "a"}, PeerName: "b"}
	l.must(l.nl.LinkAdd(l.dev))
	l.must(l.nl.LinkSetUp(l.dev))
	addr, _ := netlink.ParseAddr("192.0.2.1/24")
	l.must(l.nl.AddrAdd(l.dev, addr))
	l.keeper, err = newHopKeeper(l.fakeHops, hopTimes{renew: 5 * time.Millisecond, last: 10 * time.Second, reread: 20 * time.Millisecond}, zaptest.NewLogger(t))
	l.must(err)
	l.must(netns.Set(home))
	runtime.UnlockOSThread()
	t.Cleanup(func() {
		if l.keeper != nil {
			l.keeper.close()
		}
		l.nl.Close()
		ns.Close()
		home.Close()
	})
	return l
}

func (l *hopLab) must(err error) {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
}

// wait waits until what is looked for has happened.
func (l *hopLab) wait(what string, happened func() bool) {
	l.t.Helper()
	for deadline := time.Now().Add(time.Minute); !happened(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			l.t.Fatalf("waited for: %s", what)
		}
	}
}

func subnet(s string) *net.IPNet {
	_, n, _ := net.ParseCIDR(s)
	return n
}

// TestHopsForgotten: whatever may change a next hop voids those that are kept, and
// none of it ends trust.
func TestHopsForgotten(t *testing.T) {
	l := newHopLab(t)
	l.wait("trust", l.trusts)
	index := l.dev.Attrs().Index
	gw := net.IPv4(192, 0, 2, 9)
	route := &netlink.Route{Dst: subnet("203.0.113.0/24"), Gw: gw}
	neigh := &netlink.Neigh{LinkIndex: index, IP: gw, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 9}, State: netlink.NUD_PERMANENT}
	addr, _ := netlink.ParseAddr("192.0.2.7/32")
	for _, c := range []struct {
		name   string
		change func() error
	}{
		{"neighbour", func() error { return l.nl.NeighSet(neigh) }},
		{"route", func() error { return l.nl.RouteAdd(route) }},
		{"route gone", func() error { return l.nl.RouteDel(route) }},
		{"neighbour gone", func() error { return l.nl.NeighDel(neigh) }},
		{"address", func() error { return l.nl.AddrAdd(l.dev, addr) }},
		{"MTU", func() error { return l.nl.LinkSetMTU(l.dev, 1400) }},
		{"link down", func() error { return l.nl.LinkSetDown(l.dev) }},
	} {
		before := l.forgot.Load()
		l.must(c.change())
		l.wait(c.name, func() bool { return l.forgot.Load() > before })
		if !l.trusts() {
			t.Errorf("%s: trust has ended", c.name)
		}
	}
}

// TestHopsNotKept: while a rule or a route looks at more than the destination, no
// next hop is kept.
func TestHopsNotKept(t *testing.T) {
	l := newHopLab(t)
	index := l.dev.Attrs().Index
	several := &netlink.Route{Dst: subnet("203.0.113.0/24"), MultiPath: []*netlink.NexthopInfo{
		{LinkIndex: index, Gw: net.IPv4(192, 0, 2, 8)}, {LinkIndex: index, Gw: net.IPv4(192, 0, 2, 9)},
	}}
	bySource, byMark := netlink.NewRule(), netlink.NewRule()
	bySource.Src, bySource.Table, bySource.Priority = subnet("10.0.0.0/8"), 77, 100
	byMark.Mark, byMark.Table, byMark.Priority = 7, 77, 101
	l.wait("trust", l.trusts)
	for _, c := range []struct {
		name      string
		set, undo func() error
	}{
		{"several next hops", func() error { return l.nl.RouteAdd(several) }, func() error { return l.nl.RouteDel(several) }},
		{"by source", func() error { return l.nl.RuleAdd(bySource) }, func() error { return l.nl.RuleDel(bySource) }},
	} {
		l.must(c.set())
		l.wait(c.name+": no trust", func() bool { return !l.trusts() })
		time.Sleep(100 * time.Millisecond) // it is looked at again and again
		if l.trusts() {
			t.Errorf("%s: trusted", c.name)
		}
		l.must(c.undo())
		l.wait(c.name+": trust again", l.trusts)
	}
	before := l.forgot.Load()
	l.must(l.nl.RuleAdd(byMark)) // of no meaning here, since packets have no mark yet
	l.wait("the rule is heard of", func() bool { return l.forgot.Load() > before })
	l.wait("trust", l.trusts)
	l.keeper.close()
	l.keeper = nil
	if l.trusts() {
		t.Error("trusted by nobody")
	}
}

// TestDoubtful: a route is told from one that may lead several ways.
func TestDoubtful(t *testing.T) {
	route := func(attrs ...uint16) *syscall.NetlinkMessage {
		data := nl.NewRtMsg().Serialize()
		for _, a := range attrs {
			data = append(data, nl.NewRtAttr(int(a), []byte{1, 0, 0, 0}).Serialize()...)
		}
		return &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: unix.RTM_NEWROUTE}, Data: data}
	}
	of := func(kind uint16) *syscall.NetlinkMessage {
		return &syscall.NetlinkMessage{Header: syscall.NlMsghdr{Type: kind}}
	}
	for _, c := range []struct {
		name string
		m    *syscall.NetlinkMessage
		want bool
	}{
		{"one next hop", route(unix.RTA_DST, unix.RTA_GATEWAY, unix.RTA_OIF), false},
		{"several", route(unix.RTA_DST, unix.RTA_MULTIPATH), true},
		{"an object, spelt out", route(rtaNextHop, unix.RTA_GATEWAY, unix.RTA_OIF), false},
		{"an object", route(rtaNextHop), true},
		{"cut off", of(unix.RTM_NEWROUTE), true},
		{"rule", of(unix.RTM_NEWRULE), true},
		{"rule gone", of(unix.RTM_DELRULE), true},
		{"neighbour", of(unix.RTM_NEWNEIGH), false},
	} {
		if got := doubtful(c.m); got != c.want {
			t.Errorf("%s: %v", c.name, got)
		}
	}
}
