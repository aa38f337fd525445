package maps

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"
)

// The cases of IPv4 tunnels are tried on IPv6 ones: each address on the LACs' side,
// 192.0.2.x, is 2001:db8:a::x there.
func addr6(a netip.Addr) netip.Addr {
	b := netip.MustParseAddr("2001:db8:a::").As16()
	v4 := a.As4()
	b[15] = v4[3]
	return netip.AddrFrom16(b)
}

func at6(ap netip.AddrPort) netip.AddrPort { return netip.AddrPortFrom(addr6(ap.Addr()), ap.Port()) }

// over6 is a frame between LACs and us with an IPv6 header instead of the IPv4 one.
// Other frames, and fragments, are as they were: false.
func over6(frame []byte) ([]byte, bool) {
	if len(frame) < 14+28 || binary.BigEndian.Uint16(frame[12:]) != 0x0800 || frame[14] != 0x45 || frame[23] != 17 {
		return frame, false
	}
	ip := frame[14:]
	total := int(binary.BigEndian.Uint16(ip[2:]))
	src, dst := netip.AddrFrom4([4]byte(ip[12:16])), netip.AddrFrom4([4]byte(ip[16:20]))
	outer := netip.MustParsePrefix("192.0.2.0/24")
	if total < 28 || total > len(ip) || ip[6]&0x3F != 0 || ip[7] != 0 || !outer.Contains(src) || !outer.Contains(dst) {
		return frame, false
	}
	datagram := slices.Clone(ip[20:total])
	datagram[6], datagram[7] = 0, 0
	src, dst = addr6(src), addr6(dst)
	sum := l4Sum(src, dst, 17, datagram)
	if sum == 0 {
		sum = 0xFFFF
	}
	binary.BigEndian.PutUint16(datagram[6:], sum)
	packet := header6{src: src, dst: dst, next: 17, hops: ip[8], class: ip[1]}.packet(datagram)
	packet[1], packet[2], packet[3] = packet[1]&0xF0, 0, 0 // the flow label
	return slices.Concat(frame[:12], []byte{0x86, 0xDD}, packet, ip[total:]), true
}

// speakIPv6 turns what is installed into sessions and tunnels over IPv6, and the list
// of LACs too.
func (w *world) speakIPv6(t *testing.T) {
	t.Helper()
	var lacs []netip.Prefix
	for p := range w.m.lacs {
		lacs = append(lacs, netip.PrefixFrom(addr6(p.Addr()), 96+p.Bits()))
	}
	if err := w.m.AddLACs(lacs); err != nil {
		t.Fatal(err)
	}
	for id := range w.m.tunnels.values {
		if tunnel := &w.m.tunnels.values[id]; tunnel.Live == 1 && tunnel.Ipv6 == 0 {
			before := netip.AddrPortFrom(netip.AddrFrom4(tunnel.Peer), tunnel.PeerPort)
			w.m.AddTunnel(uint16(id), at6(before))
			t.Cleanup(func() { w.m.AddTunnel(uint16(id), before) })
		}
	}
	for slot := range w.m.cfg.Sessions + 1 {
		s, ok := w.m.Session(slot)
		if !ok {
			continue
		}
		s.Local6, s.Peer6 = addr6(netip.AddrFrom4(s.Policy.Local)), addr6(netip.AddrFrom4(s.Policy.Peer))
		s.Policy.Local, s.Policy.Peer = [4]uint8{}, [4]uint8{}
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
	}
}

// TestTunnelsOverIPv6 tries every case whose outer packets can be IPv6 as well.
func TestTunnelsOverIPv6(t *testing.T) {
	w := newWorld(t)
	tried := w.overIPv6(t, subscriberSession(), slices.Concat(goodCases(), l2tpCases(), peerCases(), pppCases(), innerCases(), sourceCases(),
		stateCases(), routeCases(), downlinkCases(), ecnCases(), echoCases(), hairpinCases(), shieldCases()))
	tried += w.overIPv6(t, session6(), slices.Concat(uplink6Cases(), downlink6Cases(), sequenceCases()))
	if tried < 150 {
		t.Errorf("only %d cases", tried)
	}
}

// overIPv6 tries those of cases, where s is installed, and returns how many they are.
func (w *world) overIPv6(t *testing.T, s Session, cases []testCase) (tried int) {
	for _, c := range cases {
		in, changed := over6(c.in)
		out, sent := over6(c.out)
		switch {
		case !changed && !sent:
			continue // nothing of it is outside
		case strings.HasPrefix(c.reason, "pass_"), c.meta != 0, c.reason == "punt_headroom":
			continue // about the IPv4 header
		case strings.Contains(c.name, "another session"), strings.Contains(c.name, "is bound to one of our"),
			c.name == "a packet as large as the MTU fits", c.name == "the largest that the peer takes is answered",
			c.name == "the kernel resolves the way back":
			continue // about the slot behind Install's back, our IPv4 sockets, the path's MTU and neighbours
		}
		tried++
		with := c.with
		c.in, c.out = in, out
		c.with = func(w *world, t *testing.T) {
			if with != nil {
				with(w, t)
			}
			w.speakIPv6(t)
		}
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w.enter(t)
			w.install(t, s)
			c.check(t, w, reached{})
		})
	}
	return tried
}

// sixth is the subscriber's session in a tunnel over IPv6.
func sixth() Session {
	s := subscriberSession()
	s.Policy.Local, s.Policy.Peer = [4]uint8{}, [4]uint8{}
	s.Local6, s.Peer6 = addr6(local.Addr()), addr6(peer.Addr())
	return s
}

// outer6Cases are about the outer IPv6 header itself.
func outer6Cases() []testCase {
	inner := fromSubscriber(20)
	good, _ := over6(uplinkFrame(inner))
	const atIP, atUDP6 = 14, 14 + 40
	behind := func(next byte) []byte {
		b := slices.Clone(good)
		b[atIP+6] = next
		return b
	}
	long := slices.Clone(good)
	binary.BigEndian.PutUint16(long[atIP+4:], uint16(len(good)-atIP-40+1))
	other := slices.Clone(good)
	other[atIP+39] = 9 // of no interface
	forged := slices.Clone(good)
	forged[atIP+8]++ // the first byte of the source
	ours := slices.Clone(good)
	copy(ours[atIP+24:], netip.MustParseAddr("2001:db8:c::1").AsSlice()) // an address of ours without L2TP
	big := toSubscriber(1430 - 28)
	policy := subscriberSession().Policy
	down, _ := over6(toPeer(policy, big))
	plain := func(s *Session) { s.Policy.Flags &^= FlagUDPChecksum }
	return []testCase{
		{name: "a packet of the subscriber", in: good, reason: "sent_up", out: toCore(inner), slot: counted(7, "up", len(inner))},
		{name: "the largest packet to it", dev: "core0", in: downlinkFrame(big), reason: "sent_down", out: down, slot: counted(7, "down", len(big))},
		{name: "IPv6 never goes without checksum", dev: "core0", in: downlinkFrame(big), reason: "sent_down", out: down, slot: counted(7, "down", len(big)), with: changeSixth(plain)},
		{name: "one without checksum is the kernel's to refuse", in: put16(good, atUDP6+6, 0), reason: "pass_malformed"},
		{name: "a UDP length below its header is the kernel's to refuse", in: put16(good, atUDP6+4, 7), reason: "pass_malformed"},
		{name: "a UDP length beyond the packet is the kernel's to refuse", in: put16(good, atUDP6+4, 999), reason: "pass_malformed"},
		{name: "a payload beyond the frame is the kernel's to refuse", in: long, reason: "pass_malformed"},
		{name: "a fragment is put together by the kernel", in: behind(44), reason: "punt_fragment"},
		{name: "hop-by-hop options take the slow path", in: behind(0), reason: "punt_options"},
		{name: "a routing header is not ours", in: behind(43), reason: "pass_not_ours"},
		{name: "ICMPv6 is not ours", in: behind(58), reason: "pass_not_ours"},
		{name: "another port is not ours", in: put16(good, atUDP6+2, 1702), reason: "pass_not_ours"},
		{name: "UDP that is cut short is not ours", in: good[:atUDP6+6], reason: "pass_malformed"},
		{name: "another address is not ours", in: other, reason: "pass_not_ours"},
		{name: "an address without L2TP is not ours", in: ours, reason: "pass_not_ours"},
		{name: "all of the source address counts", in: forged, reason: "drop_peer", slot: dropped(7, "up", CausePeer)},
		{name: "a fragment of who is not in the list", in: behind(44), reason: "drop_lac", with: closed("2001:db8:b::/64")},
		{name: "a fragment of who is", in: behind(44), reason: "punt_fragment", with: closed("2001:db8:a::/64")},
		{name: "an IPv4 list lets no IPv6 source in", in: behind(44), reason: "drop_lac", with: closed("0.0.0.0/0")},
		{name: "over IPv4 it is another's", in: uplinkFrame(inner), reason: "drop_peer", slot: dropped(7, "up", CausePeer)},
	}
}

func changeSixth(change func(*Session)) func(*world, *testing.T) {
	return func(w *world, t *testing.T) {
		s := sixth()
		change(&s)
		if err := w.m.Install(s); err != nil {
			t.Fatal(err)
		}
	}
}

func TestOuter6(t *testing.T) {
	w := newWorld(t)
	w.m.AddTunnel(ourTunnel, at6(peer))
	for _, c := range outer6Cases() {
		t.Run(strings.ReplaceAll(c.name, " ", "_"), func(t *testing.T) {
			w.enter(t)
			w.install(t, sixth())
			c.check(t, w, reached{})
		})
	}
	s := sixth()
	w.must(w.m.Install(s))
	if got, ok := w.m.Session(7); !ok || got.Peer6 != s.Peer6 || got.Local6 != s.Local6 {
		t.Errorf("read back: %+v", got)
	}
	// The address is ours as long as one of its ports is.
	second := netip.AddrPortFrom(at6(local).Addr(), 1702)
	fragment := outer6Cases()[7].in
	w.must(w.m.AddLocal(second))
	w.must(w.m.RemoveLocal(at6(local)))
	testCase{in: fragment, reason: "punt_fragment"}.check(t, w, reached{})
	w.must(w.m.RemoveLocal(second))
	testCase{in: fragment, reason: "pass_not_ours"}.check(t, w, reached{})
}

// TestRates6: the addresses of a /64 share one allowance, those of another have one
// of their own.
func TestRates6(t *testing.T) {
	w := newWorldWith(t, Config{Sessions: 64, Outer6: true, Rates: Rates{SCCRQ: 2}})
	w.m.facts.Now = uint64(time.Hour)
	w.must(w.m.objs.LnsLive.Put(uint32(0), &w.m.facts))
	ask := func(from, reason string) {
		t.Helper()
		to := at6(local)
		src := netip.AddrPortFrom(netip.MustParseAddr(from), 1701)
		packet := header6{src: src.Addr(), dst: to.Addr(), next: 17}.packet(udp(src, to, control(0, sccrq, 40)))
		testCase{in: ether(lacMAC, peerMAC, 0x86DD, packet), reason: reason}.check(t, w, reached{})
	}
	ask("2001:db8:a::2", "punt_control")
	ask("2001:db8:a::3", "punt_control")
	ask("2001:db8:a::4", "drop_sccrq_rate")
	ask("2001:db8:b::4", "punt_control")
}

// TestOuter6Off: without it there is no session over IPv6, and nothing of a tunnel's
// is looked at.
func TestOuter6Off(t *testing.T) {
	t.Parallel()
	w := newWorldWith(t, Config{Sessions: 64, IPv6: true})
	if err := w.m.Install(sixth()); !errors.Is(err, ErrNoOuter6) {
		t.Errorf("installed: %v", err)
	}
	testCase{in: outer6Cases()[0].in, reason: "pass_not_ours"}.check(t, w, reached{})
}

// TestReopenOuter6: what is pinned is found again, the list of LACs included.
func TestReopenOuter6(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, PinPath: bpffs(t), Outer6: true}
	w.m = open(t, cfg)
	w.fill()
	w.must(w.m.Install(sixth()))
	w.must(w.m.AddLACs([]netip.Prefix{netip.MustParsePrefix("2001:db8:b::/64")}))
	w.must(w.m.Close())
	w.m = open(t, cfg)
	good := outer6Cases()[0]
	good.check(t, w, reached{})
	if s, ok := w.m.Session(7); !ok || s.Peer6 != addr6(peer.Addr()) || len(w.m.lacs) != 1 {
		t.Errorf("session %+v, LACs %v", s, w.m.lacs)
	}
	w.must(w.m.AllowAll())
	if n := len(readAll[kernelLnsRange6](t, w.m.objs.LnsLacs6)); n != 0 {
		t.Errorf("%d LACs are left", n)
	}
	w.must(w.m.Close())
	w.must(Unpin(cfg.PinPath))
}
