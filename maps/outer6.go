package maps

import (
	"fmt"
	"net/netip"
)

// putEnds writes both ends of a session's tunnel, before any packet can ask for them.
func (m *Maps) putEnds(s *Session) {
	if s.Peer6.IsValid() {
		m.ends.values[s.Policy.TunnelId] = kernelLnsEnds{Local: s.Local6.As16(), Peer: s.Peer6.As16()}
	}
}

// isLocal6 reports whether ap is an IPv6 address that can be ours.
func isLocal6(ap netip.AddrPort) bool {
	a := ap.Addr()
	return a.Is6() && !a.Is4In6() && !a.IsUnspecified() && ap.Port() != 0
}

// addLocal6 is AddLocal for such an address.
func (m *Maps) addLocal6(ap netip.AddrPort) error {
	key := kernelLnsLocal6{Addr: ap.Addr().As16(), Port: ap.Port()}
	whole := key
	whole.Port = 0
	for _, k := range []*kernelLnsLocal6{&whole, &key} {
		if err := m.objs.LnsLocals6.Put(k, uint32(1)); err != nil {
			return fmt.Errorf("local address %v: %w", ap, classify(err))
		}
	}
	return nil
}

// removeLocal6 is RemoveLocal for such an address.
func (m *Maps) removeLocal6(ap netip.AddrPort) error {
	key := kernelLnsLocal6{Addr: ap.Addr().As16(), Port: ap.Port()}
	if err := deleteQuietly(m.objs.LnsLocals6, &key); err != nil {
		return err
	}
	var other kernelLnsLocal6
	var value uint32
	all := m.objs.LnsLocals6.Iterate()
	for all.Next(&other, &value) {
		if other.Addr == key.Addr && other.Port != 0 {
			return nil
		}
	}
	if err := all.Err(); err != nil {
		return err
	}
	key.Port = 0
	return deleteQuietly(m.objs.LnsLocals6, &key)
}
