package maps

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strconv"
	"testing"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

func itoa(n int) string { return strconv.Itoa(n) }

// The model is the slow path's own code for L2TP and PPP, and plain Go for the
// rest. For any packet, what the program forwards must be byte for byte what the
// model forwards, and what the program drops the model must refuse. Leaving a
// packet to the kernel is always allowed.

// checkedIPv4 returns the IPv4 packet at the start of b without what follows it,
// if a router that leaves options and martians to others may forward it.
func checkedIPv4(b []byte) ([]byte, bool) {
	if len(b) < 20 || b[0] != 0x45 || onesSum(0, b[:20]) != 0xFFFF {
		return nil, false
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	if total < 20 || total > len(b) {
		return nil, false
	}
	return b[:total], true
}

// broken reports whether b is no IPv4 packet that anyone would forward.
func broken(b []byte) bool {
	if len(b) < 20 || b[0]>>4 != 4 || b[0]&15 < 5 {
		return true
	}
	total := int(binary.BigEndian.Uint16(b[2:]))
	ihl := int(b[0]&15) * 4
	return total < ihl || total > len(b) || onesSum(0, b[:ihl]) != 0xFFFF
}

// modelUp decapsulates a frame of the session. out is nil when the model does
// not forward it; refuse tells that it must not be handed on to anybody.
func modelUp(p Policy, d dress, frame []byte) (out []byte, refuse bool) {
	if frame = d.inside(frame); frame == nil {
		return nil, false
	}
	return modelInside(p, d, frame)
}

// modelInside is modelUp of a frame that has IPv4 outside.
func modelInside(p Policy, d dress, frame []byte) (out []byte, refuse bool) {
	outer, ok := checkedIPv4(frame[14:])
	if !ok {
		return nil, false
	}
	datagram := outer[20:]
	if len(datagram) < 8 {
		return nil, false
	}
	n := int(binary.BigEndian.Uint16(datagram[4:]))
	if n < 8 || n > len(datagram) {
		return nil, false
	}
	datagram = datagram[:n]
	h, ppp, err := l2tp.ParseHeader(datagram[8:])
	if err != nil {
		return nil, true
	}
	// The one tunnel there is has one peer; the engine hears nobody else, but for
	// who asks for a tunnel.
	stranger := [4]byte(outer[12:16]) != p.Peer || binary.BigEndian.Uint16(datagram) != p.PeerPort
	if h.IsControl() && h.TunnelID == 0 {
		t, ok := l2tp.PeekType(ppp)
		return nil, !ok || t != l2tp.SCCRQ && t != l2tp.StopCCN
	}
	if h.TunnelID != p.TunnelId || stranger {
		return nil, true
	}
	if h.IsControl() || h.SessionID != p.SessionId {
		return nil, false
	}
	if d.late(&h) {
		return nil, true
	}
	inner, ok := l2tp.DataIP(ppp)
	if !ok {
		protocol, _, ok := l2tp.ParsePPP(ppp)
		cut := len(ppp) == 1 && ppp[0] == 0xFF // an address without control
		return nil, !ok || cut || protocol == l2tp.ProtocolIPv4
	}
	if broken(inner) || [4]byte(inner[12:16]) != p.Address {
		return nil, true
	}
	inner, ok = checkedIPv4(inner)
	if !ok || inner[8] <= 1 {
		return nil, false
	}
	inner = slices.Clone(inner)
	if p.Flags&FlagECN != 0 {
		if inner[1], ok = session.CombineECN(outer[1], inner[1]); !ok {
			return nil, true
		}
	}
	return toCore(clamped(inner, p.ClampMss)), false
}

// modelDown encapsulates a frame for the session's subscriber.
func modelDown(p Policy, d dress, frame []byte) (out []byte, refuse bool) {
	packet, ok := checkedIPv4(frame[14:])
	if !ok || packet[8] <= 1 || len(packet) > int(p.Mtu) || [4]byte(packet[16:20]) != p.Address {
		return nil, false
	}
	return d.sent(toPeerAs(p, uint16(d.send), clamped(packet, p.ClampMss)), false)
}

// clamped returns packet with the MSS of a SYN lowered to limit. A checksum that
// was wrong stays as wrong.
func clamped(packet []byte, limit uint16) []byte {
	packet = slices.Clone(packet)
	tcp := packet[20:]
	fragment := binary.BigEndian.Uint16(packet[6:])&0x3FFF != 0
	if packet[9] != 6 || fragment || len(tcp) < 20 || tcp[13]&2 == 0 || limit == 0 {
		return packet
	}
	end := int(tcp[12]>>4) * 4
	if end < 20 || end > len(tcp) {
		return packet
	}
	for at := 20; at+4 <= end && tcp[at] != 0; {
		if tcp[at] == 1 {
			at++
			continue
		}
		if tcp[at] == 2 {
			if tcp[at+1] == 4 && binary.BigEndian.Uint16(tcp[at+2:]) > limit {
				before := slices.Clone(tcp[:end])
				binary.BigEndian.PutUint16(tcp[at+2:], limit)
				mend(tcp, before)
			}
			return packet
		}
		if tcp[at+1] < 2 {
			return packet
		}
		at += int(tcp[at+1])
	}
	return packet
}

// mend adapts a TCP checksum to header words that differ from those before
// (RFC 1624, equation 3, word by word).
func mend(tcp, before []byte) {
	sum := uint32(^binary.BigEndian.Uint16(tcp[16:]))
	for i := 0; i < len(before); i += 2 {
		was, is := binary.BigEndian.Uint16(before[i:]), binary.BigEndian.Uint16(tcp[i:])
		if was != is {
			sum += uint32(^was) + uint32(is)
		}
	}
	binary.BigEndian.PutUint16(tcp[16:], ^onesSum(sum, nil))
}

// againstModel runs a frame and compares. It returns whether it was forwarded.
func againstModel(t *testing.T, w *world, dev string, frame []byte, model func() ([]byte, bool)) bool {
	t.Helper()
	verdict, out := w.run(t, dev, frame)
	want, refuse := model()
	switch verdict {
	case xdpRedirect:
		if want == nil {
			t.Errorf("forwarded what the slow path does not\n% x", frame)
			return true
		}
		compare(t, out, want)
		return true
	case xdpDrop:
		if !refuse {
			t.Errorf("dropped what the slow path does not refuse\n% x", frame)
		}
	case xdpPass:
		compare(t, out, frame)
	default:
		t.Errorf("verdict %d", verdict)
	}
	return false
}

// randomInner is a packet between src and dst with random content: UDP, TCP with
// random options, or anything.
func randomInner(r *rand.Rand, src, dst netip.Addr) []byte {
	h := header{src: src, dst: dst, ttl: byte(1 + r.IntN(255)), tos: byte(r.Uint32()), id: uint16(r.Uint32())}
	if r.IntN(8) == 0 {
		h.frag = uint16(r.IntN(0x4000))
	}
	switch r.IntN(4) {
	case 0:
		h.protocol = 17
		return h.packet(udp(netip.AddrPortFrom(src, 1024), netip.AddrPortFrom(dst, 53), randomBytes(r, r.IntN(1450))))
	case 1:
		h.protocol = byte(r.Uint32())
		return h.packet(randomBytes(r, r.IntN(1480)))
	default:
		h.protocol = 6
		return h.packet(syn(src, dst, byte(r.Uint32())|2, randomOptions(r)))
	}
}

func randomBytes(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// randomOptions is TCP options, mostly legal, with an MSS somewhere in most.
func randomOptions(r *rand.Rand) []byte {
	var b []byte
	for len(b) < 34 && r.IntN(6) != 0 {
		switch r.IntN(6) {
		case 0, 1:
			b = append(b, 1)
		case 2, 3:
			b = append(b, 2, 4, byte(r.IntN(12)), byte(r.Uint32()))
		case 4:
			b = append(append(b, byte(3+r.IntN(9)), 6), randomBytes(r, 4)...)
		case 5:
			b = append(b, randomBytes(r, r.IntN(3))...)
		}
	}
	return b[:min(len(b), 40)]
}

// mutate spoils a frame behind its Ethernet header in most cases not at all.
func mutate(r *rand.Rand, frame []byte) []byte {
	frame = slices.Clone(frame)
	for range max(0, r.IntN(6)-3) {
		// The headers are where a change matters.
		frame[14+r.IntN(min(len(frame)-14, 80))] = byte(r.Uint32())
	}
	if r.IntN(16) == 0 {
		frame = frame[:14+r.IntN(len(frame)-14)]
	}
	if r.IntN(8) == 0 {
		frame = append(frame, randomBytes(r, r.IntN(30))...)
	}
	return frame
}

// TestSlowPathIsOracle sends random packets both ways through the program and
// through the model.
func TestSlowPathIsOracle(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.install(t, subscriberSession())
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	slot := &w.m.sessions.values[7]
	const rounds = 30_000
	forwarded := map[string]int{}
	for i := range rounds {
		s := subscriberSession()
		s.Policy.Flags = FlagDontFragment | kernelLnsFlag(r.Uint32())&(FlagLength|FlagAddressControl|FlagPFC|FlagUDPChecksum|FlagCopyDSCP|FlagECN)
		s.Policy.ClampMss, s.Policy.OuterTos = uint16(r.IntN(3)*500), byte(r.IntN(64)<<2)
		x := w.dressUp(r, &s.Policy.Flags)
		// Only flags, MSS and TOS differ, which one packet at a time can see at once.
		slot.Flags, slot.ClampMss, slot.OuterTos = s.Policy.Flags, s.Policy.ClampMss, s.Policy.OuterTos
		w.m.rewrite(7)

		d := l2tpData{r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(2) == 0, r.IntN(40) - 20, allPPP[r.IntN(len(allPPP))], uint16(r.Uint32())}
		d.offset = max(d.offset, -1)
		up := mutate(r, x.outside(marked(fromPeer(d.message(randomInner(r, subscriber, server))), byte(r.Uint32()))))
		if againstModel(t, w, "lac0", up, func() ([]byte, bool) { return modelUp(s.Policy, x, up) }) {
			forwarded["up"]++
		}
		down := mutate(r, downlinkFrame(randomInner(r, server, subscriber)))
		if againstModel(t, w, "core0", down, func() ([]byte, bool) { return modelDown(s.Policy, x, down) }) {
			forwarded["down"]++
		}
		if t.Failed() {
			t.Fatalf("round %d of seed %d, flags %#x, MSS %d", i, seed, s.Policy.Flags, s.Policy.ClampMss)
		}
	}
	for _, dir := range []string{"up", "down"} {
		if forwarded[dir] < rounds/4 {
			t.Errorf("only %s packets of %d forwarded %s: the test tests little", fmt.Sprint(forwarded[dir]), rounds, dir)
		}
	}
}
