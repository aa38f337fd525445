package maps

import (
	"encoding/binary"
	"fmt"
	"net/netip"
	"slices"
	"testing"
)

// put16 returns a copy of b with v at byte at.
func put16(b []byte, at int, v uint16) []byte {
	b = slices.Clone(b)
	binary.BigEndian.PutUint16(b[at:], v)
	return b
}

// Offsets into an untagged uplink frame.
const (
	atOuterIP = 14
	atUDP     = atOuterIP + 20
	atL2TP    = atUDP + 8
)

// replaceSession is a case's state: the subscriber's session, changed.
func replaceSession(change func(s *Session)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		s := subscriberSession()
		change(&s)
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
	}
}

// uplinkFraming are all ways in which the same packet may come: every optional
// field of L2TP and PPP, every place for VLAN tags.
func uplinkFraming() []testCase {
	inner := fromSubscriber(100)
	var cases []testCase
	for bits := range 16 {
		for _, offset := range []int{-1, 0, 1, 2, 3, 200} {
			for _, ppp := range allPPP {
				d := l2tpData{bits&1 != 0, bits&2 != 0, bits&4 != 0, offset, ppp, 9}
				frame := fromPeer(d.message(inner))
				if bits&8 != 0 { // padding that only the lengths tell
					frame = append(frame, data(9)...)
				}
				cases = append(cases, testCase{
					name: fmt.Sprintf("L %v S %v P %v padded %v offset %d PPP % x", d.length, d.sequence, d.priority, bits&8 != 0, offset, ppp),
					in:   frame, reason: "sent_up", out: toCore(inner), slot: counted(7, "up", len(inner)),
				})
			}
		}
	}
	return cases
}

func TestUplinkFraming(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	for _, c := range uplinkFraming() {
		c.check(t, w, reached{})
		if t.Failed() {
			t.Fatal(c.name)
		}
	}
}

// uplinkCases are one case a rule of the uplink.
func uplinkCases() []testCase {
	return slices.Concat(goodCases(), l2tpCases(), peerCases(), pppCases(), innerCases(), sourceCases(), outerCases(), stateCases())
}

// The subscriber's packet, the datagram's message and the frame that the cases
// are mutations of, and what moves when the packet is sent on.
var (
	inner   = fromSubscriber(100)
	message = usualPPP.message(inner)
	good    = uplinkFrame(inner)
	up      = counted(7, "up", len(inner))
	badUp   = dropped(7, "up", CauseMalformed)
)

// from is the subscriber's packet with another header.
func from(h header) []byte {
	h.src, h.dst, h.protocol = subscriber, server, 17
	return h.packet(inner[20:])
}

// goodCases are packets that must get through, whatever is odd about them.
func goodCases() []testCase {
	return []testCase{
		{name: "a good packet is decapsulated and routed", in: good, reason: "sent_up", out: toCore(inner), slot: up},
		{name: "an empty inner packet is a packet", in: uplinkFrame(header{src: subscriber, dst: server, protocol: 59}.packet(nil)),
			reason: "sent_up", out: toCore(header{src: subscriber, dst: server, protocol: 59}.packet(nil)), slot: counted(7, "up", 20)},
		{name: "bytes behind the inner packet are cut off", in: uplinkFrame(append(slices.Clone(inner), 1, 2, 3)),
			reason: "sent_up", out: toCore(inner), slot: up},
		{name: "a Length shorter than the datagram ends the message", in: fromPeer(append(slices.Clone(message), 0xAA, 0xBB)),
			reason: "sent_up", out: toCore(inner), slot: up},
		{name: "reserved bits of the L2TP header are ignored", in: put16(good, atL2TP, 0x4002|0x34F0), reason: "sent_up", out: toCore(inner), slot: up},
		{name: "an inner fragment is routed on", in: uplinkFrame(from(header{frag: 0x2000})),
			reason: "sent_up", out: toCore(from(header{frag: 0x2000})), slot: up},
		{name: "the last TTL that may pass is 2", in: uplinkFrame(from(header{ttl: 2})), reason: "sent_up", out: toCore(from(header{ttl: 2})), slot: up},
		{name: "TOS and the rest of the header stay", in: uplinkFrame(from(header{tos: 0xB9, id: 0xFFFF})),
			reason: "sent_up", out: toCore(from(header{tos: 0xB9, id: 0xFFFF})), slot: up},
	}
}

// l2tpCases are about the L2TP header.
func l2tpCases() []testCase {
	return []testCase{
		{name: "L2F is dropped", in: put16(good, atL2TP, 0x4001), reason: "drop_version"},
		{name: "L2TPv3 is dropped", in: put16(good, atL2TP, 0x4003), reason: "drop_version"},
		{name: "a Length beyond the datagram is a lie", in: put16(good, atL2TP+2, uint16(len(message)+1)), reason: "drop_l2tp"},
		{name: "a Length shorter than the header is a lie", in: put16(good, atL2TP+2, 7), reason: "drop_l2tp"},
		{name: "a Length of nothing is a lie", in: put16(good, atL2TP+2, 0), reason: "drop_l2tp"},
		{name: "an offset beyond the message is a lie", in: put16(fromPeer(l2tpData{offset: 0, ppp: longPPP}.message(inner)), atL2TP+6, 500), reason: "drop_l2tp"},
		{name: "the largest offset is a lie", in: put16(fromPeer(l2tpData{offset: 0, ppp: longPPP}.message(inner)), atL2TP+6, 0xFFFF), reason: "drop_l2tp"},
		{name: "an empty datagram has no header", in: fromPeer(nil), reason: "drop_l2tp"},
		{name: "data of an unknown session goes to the daemon", in: put16(good, atL2TP+6, 0x5679), reason: "punt_unknown"},
		{name: "data of an unknown tunnel is dropped", in: put16(good, atL2TP+4, 0x1235), reason: "drop_tunnel"},
	}
}

// peerCases are about who sent the datagram.
func peerCases() []testCase {
	return []testCase{
		{name: "another source address is not the peer", reason: "drop_peer", slot: dropped(7, "up", CausePeer),
			in: ether(lacMAC, peerMAC, 0x0800, header{src: netip.MustParseAddr("192.0.2.3"), dst: local.Addr(), protocol: 17}.packet(udp(peer, local, message)))},
		{name: "another source port is not the peer", in: put16(good, atUDP, 17011), reason: "drop_peer", slot: dropped(7, "up", CausePeer)},
		{name: "the peer is bound to one of our ports", reason: "drop_peer", slot: dropped(7, "up", CausePeer),
			in: put16(good, atUDP+2, 1702), with: func(w *world, t *testing.T) { addLocal(t, w, "192.0.2.1:1702") }},
		{name: "the peer is bound to one of our addresses", reason: "drop_peer", slot: dropped(7, "up", CausePeer),
			in:   ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: netip.MustParseAddr("192.0.2.9"), protocol: 17}.packet(udp(peer, local, message))),
			with: func(w *world, t *testing.T) { addLocal(t, w, "192.0.2.9:1701") }},
		{name: "LCP from a stranger is dropped too", reason: "drop_peer", slot: dropped(7, "up", CausePeer),
			in: put16(fromPeer(l2tpData{offset: -1, ppp: []byte{0xC0, 0x21}}.message(data(20))), atUDP, 1)},
	}
}

// pppCases are about the PPP frame.
func pppCases() []testCase {
	return []testCase{
		{name: "LCP goes to the daemon", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0xFF, 3, 0xC0, 0x21}}.message(data(8))), reason: "punt_ppp_control"},
		{name: "IPCP without address and control goes to the daemon", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0x80, 0x21}}.message(data(8))), reason: "punt_ppp_control"},
		{name: "IPv6 is another protocol", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0xFF, 3, 0x57}}.message(data(60))), reason: "punt_ppp_other"},
		{name: "FF without 03 is no PPP that we know", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0xFF, 4, 0, 0x21}}.message(inner)), reason: "punt_ppp_other"},
		{name: "FF and nothing else is no PPP that we know", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0xFF}}.message(nil)), reason: "punt_ppp_other"},
		{name: "a frame that ends before the protocol is malformed", in: fromPeer(l2tpData{length: true, offset: -1, ppp: []byte{0xFF, 3}}.message(nil)),
			reason: "drop_l2tp", slot: badUp},
		{name: "a frame that ends within the protocol is malformed", in: fromPeer(l2tpData{length: true, offset: -1, ppp: []byte{0xFF, 3, 0}}.message(nil)),
			reason: "drop_l2tp", slot: badUp},
		{name: "a message without a frame is malformed", in: fromPeer(l2tpData{length: true, offset: -1}.message(nil)), reason: "drop_l2tp", slot: badUp},
	}
}

// innerCases are about the inner packet's header.
func innerCases() []testCase {
	return []testCase{
		{name: "an inner version other than 4 is malformed", in: uplinkFrame(from(header{change: func(h []byte) { h[0] = 0x65 }, resum: true})),
			reason: "drop_malformed", slot: badUp},
		{name: "an inner IHL below 5 is malformed", in: uplinkFrame(from(header{change: func(h []byte) { h[0] = 0x44 }, resum: true})),
			reason: "drop_malformed", slot: badUp},
		{name: "an inner length beyond the frame is malformed", in: uplinkFrame(from(header{change: func(h []byte) { binary.BigEndian.PutUint16(h[2:], 129) }, resum: true})),
			reason: "drop_malformed", slot: badUp},
		{name: "an inner length below the header is malformed", in: uplinkFrame(from(header{change: func(h []byte) { h[2], h[3] = 0, 19 }, resum: true})),
			reason: "drop_malformed", slot: badUp},
		{name: "an inner length below the options is malformed", reason: "drop_malformed", slot: badUp,
			in: uplinkFrame(from(header{options: make([]byte, 8), change: func(h []byte) { h[2], h[3] = 0, 27 }, resum: true}))},
		{name: "a wrong inner header checksum is malformed", in: uplinkFrame(from(header{change: func(h []byte) { h[11] ^= 1 }})),
			reason: "drop_malformed", slot: badUp},
		{name: "an inner header that is cut short is malformed", in: fromPeer(usualPPP.message(inner[:19])), reason: "drop_malformed", slot: badUp},
	}
}

// sourceCases are about who may send what, and what needs the slow path.
func sourceCases() []testCase {
	return []testCase{
		{name: "another inner source is spoofed", reason: "drop_source", slot: dropped(7, "up", CauseSource),
			in: uplinkFrame(header{src: netip.MustParseAddr("10.64.0.8"), dst: server, protocol: 17}.packet(nil))},
		{name: "a spoofed source with options is dropped too", reason: "drop_source", slot: dropped(7, "up", CauseSource),
			in: uplinkFrame(header{src: netip.MustParseAddr("10.64.0.8"), dst: server, protocol: 17, options: make([]byte, 4)}.packet(nil))},
		{name: "inner options take the slow path", in: uplinkFrame(from(header{options: make([]byte, 4)})), reason: "punt_options"},
		{name: "a TTL of 1 ends here", in: uplinkFrame(from(header{ttl: 1})), reason: "punt_ttl"},
		{name: "a TTL of 0 ends here", in: uplinkFrame(from(header{change: func(h []byte) { h[8] = 0 }, resum: true})), reason: "punt_ttl"},
	}
}

// outerCases are about the datagram's own headers.
func outerCases() []testCase {
	return []testCase{
		{name: "an outer fragment is the kernel's to reassemble", reason: "punt_fragment",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: local.Addr(), protocol: 17, frag: 0x2000}.packet(udp(peer, local, message)))},
		{name: "a later outer fragment has no ports", reason: "punt_fragment",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: local.Addr(), protocol: 17, frag: 5}.packet(data(30)))},
		{name: "outer options take the slow path", reason: "punt_options",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: local.Addr(), protocol: 17, options: make([]byte, 4)}.packet(udp(peer, local, message)))},
		{name: "a UDP length beyond the packet is the kernel's to refuse", in: put16(good, atUDP+4, uint16(len(message)+9)), reason: "pass_malformed"},
		{name: "a UDP length below its header is the kernel's to refuse", in: put16(good, atUDP+4, 7), reason: "pass_malformed"},
		{name: "a wrong outer header checksum is the kernel's to refuse", in: put16(good, atOuterIP+10, 1), reason: "pass_malformed"},
	}
}

// stateCases are about what the slot says.
func stateCases() []testCase {
	return []testCase{
		{name: "a slot that is being changed takes the slow path", in: good, reason: "punt_closed",
			with: func(w *world, t *testing.T) { closeSlot(t, w, 7) }},
		{name: "a slot that holds another session takes the slow path", in: good, reason: "punt_closed",
			with: straySlot(func(p *Policy) { p.SessionId++ })},
		{name: "ids that lead to another's place are not known", in: good, reason: "punt_unknown",
			with: changeSlot(func(p *Policy) { p.SessionId++ })},
		{name: "data that is numbered elsewhere takes the slow path", in: good, reason: "punt_sequence",
			with: replaceSession(func(s *Session) { s.Policy.Flags |= FlagSequence })},
		{name: "a session outside the main table takes the slow path", in: good, reason: "punt_vrf",
			with: replaceSession(func(s *Session) { s.Policy.Vrf = 5 })},
	}
}

func addLocal(t *testing.T, w *world, s string) {
	t.Helper()
	ap := netip.MustParseAddrPort(s)
	if err := w.m.AddLocal(ap); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.m.RemoveLocal(ap); err != nil {
			t.Error(err)
		}
	})
}

// closeSlot leaves a slot as a process that died in Install would.
func closeSlot(t *testing.T, w *world, slot uint32) {
	w.m.setState(slot, kernelLnsStateLNS_CLOSED)
	t.Cleanup(func() { w.m.setState(slot, kernelLnsStateLNS_OPEN) })
}

// straySlot is changeSlot for a session whose keys don't lead to its places by
// themselves.
func straySlot(change func(p *Policy)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		p := &w.m.sessions.values[7]
		call := callOf(p)
		host, _ := hostOf(p)
		w.must(w.m.objs.LnsCalls.Put(&call, w.m.paths.up.at[7]))
		w.must(w.m.objs.LnsHosts.Put(&host, w.m.paths.down.at[7]))
		changeSlot(change)(w, t)
		t.Cleanup(func() {
			w.must(w.m.objs.LnsCalls.Delete(&call))
			w.must(w.m.objs.LnsHosts.Delete(&host))
		})
	}
}

// changeSlot changes what a slot holds behind the keys that lead to it, as seen
// by a lookup that raced with the reuse of its element.
func changeSlot(change func(p *Policy)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		p := &w.m.sessions.values[7]
		old := *p
		change(p)
		w.m.rewrite(7)
		t.Cleanup(func() {
			*p = old
			w.m.rewrite(7)
		})
	}
}

func TestUplink(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, uplinkCases())
}

// routeCases send the same packet to destinations that the kernel routes
// differently.
func routeCases() []testCase {
	inner := func(dst string) []byte {
		return header{src: subscriber, dst: netip.MustParseAddr(dst), protocol: 17}.packet(data(60))
	}
	to := func(dst string) []byte { return uplinkFrame(inner(dst)) }
	big := header{src: subscriber, dst: netip.MustParseAddr("198.18.0.1"), protocol: 17}
	return []testCase{
		{name: "a host on the link is sent to directly", in: to("198.51.100.2"), reason: "sent_up",
			out: toCore(inner("198.51.100.2")), slot: counted(7, "up", 80)},
		{name: "an unresolved neighbour is resolved by the kernel", in: to("198.51.100.99"), reason: "punt_no_neigh"},
		{name: "another interface is reached through the kernel", in: to("10.99.0.1"), reason: "punt_foreign"},
		{name: "another interface with an unresolved neighbour too", in: to("10.98.0.77"), reason: "punt_foreign"},
		{name: "our own address is the kernel's", in: to("198.51.100.1"), reason: "punt_local"},
		{name: "a subnet's broadcast address is the kernel's", in: to("198.51.100.255"), reason: "punt_local"},
		{name: "multicast is the kernel's", in: to("224.0.0.5"), reason: "punt_martian"},
		{name: "broadcast is the kernel's", in: to("255.255.255.255"), reason: "punt_martian"},
		{name: "loopback is the kernel's", in: to("127.0.0.1"), reason: "punt_martian"},
		{name: "this network is the kernel's", in: to("0.1.2.3"), reason: "punt_martian"},
		{name: "a blackhole is the kernel's", in: to("203.0.113.1"), reason: "punt_unroutable"},
		{name: "an unreachable route is the kernel's", in: to("203.0.114.1"), reason: "punt_unroutable"},
		{name: "a packet that just fits the route passes", in: uplinkFrame(big.packet(data(980))), reason: "sent_up",
			out: toCore(big.packet(data(980))), slot: counted(7, "up", 1000)},
		{name: "a packet too big for the route takes the slow path", in: uplinkFrame(big.packet(data(981))), reason: "punt_too_big"},
		{name: "without forwarding the kernel decides", in: to("198.51.100.2"), reason: "punt_fwd_off", with: func(w *world, t *testing.T) {
			w.sysctl("lac0", "forwarding", "0")
			t.Cleanup(func() { w.sysctl("lac0", "forwarding", "1") })
		}},
		{name: "an interface that is gone is the kernel's matter", in: to("198.51.100.2"), reason: "punt_fib", with: func(w *world, t *testing.T) {
			gone := w.port("lac0")
			gone.Ifindex = 9999
			changePort(t, w, gone, w.port("lac0"))
		}},
		{name: "a device that cannot be sent to loses the packet", in: to("198.51.100.2"), reason: "drop_output",
			slot: dropped(7, "up", CauseOutput), with: func(w *world, t *testing.T) {
				if err := w.m.objs.LnsDevices.Delete(uint32(w.ifindex("core0"))); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { w.allowOutput("core0") })
			}},
	}
}

// changePort replaces a port until the test ends.
func changePort(t *testing.T, w *world, now, after Port) {
	t.Helper()
	if err := w.m.AddPort(now); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.m.RemovePort(now); err != nil {
			t.Error(err)
		}
		if err := w.m.AddPort(after); err != nil {
			t.Error(err)
		}
	})
}

func TestRoutes(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, routeCases())
}

// TestUplinkRoutedSource: a source in a prefix routed to the subscriber is its
// own, in one routed to another it is not.
func TestUplinkRoutedSource(t *testing.T) {
	w := newWorld(t)
	s := subscriberSession()
	s.Routes = []netip.Prefix{netip.MustParsePrefix("10.70.0.0/16")}
	w.install(t, s)
	other := subscriberSession()
	other.Slot, other.Policy.SessionId, other.Policy.Address = 8, 1, [4]uint8{10, 64, 0, 8}
	other.Routes = []netip.Prefix{netip.MustParsePrefix("10.70.9.0/24")}
	w.install(t, other)

	from := func(src string) []byte {
		return header{src: netip.MustParseAddr(src), dst: server, protocol: 17}.packet(data(9))
	}
	seen := reached{}
	testCase{in: uplinkFrame(from("10.70.1.2")), reason: "sent_up", out: toCore(from("10.70.1.2")), slot: counted(7, "up", 29)}.check(t, w, seen)
	testCase{in: uplinkFrame(from("10.70.9.2")), reason: "drop_source", slot: dropped(7, "up", CauseSource)}.check(t, w, seen)
	testCase{in: uplinkFrame(from("10.71.0.1")), reason: "drop_source", slot: dropped(7, "up", CauseSource)}.check(t, w, seen)
}
