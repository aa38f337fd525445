package maps

import (
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netns"
)

// world is a network namespace with the routes and neighbours that the kernel's
// lookup needs, and the program loaded in it:
//
//	lac0  192.0.2.1/24      towards the LACs; 192.0.2.2 resolved, 192.0.2.99 not
//	core0 198.51.100.1/24   towards the core; default route by 198.51.100.2, and
//	                        198.51.100.99 not resolved
//	tun0  (not a port)      10.99.0.0/16
//	      blackhole         203.0.113.0/24
//	      unreachable       203.0.114.0/24
//	      mtu 1000          198.18.0.0/15 by 198.51.100.2
//
// and the same in IPv6, see addIPv6.
type world struct {
	t    testing.TB
	ns   netns.NsHandle
	m    *Maps
	link map[string]netlink.Link
}

var (
	lacMAC  = mac(0x01)
	coreMAC = mac(0x02)
	tunMAC  = mac(0x03)
	peerMAC = mac(0x11) // of 192.0.2.2
	gwMAC   = mac(0x12) // of 198.51.100.2
)

func mac(last byte) net.HardwareAddr { return net.HardwareAddr{2, 0, 0, 0, 0, last} }

// usual is the configuration of most worlds.
var usual = Config{Sessions: 64, Routes: 16, IPv6: true, Outer6: true}

// newWorld builds a world for the length of the test, with 64 slots. The calling
// goroutine lives in its namespace; others enter it. The program is not loaded again for
// each of them.
func newWorld(t testing.TB) *world {
	t.Helper()
	return newNetwork(t).with(reopened(t))
}

// newWorldWith is newWorld for another configuration, whose program is loaded.
func newWorldWith(t testing.TB, cfg Config) *world {
	t.Helper()
	w := newNetwork(t)
	m, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return w.with(m)
}

// with lets m live in w for the length of the test.
func (w *world) with(m *Maps) *world {
	t := w.t
	t.Helper()
	t.Cleanup(func() {
		if err := m.Close(); err != nil {
			t.Error(err)
		}
	})
	w.m = m
	w.fill()
	return w
}

// newNetwork makes the namespace without loading anything.
func newNetwork(t testing.TB) *world {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("BPF programs and network namespaces need root")
	}
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	ns, err := netns.New()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Error(err) // the thread stays locked and ends with the goroutine
			return
		}
		ns.Close()
		home.Close()
		runtime.UnlockOSThread()
	})
	w := &world{t: t, ns: ns, link: make(map[string]netlink.Link)}
	w.sysctl("all", "forwarding", "1")
	w.addLink("lac0", lacMAC, "192.0.2.1/24")
	w.addLink("core0", coreMAC, "198.51.100.1/24")
	w.addLink("tun0", tunMAC, "10.98.0.1/24")
	w.addNeigh("lac0", "192.0.2.2", peerMAC)
	w.addNeigh("core0", "198.51.100.2", gwMAC)
	w.addNeigh("tun0", "10.98.0.2", mac(0x13))
	w.addRoute(&netlink.Route{Dst: cidr("0.0.0.0/0"), Gw: net.ParseIP("198.51.100.2")})
	w.addRoute(&netlink.Route{Dst: cidr("10.99.0.0/16"), Gw: net.ParseIP("10.98.0.2")})
	w.addRoute(&netlink.Route{Dst: cidr("198.18.0.0/15"), Gw: net.ParseIP("198.51.100.2"), MTU: 1000, MTULock: true})
	w.addRoute(&netlink.Route{Dst: cidr("203.0.113.0/24"), Type: 6}) // RTN_BLACKHOLE
	w.addRoute(&netlink.Route{Dst: cidr("203.0.114.0/24"), Type: 7}) // RTN_UNREACHABLE
	w.addIPv6()
	return w
}

// enter moves the calling goroutine (of a subtest) into the namespace until t ends.
func (w *world) enter(t testing.TB) {
	t.Helper()
	runtime.LockOSThread()
	home, err := netns.Get()
	if err != nil {
		t.Fatal(err)
	}
	if err := netns.Set(w.ns); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := netns.Set(home); err != nil {
			t.Error(err)
			return
		}
		home.Close()
		runtime.UnlockOSThread()
	})
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) sysctl(dev, name, value string) {
	w.t.Helper()
	w.must(os.WriteFile(filepath.Join("/proc/sys/net/ipv4/conf", dev, name), []byte(value), 0))
}

// addLink makes a veth pair, whose other end is called name with an x.
func (w *world) addLink(name string, hw net.HardwareAddr, addr string) {
	w.t.Helper()
	w.must(netlink.LinkAdd(&netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: name, HardwareAddr: hw, NumRxQueues: 1, NumTxQueues: 1},
		PeerName:  name + "x",
	}))
	w.must(os.WriteFile(filepath.Join("/proc/sys/net/ipv6/conf", name, "accept_dad"), []byte("0"), 0))
	for _, end := range []string{name, name + "x"} {
		l, err := netlink.LinkByName(end)
		w.must(err)
		w.must(netlink.LinkSetUp(l))
		w.link[end] = l
	}
	a, err := netlink.ParseAddr(addr)
	w.must(err)
	w.must(netlink.AddrAdd(w.link[name], a))
}

func (w *world) addNeigh(dev, addr string, hw net.HardwareAddr) {
	w.t.Helper()
	w.must(netlink.NeighSet(&netlink.Neigh{
		LinkIndex: w.ifindex(dev), IP: net.ParseIP(addr), HardwareAddr: hw, State: netlink.NUD_PERMANENT,
	}))
}

func (w *world) addRoute(r *netlink.Route) {
	w.t.Helper()
	w.must(netlink.RouteAdd(r))
}

func cidr(s string) *net.IPNet {
	_, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return n
}

func (w *world) ifindex(dev string) int {
	l := w.link[dev]
	if l == nil {
		w.t.Fatalf("no device %s", dev)
	}
	return l.Attrs().Index
}

// port is the port of a device without tags.
func (w *world) port(dev string) Port {
	p := Port{Ifindex: w.ifindex(dev), Device: w.ifindex(dev)}
	copy(p.MAC[:], w.link[dev].Attrs().HardwareAddr)
	switch dev {
	case "lac0":
		copy(p.MAC[:], lacMAC)
	case "core0":
		copy(p.MAC[:], coreMAC)
	}
	return p
}

// fill enters ports, our socket, and lets packets be sent through both ports.
func (w *world) fill() {
	w.t.Helper()
	for _, dev := range []string{"lac0", "core0"} {
		w.must(w.m.AddPort(w.port(dev)))
		w.allowOutput(dev)
	}
	w.must(w.m.AddLocal(local))
	w.must(w.m.AddLocal(at6(local)))
	w.m.TrustHops(forever)
	w.m.AddTunnel(subscriberSession().Policy.TunnelId, peer)
}

// allowOutput does what Attach does besides attaching.
func (w *world) allowOutput(dev string) {
	w.t.Helper()
	value := kernelBpfDevmapVal{Ifindex: uint32(w.ifindex(dev))}
	w.must(w.m.objs.LnsDevices.Put(value.Ifindex, &value))
}

// install installs a session for the length of the test.
func (w *world) install(t testing.TB, s Session) {
	t.Helper()
	if err := w.m.Install(s); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := w.m.Remove([]uint32{s.Slot}); err != nil {
			t.Error(err)
		}
	})
}

// rewrite makes the paths of a slot what its session says, which a test has changed.
func (m *Maps) rewrite(slot uint32) {
	p, s := &m.paths, m.sessions.values[slot]
	p.up.write(p.up.at[slot], slot, &s)
	p.down.write(p.down.at[slot], slot, &s)
	m.setState(slot, s.State)
}
