package maps

import (
	"math"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// forever is beyond any time of the kernel's clock.
const forever = time.Duration(math.MaxInt64)

// Hosts that routes lead to, the second by one of a small MTU.
var (
	host      = netip.MustParseAddr("203.0.115.9")
	smallHost = netip.MustParseAddr("203.0.115.77")
)

// longTick is longer than a tick of any kernel: one of 100 a second.
const longTick = 25 * time.Millisecond

// hopWorld forwards packets of the subscriber to a host by one of two gateways.
type hopWorld struct {
	*world
	t        *testing.T
	gateways [2]net.HardwareAddr
	frame    []byte
	now      int // which gateway the route names
}

func newHopWorld(t *testing.T) *hopWorld {
	w := &hopWorld{world: newWorld(t), t: t, gateways: [2]net.HardwareAddr{mac(0x51), mac(0x52)}}
	w.install(t, subscriberSession())
	for i, hw := range w.gateways {
		w.addNeigh("core0", gatewayOf(i).String(), hw)
	}
	w.turn()
	inner := header{src: subscriber, dst: host, protocol: 253}.packet(make([]byte, 60))
	w.frame = uplinkFrame(inner)
	return w
}

func gatewayOf(i int) net.IP { return net.IPv4(198, 51, 100, byte(51+i)) }

// turn makes the host's route lead to the other gateway.
func (w *hopWorld) turn() {
	w.now ^= 1
	w.must(netlink.RouteReplace(&netlink.Route{Dst: cidr("203.0.115.0/24"), Gw: gatewayOf(w.now)}))
}

// stale reports whether a packet leaves by the gateway of before.
func (w *hopWorld) stale() bool {
	w.t.Helper()
	verdict, out := w.run(w.t, "lac0", w.frame)
	if verdict != xdpRedirect {
		w.t.Fatalf("verdict %s", xdpNames[verdict])
	}
	switch net.HardwareAddr(out[:6]).String() {
	case w.gateways[w.now].String():
		return false
	case w.gateways[w.now^1].String():
		return true
	}
	w.t.Fatalf("sent to %x", out[:6])
	return false
}

// reason runs a packet and returns how it ended.
func (w *hopWorld) reason(frame []byte) (string, []byte) {
	w.t.Helper()
	before := w.snapshot(w.t)
	_, out := w.run(w.t, "lac0", frame)
	for i, tally := range w.snapshot(w.t).tallies {
		if tally != before.tallies[i] {
			return tally.Name, out
		}
	}
	return "none", out
}

// TestHopReused: within a tick the kernel's answer is used again. There may be a
// tick's end between two packets, but not always.
func TestHopReused(t *testing.T) {
	w := newHopWorld(t)
	for range 1000 {
		w.stale()
		w.turn()
		if w.stale() {
			return
		}
	}
	t.Error("every packet was routed by itself")
}

// TestHopForgotten: what has changed is obeyed by the next packet when it was told,
// and after a tick when it was not, and at once where answers are not trusted.
func TestHopForgotten(t *testing.T) {
	w := newHopWorld(t)
	for _, c := range []struct {
		name   string
		rounds int
		before func()
		after  func()
	}{
		{"told", 200, func() {}, w.m.ForgetHops},
		{"after a tick", 10, func() {}, func() { time.Sleep(longTick) }},
		{"trust is over", 200, func() { w.m.TrustHops(1) }, func() {}},
		{"no trust", 200, func() { w.m.TrustHops(0) }, func() {}},
	} {
		w.m.TrustHops(forever)
		c.before()
		for i := range c.rounds {
			w.stale()
			w.turn()
			c.after()
			if w.stale() {
				t.Errorf("%s: packet %d went where its route led before", c.name, i)
				break
			}
		}
	}
}

// TestHopChanges: each kind of change is followed within a tick, untold.
func TestHopChanges(t *testing.T) {
	w := newHopWorld(t)
	link := w.link["core0"]
	for _, c := range []struct {
		name   string
		change func() error
		reason string
	}{
		{"neighbour moved", func() error {
			w.gateways[w.now] = mac(0x53)
			w.addNeigh("core0", gatewayOf(w.now).String(), mac(0x53))
			return nil
		}, "sent_up"},
		{"neighbour lost", func() error {
			return netlink.NeighDel(&netlink.Neigh{LinkIndex: link.Attrs().Index, IP: gatewayOf(w.now)})
		}, "punt_no_neigh"},
		{"neighbour back", func() error {
			w.addNeigh("core0", gatewayOf(w.now).String(), w.gateways[w.now])
			return nil
		}, "sent_up"},
		{"route with a small MTU", func() error {
			return netlink.RouteReplace(&netlink.Route{Dst: cidr("203.0.115.0/24"), Gw: gatewayOf(w.now), MTU: 50, MTULock: true})
		}, "punt_too_big"},
		{"route to nowhere", func() error {
			return netlink.RouteReplace(&netlink.Route{Dst: cidr("203.0.115.0/24"), Type: 7})
		}, "punt_unroutable"},
		{"route back", func() error {
			return netlink.RouteReplace(&netlink.Route{Dst: cidr("203.0.115.0/24"), Gw: gatewayOf(w.now)})
		}, "sent_up"},
		{"link of a small MTU", func() error { return netlink.LinkSetMTU(link, 68) }, "punt_too_big"},
		{"link down", func() error { return netlink.LinkSetDown(link) }, "punt_local"},
	} {
		w.run(t, "lac0", w.frame)
		w.must(c.change())
		time.Sleep(longTick)
		if got, _ := w.reason(w.frame); got != c.reason {
			t.Errorf("%s: %s, want %s", c.name, got, c.reason)
		}
	}
}

// TestHopKey: what the answer depends on is part of the question: destination, TOS,
// length and the interface that the packet came in on.
func TestHopKey(t *testing.T) {
	w := newHopWorld(t)
	w.must(netlink.RouteAdd(&netlink.Route{Dst: cidr("203.0.115.0/24"), Gw: gatewayOf(w.now ^ 1), Tos: 0x10}))
	small := netlink.Route{Dst: cidr("203.0.115.77/32"), Gw: gatewayOf(w.now ^ 1), MTU: 100, MTULock: true}
	w.must(netlink.RouteAdd(&small))
	for range 50 {
		for _, c := range []struct {
			h      header
			size   int
			reason string
			by     int
		}{
			{header{}, 40, "sent_up", w.now},
			{header{tos: 0x10}, 40, "sent_up", w.now ^ 1},
			{header{dst: smallHost}, 40, "sent_up", w.now ^ 1},
			{header{dst: smallHost}, 81, "punt_too_big", 0},
			{header{dst: smallHost}, 80, "sent_up", w.now ^ 1},
		} {
			c.h.src, c.h.protocol = subscriber, 253
			if !c.h.dst.IsValid() {
				c.h.dst = host
			}
			got, out := w.reason(uplinkFrame(c.h.packet(make([]byte, c.size))))
			if got != c.reason {
				t.Fatalf("%+v: %s, want %s", c, got, c.reason)
			}
			if c.reason == "sent_up" && net.HardwareAddr(out[:6]).String() != w.gateways[c.by].String() {
				t.Fatalf("%+v: sent to %x", c, out[:6])
			}
		}
	}
}
