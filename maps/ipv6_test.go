package maps

import (
	"errors"
	"net/netip"
	"slices"
	"testing"
)

// replaceSession6 is a case's state: the dual-stack session, changed.
func replaceSession6(change func(s *Session)) func(*world, *testing.T) {
	return replaceSession(func(s *Session) {
		s.Prefixes6 = session6().Prefixes6
		change(s)
	})
}

// uplink6Cases are one case a rule of IPv6 from the subscriber.
func uplink6Cases() []testCase {
	return slices.Concat(uplink6Good(), uplink6Source(), uplink6Refused(), uplink6Routes())
}

func uplink6Good() []testCase {
	inner := udp6(sub6, server6, 100)
	up := counted6(7, "up", len(inner))
	from := func(h header6) []byte {
		h.src, h.dst, h.next = sub6, server6, 17
		return h.packet(inner[40:])
	}
	sent := func(name string, inner []byte) testCase {
		return testCase{name: name, in: uplink6Frame(inner), reason: "sent_up", out: toCore6(inner), slot: counted6(7, "up", len(inner))}
	}
	empty := header6{src: sub6, dst: server6, next: 59}.packet(nil)
	return []testCase{
		sent("a good packet is decapsulated and routed", inner),
		sent("a packet without a payload is a packet", empty),
		sent("class and flow label stay", from(header6{class: 0xB9})),
		sent("the last hop limit that may pass is 2", from(header6{hops: 2})),
		sent("a fragment is routed on", header6{src: sub6, dst: server6, next: 44}.packet(data(30))),
		sent("a routing header is not the router's to look at", header6{src: sub6, dst: server6, next: 43}.packet(data(30))),
		sent("UDP too short for ports is routed all the same", header6{src: sub6, dst: server6, next: 17}.packet(data(3))),
		{name: "with a short protocol number it is the same", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0x57}}.message(inner)),
			reason: "sent_up", out: toCore6(inner), slot: up},
		{name: "bytes behind the packet are cut off", in: uplink6Frame(append(slices.Clone(inner), 1, 2, 3)),
			reason: "sent_up", out: toCore6(inner), slot: up},
		{name: "IPv4 goes on beside it", in: uplinkFrame(fromSubscriber(100)), reason: "sent_up",
			out: toCore(fromSubscriber(100)), slot: counted(7, "up", 128)},
	}
}

func uplink6Source() []testCase {
	spoofed := dropped(7, "up", CauseSource)
	from := func(name, src string, dst netip.Addr, reason string) testCase {
		inner := udp6(netip.MustParseAddr(src), dst, 20)
		c := testCase{name: name, in: uplink6Frame(inner), reason: reason}
		switch reason {
		case "sent_up":
			c.out, c.slot = toCore6(inner), counted6(7, "up", len(inner))
		case "drop_source":
			c.slot = spoofed
		}
		return c
	}
	return []testCase{
		from("all of the /64 is the subscriber's", "2001:db8:64:7:ffff:ffff:ffff:ffff", server6, "sent_up"),
		from("a delegated prefix is the subscriber's", "2001:db8:d000:ff::1", server6, "sent_up"),
		from("a single address is the subscriber's", single.String(), server6, "sent_up"),
		from("the address beside it is not", "2001:db8:1::76", server6, "drop_source"),
		from("the next /64 is spoofed", "2001:db8:64:8::1", server6, "drop_source"),
		from("the next delegated prefix is spoofed", "2001:db8:d000:100::1", server6, "drop_source"),
		from("the loopback address is spoofed", "::1", server6, "drop_source"),
		from("an IPv4 address in IPv6 is spoofed", "::ffff:10.64.0.7", server6, "drop_source"),
		from("no address at all is for discovery alone", "::", server6, "drop_source"),
		from("a spoofed source to a multicast group is dropped too", "2001:db8::5", allRouters, "drop_source"),
		from("link-local to us is the daemon's", "fe80::7", linkLocal, "punt_link_local"),
		from("link-local is never forwarded", "fe80::7", server6, "punt_link_local"),
		from("the end of link-local is link-local", "febf::1", server6, "punt_link_local"),
		from("what follows link-local is not", "fec0::1", server6, "drop_source"),
		from("multicast from link-local is the daemon's", "fe80::7", allRouters, "punt_link_local"),
		from("multicast is never forwarded", sub6.String(), netip.MustParseAddr("ff0e::1"), "punt_link_local"),
		from("a multicast source is never forwarded", "ff02::1", server6, "punt_link_local"),
		from("detection of duplicates is the daemon's", "::", netip.MustParseAddr("ff02::1:ff00:7"), "punt_link_local"),
		from("link-local from a global address is the daemon's", sub6.String(), linkLocal, "punt_link_local"),
	}
}

func uplink6Refused() []testCase {
	bad := dropped(7, "up", CauseMalformed)
	from := func(h header6) []byte {
		h.src, h.dst = sub6, server6
		return uplink6Frame(h.packet(data(60)))
	}
	return []testCase{
		{name: "a version other than 6 is malformed", in: from(header6{change: func(h []byte) { h[0] = 0x45 }}), reason: "drop_malformed", slot: bad},
		{name: "a length beyond the frame is malformed", in: from(header6{change: func(h []byte) { h[5]++ }}), reason: "drop_malformed", slot: bad},
		{name: "a header that is cut short is malformed", in: uplink6Frame(udp6(sub6, server6, 9)[:39]), reason: "drop_malformed", slot: bad},
		{name: "IPv6 as IPv4 is malformed", in: uplinkFrame(udp6(sub6, server6, 9)), reason: "drop_malformed", slot: bad},
		{name: "hop-by-hop options take the slow path", in: from(header6{next: 0}), reason: "punt_options"},
		{name: "a hop limit of 1 ends here", in: from(header6{next: 17, hops: 1}), reason: "punt_ttl"},
		{name: "a hop limit of 0 ends here", in: from(header6{next: 17, change: func(h []byte) { h[7] = 0 }}), reason: "punt_ttl"},
		{name: "without IPv6 it is another protocol", in: from(header6{next: 17}), reason: "punt_ppp_other",
			with: replaceSession(func(*Session) {})},
		{name: "IPv6CP is the daemon's", in: fromPeer(l2tpData{offset: -1, ppp: []byte{0x80, 0x57}}.message(data(8))), reason: "punt_ppp_control"},
		{name: "data that is numbered elsewhere takes the slow path", in: from(header6{next: 17}), reason: "punt_sequence",
			with: replaceSession6(func(s *Session) { s.Policy.Flags |= FlagSequence })},
		{name: "a stranger is not the peer", in: put16(from(header6{next: 17}), atUDP, 17011), reason: "drop_peer", slot: dropped(7, "up", CausePeer)},
	}
}

func uplink6Routes() []testCase {
	to := func(dst string, n int) []byte { return udp6(sub6, netip.MustParseAddr(dst), n) }
	return []testCase{
		{name: "a host on the link is sent to directly", in: uplink6Frame(to("2001:db8:c::2", 9)), reason: "sent_up",
			out: toCore6(to("2001:db8:c::2", 9)), slot: counted6(7, "up", 57)},
		{name: "an unresolved neighbour is resolved by the kernel", in: uplink6Frame(to("2001:db8:c::99", 9)), reason: "punt_no_neigh"},
		{name: "another interface is reached through the kernel", in: uplink6Frame(to("2001:db8:99::1", 9)), reason: "punt_foreign"},
		{name: "our own address is the kernel's", in: uplink6Frame(to("2001:db8:c::1", 9)), reason: "punt_local"},
		{name: "a blackhole is the kernel's", in: uplink6Frame(to("2001:db8:bad::1", 9)), reason: "punt_unroutable"},
		{name: "loopback is the kernel's", in: uplink6Frame(to("::1", 9)), reason: "punt_martian"},
		{name: "no address is the kernel's", in: uplink6Frame(to("::", 9)), reason: "punt_martian"},
		{name: "a packet that just fits the route passes", in: uplink6Frame(to("2001:db8:1300::1", 1252)), reason: "sent_up",
			out: toCore6(to("2001:db8:1300::1", 1252)), slot: counted6(7, "up", 1300)},
		{name: "a packet too big for the route takes the slow path", in: uplink6Frame(to("2001:db8:1300::1", 1253)), reason: "punt_too_big"},
		{name: "a device that cannot be sent to loses the packet", in: uplink6Frame(to("2001:db8:c::2", 9)), reason: "drop_output",
			slot: dropped(7, "up", CauseOutput), with: func(w *world, t *testing.T) {
				if err := w.m.objs.LnsDevices.Delete(uint32(w.ifindex("core0"))); err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { w.allowOutput("core0") })
			}},
	}
}

func TestUplink6(t *testing.T) {
	w := newWorld(t)
	runCases6(t, w, uplink6Cases())
}

// TestHairpin6Denied: the policy of hairpins is that of IPv6 too.
func TestHairpin6Denied(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, IPv6: true, Hairpin: HairpinDeny})
	to := func(dst string) []byte { return udp6(sub6, netip.MustParseAddr(dst), 9) }
	another := facing(func(s *Session) {
		s.Prefixes6 = []netip.Prefix{netip.MustParsePrefix("2001:db8:99:5::/64"), netip.MustParsePrefix("2001:db8:9a::/48")}
	})
	runCases6(t, w, []testCase{
		{name: "an address in the /64 of another subscriber", in: uplink6Frame(to("2001:db8:99:5::1")), reason: "drop_hairpin", slot: dropped(7, "up", CausePolicy), with: another},
		{name: "one in a prefix delegated to another", in: uplink6Frame(to("2001:db8:9a:1::1")), reason: "drop_hairpin", slot: dropped(7, "up", CausePolicy), with: another},
		{name: "anything else is routed", in: uplink6Frame(to("2001:db8:c::2")), reason: "sent_up", out: toCore6(to("2001:db8:c::2")), slot: counted6(7, "up", 57), with: another},
	})
}

// downlink6Cases are one case a rule of IPv6 to the subscriber.
func downlink6Cases() []testCase {
	inner := udp6(server6, sub6, 100)
	good := downlink6Frame(inner)
	policy := subscriberSession().Policy
	sent := func(name string, inner []byte) testCase {
		return testCase{name: name, in: downlink6Frame(inner), reason: "sent_down", out: toPeer(policy, inner), slot: counted6(7, "down", len(inner))}
	}
	to := func(dst string) []byte { return udp6(server6, netip.MustParseAddr(dst), 20) }
	from := func(h header6) []byte {
		if h.dst = sub6; !h.src.IsValid() {
			h.src = server6
		}
		return h.packet(data(60))
	}
	cases := []testCase{
		sent("a good packet is encapsulated and sent to the peer", inner),
		sent("all of the /64 leads to the subscriber", to("2001:db8:64:7:ffff::1")),
		sent("a delegated prefix leads to the subscriber", to("2001:db8:d000:ff::1")),
		sent("a single address leads to the subscriber", to(single.String())),
		sent("class and flow label stay", from(header6{class: 0xFF, next: 59})),
		sent("a packet as large as the MTU fits", udp6(server6, sub6, 1412)),
		sent("the last hop limit that may pass is 2", from(header6{hops: 2, next: 17})),
		sent("a fragment is sent on", from(header6{next: 44})),
		{name: "padding of a short frame is cut off", in: append(slices.Clone(downlink6Frame(header6{src: server6, dst: sub6, next: 59}.packet(nil))), make([]byte, 6)...),
			reason: "sent_down", out: toPeer(policy, header6{src: server6, dst: sub6, next: 59}.packet(nil)), slot: counted6(7, "down", 40)},
		{name: "the next /64 is not ours", in: downlink6Frame(to("2001:db8:64:8::1")), reason: "pass_not_ours"},
		{name: "the next delegated prefix is not ours", in: downlink6Frame(to("2001:db8:d000:100::1")), reason: "pass_not_ours"},
		{name: "a packet larger than the MTU takes the slow path", in: downlink6Frame(udp6(server6, sub6, 1413)), reason: "punt_too_big"},
		{name: "a hop limit of 1 ends here", in: downlink6Frame(from(header6{hops: 1, next: 17})), reason: "punt_ttl"},
		{name: "hop-by-hop options take the slow path", in: downlink6Frame(from(header6{next: 0})), reason: "punt_options"},
		{name: "a link-local source is not forwarded", in: downlink6Frame(from(header6{src: linkLocal, next: 17})), reason: "punt_link_local"},
		{name: "a multicast source is not forwarded", in: downlink6Frame(from(header6{src: allRouters, next: 17})), reason: "punt_link_local"},
		{name: "the loopback address is no source", in: downlink6Frame(from(header6{src: netip.IPv6Loopback(), next: 17})), reason: "punt_martian"},
		{name: "a version other than 6 is the kernel's to refuse", in: downlink6Frame(from(header6{change: func(h []byte) { h[0] = 0x46 }})), reason: "pass_malformed"},
		{name: "a length beyond the frame is the kernel's to refuse", in: downlink6Frame(from(header6{change: func(h []byte) { h[4]++ }})), reason: "pass_malformed"},
		{name: "a slot that is being changed takes the slow path", in: good, reason: "punt_closed",
			with: func(w *world, t *testing.T) { closeSlot(t, w, 7) }},
		{name: "a slot that holds another session is not found", in: good, reason: "pass_not_ours",
			with: changeSlot(func(p *Policy) { p.Net6[7]++ })},
		{name: "data that is numbered elsewhere takes the slow path", in: good, reason: "punt_sequence",
			with: replaceSession6(func(s *Session) { s.Policy.Flags |= FlagSequence })},
		{name: "a session outside the main table takes the slow path", in: good, reason: "punt_vrf",
			with: func(w *world, t *testing.T) {
				replaceSession6(func(s *Session) { s.Policy.Vrf = 5 })(w, t)
				port := w.port("core0")
				port.VRF = 5
				changePort(t, w, port, w.port("core0"))
			}},
		{name: "an unresolved peer is resolved by the kernel", in: good, reason: "punt_no_neigh",
			with: replaceSession6(func(s *Session) { s.Policy.Peer = [4]uint8{192, 0, 2, 99} })},
		{name: "without room for the headers the kernel does it", in: good, meta: 200, reason: "punt_headroom"},
	}
	for i := range cases {
		if cases[i].dev == "" {
			cases[i].dev = "core0"
		}
	}
	return cases
}

func TestDownlink6(t *testing.T) {
	w := newWorld(t)
	runCases6(t, w, downlink6Cases())
}

// TestDownlink6Framing: every way of writing a data message.
func TestDownlink6Framing(t *testing.T) {
	w := newWorld(t)
	w.install(t, session6())
	flags := []kernelLnsFlag{FlagLength, FlagAddressControl, FlagPFC, FlagUDPChecksum}
	for bits := range 1 << len(flags) {
		s := session6()
		s.Policy.Flags = FlagDontFragment
		for i, f := range flags {
			if bits>>i&1 == 1 {
				s.Policy.Flags |= f
			}
		}
		w.must(w.m.Install(s))
		for _, n := range []int{0, 1, 2, 3, 51, 463, 511, 1023, 1411, 1412} {
			inner := udp6(server6, sub6, n)
			testCase{dev: "core0", in: downlink6Frame(inner), reason: "sent_down",
				out: toPeer(s.Policy, inner), slot: counted6(7, "down", len(inner))}.check(t, w, reached{})
			if t.Failed() {
				t.Fatalf("flags %#x, %d bytes", s.Policy.Flags, n)
			}
		}
	}
}

// TestMSS6: the limit in IPv6 is 20 bytes less, whichever way the SYN goes, and
// without one nothing changes.
func TestMSS6(t *testing.T) {
	w := newWorld(t)
	w.install(t, session6())
	mss := func(v uint16) []byte { return []byte{1, 2, 4, byte(v >> 8), byte(v)} }
	for _, c := range []struct {
		limit, in, out uint16
		next           byte
	}{{1380, 1440, 1360, 6}, {1380, 1361, 1360, 6}, {1380, 1360, 1360, 6}, {1380, 500, 500, 6}, {0, 9000, 9000, 6}, {20, 9000, 9000, 6}, {1380, 1440, 1440, 44}} {
		s := session6()
		s.Policy.ClampMss = c.limit
		w.must(w.m.Install(s))
		packet := func(src, dst netip.Addr, v uint16) []byte {
			return header6{src: src, dst: dst, next: c.next}.packet(syn(src, dst, 2, mss(v)))
		}
		in, out := packet(sub6, server6, c.in), packet(sub6, server6, c.out)
		testCase{in: uplink6Frame(in), reason: "sent_up", out: toCore6(out), slot: counted6(7, "up", len(in))}.check(t, w, reached{})
		in, out = packet(server6, sub6, c.in), packet(server6, sub6, c.out)
		testCase{dev: "core0", in: downlink6Frame(in), reason: "sent_down", out: toPeer(s.Policy, out), slot: counted6(7, "down", len(in))}.check(t, w, reached{})
		if t.Failed() {
			t.Fatalf("%+v", c)
		}
	}
}

// TestLongestPrefix6: prefixes lead to sessions by longest match, and a /64 of a
// link before any of them.
func TestLongestPrefix6(t *testing.T) {
	w := newWorld(t)
	wide := session6()
	w.install(t, wide)
	narrow := another()
	narrow.Prefixes6 = []netip.Prefix{netip.MustParsePrefix("2001:db8:d000:1::/64"), netip.MustParsePrefix("2001:db8:d000:20::/60")}
	w.install(t, narrow)
	for dst, s := range map[string]Session{
		"2001:db8:d000::1": wide, "2001:db8:d000:1::1": narrow, "2001:db8:d000:2f::1": narrow, "2001:db8:d000:30::1": wide,
	} {
		inner := udp6(server6, netip.MustParseAddr(dst), 9)
		testCase{dev: "core0", in: downlink6Frame(inner), reason: "sent_down", out: toPeer(s.Policy, inner),
			slot: counted6(int(s.Slot), "down", len(inner))}.check(t, w, reached{})
		want := "drop_source"
		if s.Slot == 7 {
			want = "sent_up"
		}
		if verdict, _ := w.run(t, "lac0", uplink6Frame(udp6(netip.MustParseAddr(dst), server6, 9))); verdict != map[string]uint32{"sent_up": xdpRedirect, "drop_source": xdpDrop}[want] {
			t.Errorf("from %s: %s, want %s", dst, xdpNames[verdict], want)
		}
	}
}

// TestInstall6: prefixes are entered and taken out with their session, a conflict
// in any of them undoes all, and what is reported is what was installed.
func TestInstall6(t *testing.T) {
	w := newWorld(t)
	w.install(t, session6())
	got, ok := w.m.Session(7)
	if !ok || !slices.Equal(got.Prefixes6, session6().Prefixes6) {
		t.Errorf("installed %v, want %v", got.Prefixes6, session6().Prefixes6)
	}
	for _, taken := range []string{net6.String(), delegated.String()} {
		s := another()
		s.Prefixes6 = []netip.Prefix{netip.MustParsePrefix("2001:db8:e::/56"), netip.MustParsePrefix(taken)}
		if err := w.m.Install(s); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v, want ErrInUse", taken, err)
		}
	}
	bad := another()
	bad.Prefixes6 = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
	if err := w.m.Install(bad); err == nil {
		t.Error("an IPv4 prefix went in")
	}
	w.expect6(t, 1, 2)
	few := session6()
	few.Prefixes6 = few.Prefixes6[:2]
	w.must(w.m.Install(few))
	w.expect6(t, 1, 1)
	if _, err := w.m.Remove([]uint32{7}); err != nil {
		t.Error(err)
	}
	w.expect6(t, 0, 0)
}

// expect6 checks how many keys of IPv6 there are, and that the program knows.
func (w *world) expect6(t *testing.T, nets, routes int) {
	t.Helper()
	n, r := len(w.nets6(t)), len(readAll[prefix6](t, w.m.objs.LnsRoutes6))
	var facts kernelLnsFacts
	w.must(w.m.objs.LnsLive.Lookup(uint32(0), &facts))
	if n != nets || r != routes || int(facts.Routes6) != routes {
		t.Errorf("%d nets, %d routes, %d known; want %d, %d", n, r, facts.Routes6, nets, routes)
	}
}

// TestReopen6: prefixes and counters of IPv6 outlive the process.
func TestReopen6(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, IPv6: true, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.fill()
	w.must(w.m.Install(session6()))
	w.run(t, "core0", downlink6Frame(udp6(server6, sub6, 10)))
	// A key whose session was never opened is swept.
	w.must(w.m.objs.LnsNets6.Put(&kernelLnsNet6{Net: [8]uint8{0x20}}, uint32(9)))
	w.must(w.m.homes.put(9, kernelLnsNet6{Net: [8]uint8{0x21}}))
	w.must(w.m.homes.put(7, kernelLnsNet6{Net: [8]uint8{0x22}}))
	w.must(w.m.objs.LnsRoutes6.Put(&prefix6{Prefixlen: 40, Addr: [16]uint8{0x20}}, uint32(9)))
	w.must(w.m.Close())

	w.m = open(t, cfg)
	defer func() { w.must(w.m.Close()) }()
	w.expect6(t, 1, 2)
	if u := w.m.Usage(7); u.IPv6.DownPackets != 1 || u.IPv6.DownBytes != 58 || u.Down.Packets != 1 {
		t.Errorf("usage %+v", u)
	}
	got, _ := w.m.Session(7)
	slices.SortFunc(got.Prefixes6[1:], netip.Prefix.Compare)
	want := session6().Prefixes6
	slices.SortFunc(want[1:], netip.Prefix.Compare)
	if !slices.Equal(got.Prefixes6, want) {
		t.Errorf("prefixes %v, want %v", got.Prefixes6, want)
	}
}

// TestNoRoomFor6: maps that were made for IPv4 refuse sessions with prefixes, and
// forward the others.
func TestNoRoomFor6(t *testing.T) {
	t.Parallel()
	newNetwork(t)
	m := open(t, Config{Sessions: 8})
	defer m.Close()
	if err := m.Install(session6()); !errors.Is(err, ErrNoIPv6) {
		t.Errorf("%v, want ErrNoIPv6", err)
	}
	if err := m.Install(subscriberSession()); err != nil {
		t.Error(err)
	}
	if n := m.objs.LnsNets6.MaxEntries() + m.objs.LnsHomes6.MaxEntries() + m.objs.LnsCounters6.MaxEntries(); n != 3 {
		t.Errorf("%d entries are held for nothing", n)
	}
}

// What a subscriber has for the daemon, discovery and DHCPv6 too, has the rate of the
// frames of PPP itself; its packets go on.
func TestLinkPacketsHaveARate(t *testing.T) {
	w := newWorldWith(t, Config{Sessions: 64, Routes: 16, IPv6: true, Rates: testRates})
	solicitation := uplink6Frame(udp6(netip.MustParseAddr("fe80::7"), netip.MustParseAddr("ff02::2"), 9))
	inner := udp6(sub6, server6, 60)
	runCases6(t, w, []testCase{
		{name: "a sixth packet of the link", in: solicitation, reason: "drop_ppp_rate", with: spent(5, solicitation)},
		{name: "packets for others go on", in: uplink6Frame(inner), reason: "sent_up", out: toCore6(inner), slot: counted6(7, "up", len(inner)), with: spent(5, solicitation)},
	})
}
