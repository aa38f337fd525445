package maps

import (
	"encoding/binary"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// checkedIPv6 returns the IPv6 packet at the start of b without what follows it,
// if a router that leaves hop-by-hop options to others may forward it.
func checkedIPv6(b []byte) ([]byte, bool) {
	if len(b) < 40 || b[0]>>4 != 6 {
		return nil, false
	}
	total := 40 + int(binary.BigEndian.Uint16(b[4:]))
	if total > len(b) {
		return nil, false
	}
	return b[:total], b[6] != 0 && b[7] > 1
}

func ofPrefixes(s Session, a netip.Addr) bool {
	for _, p := range s.Prefixes6 {
		if p.Contains(a) {
			return true
		}
	}
	return false
}

func addrs6(packet []byte) (src, dst netip.Addr) {
	return netip.AddrFrom16([16]byte(packet[8:24])), netip.AddrFrom16([16]byte(packet[24:40]))
}

// onLink says that an address must not be forwarded from or to.
func onLink(a netip.Addr) bool {
	return a.IsMulticast() || a.IsLinkLocalUnicast() || netip.MustParsePrefix("::/64").Contains(a)
}

// modelUp6 is modelUp with IPv6 in the tunnel.
func modelUp6(s Session, d dress, frame []byte) (out []byte, refuse bool) {
	p := s.Policy
	if frame = d.inside(frame); frame == nil {
		return nil, false
	}
	outer, ok := checkedIPv4(frame[14:])
	if !ok || len(outer) < 28 {
		return modelInside(p, d, frame)
	}
	n := int(binary.BigEndian.Uint16(outer[24:]))
	if n < 8 || n > len(outer)-20 {
		return nil, false
	}
	h, ppp, err := l2tp.ParseHeader(outer[28 : 20+n])
	if err != nil || h.IsControl() || h.TunnelID != p.TunnelId || h.SessionID != p.SessionId ||
		[4]byte(outer[12:16]) != p.Peer || binary.BigEndian.Uint16(outer[20:]) != p.PeerPort {
		return modelInside(p, d, frame)
	}
	protocol, packet, ok := l2tp.ParsePPP(ppp)
	if !ok || protocol != l2tp.ProtocolIPv6 {
		return modelInside(p, d, frame)
	}
	if d.late(&h) {
		return nil, true
	}
	packet, forward := checkedIPv6(packet)
	if packet == nil {
		return nil, true
	}
	src, dst := addrs6(packet)
	if !ofPrefixes(s, src) && !src.IsLinkLocalUnicast() && !src.IsMulticast() {
		return nil, true
	}
	if !forward || onLink(src) || onLink(dst) {
		return nil, false
	}
	packet = slices.Clone(packet)
	if p.Flags&FlagECN != 0 {
		class, ok := session.CombineECN(outer[1], packet[0]<<4|packet[1]>>4)
		if !ok {
			return nil, true
		}
		packet[1] = packet[1]&0x0F | class<<4
	}
	return toCore6(clamped6(packet, p.ClampMss)), false
}

// modelDown6 encapsulates a frame for an address of the session's prefixes.
func modelDown6(s Session, d dress, frame []byte) (out []byte, refuse bool) {
	packet, ok := checkedIPv6(frame[14:])
	if !ok || len(packet) > int(s.Policy.Mtu) {
		return nil, false
	}
	if src, dst := addrs6(packet); onLink(src) || !ofPrefixes(s, dst) {
		return nil, false
	}
	return d.sent(toPeerAs(s.Policy, uint16(d.send), clamped6(packet, s.Policy.ClampMss)), false)
}

// clamped6 does what clamped does, by way of an IPv4 packet around the segment.
func clamped6(packet []byte, limit uint16) []byte {
	if limit <= 20 || packet[6] != 6 {
		return packet
	}
	v4 := clamped(append(header{src: server, dst: subscriber, protocol: 6}.packet(nil), packet[40:]...), limit-20)
	return append(packet[:40:40], v4[20:]...)
}

func randomInner6(r *rand.Rand, src, dst netip.Addr) []byte {
	h := header6{src: src, dst: dst, hops: byte(1 + r.IntN(255)), class: byte(r.Uint32())}
	switch r.IntN(4) {
	case 0:
		h.next = 17
		return h.packet(udp(netip.AddrPortFrom(src, 1024), netip.AddrPortFrom(dst, 53), randomBytes(r, r.IntN(1440))))
	case 1:
		h.next = byte(r.Uint32())
		return h.packet(randomBytes(r, r.IntN(1440)))
	default:
		h.next = 6
		return h.packet(syn(src, dst, byte(r.Uint32())|2, randomOptions(r)))
	}
}

// TestSlowPathIsOracle6 is TestSlowPathIsOracle for IPv6.
func TestSlowPathIsOracle6(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.install(t, session6())
	seed := rand.Uint64()
	r := rand.New(rand.NewPCG(seed, 0))
	ours := []netip.Addr{sub6, single, netip.MustParseAddr("2001:db8:d000:42::1")}
	slot := &w.m.sessions.values[7]
	const rounds = 20_000
	forwarded := map[string]int{}
	for i := range rounds {
		s := session6()
		s.Policy.Flags = FlagDontFragment | kernelLnsFlag(r.Uint32())&(FlagLength|FlagAddressControl|FlagPFC|FlagUDPChecksum|FlagCopyDSCP|FlagECN)
		x := w.dressUp(r, &s.Policy.Flags)
		s.Policy.ClampMss, s.Policy.OuterTos = uint16(r.IntN(3)*500), byte(r.IntN(64)<<2)
		slot.Flags, slot.ClampMss, slot.OuterTos = s.Policy.Flags|FlagIPv6|FlagRouted6, s.Policy.ClampMss, s.Policy.OuterTos
		w.m.rewrite(7)

		ppp := [][]byte{longPPP6, {0x00, 0x57}, {0xFF, 0x03, 0x57}, {0x57}}[r.IntN(4)]
		d := l2tpData{r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, max(r.IntN(40)-20, -1), ppp, uint16(r.Uint32())}
		us := ours[r.IntN(len(ours))]
		up := mutate(r, x.outside(marked(fromPeer(d.message(randomInner6(r, us, server6))), byte(r.Uint32()))))
		if againstModel(t, w, "lac0", up, func() ([]byte, bool) { return modelUp6(s, x, up) }) {
			forwarded["up"]++
		}
		down := mutate(r, downlink6Frame(randomInner6(r, server6, us)))
		if againstModel(t, w, "core0", down, func() ([]byte, bool) { return modelDown6(s, x, down) }) {
			forwarded["down"]++
		}
		if t.Failed() {
			t.Fatalf("round %d of seed %d, flags %#x, MSS %d", i, seed, s.Policy.Flags, s.Policy.ClampMss)
		}
	}
	for _, dir := range []string{"up", "down"} {
		if forwarded[dir] < rounds/4 {
			t.Errorf("only %d packets of %d forwarded %s: the test tests little", forwarded[dir], rounds, dir)
		}
	}
}
