package maps

import (
	"net/netip"
	"slices"
	"testing"
)

// passCases are frames that are none of our business.
func passCases() []testCase {
	inner := toSubscriber(100)
	host := header{src: server, dst: netip.MustParseAddr("198.51.100.1"), protocol: 6}.packet(data(40))
	return []testCase{
		{name: "ARP is not IP", in: ether(lacMAC, peerMAC, 0x0806, data(46)), reason: "pass_not_ip"},
		{name: "what calls itself IPv6 and is not is the kernel's to refuse", in: ether(lacMAC, peerMAC, 0x86DD, data(60)), reason: "pass_malformed"},
		{name: "a frame with nothing but a tag is not IP", in: ether(lacMAC, peerMAC, 0x8100, nil), reason: "pass_not_ip"},
		{name: "a third tag is not understood", reason: "pass_not_ip",
			in: ether(lacMAC, peerMAC, 0x0800, inner, tag{0x88A8, 1}, tag{0x8100, 2}, tag{0x8100, 3})},
		{name: "a VLAN that is not configured is another interface", in: ether(lacMAC, peerMAC, 0x0800, inner, tag{0x8100, 55}), reason: "pass_port"},
		{name: "a device that is not configured is left alone", dev: "tun0", in: ether(tunMAC, peerMAC, 0x0800, inner), reason: "pass_port"},
		{name: "a frame for another MAC address is left alone", in: ether(mac(0x77), peerMAC, 0x0800, inner), reason: "pass_other_host"},
		{name: "a frame whose MAC differs in the last byte only is too", in: ether(mac(0x00), peerMAC, 0x0800, inner), reason: "pass_other_host"},
		{name: "a broadcast frame is left alone", in: ether(slices.Repeat([]byte{0xFF}, 6), peerMAC, 0x0800, inner), reason: "pass_other_host"},
		{name: "TCP to the host passes", dev: "core0", in: ether(coreMAC, gwMAC, 0x0800, host), reason: "pass_not_ours"},
		{name: "UDP to another port of ours passes", reason: "pass_not_ours",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: local.Addr(), protocol: 17}.packet(udp(peer, netip.AddrPortFrom(local.Addr(), 53), data(30))))},
		{name: "UDP to the L2TP port of another address passes", reason: "pass_not_ours",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: server, protocol: 17}.packet(udp(peer, netip.AddrPortFrom(server, 1701), data(30))))},
		{name: "UDP options to a stranger pass", reason: "pass_not_ours",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: server, protocol: 17, options: make([]byte, 4)}.packet(data(30)))},
		{name: "a fragment of other UDP passes", reason: "pass_not_ours",
			in: ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: server, protocol: 17, frag: 7}.packet(data(30)))},
		{name: "a version other than 4 is the kernel's to refuse", reason: "pass_malformed",
			in: downlinkLie(func(h []byte) { h[0] = 0x55 })},
		{name: "an IHL below 5 is the kernel's to refuse", reason: "pass_malformed", in: downlinkLie(func(h []byte) { h[0] = 0x44 })},
		{name: "a length beyond the frame is the kernel's to refuse", reason: "pass_malformed", in: downlinkLie(func(h []byte) { h[2] = 9 })},
		{name: "a length below the header is the kernel's to refuse", reason: "pass_malformed", in: downlinkLie(func(h []byte) { h[2], h[3] = 0, 19 })},
	}
}

// downlinkLie is a packet for the subscriber, on lac0, with a spoilt header.
func downlinkLie(change func([]byte)) []byte {
	h := header{src: server, dst: subscriber, protocol: 17, change: change, resum: true}
	return ether(lacMAC, peerMAC, 0x0800, h.packet(data(60)))
}

func TestPass(t *testing.T) {
	w := newWorld(t)
	runCases(t, w, reached{}, passCases())
}

// TestVLANs: tags are read on the way in and written on the way out, whichever
// the two sides have.
func TestVLANs(t *testing.T) {
	w := newWorld(t)
	w.install(t, subscriberSession())
	inner, policy := fromSubscriber(90), subscriberSession().Policy
	answer := toSubscriber(90)
	sides := [][]VLAN{
		nil,
		{{0x8100, 100}},
		{{0x88A8, 4094}, {0x8100, 1}},
	}
	tags := func(vlans []VLAN, priority uint16) (list []tag) {
		for _, v := range vlans {
			list = append(list, tag{v.Protocol, v.ID | priority<<13})
		}
		return list
	}
	for _, in := range sides {
		for _, out := range sides {
			lac, core := w.port("lac0"), w.port("core0")
			lac.VLANs, core.VLANs = in, out
			w.must(w.m.AddPort(lac))
			w.must(w.m.AddPort(core))

			frame := slices.Clone(uplinkFrame(inner))
			frame = ether(lacMAC, peerMAC, 0x0800, frame[14:], tags(in, 5)...)
			want := ether(gwMAC, coreMAC, 0x0800, toCore(inner)[14:], tags(out, 0)...)
			testCase{dev: "lac0", in: frame, reason: "sent_up", out: want, slot: counted(7, "up", len(inner))}.check(t, w, reached{})

			frame = ether(coreMAC, gwMAC, 0x0800, answer, tags(out, 3)...)
			want = ether(peerMAC, lacMAC, 0x0800, toPeer(policy, answer)[14:], tags(in, 0)...)
			testCase{dev: "core0", in: frame, reason: "sent_down", out: want, slot: counted(7, "down", len(answer))}.check(t, w, reached{})
			if t.Failed() {
				t.Fatalf("lac %v, core %v", in, out)
			}
			w.must(w.m.RemovePort(lac))
			w.must(w.m.RemovePort(core))
		}
	}
}

// TestEveryReason: the tables reach every reason that there is, and every one
// has a name.
func TestEveryReason(t *testing.T) {
	w := newWorld(t)
	seen := reached{}
	for _, cases := range [][]testCase{passCases(), uplinkCases(), routeCases(), downlinkCases(), uplink6Cases(), downlink6Cases(), ecnCases(), echoCases(), hairpinCases(), denyCases(), shieldCases(), rateCases(), throttleCases(), packetCases(), filterCases(), gardenCases(), sequenceCases(), hookCases(), outer6Cases(), leftCases()} {
		for _, c := range cases {
			seen[c.reason] = true
		}
	}
	tallies, err := w.m.Reasons()
	w.must(err)
	if len(tallies) != int(kernelLnsReasonLNS_REASONS)-1 {
		t.Errorf("%d reasons, want %d", len(tallies), kernelLnsReasonLNS_REASONS-1)
	}
	names := map[string]bool{}
	for _, tally := range tallies {
		if tally.Name == "" || names[tally.Name] {
			t.Errorf("reason %d is called %q", tally.Reason, tally.Name)
		}
		names[tally.Name] = true
		if !seen[tally.Name] {
			t.Errorf("no case ends with %s", tally.Name)
		}
	}
}
