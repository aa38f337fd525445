package maps

import (
	"net/netip"
	"slices"
	"testing"
)

// neighbour is a second subscriber, whose address is routed to tun0 as all of them
// are, and behind it a network.
var (
	neighbour      = netip.MustParseAddr("10.99.0.8")
	behindAnother  = netip.MustParseAddr("10.99.64.1")
	withoutSession = netip.MustParseAddr("10.99.0.9")
)

func anotherSession() Session {
	return Session{Slot: 8, Policy: Policy{
		Flags:    FlagPFC | FlagDontFragment,
		TunnelId: 0x1111, SessionId: 0x2222,
		PeerTunnelId: 0x3333, PeerSessionId: 0x4444,
		Local: local.Addr().As4(), LocalPort: local.Port(),
		Peer: peer.Addr().As4(), PeerPort: peer.Port(),
		Address: neighbour.As4(), Mtu: 1000, ClampMss: 900,
	}, Routes: []netip.Prefix{netip.MustParsePrefix("10.99.64.0/24")}}
}

// facing installs the second subscriber, changed.
func facing(change func(s *Session)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		s := anotherSession()
		if change != nil {
			change(&s)
		}
		w.install(t, s)
	}
}

func toAnother(h header, n int) []byte {
	h.src, h.protocol = subscriber, 17
	if !h.dst.IsValid() {
		h.dst = neighbour
	}
	return h.packet(udp(netip.AddrPortFrom(h.src, 5000), netip.AddrPortFrom(h.dst, 5000), data(n)))
}

// hairpinCases are packets between subscribers where that is allowed.
func hairpinCases() []testCase {
	policy := anotherSession().Policy
	sent := func(name string, packet, out []byte) testCase {
		return testCase{name: name, in: uplinkFrame(packet), reason: "sent_hairpin", out: toPeer(policy, out), with: facing(nil),
			slot: slices.Concat(counted(7, "up", len(packet)), counted(8, "down", len(packet)))}
	}
	plain := func(name string, h header, n int) testCase {
		packet := toAnother(h, n)
		return sent(name, packet, packet)
	}
	segment := func(mss ...byte) []byte {
		return header{src: subscriber, dst: neighbour, protocol: 6}.packet(syn(subscriber, neighbour, 2, append([]byte{2, 4}, mss...)))
	}
	return []testCase{
		plain("a packet to another subscriber is sent to its peer", header{}, 100),
		plain("an empty one grows the frame's headers", header{}, 0),
		plain("the largest that fits the other session is sent", header{}, 972),
		plain("the last TTL that may pass is 2, counted down once", header{ttl: 2}, 10),
		plain("a fragment is sent on", header{frag: 0x2000}, 40),
		plain("a host behind another subscriber is reached", header{dst: behindAnother}, 40),
		sent("the smaller MSS of both sessions counts", segment(0x05, 0xB4), segment(0x03, 0x84)),
		sent("an MSS that fits both stays", segment(0x03, 0x00), segment(0x03, 0x00)),
		{name: "one too big for the other session takes the slow path", in: uplinkFrame(toAnother(header{}, 973)), reason: "punt_too_big", with: facing(nil)},
		{name: "a TTL of 1 ends here", in: uplinkFrame(toAnother(header{ttl: 1}, 9)), reason: "punt_ttl", with: facing(nil)},
		{name: "a spoofed source does not get across", reason: "drop_source", slot: dropped(7, "up", CauseSource), with: facing(nil),
			in: uplinkFrame(header{src: neighbour, dst: neighbour, protocol: 17}.packet(nil))},
		{name: "an address without a session is the slow path's", in: uplinkFrame(toAnother(header{dst: withoutSession}, 9)), reason: "punt_foreign", with: facing(nil)},
		{name: "data that is numbered elsewhere takes the slow path", in: uplinkFrame(toAnother(header{}, 9)), reason: "punt_sequence",
			with: facing(func(s *Session) { s.Policy.Flags |= FlagSequence })},
		{name: "a session of another routing table is not reached", in: uplinkFrame(toAnother(header{}, 9)), reason: "punt_foreign",
			with: facing(func(s *Session) { s.Policy.Vrf = 5 })},
		{name: "a session that is being changed takes the slow path", in: uplinkFrame(toAnother(header{}, 9)), reason: "punt_closed",
			with: func(w *world, t *testing.T) { facing(nil)(w, t); closeSlot(t, w, 8) }},
		{name: "the kernel resolves the other peer's next hop", in: uplinkFrame(toAnother(header{}, 9)), reason: "punt_no_neigh",
			with: facing(func(s *Session) { s.Policy.Peer = [4]byte{192, 0, 2, 99} })},
		{name: "a route of the operator's own is obeyed", in: uplinkFrame(toAnother(header{dst: netip.MustParseAddr("198.51.100.2")}, 9)),
			reason: "sent_up", out: toCore(toAnother(header{dst: netip.MustParseAddr("198.51.100.2")}, 9)), slot: counted(7, "up", 37),
			with: facing(func(s *Session) { s.Policy.Address = [4]byte{198, 51, 100, 2} })},
	}
}

// denyCases are the same where it is not.
func denyCases() []testCase {
	policy := dropped(7, "up", CausePolicy)
	return []testCase{
		{name: "a packet to another subscriber is dropped", in: uplinkFrame(toAnother(header{}, 100)), reason: "drop_hairpin", slot: policy, with: facing(nil)},
		{name: "one with options too", in: uplinkFrame(toAnother(header{options: make([]byte, 4)}, 100)), reason: "drop_hairpin", slot: policy, with: facing(nil)},
		{name: "one to a network behind another subscriber too", in: uplinkFrame(toAnother(header{dst: behindAnother}, 100)), reason: "drop_hairpin", slot: policy, with: facing(nil)},
		{name: "whatever the route", in: uplinkFrame(toAnother(header{dst: netip.MustParseAddr("198.51.100.2")}, 9)), reason: "drop_hairpin", slot: policy,
			with: facing(func(s *Session) { s.Policy.Address = [4]byte{198, 51, 100, 2} })},
		{name: "anything else is routed", in: uplinkFrame(fromSubscriber(20)), reason: "sent_up", out: toCore(fromSubscriber(20)), slot: counted(7, "up", 48), with: facing(nil)},
	}
}

func TestHairpin(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, hairpinCases())
}

func TestHairpinDenied(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, Hairpin: HairpinDeny})
	runCases(t, w, reached{}, denyCases())
}

// TestHairpinByCore: the kernel's routes decide, as if no session were there.
func TestHairpinByCore(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, Hairpin: HairpinCore})
	runCases(t, w, reached{}, []testCase{
		{name: "a packet to another subscriber is left to the kernel", in: uplinkFrame(toAnother(header{}, 100)), reason: "punt_foreign", with: facing(nil)},
	})
}

// TestHairpinFraming: every framing in and out, with checksum and without.
func TestHairpinFraming(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	flags := []kernelLnsFlag{FlagLength, FlagAddressControl, FlagPFC, FlagUDPChecksum}
	for bits := range 1 << len(flags) {
		s := anotherSession()
		s.Policy.Flags = FlagDontFragment
		for i, f := range flags {
			if bits>>i&1 == 1 {
				s.Policy.Flags |= f
			}
		}
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
		for _, ppp := range allPPP {
			for _, offset := range []int{-1, 0, 60} {
				d := l2tpData{length: bits&1 != 0, offset: offset, ppp: ppp}
				packet := toAnother(header{}, 33)
				verdict, out := w.run(t, "lac0", fromPeer(d.message(packet)))
				if verdict != xdpRedirect {
					t.Fatalf("%+v: verdict %s", d, xdpNames[verdict])
				}
				if compare(t, out, toPeer(s.Policy, packet)); t.Failed() {
					t.Fatalf("flags %#x, %+v", s.Policy.Flags, d)
				}
			}
		}
	}
}
