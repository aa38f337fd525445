// Package tun is the slow path: it forwards in Go what the XDP program passes up,
// or everything when there is no XDP.
//
//	LAC ──▶ udp ──▶ Uplink ──▶ TUN device ──▶ kernel: TTL, route, ICMP ──▶ core
//	LAC ◀── udp ◀── Run ◀───── TUN device ◀── kernel: TTL, route, ICMP ◀── core
//
// The kernel does the router's work, this package the tunnel's: it finds the
// session, checks addresses, clamps MSS, cuts or refuses what is too big for the
// session, and wraps and unwraps. The kernel also joins the fragments of outer
// packets before they come here.
package tun

import (
	"errors"
	"fmt"
	"net/netip"
	"os"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"

	"github.com/lnsd/lnsd/control/session"
)

// Config describes the slow path.
type Config struct {
	// Name is the TUN device's name; a %d in it is numbered by the kernel.
	Name string
	// Address is our IPv4 address on the subscribers' side. It is the source of
	// ICMP errors. The zero value leaves the device without an address.
	Address netip.Addr
	// Pools are the prefixes that subscribers' addresses come from; each gets
	// one route to the device.
	Pools []netip.Prefix
	// IPv6 carries the sessions' IPv6 prefixes too; Pools may then hold some.
	IPv6 bool
	// Address6 is our IPv6 address on the subscribers' side and the source of
	// ICMPv6 errors, of which the zero value sends none.
	Address6 netip.Addr
	// MTU of the device in bytes, at least the largest MTU of any session;
	// 0 is 1500.
	MTU int
	// MaxSlot is the highest slot in use.
	MaxSlot uint32
	// Offload exchanges TCP and UDP with the kernel in large segments.
	Offload bool
	// ICMPRate is how many ICMP errors may be sent in a second; 0 sends none.
	ICMPRate int
	// DontFragment says that what send sends has DF set. What is larger than the
	// path to a LAC carries is then cut inside the tunnel, or refused there.
	DontFragment bool
	// Forwarding switches the host's forwarding on when it is off: ip_forward,
	// and with IPv6 that of all interfaces, which then heed router
	// advertisements only where accept_ra is 2.
	Forwarding bool
}

// Path is the slow path. Its methods may be called from any goroutine, Run from
// one.
type Path struct {
	log     *zap.Logger
	name    string
	address uint32 // ours, 0 if there is none
	// ipv6 is whether sessions may have IPv6, address6 our address in it.
	ipv6     bool
	address6 netip.Addr
	dev      device
	file     *os.File
	ready    *poller
	table    *table
	counts   counts
	down     *downlink
	icmp     icmpSender
	icmp6    icmpSender
	routes   *routes
	closers  []func() error
}

// icmpSender sends a whole IP packet.
type icmpSender interface{ send(packet []byte) error }

// Open creates the TUN device, with its address and routes, in the calling
// thread's network namespace. send is used by Run alone.
func Open(cfg Config, send DataSender, log *zap.Logger) (_ *Path, err error) {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	p := &Path{log: log, table: newTable(cfg.MaxSlot)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("slow path: %w", err), p.Close())
		}
	}()
	if cfg.Address.Is4() {
		p.address = number(cfg.Address)
	}
	dev, name, err := openDevice(cfg.Name, cfg.Offload)
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, dev.Close)
	p.dev, p.name, p.file = dev, name, dev.File()
	if p.ready, err = newPoller(p.file); err != nil {
		return nil, err
	}
	raw, err := openRawSocket()
	if err != nil {
		return nil, err
	}
	p.closers = append(p.closers, raw.Close)
	p.icmp = raw
	// Routes, links and addresses alone: the other families that the library
	// opens by default are modules that a kernel need not have.
	nl, err := netlink.NewHandle(unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	p.closers = append(p.closers, func() error { nl.Close(); return nil })
	if err := prepareIPv6(name, cfg.IPv6, log); err != nil {
		return nil, fmt.Errorf("device %s: IPv6: %w", name, err)
	}
	if cfg.IPv6 {
		raw6, err := openRawSocket6()
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, raw6.Close)
		p.ipv6, p.address6, p.icmp6 = true, cfg.Address6, raw6
	}
	index, err := configure(nl, name, cfg)
	if err != nil {
		return nil, err
	}
	if err := checkHost(cfg.Forwarding, cfg.IPv6, log); err != nil {
		return nil, err
	}
	p.routes = newRoutes(cfg.Pools, kernelRoute(nl, index, cfg.Address), &p.counts, log)
	p.closers = append(p.closers, func() error { p.routes.close(); return nil })
	p.down = newDownlink(p, send, cfg.MTU, cfg.ICMPRate)
	if cfg.DontFragment {
		paths, closePaths, err := newPathMTUs()
		if err != nil {
			return nil, err
		}
		p.closers = append(p.closers, closePaths)
		p.down.paths = paths
	}
	log.Info("slow path open", zap.String("device", name), zap.Stringer("address", cfg.Address),
		zap.Int("mtu", cfg.MTU), zap.Bool("offload", cfg.Offload), zap.Int("pools", len(cfg.Pools)))
	return p, nil
}

// Name is the TUN device's name.
func (p *Path) Name() string { return p.name }

// Apply puts sessions in and takes them out. It is done when it returns; kernel
// routes that no pool covers follow within milliseconds. The device lives in the
// main routing table: sessions of another one are left out.
func (p *Path) Apply(ops []session.ProgramOp) {
	for i := range ops {
		r := &ops[i].Record
		var added, removed *entry
		switch {
		case ops[i].Remove:
			removed = p.table.remove(r.Ref)
		case r.VRF == 0:
			added = newEntry(r)
			removed = p.table.install(added, r.Slot)
		}
		p.routes.replace(removed, added)
	}
}

// Counters returns what the session in a slot has sent and received by the slow
// path. After its removal they don't move, and stay until the slot is used again.
func (p *Path) Counters(slot uint32) session.Counters { return p.table.counters(slot) }

// Counts returns how packets ended in the slow path.
func (p *Path) Counts() []session.Count { return p.counts.list() }

// Close removes the device and its routes, and ends Run. Apply and Uplinks must
// not be used any more.
func (p *Path) Close() error {
	var errs []error
	for i := len(p.closers) - 1; i >= 0; i-- {
		errs = append(errs, p.closers[i]())
	}
	p.closers = nil
	return errors.Join(errs...)
}
