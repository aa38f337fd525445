package sim

import (
	"context"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/ip6"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// world6 is a world with IPv6, and a tunnel in it.
func world6(t *testing.T, adjust func(*engine.Config)) (*World, *Tunnel) {
	t.Helper()
	w := New(t, SeedFromEnv(t, 1), Options{Network: Network{Delay: 5 * time.Millisecond}, Adjust: func(c *engine.Config) {
		c.Policy.Session.IPv6 = Config6()
		c.Policy.Session.PPP.IPv6CP, c.Policy.Session.PPP.IPv6CPPassive = true, true
		c.Prefixes = (&World{T: t}).Pools6(4)
		if adjust != nil {
			adjust(c)
		}
	}})
	w.CheckEvery = 1
	tun := w.LAC("198.51.100.1:1701", "lac1", Secret).Open()
	w.Until(time.Second, "tunnel up", func() bool { return tun.Up })
	return w, tun
}

// record is what is installed of a client.
func (w *World) record(c *Client) (r session.Record) {
	for _, x := range w.Forward.records {
		if x.User == c.User {
			r = x
		}
	}
	return r
}

func (w *World) finish6(tun *Tunnel) {
	tun.Close()
	w.Run(settleTime)
	w.CheckEnd()
}

// Either family comes and goes without the other: the record follows, the account is
// one, and the subscriber hears of a prefix once it is forwarded.
func TestFamiliesComeAndGo(t *testing.T) {
	w, tun := world6(t, nil)
	c := tun.DialDual("alice", "pw-alice")
	both := func() bool { r := w.record(c); return r.Address.Is4() && len(r.Prefixes6) == 2 }
	w.Until(2*time.Second, "both up", both)
	w.Until(time.Second, "advertised", func() bool { return c.Prefix6 == w.record(c).Prefixes6[0] && !c.Withdrawn })
	prefixes := w.record(c).Prefixes6
	for range 3 {
		c.CloseNCP(ppp.ProtoIPCP)
		w.Until(time.Second, "IPv6 alone", func() bool { r := w.record(c); return !r.Address.IsValid() && len(r.Prefixes6) == 2 })
		c.CloseNCP(ppp.ProtoIPV6CP)
		w.Until(time.Second, "none", func() bool { return len(w.Forward.records) == 0 })
		c.OpenNCP(ppp.ProtoIPV6CP)
		w.Until(10*time.Second, "IPv6 again", func() bool { return len(w.record(c).Prefixes6) == 2 })
		c.OpenNCP(ppp.ProtoIPCP)
		w.Until(10*time.Second, "both again", both)
		if got := w.record(c).Prefixes6; got[0] != prefixes[0] || got[1] != prefixes[1] {
			t.Fatalf("prefixes %v became %v", prefixes, got)
		}
	}
	if w.Acct.Starts != 1 || len(w.Acct.Stops) != 0 {
		t.Errorf("%d starts, %d stops", w.Acct.Starts, len(w.Acct.Stops))
	}
	c.Quit()
	w.Until(time.Second, "down", func() bool { return len(w.Acct.Stops) == 1 })
	if six := w.Acct.Stops[0].IPv6; six == nil || len(six.Prefixes) != 1 || len(six.Delegated) != 1 || six.InterfaceID != c.ID6 {
		t.Errorf("the Stop says %+v of IPv6", six)
	}
	w.finish6(tun)
}

// A subscriber of IPv6 alone needs neither address nor pool.
func TestIPv6Only(t *testing.T) {
	w, tun := world6(t, nil)
	w.Auth.Profiles["alice"] = session.Profile{IPv6: &session.Profile6{Only: true,
		Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:77::/64")}, Delegated: []netip.Prefix{netip.MustParsePrefix("2001:db8:7700::/48"), netip.MustParsePrefix("2001:db8:7800::/56")},
		Routes:      []netip.Prefix{netip.MustParsePrefix("2001:db8:7900::/56")},
		InterfaceID: [8]byte{0: 2, 7: 7},
	}}
	c := tun.DialDual("alice", "pw-alice")
	w.Until(2*time.Second, "up", func() bool { return w.Acct.Starts == 1 && c.Prefix6.IsValid() })
	r := w.record(c)
	if r.Address.IsValid() || len(r.Prefixes6) != 4 || c.ID6 != [8]byte{0: 2, 7: 7} || c.Up || w.Engine.Census().PoolUsed != 0 {
		t.Errorf("record %+v, identifier %x", r, c.ID6)
	}
	w.finish6(tun)
}

// A pool of single addresses (Stateful-IPv6-Address-Pool) gives DHCPv6 one; a pool of
// prefixes gives none there. The same user has the same one again.
func TestAddressPool(t *testing.T) {
	w, tun := world6(t, nil)
	w.Auth.Profiles["alice"] = session.Profile{IPv6: &session.Profile6{AddressPool: "addresses"}}
	w.Auth.Profiles["bob"] = session.Profile{IPv6: &session.Profile6{AddressPool: "pd"}}
	single := netip.MustParsePrefix("2001:db8:3::/64")
	var had netip.Prefix
	for range 2 {
		c := tun.DialDual("alice", "pw-alice")
		w.Until(2*time.Second, "up", func() bool { return len(w.record(c).Prefixes6) == 3 })
		var got netip.Prefix
		for _, p := range w.record(c).Prefixes6 {
			if p.Bits() == 128 {
				got = p
			}
		}
		if !single.Contains(got.Addr()) || had.IsValid() && got != had {
			t.Errorf("address %v, before it was %v", got, had)
		}
		had = got
		c.Quit()
		w.Until(2*time.Second, "down", func() bool { return len(w.Forward.records) == 0 })
	}
	c := tun.DialDual("bob", "pw-bob")
	w.Until(2*time.Second, "up", func() bool { return len(w.record(c).Prefixes6) == 2 })
	w.finish6(tun)
}

// Where there is no pool of IPv4, who can have IPv6 comes up with it.
func TestNoIPv4Pool(t *testing.T) {
	w, tun := world6(t, func(c *engine.Config) { c.Pools = nil })
	c := tun.DialDual("alice", "pw-alice")
	w.Until(2*time.Second, "up", func() bool { return w.Acct.Starts == 1 })
	if c.Up || len(w.record(c).Prefixes6) != 2 {
		t.Errorf("record %+v", w.record(c))
	}
	w.finish6(tun)
}

// A user that logs in again gets the prefixes that the session before has, as soon as
// that has let go of them, whether they are granted by name or kept by a pool.
func TestPrefixesMoveToTheNewSession(t *testing.T) {
	for _, profile := range []session.Profile{
		{},
		{IPv6: &session.Profile6{Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:77::/64")}, Delegated: []netip.Prefix{netip.MustParsePrefix("2001:db8:7700::/48")}}},
	} {
		w, tun := world6(t, nil)
		w.Forward.Delay = 500 * time.Millisecond
		w.Auth.Profiles["alice"] = profile
		a := tun.DialDual("alice", "pw-alice")
		w.Until(5*time.Second, "first", func() bool { return len(w.record(a).Prefixes6) == 2 && a.Up })
		w.Run(3 * time.Second)
		first := w.record(a)
		b := tun.DialDual("alice", "pw-alice")
		w.Until(10*time.Second, "second", func() bool {
			r := w.record(b)
			return r.Ref != first.Ref && len(r.Prefixes6) == 2 && a.Down
		})
		if got := w.record(b).Prefixes6; got[0] != first.Prefixes6[0] || got[1] != first.Prefixes6[1] {
			t.Errorf("prefixes %v became %v", first.Prefixes6, got)
		}
		w.finish6(tun)
	}
}

// What somebody else has is not given away; the session comes up without it.
func TestPrefixOfSomebodyElse(t *testing.T) {
	w, tun := world6(t, nil)
	same := session.Profile{IPv6: &session.Profile6{Prefixes: []netip.Prefix{netip.MustParsePrefix("2001:db8:1:5::/64")}}}
	w.Auth.Profiles["alice"], w.Auth.Profiles["bob"] = same, same
	a := tun.DialDual("alice", "pw-alice")
	w.Until(2*time.Second, "alice", func() bool { return len(w.record(a).Prefixes6) == 2 })
	b := tun.DialDual("bob", "pw-bob")
	w.Until(2*time.Second, "bob", func() bool { return b.Up && len(w.record(b).Prefixes6) == 1 })
	if w.Logs.FilterMessage("no address for session").Len() != 1 {
		t.Error("nothing in the log")
	}
	// Pools of sixteen prefixes run out; IPv4 goes on.
	for i := range 20 {
		user := string(rune('c' + i))
		tun.DialDual(user, "pw-"+user)
	}
	w.Until(5*time.Second, "all", func() bool { return w.Acct.Starts == 22 })
	w.Run(time.Second)
	if c := w.Engine.Census(); c.PoolUsed6 != 32 {
		t.Errorf("%d prefixes of pools are in use, want all 32", c.PoolUsed6)
	}
	w.finish6(tun)
}

// A prefix is withdrawn when the LNS ends the session, and IPv6 that the forwarding
// path has no room for is no reason to end one.
func TestWithdrawnAndRefused(t *testing.T) {
	w, tun := world6(t, nil)
	c := tun.DialDual("alice", "pw-alice")
	w.Until(2*time.Second, "up", func() bool { return c.Prefix6.IsValid() && c.Up })
	w.operate(func() error {
		_, err := w.Engine.DropUser(context.Background(), "alice", 0)
		return err
	})
	w.Until(5*time.Second, "down", func() bool { return c.Down })
	if !c.Withdrawn {
		t.Error("the prefix was not withdrawn")
	}
	w.finish6(tun)
}

// The prefix that all share gives each the one address that follows from IPv4.
func TestSharedPrefix(t *testing.T) {
	w, tun := world6(t, func(c *engine.Config) {
		six := Config6()
		six.Pool, six.PDPool, six.Shared = "", "", netip.MustParsePrefix("2001:db8:5::/64")
		c.Policy.Session.IPv6 = six
	})
	a, b := tun.DialDual("alice", "pw-alice"), tun.DialDual("bob", "pw-bob")
	w.Until(2*time.Second, "up", func() bool { return a.Prefix6.IsValid() && b.Prefix6.IsValid() && a.Up && b.Up })
	for _, c := range []*Client{a, b} {
		x := c.Address.As4()
		id := [8]byte{x[0], x[1], x[2], x[3]}
		want := netip.PrefixFrom(ip6.Join(netip.MustParsePrefix("2001:db8:5::/64"), id), 128)
		if r := w.record(c); c.ID6 != id || len(r.Prefixes6) != 1 || r.Prefixes6[0] != want || c.Prefix6.String() != "2001:db8:5::/64" {
			t.Errorf("%s: identifier %x, announced %v, record %v, want %v", c.User, c.ID6, c.Prefix6, r.Prefixes6, want)
		}
	}
	w.finish6(tun)
}
