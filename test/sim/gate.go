package sim

import (
	"net/netip"

	"github.com/lnsd/lnsd/control/l2tp"
)

// Gate is the shield before the engine: of what is addressed to a tunnel it lets
// through only what comes from the peer of one that lives.
type Gate struct {
	w       *World
	tunnels map[uint16]netip.AddrPort
}

func newGate(w *World) *Gate { return &Gate{w: w, tunnels: make(map[uint16]netip.AddrPort)} }

// TunnelUp implements engine.Gate.
func (g *Gate) TunnelUp(id uint16, peer netip.AddrPort) {
	if old, ok := g.tunnels[id]; ok {
		g.w.T.Errorf("tunnel id %d of %v is still %v's", id, peer, old)
	}
	g.tunnels[id] = peer
}

// TunnelGone implements engine.Gate.
func (g *Gate) TunnelGone(id uint16) {
	if _, ok := g.tunnels[id]; !ok {
		g.w.T.Errorf("tunnel id %d goes twice", id)
	}
	delete(g.tunnels, id)
}

// admits reports whether a datagram may reach the engine; without a gate any may.
func (g *Gate) admits(peer netip.AddrPort, b []byte) bool {
	if g == nil {
		return true
	}
	h, _, err := l2tp.ParseHeader(b)
	return err != nil || h.TunnelID == 0 || g.tunnels[h.TunnelID] == peer
}

// packet brings a datagram to the LNS.
func (w *World) packet(peer netip.AddrPort, b []byte) {
	if w.Gate.admits(peer, b) {
		w.In.Packet(LNS, peer, b)
	}
}
