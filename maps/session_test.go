package maps

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/cilium/ebpf"
)

// contents is every key that leads to a slot, by the ways that the program goes.
func (w *world) contents(t testing.TB) (calls map[kernelLnsCall]uint32, hosts map[kernelLnsHost]uint32, routes map[prefix]uint32) {
	t.Helper()
	p := &w.m.paths
	calls = reachable(t, &p.up, readAll[kernelLnsCall](t, w.m.objs.LnsCalls), func(v *kernelLnsPath) (kernelLnsCall, bool) {
		return kernelLnsCall{TunnelId: v.TunnelId, SessionId: v.SessionId}, true
	})
	hosts = reachable(t, &p.down, readAll[kernelLnsHost](t, w.m.objs.LnsHosts), func(v *kernelLnsPath) (kernelLnsHost, bool) {
		return kernelLnsHost{Vrf: w.m.sessions.values[v.Slot].Vrf, Addr: v.Address}, v.Address != [4]uint8{}
	})
	return calls, hosts, readAll[prefix](t, w.m.objs.LnsRoutes)
}

// reachable is every key that leads to a path which is its own, and that path's slot.
// strays are the entries of the map of those that don't lead there by themselves.
func reachable[K interface {
	comparable
	fmt.Stringer
}](t testing.TB, l *lane[K], strays map[K]uint32, keyOf func(*kernelLnsPath) (K, bool)) map[K]uint32 {
	t.Helper()
	found := map[K]uint32{}
	paths, taken := 0, 0
	for i := range l.values {
		v := &l.values[i]
		if l.taken(uint32(i)) {
			taken++
		}
		if v.Slot == 0 {
			if *v != (kernelLnsPath{}) {
				t.Errorf("place %d of nobody holds %+v", i, *v)
			}
			continue
		}
		paths++
		if l.at[v.Slot] != uint32(i) {
			t.Errorf("slot %d is at %d, its path at %d", v.Slot, l.at[v.Slot], i)
		}
		key, ok := keyOf(v)
		home, leads := l.lead(key)
		stray, odd := strays[key]
		if ok && (leads && home == uint32(i) || odd && stray == uint32(i)) {
			found[key] = v.Slot
		}
		delete(strays, key)
	}
	if len(strays) != 0 || taken != paths {
		t.Errorf("%d paths, %d places taken, keys without a path: %v", paths, taken, strays)
	}
	return found
}

func readAll[K comparable](t testing.TB, m *ebpf.Map) map[K]uint32 {
	t.Helper()
	all := make(map[K]uint32)
	var k K
	var slot uint32
	it := m.Iterate()
	for it.Next(&k, &slot) {
		all[k] = slot
	}
	if err := it.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// expect fails unless exactly the given sessions are installed.
func (w *world) expect(t testing.TB, sessions ...Session) {
	t.Helper()
	calls, hosts, routes := w.contents(t)
	want := 0
	for _, s := range sessions {
		got, ok := w.m.Session(s.Slot)
		if !ok {
			t.Errorf("slot %d: not installed", s.Slot)
			continue
		}
		p := got.Policy
		p.State, p.Flags = 0, p.Flags&^FlagRouted
		if p != s.Policy {
			t.Errorf("slot %d holds %+v\nwant %+v", s.Slot, p, s.Policy)
		}
		if !slices.Equal(got.Routes, s.Routes) {
			t.Errorf("slot %d has routes %v, want %v", s.Slot, got.Routes, s.Routes)
		}
		host, _ := hostOf(&s.Policy)
		if calls[callOf(&s.Policy)] != s.Slot || hosts[host] != s.Slot {
			t.Errorf("slot %d: keys do not lead there", s.Slot)
		}
		prefixes, err := prefixes(s.Policy.Vrf, s.Routes)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range prefixes {
			if routes[r] != s.Slot {
				t.Errorf("slot %d: route %v does not lead there", s.Slot, r)
			}
		}
		want += len(prefixes)
	}
	if len(calls) != len(sessions) || len(hosts) != len(sessions) || len(routes) != want {
		t.Errorf("%d calls, %d hosts, %d routes; want %d, %d, %d", len(calls), len(hosts), len(routes), len(sessions), len(sessions), want)
	}
	var facts kernelLnsFacts
	if err := w.m.objs.LnsLive.Lookup(uint32(0), &facts); err != nil {
		t.Fatal(err)
	}
	if int(facts.Routes) != want {
		t.Errorf("the program is told of %d routes, want %d", facts.Routes, want)
	}
	n := 0
	for range w.m.All() {
		n++
	}
	if n != len(sessions) {
		t.Errorf("All yields %d sessions, want %d", n, len(sessions))
	}
}

// another is a session that shares nothing with the subscriber's.
func another() Session {
	s := subscriberSession()
	s.Slot, s.Policy.SessionId, s.Policy.Address = 8, 0x0001, [4]uint8{10, 64, 0, 8}
	s.Routes = []netip.Prefix{netip.MustParsePrefix("10.81.0.0/16")}
	return s
}

func withRoutes(routes ...string) Session {
	s := subscriberSession()
	for _, r := range routes {
		s.Routes = append(s.Routes, netip.MustParsePrefix(r))
	}
	return s
}

// TestInstallConflict: a session that cannot be installed as a whole leaves
// nothing behind, whichever key is taken.
func TestInstallConflict(t *testing.T) {
	w := newWorld(t)
	w.install(t, another())
	sameCall, sameHost, sameRoute := withRoutes("10.80.0.0/16"), withRoutes("10.80.0.0/16"), withRoutes("10.80.0.0/16", "10.81.0.0/16")
	sameCall.Policy.SessionId = 1
	sameHost.Policy.Address = [4]uint8{10, 64, 0, 8}
	for name, s := range map[string]Session{"call": sameCall, "host": sameHost, "route": sameRoute} {
		if err := w.m.Install(s); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v, want ErrInUse", name, err)
		}
		w.expect(t, another())
	}
}

// TestReplaceConflict: a replacement that fails leaves the old session working.
func TestReplaceConflict(t *testing.T) {
	w := newWorld(t)
	old := withRoutes("10.80.0.0/16")
	w.install(t, old)
	w.install(t, another())
	for name, change := range map[string]func(*Session){
		"call":  func(s *Session) { s.Policy.SessionId = 1 },
		"host":  func(s *Session) { s.Policy.Address = [4]uint8{10, 64, 0, 8} },
		"route": func(s *Session) { s.Routes = []netip.Prefix{netip.MustParsePrefix("10.81.0.0/16")} },
	} {
		s := withRoutes("10.82.0.0/16")
		change(&s)
		if err := w.m.Install(s); !errors.Is(err, ErrInUse) {
			t.Errorf("%s: %v, want ErrInUse", name, err)
		}
		w.expect(t, old, another())
	}
	inner := toSubscriber(5)
	testCase{dev: "core0", in: downlinkFrame(inner), reason: "sent_down", out: toPeer(old.Policy, inner), slot: counted(7, "down", 33)}.check(t, w, reached{})
}

// TestReplace: keys and routes follow, counters stay.
func TestReplace(t *testing.T) {
	w := newWorld(t)
	w.install(t, withRoutes("10.80.0.0/16", "10.82.0.0/16"))
	inner := toSubscriber(5)
	w.run(t, "core0", downlinkFrame(inner))
	s := withRoutes("10.82.0.0/16", "10.83.0.0/24")
	s.Policy.Address = [4]uint8{10, 64, 0, 9}
	s.Policy.TunnelId = 99
	if err := w.m.Install(s); err != nil {
		t.Fatal(err)
	}
	w.expect(t, s)
	if u := w.m.Usage(7); u.Down.Packets != 1 || u.Down.Bytes != 33 {
		t.Errorf("counters after the replacement: %+v", u)
	}
}

// TestRemove: the final counters are returned, and a new session in the slot
// starts from zero.
func TestRemove(t *testing.T) {
	w := newWorld(t)
	for range 2 {
		w.must(w.m.Install(withRoutes("10.80.0.0/16")))
		w.must(w.m.Install(another()))
		w.run(t, "core0", downlinkFrame(toSubscriber(5)))
		w.run(t, "lac0", uplinkFrame(fromSubscriber(7)))
		final, err := w.m.Remove([]uint32{7, 3, 8})
		w.must(err)
		if u := final[0]; u.Down.Packets != 1 || u.Down.Bytes != 33 || u.Up.Packets != 1 || u.Up.Bytes != 35 {
			t.Errorf("final counters %+v", u)
		}
		if final[1] != (Usage{}) || final[2] != (Usage{}) {
			t.Errorf("idle slots counted %+v", final[1:])
		}
		w.expect(t)
		testCase{dev: "core0", in: downlinkFrame(toSubscriber(5)), reason: "pass_not_ours"}.check(t, w, reached{})
		testCase{in: uplinkFrame(fromSubscriber(5)), reason: "punt_unknown"}.check(t, w, reached{})
	}
}

// TestFull: a map without room refuses, and leaves nothing.
func TestFull(t *testing.T) {
	w := newWorld(t)
	s := subscriberSession()
	for i := range 17 { // the world has room for 16
		s.Routes = append(s.Routes, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(100 + i), 0, 0}), 16))
	}
	if err := w.m.Install(s); !errors.Is(err, ErrFull) {
		t.Errorf("17 routes: %v, want ErrFull", err)
	}
	w.expect(t)

	var all []uint32
	for slot := uint32(1); slot <= 64; slot++ {
		s := subscriberSession()
		s.Slot, s.Policy.SessionId, s.Policy.Address = slot, uint16(slot), [4]uint8{10, 65, 0, byte(slot)}
		if err := w.m.Install(s); err != nil {
			t.Fatalf("session %d of 64: %v", slot, err)
		}
		all = append(all, slot)
	}
	if _, err := w.m.Remove(all); err != nil {
		t.Error(err)
	}
	w.expect(t)
}

// TestInvalid: what cannot be a session is refused before anything is written.
func TestInvalid(t *testing.T) {
	w := newWorld(t)
	for _, slot := range []uint32{0, 65, 1 << 31} {
		s := subscriberSession()
		s.Slot = slot
		if err := w.m.Install(s); !errors.Is(err, ErrSlot) {
			t.Errorf("slot %d: %v, want ErrSlot", slot, err)
		}
		if _, err := w.m.Remove([]uint32{slot}); !errors.Is(err, ErrSlot) {
			t.Errorf("remove slot %d: %v, want ErrSlot", slot, err)
		}
		if u := w.m.Usage(slot); u != (Usage{}) {
			t.Errorf("slot %d has counters %+v", slot, u)
		}
	}
	s := subscriberSession()
	s.Routes = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32")}
	if err := w.m.Install(s); err == nil {
		t.Error("an IPv6 route was accepted")
	}
	w.expect(t)
}

// TestNoAddress: a session without an IPv4 address owns no source and no
// destination.
func TestNoAddress(t *testing.T) {
	w := newWorld(t)
	s := subscriberSession()
	s.Policy.Address = [4]uint8{}
	w.install(t, s)
	inner := header{src: netip.IPv4Unspecified(), dst: server, protocol: 17}.packet(data(9))
	testCase{in: uplinkFrame(inner), reason: "drop_source", slot: dropped(7, "up", CauseSource)}.check(t, w, reached{})
	_, hosts, _ := w.contents(t)
	if len(hosts) != 0 {
		t.Errorf("hosts: %v", hosts)
	}
}

// TestLocals: an address is ours as long as one of its ports is.
func TestLocals(t *testing.T) {
	w := newWorld(t)
	second := netip.AddrPortFrom(local.Addr(), 1702)
	w.must(w.m.AddLocal(second))
	w.must(w.m.RemoveLocal(local))
	fragment := ether(lacMAC, peerMAC, 0x0800, header{src: peer.Addr(), dst: local.Addr(), protocol: 17, frag: 5}.packet(data(30)))
	testCase{in: fragment, reason: "punt_fragment"}.check(t, w, reached{})
	w.must(w.m.RemoveLocal(second))
	w.must(w.m.RemoveLocal(second))
	testCase{in: fragment, reason: "pass_not_ours"}.check(t, w, reached{})
	for _, bad := range []string{"0.0.0.0:1701", "[::]:1701", "[2001:db8::1]:0", "192.0.2.1:0"} {
		if err := w.m.AddLocal(netip.MustParseAddrPort(bad)); err == nil {
			t.Errorf("%s was accepted", bad)
		}
	}
}

// TestInvalidPorts: tags that no frame can have are refused.
func TestInvalidPorts(t *testing.T) {
	w := newWorld(t)
	for _, vlans := range [][]VLAN{
		{{0x8100, 0}}, {{0x8100, 4095}}, {{0, 5}}, {{0x8100, 1}, {0x8100, 2}, {0x8100, 3}},
	} {
		p := w.port("lac0")
		p.VLANs = vlans
		if err := w.m.AddPort(p); err == nil {
			t.Errorf("%v was accepted", vlans)
		}
	}
}
