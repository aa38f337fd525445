package dataplane

import "net/netip"

// gateTable is the part of the maps that says who may speak to the daemon.
type gateTable interface {
	AddTunnel(id uint16, peer netip.AddrPort)
	RemoveTunnel(id uint16)
	AddLACs([]netip.Prefix) error
	AllowAll() error
}

// TunnelUp lets the messages of a tunnel through, from its peer alone. It neither
// blocks nor makes a system call.
func (p *Plane) TunnelUp(id uint16, peer netip.AddrPort) { p.gate.AddTunnel(id, peer) }

// TunnelGone ends that.
func (p *Plane) TunnelGone(id uint16) { p.gate.RemoveTunnel(id) }

// AllowLACs gives the prefixes that tunnels may be asked for from, after a reload;
// empty lets every source in. What was allowed once stays so until the next start:
// the fragments of live tunnels, which nothing else tells from others, must go on.
// Who may not open new tunnels any more is the engine's to refuse.
func (p *Plane) AllowLACs(sources []netip.Prefix) error {
	p.lacs.Lock()
	defer p.lacs.Unlock()
	if p.open {
		return nil
	}
	if len(sources) == 0 {
		p.open = true
		return p.gate.AllowAll()
	}
	return p.gate.AddLACs(sources)
}

// TunnelUp does nothing: the engine hears everybody.
func (n *Null) TunnelUp(uint16, netip.AddrPort) {}

// TunnelGone does nothing.
func (n *Null) TunnelGone(uint16) {}

// AllowLACs does nothing.
func (n *Null) AllowLACs([]netip.Prefix) error { return nil }
