package maps

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// TestDownlinkFraming: every way of writing a data message, with packets of
// every length modulo the checksum's chunks.
func TestDownlinkFraming(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	flags := []kernelLnsFlag{FlagLength, FlagAddressControl, FlagPFC, FlagUDPChecksum}
	for bits := range 1 << len(flags) {
		s := subscriberSession()
		s.Policy.Flags = FlagDontFragment
		for i, f := range flags {
			if bits>>i&1 == 1 {
				s.Policy.Flags |= f
			}
		}
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
		for _, n := range []int{0, 1, 2, 3, 4, 7, 31, 100, 463, 464, 465, 466, 511, 512, 513, 900, 1023, 1024, 1431, 1432} {
			inner := toSubscriber(n)
			testCase{dev: "core0", in: downlinkFrame(inner), reason: "sent_down",
				out: toPeer(s.Policy, inner), slot: counted(7, "down", len(inner))}.check(t, w, reached{})
			if t.Failed() {
				t.Fatalf("flags %#x, %d bytes", s.Policy.Flags, n)
			}
		}
	}
}

func downlinkCases() []testCase {
	inner := toSubscriber(100)
	good := downlinkFrame(inner)
	policy := subscriberSession().Policy
	down := counted(7, "down", len(inner))
	to := func(h header) []byte {
		h.src, h.dst, h.protocol = server, subscriber, 17
		return h.packet(inner[20:])
	}
	padded := header{src: server, dst: subscriber, protocol: 59}.packet(nil)
	cases := []testCase{
		{name: "a good packet is encapsulated and sent to the peer", in: good, reason: "sent_down", out: toPeer(policy, inner), slot: down},
		{name: "padding of a short frame is cut off", in: downlinkFrame(append(slices.Clone(padded), make([]byte, 26)...)),
			reason: "sent_down", out: toPeer(policy, padded), slot: counted(7, "down", 20)},
		{name: "an inner fragment is sent on", in: downlinkFrame(to(header{frag: 0x2001})), reason: "sent_down",
			out: toPeer(policy, to(header{frag: 0x2001})), slot: down},
		{name: "a packet as large as the MTU fits", in: downlinkFrame(toSubscriber(1432)), reason: "sent_down",
			out: toPeer(policy, toSubscriber(1432)), slot: counted(7, "down", 1460)},
		{name: "a packet larger than the MTU takes the slow path", in: downlinkFrame(toSubscriber(1433)), reason: "punt_too_big"},
		{name: "the last TTL that may pass is 2", in: downlinkFrame(to(header{ttl: 2})), reason: "sent_down", out: toPeer(policy, to(header{ttl: 2})), slot: down},
		{name: "a TTL of 1 ends here", in: downlinkFrame(to(header{ttl: 1})), reason: "punt_ttl"},
		{name: "options take the slow path", in: downlinkFrame(to(header{options: make([]byte, 12)})), reason: "punt_options"},
		{name: "a wrong header checksum is the kernel's to refuse", in: downlinkFrame(to(header{change: func(h []byte) { h[10] ^= 0x80 }})), reason: "pass_malformed"},
		{name: "a source that no host has is the kernel's to refuse", reason: "punt_martian",
			in: downlinkFrame(header{src: netip.MustParseAddr("127.0.0.1"), dst: subscriber, protocol: 17}.packet(data(8)))},
		{name: "UDP to the L2TP port of a subscriber is not for us", reason: "sent_down", slot: counted(7, "down", 38),
			in:  downlinkFrame(header{src: server, dst: subscriber, protocol: 17}.packet(udp(netip.AddrPortFrom(server, 1701), netip.AddrPortFrom(subscriber, 1701), data(10)))),
			out: toPeer(policy, header{src: server, dst: subscriber, protocol: 17}.packet(udp(netip.AddrPortFrom(server, 1701), netip.AddrPortFrom(subscriber, 1701), data(10))))},
		{name: "UDP too short for ports is routed all the same", in: downlinkFrame(header{src: server, dst: subscriber, protocol: 17}.packet(data(3))),
			reason: "sent_down", out: toPeer(policy, header{src: server, dst: subscriber, protocol: 17}.packet(data(3))), slot: counted(7, "down", 23)},
		{name: "from the LACs' side it is served too", dev: "lac0", in: ether(lacMAC, peerMAC, 0x0800, inner), reason: "sent_down",
			out: toPeer(policy, inner), slot: down},
		{name: "a slot that is being changed takes the slow path", in: good, reason: "punt_closed",
			with: func(w *world, t *testing.T) { closeSlot(t, w, 7) }},
		{name: "a slot that holds another session takes the slow path", in: good, reason: "punt_closed",
			with: straySlot(func(p *Policy) { p.Address[3]++ })},
		{name: "an address that leads to another's place is not ours", in: good, reason: "pass_not_ours",
			with: changeSlot(func(p *Policy) { p.Address[3]++ })},
		{name: "data that is numbered elsewhere takes the slow path", in: good, reason: "punt_sequence",
			with: replaceSession(func(s *Session) { s.Policy.Flags |= FlagSequence })},
		{name: "another routing table's subscriber is not found", in: good, reason: "pass_not_ours",
			with: replaceSession(func(s *Session) { s.Policy.Vrf = 5 })},
		{name: "a session outside the main table takes the slow path", in: good, reason: "punt_vrf",
			with: func(w *world, t *testing.T) {
				replaceSession(func(s *Session) { s.Policy.Vrf = 5 })(w, t)
				port := w.port("core0")
				port.VRF = 5
				changePort(t, w, port, w.port("core0"))
			}},
		{name: "an unresolved peer is resolved by the kernel", in: good, reason: "punt_no_neigh",
			with: replaceSession(func(s *Session) { s.Policy.Peer = [4]uint8{192, 0, 2, 99} })},
		{name: "a peer behind another interface is reached through the kernel", in: good, reason: "punt_foreign",
			with: replaceSession(func(s *Session) { s.Policy.Peer = [4]uint8{10, 99, 0, 1} })},
		{name: "a route to the peer that is too narrow takes the slow path", in: downlinkFrame(toSubscriber(1000)), reason: "punt_too_big",
			with: replaceSession(func(s *Session) { s.Policy.Peer = [4]uint8{198, 18, 0, 1} })},
		{name: "without room for the headers the kernel does it", in: good, meta: 200, reason: "punt_headroom"},
		{name: "a device that cannot be sent to loses the packet", in: good, reason: "drop_output", slot: dropped(7, "down", CauseOutput),
			with: func(w *world, t *testing.T) {
				if err := w.m.objs.LnsDevices.Delete(uint32(w.ifindex("lac0"))); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { w.allowOutput("lac0") })
			}},
	}
	for i := range cases {
		if cases[i].dev == "" {
			cases[i].dev = "core0"
		}
	}
	return cases
}

func TestDownlink(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, downlinkCases())
}

// TestDownlinkRouted: a prefix routed to a subscriber leads to it by longest
// match, and the subscriber's own address before any prefix.
func TestDownlinkRouted(t *testing.T) {
	w := newWorld(t)
	wide := subscriberSession()
	wide.Routes = []netip.Prefix{netip.MustParsePrefix("10.64.0.0/16"), netip.MustParsePrefix("10.80.0.0/16")}
	w.install(t, wide)
	narrow := subscriberSession()
	narrow.Slot, narrow.Policy.SessionId, narrow.Policy.PeerSessionId = 8, 1, 2
	narrow.Policy.Address = [4]uint8{10, 64, 0, 8}
	narrow.Routes = []netip.Prefix{netip.MustParsePrefix("10.80.1.0/24")}
	w.install(t, narrow)

	for dst, s := range map[string]Session{
		"10.64.0.7": wide, "10.64.0.8": narrow, "10.64.0.9": wide, "10.80.0.1": wide, "10.80.1.1": narrow,
	} {
		inner := header{src: server, dst: netip.MustParseAddr(dst), protocol: 17}.packet(data(30))
		testCase{dev: "core0", in: downlinkFrame(inner), reason: "sent_down",
			out: toPeer(s.Policy, inner), slot: counted(int(s.Slot), "down", 50)}.check(t, w, reached{})
		if t.Failed() {
			t.Fatal(dst)
		}
	}
	// With the last route gone nothing is looked for in the trie any more.
	if _, err := w.m.Remove([]uint32{7, 8}); err != nil {
		t.Fatal(err)
	}
	inner := header{src: server, dst: netip.MustParseAddr("10.80.0.1"), protocol: 17}.packet(nil)
	testCase{dev: "core0", in: downlinkFrame(inner), reason: "pass_not_ours"}.check(t, w, reached{})
	if w.m.nroute != (routeCount{}) {
		t.Errorf("%v routes counted, want 0", w.m.nroute)
	}
}

// TestDownlinkFragmentable: without the DF policy the outer packet may be
// fragmented, and therefore has an id of its own.
func TestDownlinkFragmentable(t *testing.T) {
	w := newWorld(t)
	s := subscriberSession()
	s.Policy.Flags &^= FlagDontFragment
	w.install(t, s)
	ids := map[string]bool{}
	for range 8 {
		verdict, out := w.run(t, "core0", downlinkFrame(toSubscriber(64)))
		if verdict != xdpRedirect {
			t.Fatalf("verdict %s", xdpNames[verdict])
		}
		ids[fmt.Sprint(out[18:20])] = true
		ip := out[14:34]
		if onesSum(0, ip) != 0xFFFF {
			t.Errorf("outer header checksum is wrong: % x", ip)
		}
		want := toPeer(s.Policy, toSubscriber(64))
		copy(want[18:20], out[18:20])
		putHeaderChecksum(want[14:34])
		compare(t, out, want)
	}
	if len(ids) < 4 {
		t.Errorf("8 packets had %d different ids", len(ids))
	}
}
