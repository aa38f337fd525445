package sim

import (
	"context"
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// try runs an operator's call and returns its error.
func (w *World) try(f func() (int, error)) (n int, err error) {
	done := make(chan struct{})
	go func() {
		n, err = f()
		close(done)
	}()
	for i := 1; ; i++ {
		select {
		case <-done:
			return n, err
		default:
		}
		// Virtual time must not run away from a goroutine that waits for its turn.
		w.settle()
		time.Sleep(20 * time.Microsecond)
		if i%20 == 0 {
			w.Run(10 * time.Millisecond)
		}
	}
}

func (w *World) find(x session.Selector) []session.Ref {
	var refs []session.Ref
	if _, err := w.try(func() (_ int, err error) {
		refs, err = w.Engine.Find(context.Background(), x)
		return 0, err
	}); err != nil {
		w.T.Fatal(err)
	}
	return refs
}

func (w *World) view(user string) session.View {
	w.T.Helper()
	vs := w.views(user)
	if len(vs) != 1 {
		w.T.Fatalf("%d sessions of %s", len(vs), user)
	}
	return vs[0]
}

func (w *World) views(user string) []session.View {
	var vs []session.View
	if _, err := w.try(func() (_ int, err error) {
		vs, err = w.Engine.UserSessions(context.Background(), user)
		return 0, err
	}); err != nil {
		w.T.Fatal(err)
	}
	return vs
}

// Every way of naming a session finds it, and it alone; together they must agree.
func TestFindByEachIdentification(t *testing.T) {
	w, tun := begin(t, nil)
	w.Auth.Profiles["bob"] = session.Profile{User: "bob@billing"}
	alice, bob := w.up(tun, "alice"), w.up(tun, "bob")
	for _, c := range []*Client{alice, bob} {
		v := w.view(c.User)
		for name, x := range map[string]session.Selector{
			"user":         {User: c.User},
			"account":      {AcctSessionID: v.AcctSessionID},
			"address":      {Address: c.Address},
			"as IPv6":      {Address: netip.AddrFrom16(c.Address.As16())},
			"slot":         {Slot: v.Slot},
			"ids":          {TunnelID: v.TunnelID, SessionID: v.SessionID},
			"peer's ids":   {PeerTunnelID: v.PeerTunnelID, PeerSessionID: v.PeerSessionID},
			"port":         {NASPort: session.NASPort(v.Ref, 0)},
			"several ways": {User: c.User, Address: c.Address, Slot: v.Slot, NASPort: session.NASPort(v.Ref, 0)},
		} {
			if got := w.find(x); len(got) != 1 || got[0] != v.Ref {
				t.Errorf("%s by %s: %v, want %v", c.User, name, got, v.Ref)
			}
		}
		for name, x := range map[string]session.Selector{
			"nothing":            {},
			"other user":         {User: c.User + "x"},
			"other address":      {User: c.User, Address: netip.MustParseAddr("192.0.2.77")},
			"other account":      {AcctSessionID: v.AcctSessionID + "-2"},
			"earlier epoch":      {AcctSessionID: "00000001" + v.AcctSessionID[8:]},
			"no account id":      {AcctSessionID: "zz"},
			"number of a caller": {User: c.User, Calling: "123"},
			"number called":      {Called: "123"},
			"IPv6 prefix":        {Prefix6: netip.MustParsePrefix("2001:db8::/64")},
			"interface id":       {User: c.User, InterfaceID: [8]byte{1}},
			"high slot":          {Slot: 99999},
		} {
			if got := w.find(x); len(got) != 0 {
				t.Errorf("%s by %s: %v, want none", c.User, name, got)
			}
		}
	}
	if got := w.find(session.Selector{User: "bob@billing"}); len(got) != 1 || got[0] != w.view("bob").Ref {
		t.Errorf("by the name for billing: %v", got)
	}
	w.end(tun)
}

func TestChangeByOrder(t *testing.T) {
	w, tun := begin(t, func(c *engine.Config) { c.Policy.Session.Duplicates = session.AllowDuplicates })
	one := w.up(tun, "alice")
	w.up(tun, "alice")
	rate := session.Rate{Bits: 64_000}
	change := &session.Change{Down: &rate}
	user := session.Selector{User: "alice"}
	order := func(x session.Selector, c *session.Change, o session.ChangeOptions) (int, error) {
		return w.try(func() (int, error) { return w.Engine.Change(context.Background(), x, c, o) })
	}

	if _, err := order(session.Selector{User: "nobody"}, change, session.ChangeOptions{}); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("nobody: %v", err)
	}
	if _, err := order(user, change, session.ChangeOptions{}); !errors.Is(err, session.ErrSeveral) {
		t.Errorf("two where one is meant: %v", err)
	}
	for _, v := range w.views("alice") {
		if v.Services != nil {
			t.Fatalf("changed by a refused order: %+v", v.Services)
		}
	}
	if n, err := order(session.Selector{Address: one.Address}, change, session.ChangeOptions{}); n != 1 || err != nil {
		t.Errorf("by address: %d, %v", n, err)
	}
	if n, err := order(user, change, session.ChangeOptions{Several: true}); n != 2 || err != nil {
		t.Errorf("both: %d, %v", n, err)
	}
	for _, v := range w.views("alice") {
		if v.Services == nil || v.Services.Down != rate {
			t.Errorf("services %+v", v.Services)
		}
	}
	w.wantCount("session_changes", 3)
	w.end(tun)
}

// One of two sessions can't be changed: the other gets back what it had.
func TestChangeOfAllOrNone(t *testing.T) {
	w, tun := begin(t, func(c *engine.Config) { c.Policy.Session.Duplicates = session.AllowDuplicates })
	tun2 := w.open("198.51.100.2:1701", "lac2")
	tuns := []*Tunnel{tun, tun2}
	for i := range 6 {
		w.up(tuns[i%2], "alice")
	}
	garden := "unpaid"
	w.Forward.RefuseSlot = w.views("alice")[3].Slot
	n, err := w.try(func() (int, error) {
		return w.Engine.Change(context.Background(), session.Selector{User: "alice"},
			&session.Change{Garden: &garden}, session.ChangeOptions{Several: true})
	})
	if n != 0 || !errors.Is(err, errRefused) {
		t.Errorf("%d changed, %v", n, err)
	}
	vs := w.views("alice")
	if len(vs) != 6 {
		t.Fatalf("%d sessions left", len(vs))
	}
	for _, v := range vs {
		if v.Services != nil || w.Forward.records[v.Ref].Services != nil {
			t.Errorf("slot %d has %+v", v.Slot, v.Services)
		}
	}
	if len(w.Acct.Stops) != 0 {
		t.Error("an account was closed")
	}
	w.end(tuns...)
}

type onlyGarden string

func (o onlyGarden) Check(s *session.Services) error {
	if g := gardenOf(s); g != "" && g != string(o) {
		return errRefused
	}
	return nil
}

func TestChangeToAServiceThatDoesNotExist(t *testing.T) {
	w := New(t, 1, Options{Network: quick, Checker: onlyGarden("unpaid")})
	tun := w.open("198.51.100.1:1701", "lac1")
	w.up(tun, "alice")
	for garden, want := range map[string]error{"unpaid": nil, "nowhere": errRefused} {
		_, err := w.try(func() (int, error) {
			return w.Engine.Change(context.Background(), session.Selector{User: "alice"},
				&session.Change{Garden: &garden}, session.ChangeOptions{})
		})
		if !errors.Is(err, want) || (want != nil) != errors.Is(err, session.ErrNoService) {
			t.Errorf("%s: %v", garden, err)
		}
	}
	w.end(tun)
}

// Who waits for an end waits until nothing is left, and no longer than a moment for
// a subscriber that does not answer.
func TestEndIsOverWhenItIsAnswered(t *testing.T) {
	w, tun := begin(t, nil)
	alice, mute := w.up(tun, "alice"), w.up(tun, "mute")
	mute.Mute = true
	end := func(user string) error {
		_, err := w.try(func() (int, error) {
			return w.Engine.End(context.Background(), session.Selector{User: user}, session.ChangeOptions{})
		})
		return err
	}
	if err := end("alice"); err != nil || len(w.views("alice")) != 0 || len(w.Acct.Stops) != 1 {
		t.Errorf("alice: %v, %d Stops", err, len(w.Acct.Stops))
	}
	if w.Acct.Stops[0].Cause != session.CauseAdminReset {
		t.Errorf("cause %d", w.Acct.Stops[0].Cause)
	}
	if err := end("mute"); err != nil || len(w.views("mute")) != 0 || len(w.Acct.Stops) != 2 {
		t.Errorf("mute: %v, %d Stops", err, len(w.Acct.Stops))
	}
	late := w.up(tun, "late")
	late.Mute = true
	w.Engine.StartEnd(w.find(session.Selector{User: "late"}), session.EndByOperator(0), func(int, error) {})
	w.settle()
	if got := w.find(session.Selector{User: "late"}); len(got) != 0 || len(w.views("late")) != 1 {
		t.Errorf("a session on its way out is found: %v", got)
	}
	if err := end("alice"); !errors.Is(err, session.ErrNoSession) {
		t.Errorf("again: %v", err)
	}
	w.down(alice)
	w.end(tun)
}

// Normal service begins without another call.
func TestLeavingTheGardenOpensAnAccount(t *testing.T) {
	w, tun := begin(t, nil)
	garden, out := "unpaid", ""
	w.Auth.Profiles["alice"] = session.Profile{Services: &session.Services{Garden: garden}}
	first := tun.Dial("alice", "pw-alice")
	w.Until(5*time.Second, "alice up", func() bool { return first.Up && w.Count("sessions_established") == 1 })
	if w.Acct.Starts != 0 {
		t.Fatal("a garden was accounted")
	}
	if n, err := w.try(func() (int, error) {
		return w.Engine.Change(context.Background(), session.Selector{Address: first.Address},
			&session.Change{Garden: &out}, session.ChangeOptions{By: "test"})
	}); n != 1 || err != nil {
		t.Fatalf("%d, %v", n, err)
	}
	w.Run(time.Second)
	if w.Acct.Starts != 1 {
		t.Error("no account in the open")
	}
	w.end(tun)
}
