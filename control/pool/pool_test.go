package pool

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"testing"
	"time"
)

var now = time.Unix(1_700_000_000, 0)

func prefixes(ss ...string) []netip.Prefix {
	var ps []netip.Prefix
	for _, s := range ss {
		ps = append(ps, netip.MustParsePrefix(s))
	}
	return ps
}

func newPool(t testing.TB, c Config) *Pool {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestNewRefuses(t *testing.T) {
	for name, ps := range map[string][]netip.Prefix{
		"nothing":  nil,
		"IPv6":     prefixes("2001:db8::/64"),
		"too much": prefixes("0.0.0.0/7"),
		"sum":      prefixes("10.0.0.0/8", "11.0.0.0/32"),
		"overlap":  prefixes("10.0.0.0/24", "192.0.2.0/24", "10.0.0.128/25"),
		"twice":    prefixes("10.0.0.0/24", "10.0.0.0/24"),
	} {
		if _, err := New(Config{Name: "p", Prefixes: ps}); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
}

func TestEdgesAndExclusions(t *testing.T) {
	cases := []struct {
		name     string
		c        Config
		reserved int
		not      []string
	}{
		{"all", Config{Prefixes: prefixes("10.0.0.0/30")}, 0, nil},
		{"ends", Config{Prefixes: prefixes("10.0.0.0/30", "10.0.1.0/31", "10.0.2.1/32"), Edges: SkipEnds},
			2, []string{"10.0.0.0", "10.0.0.3"}},
		{"octets", Config{Prefixes: prefixes("10.0.0.0/23"), Edges: SkipOctets},
			4, []string{"10.0.0.0", "10.0.0.255", "10.0.1.0", "10.0.1.255"}},
		{"excluded", Config{Prefixes: prefixes("10.0.0.0/30"), Edges: SkipEnds,
			Exclude: []netip.Addr{netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.0"), netip.MustParseAddr("192.0.2.1")}},
			3, []string{"10.0.0.0", "10.0.0.1", "10.0.0.3"}},
	}
	for _, x := range cases {
		t.Run(x.name, func(t *testing.T) {
			p := newPool(t, x.c)
			if p.Reserved() != x.reserved {
				t.Errorf("%d reserved, want %d", p.Reserved(), x.reserved)
			}
			got := map[string]bool{}
			for a, ok := p.Take("", now); ok; a, ok = p.Take("", now) {
				got[a.String()] = true
			}
			if len(got) != p.Size()-x.reserved {
				t.Errorf("%d given out of %d", len(got), p.Size())
			}
			for _, a := range x.not {
				if got[a] {
					t.Errorf("%s given out", a)
				}
			}
		})
	}
}

func TestReuseIsFirstInFirstOut(t *testing.T) {
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/30")})
	var as []netip.Addr
	for range 4 {
		a, _ := p.Take("", now)
		as = append(as, a)
	}
	for _, i := range []int{2, 0, 3} {
		p.Free(as[i], now)
	}
	for _, i := range []int{2, 0, 3} {
		if a, ok := p.Take("", now); !ok || a != as[i] {
			t.Errorf("got %v, want %v", a, as[i])
		}
	}
	if a, ok := p.Take("", now); ok {
		t.Errorf("got %v from an empty pool", a)
	}
}

func TestSticky(t *testing.T) {
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/30")})
	alice, _ := p.Take("alice", now)
	p.Free(alice, now)
	p.Take("bob", now)
	if a, _ := p.Take("alice", now); a != alice {
		t.Errorf("alice got %v, had %v", a, alice)
	}
	p.Free(alice, now)
	// Others need the address more than alice needs its memory.
	for i := range 3 {
		if _, ok := p.Take(fmt.Sprint("user", i), now); !ok {
			t.Fatal("pool empty")
		}
	}
	if _, ok := p.Take("alice", now); ok {
		t.Error("alice got an address from an empty pool")
	}
	if len(p.last) != 4 {
		t.Errorf("%d users remembered, want the 4 with an address", len(p.last))
	}
}

func TestTakeAddr(t *testing.T) {
	gate := netip.MustParseAddr("10.0.0.1")
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/30"), Exclude: []netip.Addr{gate}})
	if !p.TakeAddr(gate, "router", now) || p.TakeAddr(gate, "alice", now) {
		t.Error("an excluded address can be taken once, by name")
	}
	if p.Used() != 1 || p.Reserved() != 0 {
		t.Errorf("%d used, %d reserved", p.Used(), p.Reserved())
	}
	if p.TakeAddr(netip.MustParseAddr("192.0.2.1"), "alice", now) {
		t.Error("took an address of somebody else's")
	}
	if !p.Free(gate, now) || p.Free(gate, now) || p.Free(netip.MustParseAddr("192.0.2.1"), now) {
		t.Error("an address can be freed once")
	}
}

func TestLeases(t *testing.T) {
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/28")})
	p.Take("alice", now)
	b, _ := p.Take("bob", now)
	p.Free(b, now.Add(time.Minute))
	var all []Lease
	for next := 0; ; {
		all, next = p.Leases(all, next, 5)
		if next == 0 {
			break
		}
	}
	if len(all) != 2 || all[0].User != "alice" || !all[0].InUse || all[1].InUse ||
		!all[1].Since.Equal(now.Add(time.Minute)) {
		t.Errorf("leases %+v", all)
	}
}

// The pool against a plain model: a set of free addresses in order.
func TestPoolModel(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/28", "192.0.2.64/29", "10.0.1.7/32")})
	free := map[netip.Addr]bool{}
	for _, x := range p.Prefixes() {
		for a := x.Addr(); x.Contains(a); a = a.Next() {
			free[a] = true
		}
	}
	held := []netip.Addr{}
	all := []netip.Addr{}
	for a := range free {
		all = append(all, a)
	}
	for range 20000 {
		user := fmt.Sprint(rng.IntN(40))
		switch rng.IntN(3) {
		case 0:
			a, ok := p.Take(user, now)
			if ok != (len(free) > 0) || ok && !free[a] {
				t.Fatalf("Take gave %v %v with %d free", a, ok, len(free))
			}
			if ok {
				delete(free, a)
				held = append(held, a)
			}
		case 1:
			a := all[rng.IntN(len(all))]
			if ok := p.TakeAddr(a, user, now); ok != free[a] {
				t.Fatalf("TakeAddr(%v) is %v, free is %v", a, ok, free[a])
			} else if ok {
				delete(free, a)
				held = append(held, a)
			}
		case 2:
			if len(held) == 0 {
				continue
			}
			i := rng.IntN(len(held))
			if !p.Free(held[i], now) {
				t.Fatalf("%v was not in use", held[i])
			}
			free[held[i]] = true
			held[i] = held[len(held)-1]
			held = held[:len(held)-1]
		}
		if p.Used() != len(held) {
			t.Fatalf("%d used, want %d", p.Used(), len(held))
		}
	}
	for user, i := range p.last {
		if p.users[i] != user {
			t.Errorf("%s remembers an address of %q", user, p.users[i])
		}
	}
}

func TestPoolDoesNotAllocate(t *testing.T) {
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/20")})
	if n := testing.AllocsPerRun(1000, func() {
		a, _ := p.Take("alice", now)
		p.Free(a, now)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestPoolMemory(t *testing.T) {
	const size = 1 << 20
	before := heap()
	p := newPool(t, Config{Prefixes: prefixes("10.0.0.0/12")})
	if per := (heap() - before) / size; per > 32 {
		t.Errorf("%d bytes for each address", per)
	}
	runtime.KeepAlive(p)
}

func heap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

func BenchmarkTakeFree(b *testing.B) {
	p := newPool(b, Config{Prefixes: prefixes("10.0.0.0/12")})
	b.ReportAllocs()
	for b.Loop() {
		a, _ := p.Take("", now)
		p.Free(a, now)
	}
}
