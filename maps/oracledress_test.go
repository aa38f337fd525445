package maps

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"

	"github.com/lnsd/lnsd/control/l2tp"
)

// dress is what the models' session wears in one round: sequence numbers, and IPv4
// or IPv6 outside.
type dress struct {
	numbered, six bool
	send, expect  uint32
}

// dressUp draws one, readies the maps but for the flags, which it adds to flags.
func (w *world) dressUp(r *rand.Rand, flags *kernelLnsFlag) dress {
	d := dress{numbered: r.IntN(3) == 0, six: r.IntN(3) == 0, send: r.Uint32(), expect: r.Uint32()}
	n := w.m.Sequence(7)
	n.Send.Store(d.send)
	n.Expect.Store(d.expect)
	if d.numbered {
		*flags |= FlagSequence | FlagNumbered
	}
	w.m.AddTunnel(ourTunnel, peer)
	if d.six {
		*flags |= FlagOuter6
		w.m.AddTunnel(ourTunnel, at6(peer))
		w.m.ends.values[ourTunnel].Local = addr6(local.Addr()).As16()
	}
	return d
}

// outside is a frame from the peer in the session's version of IP.
func (d dress) outside(frame []byte) []byte {
	if d.six {
		frame, _ = over6(frame)
	}
	return frame
}

// late reports whether the session drops a message with this header.
func (d dress) late(h *l2tp.Header) bool {
	return d.numbered && h.Flags&l2tp.FlagSequence != 0 && int16(h.Ns-uint16(d.expect)) < 0
}

// inside is the frame that the models understand: with the outer header of IPv4. It
// is nil for what no model has an opinion of.
func (d dress) inside(frame []byte) []byte {
	if !d.six {
		return frame
	}
	ip := frame[14:]
	if len(ip) < 48 || ip[0]>>4 != 6 || ip[6] != 17 {
		return nil
	}
	n := int(binary.BigEndian.Uint16(ip[4:]))
	src, dst := netip.AddrFrom16([16]byte(ip[8:24])), netip.AddrFrom16([16]byte(ip[24:40]))
	if n < 8 || n > len(ip)-40 || dst != addr6(local.Addr()) || binary.BigEndian.Uint16(ip[46:]) == 0 ||
		binary.BigEndian.Uint16(ip[42:]) != local.Port() {
		return nil
	}
	from := netip.MustParseAddr("192.0.2.250") // a stranger
	if src == addr6(peer.Addr()) {
		from = peer.Addr()
	}
	h := header{src: from, dst: local.Addr(), protocol: 17, tos: ip[0]<<4 | ip[1]>>4}
	return slices.Concat(frame[:12], []byte{0x08, 0x00}, h.packet(ip[40:40+n]))
}

// sent is a frame that the models make for the peer, in the session's version of IP.
func (d dress) sent(frame []byte, refuse bool) ([]byte, bool) {
	if frame != nil && d.six {
		frame, _ = over6(frame)
	}
	return frame, refuse
}
