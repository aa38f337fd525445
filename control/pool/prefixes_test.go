package pool

import (
	"fmt"
	"math/rand/v2"
	"net/netip"
	"testing"
	"time"
)

func prefixPool(t *testing.T, length int, exclude []string, prefixes ...string) *Prefixes {
	t.Helper()
	c := PrefixConfig{Name: "p", Length: length}
	for _, p := range prefixes {
		c.Prefixes = append(c.Prefixes, netip.MustParsePrefix(p))
	}
	for _, p := range exclude {
		c.Exclude = append(c.Exclude, netip.MustParsePrefix(p))
	}
	p, err := NewPrefixes(c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestPrefixesInOrder(t *testing.T) {
	now := time.Unix(1000, 0)
	for _, c := range []struct {
		length   int
		exclude  []string
		prefixes []string
		want     []string
	}{
		{56, nil, []string{"2001:db8::/54"}, []string{"2001:db8::/56", "2001:db8:0:100::/56", "2001:db8:0:200::/56", "2001:db8:0:300::/56"}},
		{64, []string{"2001:db8::1/128"}, []string{"2001:db8::/63", "2001:db8:9::/64"}, []string{"2001:db8:0:1::/64", "2001:db8:9::/64"}},
		{72, nil, []string{"2001:db8::ff00:0:0:0/71"}, []string{"2001:db8:0:0:fe00::/72", "2001:db8:0:0:ff00::/72"}},
		{128, nil, []string{"2001:db8::ffff:ffff:ffff:fffe/127"}, []string{"2001:db8::ffff:ffff:ffff:fffe/128", "2001:db8::ffff:ffff:ffff:ffff/128"}},
		{56, []string{"2001:db8::/57", "2001:db8:0:100::/56", "::/0"}, []string{"2001:db8::/54"}, nil},
	} {
		p := prefixPool(t, c.length, c.exclude, c.prefixes...)
		for i, want := range c.want {
			if got, ok := p.Take(fmt.Sprint(i), now); !ok || got != netip.MustParsePrefix(want) {
				t.Errorf("%v: take %d is %v, want %s", c.prefixes, i, got, want)
			}
		}
		if got, ok := p.Take("late", now); ok {
			t.Errorf("%v: more than there are: %v", c.prefixes, got)
		}
	}
}

func TestPrefixesComeBackToTheirUser(t *testing.T) {
	now := time.Unix(1000, 0)
	p := prefixPool(t, 64, nil, "2001:db8::/48")
	a, _ := p.Take("alice", now)
	b, _ := p.Take("bob", now)
	p.Free(a, now)
	p.Free(b, now)
	for i := range 100 { // others take what nobody had
		if c, _ := p.Take(fmt.Sprint(i), now); c == a || c == b {
			t.Fatalf("%v was not kept", c)
		}
	}
	if got, _ := p.Take("bob", now); got != b {
		t.Errorf("bob got %v, had %v", got, b)
	}
	if got, _ := p.Take("alice", now); got != a {
		t.Errorf("alice got %v, had %v", got, a)
	}
}

func TestPrefixesByName(t *testing.T) {
	now := time.Unix(1000, 0)
	p := prefixPool(t, 56, nil, "2001:db8::/48")
	wide := netip.MustParsePrefix("2001:db8::/54") // four pieces
	if !p.TakePrefix(wide, "alice", now) || p.Used() != 4 {
		t.Fatalf("%d used", p.Used())
	}
	if p.TakePrefix(netip.MustParsePrefix("2001:db8:0:1ff::/64"), "bob", now) {
		t.Error("a part of it was given out again")
	}
	if got, _ := p.Take("bob", now); got != netip.MustParsePrefix("2001:db8:0:400::/56") {
		t.Errorf("bob got %v", got)
	}
	p.Free(wide, now)
	if p.Used() != 1 || !p.TakePrefix(netip.MustParsePrefix("2001:db8:0:1ff::/64"), "bob", now) {
		t.Errorf("%d used after it was given back", p.Used())
	}
	huge := prefixPool(t, 64, nil, "2001:db8::/32")
	if huge.TakePrefix(netip.MustParsePrefix("2001:db8::/40"), "x", now) {
		t.Error("millions of pieces were taken at once")
	}
}

func TestPrefixPoolsThatMakeNoSense(t *testing.T) {
	for _, c := range []PrefixConfig{
		{Length: 64},
		{Length: 56, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}},
		{Length: 32, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}},
		{Length: 128, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/64")}},
		{Length: 64, Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8::/48"), netip.MustParsePrefix("2001:db8:0:1::/64")}},
	} {
		if _, err := NewPrefixes(c); err == nil {
			t.Errorf("%+v was accepted", c)
		}
	}
}

// Whatever users do, no prefix is held twice, nothing gets lost, and a user who was
// never pushed aside gets back what it had.
func TestPrefixesProperties(t *testing.T) {
	for seed := range uint64(40) {
		r := rand.New(rand.NewPCG(seed, 1))
		length := []int{56, 64, 128}[seed%3]
		base := netip.MustParsePrefix(fmt.Sprintf("2001:db8::/%d", length-6))
		p, err := NewPrefixes(PrefixConfig{Length: length, Prefixes: []netip.Prefix{base}, Exclude: []netip.Prefix{netip.PrefixFrom(base.Addr(), length)}})
		if err != nil {
			t.Fatal(err)
		}
		held := map[netip.Prefix]string{}
		now := time.Unix(1, 0)
		for step := range 2000 {
			now = now.Add(time.Second)
			user := fmt.Sprint("u", r.IntN(90))
			switch n := r.IntN(10); {
			case n < 5:
				x, ok := p.Take(user, now)
				if !ok && len(held) < 63 {
					t.Fatalf("seed %d step %d: none left of %d", seed, step, 63-len(held))
				}
				if ok {
					hold(t, held, x, user)
				}
			case n < 6:
				x := p.prefix(1 + uint64(r.IntN(63)))
				if p.TakePrefix(x, user, now) == (held[x] != "") {
					t.Fatalf("seed %d step %d: %v by name", seed, step, x)
				} else if held[x] == "" {
					held[x] = user
				}
			default:
				for x := range held {
					delete(held, x)
					p.Free(x, now)
					p.Free(x, now) // once more does nothing
					break
				}
			}
			if p.Used() != len(held) || uint64(p.Used()+p.kept) > p.Size() {
				t.Fatalf("seed %d step %d: %d used, %d held, %d kept", seed, step, p.Used(), len(held), p.kept)
			}
		}
		for _, l := range p.Leases() {
			if l.InUse != (held[l.Prefix] != "") || l.InUse && l.User != held[l.Prefix] {
				t.Fatalf("seed %d: lease %+v, held by %q", seed, l, held[l.Prefix])
			}
		}
	}
}

func hold(t *testing.T, held map[netip.Prefix]string, x netip.Prefix, user string) {
	t.Helper()
	for other, owner := range held {
		if other.Overlaps(x) {
			t.Fatalf("%v went to %s while %s has %v", x, user, owner, other)
		}
	}
	held[x] = user
}
