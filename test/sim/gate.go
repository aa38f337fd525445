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
	Dropped int
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

// packet brings a datagram to the engine, or not. A world whose shards run on
// goroutines has no gate.
func (w *World) packet(peer netip.AddrPort, b []byte) {
	if g := w.Gate; g != nil {
		h, _, err := l2tp.ParseHeader(b)
		if err == nil && h.TunnelID != 0 && g.tunnels[h.TunnelID] != peer {
			g.Dropped++
			return
		}
	}
	w.In.Packet(LNS, peer, b)
}
