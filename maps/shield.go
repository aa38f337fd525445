package maps

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/cilium/ebpf"
)

// Rates bound what is passed to the daemon, in messages a second; 0 is no limit.
// After a pause a second's worth passes at once.
type Rates struct {
	// Of each source address: SCCRQ; ICRQ and OCRQ; other control messages, but
	// for HELLO, acknowledgements and StopCCN of live tunnels, which always pass;
	// PPP frames of sessions that are not installed.
	SCCRQ, Call, Control, Setup uint32
	// Of each installed session: PPP frames.
	PPP uint32
}

// interval is the time between two messages at rate, in nanoseconds. It is rounded
// down, so that a second holds as many as the rate says.
func interval(rate uint32) uint64 {
	if rate == 0 {
		return 0
	}
	return max(uint64(time.Second)/uint64(rate), 1)
}

// facts are the rates as the program reads them.
func (r Rates) facts() kernelLnsFacts {
	return kernelLnsFacts{
		Layout:          kernelLnsLayoutLNS_LAYOUT,
		SccrqInterval:   interval(r.SCCRQ),
		CallInterval:    interval(r.Call),
		ControlInterval: interval(r.Control),
		SetupInterval:   interval(r.Setup),
		PppInterval:     interval(r.PPP),
	}
}

// AddTunnel says that the tunnel with our id lives, and who its peer is: from now
// on its messages are passed to the daemon. It takes no lock and no system call.
func (m *Maps) AddTunnel(id uint16, peer netip.AddrPort) {
	if addr := peer.Addr().Unmap(); addr.Is4() {
		m.setTunnel(id, kernelLnsTunnel{Peer: addr.As4(), PeerPort: peer.Port(), Live: 1})
		return
	}
	// Nothing looks there as long as the tunnel does not live.
	m.ends.values[id].Peer = peer.Addr().As16()
	m.setTunnel(id, kernelLnsTunnel{PeerPort: peer.Port(), Live: 1, Ipv6: 1})
}

// RemoveTunnel says that the tunnel is gone; one that is not there is no error.
func (m *Maps) RemoveTunnel(id uint16) { m.setTunnel(id, kernelLnsTunnel{}) }

// KeepTunnels says which tunnels live, to go on with those of an earlier process: the
// others are taken out.
func (m *Maps) KeepTunnels(live map[uint16]netip.AddrPort) {
	for id := range m.tunnels.values {
		id := uint16(id)
		if peer, ok := live[id]; ok {
			m.AddTunnel(id, peer)
		} else if m.tunnels.values[id].Live != 0 {
			m.RemoveTunnel(id)
		}
	}
}

// setTunnel writes a tunnel as the one word that it is.
func (m *Maps) setTunnel(id uint16, t kernelLnsTunnel) {
	at := (*uint64)(unsafe.Pointer(&m.tunnels.values[id]))
	atomic.StoreUint64(at, *(*uint64)(unsafe.Pointer(&t)))
}

// AddLACs adds to the prefixes that new tunnels may be asked for from. As long as
// none was added every source may.
func (m *Maps) AddLACs(prefixes []netip.Prefix) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range prefixes {
		if !p.IsValid() || p.Addr().Is4In6() {
			return fmt.Errorf("LAC %v: not a prefix", p)
		}
		into, key := m.lacKey(p)
		if err := into.Put(key, uint32(1)); err != nil {
			return fmt.Errorf("LAC %v: %w", p, classify(err))
		}
		m.lacs[p.Masked()] = struct{}{}
	}
	return m.putFacts()
}

// AllowAll lets every source ask for tunnels again.
func (m *Maps) AllowAll() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.lacs
	m.lacs = make(map[netip.Prefix]struct{})
	if err := m.putFacts(); err != nil {
		return err
	}
	for p := range old {
		from, key := m.lacKey(p)
		if err := deleteQuietly(from, key); err != nil {
			return err
		}
	}
	return nil
}

// lacKey returns where a LAC's prefix is entered, and its key.
func (m *Maps) lacKey(p netip.Prefix) (*ebpf.Map, any) {
	if addr := p.Masked().Addr(); addr.Is6() {
		return m.objs.LnsLacs6, &kernelLnsRange6{Prefixlen: uint32(p.Bits()), Addr: addr.As16()}
	}
	return m.objs.LnsLacs, &kernelLnsRange{Prefixlen: uint32(p.Bits()), Addr: p.Masked().Addr().As4()}
}

// learnLACs takes over the prefixes of an earlier process.
func (m *Maps) learnLACs() error {
	var key kernelLnsRange
	var key6 kernelLnsRange6
	var value uint32
	all, all6 := m.objs.LnsLacs.Iterate(), m.objs.LnsLacs6.Iterate()
	for all.Next(&key, &value) {
		m.lacs[netip.PrefixFrom(netip.AddrFrom4(key.Addr), int(key.Prefixlen))] = struct{}{}
	}
	for all6.Next(&key6, &value) {
		m.lacs[netip.PrefixFrom(netip.AddrFrom16(key6.Addr), int(key6.Prefixlen))] = struct{}{}
	}
	if err := errors.Join(all.Err(), all6.Err()); err != nil {
		return fmt.Errorf("read the pinned maps: %w", err)
	}
	return nil
}
