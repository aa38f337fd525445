package perf

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/lnsd/lnsd/maps"
	"github.com/lnsd/lnsd/test/netlab"
)

// Names of the forwarders.
const (
	Plain     = "redirect"
	Touch     = "touch"
	Reference = "reference"
	LNSD      = "lnsd"
	Linux     = "linux"
	L2TPNS    = "l2tpns"
	SlowPath  = "slowpath"
	// LNSDSpread is lnsd with its uplink data handed to another CPU. Filter is lnsd
	// with an access list as long as can be for each session, FilterSpread both.
	LNSDSpread   = "lnsd-spread"
	Filter       = "filter"
	FilterSpread = "filter-spread"
)

// baseline is the plain redirects and the reference forwarder, which know the
// sessions of a table.
type baseline struct {
	rig   *rig
	objs  referenceObjects
	links []link.Link
}

// referenceEntries is the size of the reference's tables; they are larger only where
// the sessions would not fit.
const referenceEntries = 65536

func newBaseline(r *rig, sessions []Session) (b *baseline, err error) {
	spec, err := loadReference()
	if err != nil {
		return nil, err
	}
	size := max(referenceEntries, uint32(len(sessions)))
	lines := maps.CallPlaces(size)
	spec.Maps[referenceMapRefLines].MaxEntries = lines
	if err := errors.Join(spec.Variables[referenceVarLineCount].Set(lines),
		spec.Variables[referenceVarFirstAddress].Set(uint32(firstAddress))); err != nil {
		return nil, err
	}
	spec.Maps[referenceMapRefCalls].MaxEntries = size
	spec.Maps[referenceMapRefHosts].MaxEntries = size
	b = &baseline{rig: r}
	// A map of devices takes only those of the namespace that fills it.
	err = r.lab.LNS.Do(func() error {
		if err := spec.LoadAndAssign(&b.objs, nil); err != nil {
			return err
		}
		return b.fill(sessions)
	})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("reference forwarder: %w", err), b.close())
	}
	return b, nil
}

// fillBatch is how many sessions one system call enters.
const fillBatch = 8192

func (b *baseline) fill(sessions []Session) error {
	for len(sessions) > 0 {
		n := min(fillBatch, len(sessions))
		calls, hosts := make([]referenceRefCall, n), make([]uint32, n)
		values := make([]referenceRefSession, n)
		for i, s := range sessions[:n] {
			calls[i], hosts[i], values[i] = referenceEntry(s, netlab.LNSAddr, netip.AddrPortFrom(netlab.LACAddr, l2tpPort))
		}
		if _, err := b.objs.RefCalls.BatchUpdate(calls, values, nil); err != nil {
			return err
		}
		if _, err := b.objs.RefHosts.BatchUpdate(hosts, values, nil); err != nil {
			return err
		}
		sessions = sessions[n:]
	}
	return nil
}

// fillOne enters one session whose ends are given.
func (b *baseline) fillOne(s Session, local netip.Addr, peer netip.AddrPort) error {
	call, host, value := referenceEntry(s, local, peer)
	return errors.Join(b.objs.RefCalls.Put(&call, &value), b.objs.RefHosts.Put(&host, &value))
}

// referenceEntry is a session's keys and their value.
func referenceEntry(s Session, local netip.Addr, peer netip.AddrPort) (call referenceRefCall, host uint32, value referenceRefSession) {
	from, to := local.As4(), peer.Addr().As4()
	return referenceRefCall{TunnelId: wire(s.TunnelID), SessionId: wire(s.SessionID)},
		binary.NativeEndian.Uint32(s.Address[:]),
		referenceRefSession{
			TunnelId: wire(s.PeerTunnelID), SessionId: wire(s.PeerSessionID), PeerPort: wire(peer.Port()),
			Local: binary.NativeEndian.Uint32(from[:]), Peer: binary.NativeEndian.Uint32(to[:]),
		}
}

// wire puts a number into network order.
func wire(v uint16) uint16 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return binary.NativeEndian.Uint16(b[:])
}

// attach hangs p on both of the middle's devices. For the plain redirect a device
// leads to the other one, else to itself.
func (b *baseline) attach(p *ebpf.Program, crossed bool) error {
	lac, core := uint32(b.rig.lac.far.ifindex), uint32(b.rig.core.far.ifindex)
	return b.rig.lab.LNS.Do(func() error {
		for _, pair := range [][2]uint32{{lac, core}, {core, lac}} {
			to := pair[0]
			if crossed {
				to = pair[1]
			}
			if err := b.objs.RefDevices.Put(pair[0], to); err != nil {
				return err
			}
			l, err := link.AttachXDP(link.XDPOptions{Program: p, Interface: int(pair[0]), Flags: link.XDPDriverMode})
			if err != nil {
				return err
			}
			b.links = append(b.links, l)
		}
		return nil
	})
}

func (b *baseline) detach() error {
	var errs []error
	for _, l := range b.links {
		errs = append(errs, l.Close())
	}
	b.links = nil
	return errors.Join(errs...)
}

func (b *baseline) close() error { return errors.Join(b.detach(), b.objs.Close()) }

// targets returns the plain redirects and the reference forwarder.
func (b *baseline) targets(t *table) []*target {
	return []*target{
		{name: Plain, rig: b.rig, table: t, passage: untouched, detach: b.detach,
			attach: func() error { return b.attach(b.objs.Plain, true) }},
		{name: Touch, rig: b.rig, table: t, passage: untouched, detach: b.detach,
			attach: func() error { return b.attach(b.objs.Touch, true) }},
		{name: Reference, rig: b.rig, table: t, detach: b.detach,
			attach: func() error { return b.attach(b.objs.Reference, false) }},
	}
}

// linuxTarget is the kernel's own forwarding of the subscribers' packets, without
// any tunnel. The lab's routes are all it needs.
func linuxTarget(r *rig, t *table) *target {
	return &target{name: Linux, rig: r, table: t, passage: routing, skb: true, attach: nothing, detach: nothing}
}
