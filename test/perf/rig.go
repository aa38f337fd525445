package perf

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/asm"
	"github.com/cilium/ebpf/link"
	"github.com/vishvananda/netlink"

	"github.com/lnsd/lnsd/test/netlab"
)

// subscribers is where MakeSessions takes addresses from.
var subscribers = netip.MustParsePrefix("100.64.0.0/10")

// port is one end of a veth pair.
type port struct {
	ns      *netlab.Namespace
	name    string
	ifindex int
	mac     net.HardwareAddr
}

// side is one of the forwarder's two neighbours: near is its device, far the
// forwarder's at the other end.
type side struct {
	near, far port
}

// rig is a lab with a forwarder's place in the middle.
type rig struct {
	lab       *netlab.Lab
	lac, core side
}

// xdpPass is the verdict that leaves a packet to the kernel.
const xdpPass = 2

// RigPrefix begins the names of the namespaces of a run.
const RigPrefix = "lnsbench"

var rigs atomic.Uint32

// newRig makes the lab. Neighbours are entered for good: nothing is to be resolved
// while packets are counted.
func newRig() (r *rig, err error) {
	lab, err := netlab.New(fmt.Sprintf("%s-%d-%d", RigPrefix, os.Getpid(), rigs.Add(1)))
	if err != nil {
		return nil, err
	}
	r = &rig{lab: lab}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	for _, p := range []struct {
		to   *port
		ns   *netlab.Namespace
		name string
	}{
		{&r.lac.near, lab.LAC, "lac0"}, {&r.lac.far, lab.LNS, netlab.LACSide},
		{&r.core.near, lab.Core, "core0"}, {&r.core.far, lab.LNS, netlab.CoreSide},
	} {
		if *p.to, err = findPort(p.ns, p.name); err != nil {
			return r, err
		}
	}
	if err = r.resolve(); err != nil {
		return r, err
	}
	for _, p := range []*port{&r.lac.far, &r.core.far} {
		if err = p.takeFrames(); err != nil {
			return r, err
		}
	}
	return r, lab.LNS.AddRoute(subscribers, netlab.LACAddr)
}

func findPort(ns *netlab.Namespace, name string) (port, error) {
	p := port{ns: ns, name: name}
	err := ns.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err != nil {
			return err
		}
		p.ifindex, p.mac = link.Attrs().Index, link.Attrs().HardwareAddr
		return nil
	})
	return p, err
}

// resolve enters the addresses of all four ends.
func (r *rig) resolve() error {
	var errs []error
	for _, n := range []struct {
		at, of *port
		addr   netip.Addr
	}{
		{&r.lac.far, &r.lac.near, netlab.LACAddr}, {&r.lac.near, &r.lac.far, netlab.LNSAddr},
		{&r.core.far, &r.core.near, netlab.CoreAddr}, {&r.core.near, &r.core.far, netlab.LNSCore},
	} {
		errs = append(errs, n.at.ns.Do(func() error {
			return netlink.NeighSet(&netlink.Neigh{
				LinkIndex: n.at.ifindex, IP: n.addr.AsSlice(), HardwareAddr: n.of.mac, State: netlink.NUD_PERMANENT,
			})
		}))
	}
	return errors.Join(errs...)
}

// takeFrames gives a device a program for a moment: from then on frames can be
// redirected into the other end of its veth pair, as long as this end does receive
// offload.
func (p *port) takeFrames() error {
	pass, err := ebpf.NewProgram(&ebpf.ProgramSpec{
		Type: ebpf.XDP, License: "GPL", Instructions: asm.Instructions{asm.Mov.Imm(asm.R0, xdpPass), asm.Return()},
	})
	if err != nil {
		return err
	}
	defer pass.Close()
	return p.ns.Do(func() error {
		l, err := link.AttachXDP(link.XDPOptions{Program: pass, Interface: p.ifindex, Flags: link.XDPDriverMode})
		if err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		return l.Close()
	})
}

// sides returns where packets of a direction come from and go to.
func (r *rig) sides(d Direction) (from, to *side) {
	if d == Up {
		return &r.lac, &r.core
	}
	return &r.core, &r.lac
}

func (r *rig) close() error { return r.lab.Close() }
