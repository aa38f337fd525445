package policy

import (
	"errors"
	"testing"
	"time"

	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// FuzzTable reads any attributes as a login and as a change.
func FuzzTable(f *testing.F) {
	for _, c := range presetCases() {
		b, err := packet(radius.CodeAccessAccept, c.attrs...).MarshalBinary()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b[20:])
	}
	f.Add([]byte{97, 4, 0, 64, 123, 8, 0, 56, 0x20, 1, 0xd, 0xb8, 22, 9, '1', '0', '.', '1', '/', '8', ' ', 26, 4, 0, 0})
	cfg := testConfig()
	table := testTable(f, cfg)
	cfg.IgnoreMalformed = true
	lenient := testTable(f, cfg)
	f.Fuzz(func(t *testing.T, b []byte) {
		attrs, err := radius.ParseAttributes(b)
		if err != nil {
			return
		}
		p := &radius.Packet{Code: radius.CodeAccessAccept, Attributes: attrs}
		for _, table := range []*Table{table, lenient} {
			var got session.Profile
			if _, err := table.Profile(p, &got); err == nil {
				checkProfile(t, &got)
			}
		}
		c, _, err := table.Change(p)
		var bad *Error
		switch {
		case err != nil && !errors.As(err, &bad):
			t.Fatalf("error %T", err)
		case err == nil && c == nil:
			t.Fatal("neither change nor error")
		case err == nil:
			checkServices(t, c.Services(nil))
		}
	})
}

func checkProfile(t *testing.T, p *session.Profile) {
	t.Helper()
	if p.Address.IsValid() && (!p.Address.Is4() || p.Address.IsMulticast() || p.Address.IsUnspecified()) {
		t.Fatalf("address %v", p.Address)
	}
	for _, r := range p.Routes {
		if !r.IsValid() || r.Bits() == 0 || !r.Addr().Is4() || r != r.Masked() {
			t.Fatalf("route %v", r)
		}
	}
	if p.InterimInterval != 0 && p.InterimInterval < time.Minute || p.SessionTimeout < 0 || p.IdleTimeout < 0 {
		t.Fatalf("times %v %v %v", p.InterimInterval, p.SessionTimeout, p.IdleTimeout)
	}
	for _, c := range p.Class {
		if len(c) == 0 {
			t.Fatal("an empty Class")
		}
	}
	checkServices(t, p.Services)
	if p.IPv6 == nil {
		return
	}
	for _, r := range append(append(p.IPv6.Prefixes, p.IPv6.Delegated...), p.IPv6.Routes...) {
		if !r.IsValid() || !r.Addr().Is6() || r.Bits() == 0 || r != r.Masked() || r.Addr().IsMulticast() || r.Addr().IsLoopback() {
			t.Fatalf("prefix %v", r)
		}
	}
	for _, a := range append(p.IPv6.Addresses, p.IPv6.DNS...) {
		if !a.Is6() || a.IsUnspecified() || a.IsMulticast() {
			t.Fatalf("address %v", a)
		}
	}
}

func checkServices(t *testing.T, s *session.Services) {
	t.Helper()
	if s == nil {
		return
	}
	if s.Up.Bits > maxBits || s.Down.Bits > maxBits {
		t.Fatalf("rates %+v", s)
	}
	if s.Intercept.IsValid() && (s.Intercept.Port() == 0 || s.Intercept.Addr().IsMulticast() || s.Intercept.Addr().IsUnspecified()) {
		t.Fatalf("interception at %v", s.Intercept)
	}
}
