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
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/vishvananda/netlink"
	"go.uber.org/zap"
	"golang.org/x/sys/unix"
	"golang.org/x/time/rate"

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
	// Offload exchanges TCP with the kernel in large segments.
	Offload bool
	// Queues is how many queues the device has, each with a goroutine that takes
	// packets to subscribers; 0 is one.
	Queues int
	// ICMPRate is how many ICMP errors may be sent in a second; 0 sends none.
	ICMPRate int
	// DontFragment says that what send sends has DF set. What is larger than the
	// path to a LAC carries is then cut inside the tunnel, or refused there.
	DontFragment bool
	// Forwarding switches the host's forwarding on when it is off: ip_forward,
	// and, once a session has IPv6, that of all interfaces, which then heed
	// router advertisements only where accept_ra is 2.
	Forwarding bool
	// Isolate drops packets from one subscriber to another.
	Isolate bool
	// Sequences finds where the session of a slot is numbered by others besides;
	// nil, or its zero value, when nobody else does.
	Sequences func(slot uint32) session.Sequence
	// Copies takes copies of packets, nil for nobody.
	Copies Copies
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
	forward6 func() // called for each session with IPv6
	isolate  bool
	shared   bool // the sequences of sessions are others' too
	offload  bool
	queues   []*queue
	table    *table
	clock    func() time.Duration // of rates, monotonic
	filters  filters
	copies   Copies
	counts   counts
	down     []*downlink // by queue
	icmp     icmpSender
	icmp6    icmpSender
	// newWriter makes what an Uplink writes to.
	newWriter func() frameWriter
	routes    *routes
	closers   []func() error
}

// icmpSender sends a whole IP packet.
type icmpSender interface{ send(packet []byte) error }

// Open creates the TUN device, with its address and routes, in the calling
// thread's network namespace. newBatch makes the senders that Run uses, one for
// each queue.
func Open(cfg Config, newBatch func() Batch, log *zap.Logger) (_ *Path, err error) {
	if cfg.MTU == 0 {
		cfg.MTU = 1500
	}
	started := time.Now()
	p := &Path{log: log, clock: func() time.Duration { return time.Since(started) }, offload: cfg.Offload, isolate: cfg.Isolate,
		table: newTable(cfg.MaxSlot, cfg.Sequences), shared: cfg.Sequences != nil, copies: cfg.Copies}
	if p.copies == nil {
		p.copies = noCopies{}
	}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("slow path: %w", err), p.Close())
		}
	}()
	if cfg.Address.Is4() {
		p.address = number(cfg.Address)
	}
	queues, name, err := openDevice(cfg.Name, cfg.Offload, max(cfg.Queues, 1))
	if err != nil {
		return nil, err
	}
	p.name = name
	for _, q := range queues {
		p.closers = append(p.closers, q.close)
	}
	queues = p.steered(queues)
	p.queues = queues
	p.newWriter = func() frameWriter { return newWriter(queues[0]) }
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
	if err := checkHost(cfg.Forwarding, log); err != nil {
		return nil, err
	}
	p.forward6 = forward6(cfg.Forwarding, log)
	p.routes = newRoutes(cfg.Pools, kernelTarget(nl, index, cfg.Address), &p.counts, log)
	p.closers = append(p.closers, func() error { p.routes.close(); return nil })
	limit := rate.NewLimiter(rate.Limit(cfg.ICMPRate), cfg.ICMPRate)
	for range queues {
		d := newDownlink(p, newBatch(), limit)
		if cfg.DontFragment {
			paths, closePaths, err := newPathMTUs()
			if err != nil {
				return nil, err
			}
			p.closers = append(p.closers, closePaths)
			d.paths = paths
		}
		p.down = append(p.down, d)
	}
	log.Info("slow path open", zap.String("device", name), zap.Stringer("address", cfg.Address),
		zap.Int("mtu", cfg.MTU), zap.Bool("offload", cfg.Offload), zap.Int("queues", len(queues)), zap.Int("pools", len(cfg.Pools)))
	return p, nil
}

// steered returns the queues to use: all, if the device can be told how to choose,
// else the first alone, and the others are closed.
func (p *Path) steered(queues []*queue) []*queue {
	if len(queues) == 1 {
		return queues
	}
	err := steer(queues[0])
	if err == nil {
		return queues
	}
	for _, q := range queues[1:] {
		err = errors.Join(err, q.close())
	}
	p.log.Warn("one queue is used: subscribers' packets could not be kept in order over several", zap.Error(err))
	return queues[:1]
}

// Run forwards packets from the TUN device to subscribers until ctx ends or the
// path is closed, and then returns nil.
func (p *Path) Run(ctx context.Context) error {
	errs := make([]error, len(p.queues))
	var wg sync.WaitGroup
	for i, q := range p.queues {
		wg.Go(func() {
			errs[i] = newReader(q, p.down[i]).run(ctx, func() { p.counts.add(downReadError, 1) })
		})
	}
	wg.Wait()
	return errors.Join(errs...)
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
			if len(r.Prefixes6) > 0 {
				p.forward6()
			}
			added = p.newEntry(r)
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
