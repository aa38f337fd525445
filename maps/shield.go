package maps

import (
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"
	"unsafe"
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
// on its messages are passed to the daemon. It takes no lock and no system call. A
// peer that is not IPv4 is none of the program's business.
func (m *Maps) AddTunnel(id uint16, peer netip.AddrPort) {
	if addr := peer.Addr().Unmap(); addr.Is4() {
		m.setTunnel(id, kernelLnsTunnel{Peer: addr.As4(), PeerPort: peer.Port(), Live: 1})
	}
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
		if !p.IsValid() || !p.Addr().Is4() {
			return fmt.Errorf("LAC %v: not an IPv4 prefix", p)
		}
		key := kernelLnsRange{Prefixlen: uint32(p.Bits()), Addr: p.Masked().Addr().As4()}
		if err := m.objs.LnsLacs.Put(&key, uint32(1)); err != nil {
			return fmt.Errorf("LAC %v: %w", p, classify(err))
		}
		m.lacs[key] = struct{}{}
	}
	return m.putFacts()
}

// AllowAll lets every source ask for tunnels again.
func (m *Maps) AllowAll() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	old := m.lacs
	m.lacs = make(map[kernelLnsRange]struct{})
	if err := m.putFacts(); err != nil {
		return err
	}
	for key := range old {
		if err := deleteQuietly(m.objs.LnsLacs, &key); err != nil {
			return err
		}
	}
	return nil
}

// learnLACs takes over the prefixes of an earlier process.
func (m *Maps) learnLACs() error {
	var key kernelLnsRange
	var value uint32
	all := m.objs.LnsLacs.Iterate()
	for all.Next(&key, &value) {
		m.lacs[key] = struct{}{}
	}
	if err := all.Err(); err != nil {
		return fmt.Errorf("read the pinned maps: %w", err)
	}
	return nil
}
