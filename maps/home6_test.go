package maps

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"testing"
)

// nets6 are the slots that own /64s lead to, by the words of lns_homes6 and the keys
// of lns_nets6.
func (w *world) nets6(t *testing.T) (slots []uint32) {
	t.Helper()
	for _, home := range w.m.homes.values {
		for _, e := range home.Entries {
			if slot := uint32(e >> 32); slot != 0 {
				slots = append(slots, slot)
			}
		}
	}
	for _, slot := range readAll[kernelLnsNet6](t, w.m.objs.LnsNets6) {
		slots = append(slots, slot)
	}
	return slots
}

// neighbours6 are n /64s that have the same home.
func (w *world) neighbours6(n int) (list []netip.Prefix) {
	first, _ := w.m.homes.entry(1, kernelLnsNet6{Net: [8]uint8{0x20, 0x01, 0x0d, 0xb8}})
	for i := uint32(0); len(list) < n; i++ {
		net := [8]uint8{0x20, 0x01, 0x0d, 0xb8}
		binary.BigEndian.PutUint32(net[4:], i)
		if home, _ := w.m.homes.entry(1, kernelLnsNet6{Net: net}); home == first {
			var addr [16]byte
			copy(addr[:], net[:])
			list = append(list, netip.PrefixFrom(netip.AddrFrom16(addr), 64))
		}
	}
	return list
}

// TestFullHome6: more sessions than a home has room for are found all the same, no
// two of them have one /64, and nothing is left of those that go.
func TestFullHome6(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	cfg := Config{Sessions: 64, Routes: 16, IPv6: true, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	w.fill()
	list := w.neighbours6(homeSize + 3)
	var slots []uint32
	for i, p := range list {
		s := session6()
		s.Slot, s.Prefixes6 = uint32(20+i), []netip.Prefix{p}
		s.Policy.SessionId, s.Policy.Address = uint16(100+i), [4]uint8{100, 65, 0, byte(i)}
		w.must(w.m.Install(s))
		slots = append(slots, s.Slot)
	}
	if n := len(readAll[kernelLnsNet6](t, w.m.objs.LnsNets6)); n != 3 {
		t.Errorf("%d found no room, want 3", n)
	}
	found := func(what string) {
		t.Helper()
		for i, p := range list {
			before := w.m.Usage(slots[i]).IPv6.DownPackets
			w.run(t, "core0", downlink6Frame(udp6(server6, p.Addr().Next(), 10)))
			if n := w.m.Usage(slots[i]).IPv6.DownPackets - before; n != 1 {
				t.Errorf("%s: %v: %d packets went to its session, want 1", what, p, n)
			}
		}
	}
	found("installed")
	for _, p := range []netip.Prefix{list[0], list[len(list)-1]} {
		s := session6()
		s.Slot, s.Policy.SessionId, s.Policy.Address = 60, 60, [4]uint8{100, 65, 1, 1}
		s.Prefixes6 = []netip.Prefix{p}
		if err := w.m.Install(s); !errors.Is(err, ErrInUse) {
			t.Errorf("%v for another session: %v, want ErrInUse", p, err)
		}
	}

	w.must(w.m.Close())
	w.m = open(t, cfg)
	defer func() { w.must(w.m.Close()) }()
	found("opened again")
	if _, err := w.m.Remove(slots); err != nil {
		t.Error(err)
	}
	if left := w.nets6(t); len(left) != 0 {
		t.Errorf("entries lead to slots %v, want none", left)
	}
}
