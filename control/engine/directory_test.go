package engine

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/pool"
	"github.com/lnsd/lnsd/control/session"
)

func testPool(t *testing.T, name, prefix string) *pool.Pool {
	t.Helper()
	p, err := pool.New(pool.Config{Name: name, Prefixes: []netip.Prefix{netip.MustParsePrefix(prefix)}})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestDirectoryRefusesPools(t *testing.T) {
	for name, ps := range map[string][]*pool.Pool{
		"same name": {testPool(t, "a", "10.0.0.0/24"), testPool(t, "a", "10.0.1.0/24")},
		"overlap":   {testPool(t, "a", "10.0.0.0/24"), testPool(t, "b", "10.0.0.128/25")},
	} {
		if _, err := newDirectory(Config{Pools: ps}, nil); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

// Sessions at random claim and go. At every moment each address has one holder,
// the chains of users and of those that wait are whole, and at the end nothing
// is left.
func TestDirectoryModel(t *testing.T) {
	const slots = 40
	var notices []notice
	d, err := newDirectory(Config{MaxSessions: slots, Pools: []*pool.Pool{testPool(t, "p", "10.0.0.0/28")}},
		func(n notice) { notices = append(notices, n) })
	if err != nil {
		t.Fatal(err)
	}
	rng := rand.New(rand.NewPCG(5, 6))
	now := time.Unix(1_700_000_000, 0)
	type holder struct {
		slot    uint32
		address netip.Addr
		waits   bool
		claimed bool
	}
	live := map[session.Ref]*holder{}
	granted := 0
	for range 50000 {
		notices = notices[:0]
		switch rng.IntN(3) {
		case 0:
			slot, serial, err := d.open(0)
			if (err != nil) != (len(live) == slots) {
				t.Fatalf("open: %v with %d live", err, len(live))
			}
			if err != nil {
				continue
			}
			ref := session.Ref{TunnelID: 1, SessionID: uint16(slot), Serial: serial}
			d.enter(slot, ref)
			live[ref] = &holder{slot: slot}
		case 1:
			for _, h := range live {
				if h.claimed {
					continue
				}
				h.claimed = true
				c := session.Claim{User: fmt.Sprint(rng.IntN(8)), Pool: "p",
					Duplicates: session.DuplicatePolicy(rng.IntN(3))}
				if rng.IntN(2) == 0 {
					c.Address = netip.AddrFrom4([4]byte{byte(10 * (1 + rng.IntN(2))), 0, 0, byte(1 + rng.IntN(6))})
				}
				r, decided := d.claim(h.slot, &c, now)
				if decided && r.Outcome == session.Granted {
					h.address = r.Address
				}
				h.waits = !decided
				break
			}
		case 2:
			for ref, h := range live {
				d.close(h.slot, now)
				delete(live, ref)
				break
			}
		}
		for _, n := range notices {
			if n.kind == noticeGranted {
				h := live[n.ref]
				if h == nil || !h.waits {
					t.Fatalf("granted to %+v, which does not wait", n.ref)
				}
				h.waits, h.address = false, n.address
				granted++
			}
		}
		held := map[netip.Addr]session.Ref{}
		for ref, h := range live {
			if !h.address.IsValid() {
				continue
			}
			if other, twice := held[h.address]; twice {
				t.Fatalf("%v is held by %+v and %+v", h.address, ref, other)
			}
			held[h.address] = ref
			if d.addrs[place{0, h.address}] != h.slot {
				t.Fatalf("the directory does not know the holder of %v", h.address)
			}
		}
		if len(held) != len(d.addrs) {
			t.Fatalf("%d addresses held, %d in the directory", len(held), len(d.addrs))
		}
		checkChains(t, d)
	}
	if granted == 0 {
		t.Error("nobody ever waited for an address")
	}
	for _, h := range live {
		d.close(h.slot, now)
	}
	if len(d.users)+len(d.addrs)+len(d.wanted)+d.slots.Used()+d.order[0].Used() != 0 {
		t.Errorf("left: %v %v %v", d.users, d.addrs, d.wanted)
	}
}

func checkChains(t *testing.T, d *directory) {
	t.Helper()
	seen := 0
	for user, head := range d.users {
		prev := uint32(0)
		for i := head; i != 0; i = d.table[i].next {
			if h := &d.table[i]; h.user != user || h.prev != prev {
				t.Fatalf("chain of %s is broken at %d", user, i)
			}
			prev = i
			seen++
		}
	}
	waiting := 0
	for at, head := range d.wanted {
		for i := head; i != 0; i = d.table[i].waiting {
			if h := &d.table[i]; h.state != waitsAddress || h.place != at {
				t.Fatalf("slot %d does not wait for %v", i, at)
			}
			waiting++
		}
	}
	for i := range d.table {
		switch d.table[i].state {
		case waitsAddress:
			waiting--
			seen--
		case holdsName, holdsAddress:
			seen--
		}
	}
	if seen != 0 || waiting != 0 {
		t.Fatalf("chains are off by %d users, %d waiting", seen, waiting)
	}
}

func TestUnusableAddresses(t *testing.T) {
	d, _ := newDirectory(Config{MaxSessions: 10}, nil)
	slot, _, _ := d.open(0)
	for _, a := range []string{"0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "2001:db8::1"} {
		r, ok := d.claim(slot, &session.Claim{Address: netip.MustParseAddr(a)}, time.Time{})
		if !ok || r.Outcome != session.BadAddress {
			t.Errorf("%s: %v", a, r.Outcome)
		}
	}
}

// Who only claims a name gets none of what is kept for it.
func TestUncheckedNameGetsNoKeptAddress(t *testing.T) {
	d, _ := newDirectory(Config{MaxSessions: 10, Pools: []*pool.Pool{testPool(t, "p", "10.0.0.0/24")}}, nil)
	take := func(unchecked bool) (uint32, netip.Addr) {
		slot, _, _ := d.open(0)
		r, ok := d.claim(slot, &session.Claim{User: "alice", Pool: "p", Duplicates: session.AllowDuplicates, Unchecked: unchecked}, time.Time{})
		if !ok || r.Outcome != session.Granted {
			t.Fatalf("claim %+v", r)
		}
		return slot, r.Address
	}
	slot, hers := take(false)
	d.close(slot, time.Time{})
	_, other := take(true)
	if other == hers {
		t.Errorf("a stranger has the address %v that is kept for the user", other)
	}
	if _, again := take(false); again != hers {
		t.Errorf("the user comes back to %v, not to %v", again, hers)
	}
}
