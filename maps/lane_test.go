package maps

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
)

// crowd makes sessions whose keys meet each other: few ids and addresses, from many
// networks and two routing tables, for not many more places than sessions.
func crowd(r *rand.Rand, slot uint32) Session {
	s := subscriberSession()
	s.Slot = slot
	s.Policy.TunnelId, s.Policy.SessionId = uint16(1+r.IntN(3)), uint16(1+r.IntN(60))
	s.Policy.Address = [4]uint8{10, byte(r.IntN(3)), byte(r.IntN(4)), byte(r.IntN(40))}
	if r.IntN(8) == 0 {
		s.Policy.Address = [4]uint8{}
	}
	s.Policy.Vrf = uint32(r.IntN(6) / 5)
	s.Policy.Mtu = uint16(1000 + r.IntN(400))
	return s
}

// TestCrowd: whatever is installed, replaced and removed in whatever order, each
// session is found by its keys and no other is, what can't be is refused as a whole,
// and another process finds the same, whatever the last one was doing.
func TestCrowd(t *testing.T) {
	t.Parallel()
	w := newNetwork(t)
	const slots = 40
	cfg := Config{Sessions: slots, Routes: 16, PinPath: bpffs(t)}
	w.m = open(t, cfg)
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	installed := map[uint32]Session{}
	refused, strays := 0, 0
	for step := range 1500 {
		slot := uint32(1 + r.IntN(slots))
		if r.IntN(4) == 0 {
			_, err := w.m.Remove([]uint32{slot})
			w.must(err)
			delete(installed, slot)
		} else {
			s := crowd(r, slot)
			taken := false
			for other, o := range installed {
				sameHost := s.Policy.Address != [4]uint8{} && o.Policy.Address == s.Policy.Address && o.Policy.Vrf == s.Policy.Vrf
				taken = taken || other != slot && (callOf(&o.Policy) == callOf(&s.Policy) || sameHost)
			}
			err := w.m.Install(s)
			if errors.Is(err, ErrInUse) != taken || err != nil && !taken {
				t.Fatalf("step %d: slot %d: %v, taken: %v", step, slot, err, taken)
			}
			if err == nil {
				installed[slot] = s
			} else {
				refused++
			}
		}
		strays = max(strays, len(w.m.paths.up.odd)+len(w.m.paths.down.odd))
		if step%300 == 299 {
			w.m.tear(r, installed)
			w.must(w.m.Close())
			w.m = open(t, cfg)
		}
		if step%10 == 9 {
			w.expectCrowd(t, installed)
		}
		if t.Failed() {
			t.Fatalf("step %d", step)
		}
	}
	if refused < 50 || strays < 5 {
		t.Errorf("%d refused, %d strays at most: the test tests little", refused, strays)
	}
	w.must(w.m.Close())
}

// tear leaves the maps as a process may that is killed on the way: a session half
// removed, another without its paths open, keys and paths of nobody.
func (m *Maps) tear(r *rand.Rand, installed map[uint32]Session) {
	slots := make([]uint32, 0, len(installed))
	for slot := range installed {
		slots = append(slots, slot)
	}
	slices.Sort(slots)
	if len(slots) < 4 {
		return
	}
	gone, half := slots[r.IntN(2)], slots[2+r.IntN(2)]
	m.setState(gone, kernelLnsStateLNS_CLOSED)
	delete(installed, gone)
	s := &m.sessions.values[half]
	m.paths.up.setState(half, kernelLnsStateLNS_CLOSED, s.OuterTos)
	if place, ok := m.paths.down.any(); ok {
		m.paths.down.write(place, half, s)
	}
	if place, ok := m.paths.up.any(); ok {
		m.paths.up.values[place].Slot = 1 << 30
		_ = m.objs.LnsCalls.Put(&kernelLnsCall{TunnelId: 9, SessionId: uint16(r.Uint32())}, place)
	}
	m.paths.blocks.values[r.IntN(firstPages)].Entries[r.IntN(256)] = 1 << 20
}

func (w *world) expectCrowd(t *testing.T, installed map[uint32]Session) {
	t.Helper()
	calls, hosts, _ := w.contents(t)
	addresses := 0
	for slot, s := range installed {
		got, ok := w.m.Session(slot)
		got.Policy.State, s.Policy.State = 0, 0
		if !ok || got.Policy != s.Policy {
			t.Errorf("slot %d holds %v %+v\nwant %+v", slot, ok, got.Policy, s.Policy)
		}
		if calls[callOf(&s.Policy)] != slot {
			t.Errorf("slot %d is not found by its ids", slot)
		}
		down := &w.m.paths.down
		path := &down.values[down.at[slot]]
		if *down.word(down.at[slot])&0xFF != uint32(kernelLnsStateLNS_OPEN) || path.Mtu != s.Policy.Mtu ||
			w.m.sessions.values[slot].Downlink != down.at[slot] {
			t.Errorf("slot %d has the path %+v", slot, path)
		}
		host, has := hostOf(&s.Policy)
		if !has {
			continue
		}
		addresses++
		place, leads := down.lead(host)
		stray := uint32(noPlace)
		_ = w.m.objs.LnsHosts.Lookup(&host, &stray)
		if (!leads || place != down.at[slot]) && stray != down.at[slot] {
			t.Errorf("slot %d is not found by its address", slot)
		}
	}
	_ = hosts
	if len(calls) != len(installed) {
		t.Errorf("%d sessions are found, %d installed", len(calls), len(installed))
	}
}

// TestBlocksRunOut: addresses of more networks than there are blocks are found all the
// same, and a network that nobody uses gives its block to another.
func TestBlocksRunOut(t *testing.T) {
	w := newWorld(t)
	blocks := len(w.m.paths.blocks.owner)
	var slots []uint32
	for i := range 60 {
		s := subscriberSession()
		s.Slot, s.Policy.SessionId = uint32(1+i), uint16(1+i)
		s.Policy.Address = [4]uint8{10, 0, byte(i), 7}
		w.must(w.m.Install(s))
		slots = append(slots, s.Slot)
	}
	if n := len(w.m.paths.down.odd); n != 60-blocks {
		t.Errorf("%d strays with %d blocks", n, blocks)
	}
	for i := range 60 {
		dst := netip.AddrFrom4([4]byte{10, 0, byte(i), 7})
		inner := header{src: server, dst: dst, protocol: 253}.packet(data(20))
		before := w.m.Usage(uint32(1 + i)).Down.Packets
		verdict, _ := w.run(t, "core0", downlinkFrame(inner))
		if verdict != xdpRedirect || w.m.Usage(uint32(1+i)).Down.Packets != before+1 {
			t.Errorf("address %d: %s", i, xdpNames[verdict])
		}
	}
	_, err := w.m.Remove(slots)
	w.must(err)
	s := subscriberSession()
	s.Policy.Address = [4]uint8{172, 16, 9, 9}
	w.install(t, s)
	if len(w.m.paths.down.odd) != 0 {
		t.Error("no block was given to another network")
	}
}

// TestManyPages: so does a network beyond the pages.
func TestManyPages(t *testing.T) {
	b := blocks{owner: make([]*uint32, 1000), pages: firstPages, free: func(int) bool { return true }}
	b.values = make([]kernelLnsPage, 512)
	for i := range 300 {
		_, ok := b.settle(kernelLnsHost{Addr: [4]uint8{byte(i), byte(i / 256), 1, 1}})
		if ok != (i < 256) {
			t.Fatalf("page %d: %v", i, ok)
		}
	}
}
