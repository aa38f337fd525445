package engine

import "net/netip"

// refusal is why a tunnel is not let in.
type refusal uint8

const (
	admitted refusal = iota
	tooManyTunnels
	tooManyFromPeer
	tooManyHalfOpen
	secondTunnel
)

// admit counts a new tunnel, half open, if the limits allow it.
func (d *directory) admit(peer netip.Addr, name string, p *Policy, l *LAC) refusal {
	d.mu.Lock()
	defer d.mu.Unlock()
	m := &p.Limits
	c := d.peers[peer]
	switch {
	case m.Tunnels > 0 && d.tunnels >= m.Tunnels:
		return tooManyTunnels
	case l.MaxTunnels > 0 && c.tunnels >= l.MaxTunnels:
		return tooManyFromPeer
	case m.HalfOpen > 0 && d.halfOpen >= m.HalfOpen,
		m.HalfOpenPerPeer > 0 && c.halfOpen >= m.HalfOpenPerPeer:
		return tooManyHalfOpen
	case p.OneTunnelPerLAC && d.lacs[lacName{peer, name}] > 0:
		return secondTunnel
	}
	c.tunnels++
	c.halfOpen++
	d.peers[peer] = c
	d.lacs[lacName{peer, name}]++
	d.tunnels++
	d.halfOpen++
	return admitted
}

// opened counts a tunnel that is no longer half open.
func (d *directory) opened(peer netip.Addr) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.peers[peer]
	c.halfOpen--
	d.peers[peer] = c
	d.halfOpen--
}

// left uncounts a tunnel that is closing: one that only waits for its last
// acknowledgement must not keep its successor out.
func (d *directory) left(peer netip.Addr, name string, wasHalfOpen bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.peers[peer]
	c.tunnels--
	d.tunnels--
	if wasHalfOpen {
		c.halfOpen--
		d.halfOpen--
	}
	if c.tunnels == 0 {
		delete(d.peers, peer)
	} else {
		d.peers[peer] = c
	}
	k := lacName{peer, name}
	if d.lacs[k]--; d.lacs[k] <= 0 {
		delete(d.lacs, k)
	}
}
