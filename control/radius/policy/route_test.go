package policy

import "testing"

func TestParseRoute(t *testing.T) {
	for _, c := range []struct{ in, prefix, gateway string }{
		// RFC 2865 section 5.22.
		{"192.168.1.0/24 192.168.1.1 1", "192.168.1.0/24", "192.168.1.1"},
		{"192.168.1.0/24 192.168.1.1 1 2 -1", "", ""},
		{"192.168.1.0/24 192.168.1.1 1 2 3 4 5", "192.168.1.0/24", "192.168.1.1"},
		{"192.168.1.0 192.168.1.1 1", "192.168.1.0/24", "192.168.1.1"},
		{"172.16.0.0 0.0.0.0 1", "172.16.0.0/16", "0.0.0.0"},
		{"10.0.0.0 0.0.0.0 1", "10.0.0.0/8", "0.0.0.0"},
		{"10.1.2.3/32 0.0.0.0 1", "10.1.2.3/32", "0.0.0.0"},
		// Without what may be missing.
		{"10.1.0.0/16", "10.1.0.0/16", "0.0.0.0"},
		{"10.1.0.0/16 0.0.0.0", "10.1.0.0/16", "0.0.0.0"},
		// Spaces and an end of C.
		{"  10.1.0.0/16   0.0.0.0\t1 \x00", "10.1.0.0/16", "0.0.0.0"},
		{"10.1.2.3/16 0.0.0.0 1", "10.1.0.0/16", "0.0.0.0"},
		// Not routes of a subscriber.
		{"", "", ""},
		{" ", "", ""},
		{"0.0.0.0/0 0.0.0.0 1", "", ""},
		{"0.0.0.0 0.0.0.0 1", "", ""},
		{"127.0.0.0/8 0.0.0.0 1", "", ""},
		{"224.0.0.0/4 0.0.0.0 1", "", ""},
		{"240.0.0.0/8 0.0.0.0 1", "", ""},
		{"10.1.2.3 0.0.0.0 1", "", ""}, // a host or 10/8?
		{"10.0.0.0/33 0.0.0.0 1", "", ""},
		{"10.0.0.0/ 0.0.0.0 1", "", ""},
		{"10.0.0.0/08 0.0.0.0 1", "", ""},
		{"10.0.0/24 0.0.0.0 1", "", ""},
		{"2001:db8::/32 :: 1", "", ""},
		{"2001:db8:: :: 1", "", ""},
		{"::ffff:10.0.0.0/104 0.0.0.0 1", "", ""},
		{"10.0.0.0/8 fe80::1 1", "", ""},
		{"10.0.0.0/8 gateway 1", "", ""},
		{"10.0.0.0/8 0.0.0.0 low", "", ""},
	} {
		r, err := parseRoute(c.in)
		if c.prefix == "" {
			if err == nil {
				t.Errorf("%q: taken as %v", c.in, r)
			}
			continue
		}
		if err != nil || r.prefix.String() != c.prefix || r.gateway.String() != c.gateway {
			t.Errorf("%q: got %v by %v, %v", c.in, r.prefix, r.gateway, err)
		}
	}
}

func FuzzParseRoute(f *testing.F) {
	for _, s := range []string{"192.168.1.0/24 192.168.1.1 1", "10.0.0.0 0.0.0.0 1 2 3", "10.1.2.3/32", "::/0 :: 1", "\x00", "1.2.3.4/5/6"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRoute(text)
		if err != nil {
			return
		}
		if !r.prefix.IsValid() || !r.prefix.Addr().Is4() || r.prefix.Bits() == 0 || r.prefix != r.prefix.Masked() || !r.gateway.Is4() {
			t.Fatalf("%q gives %v by %v", text, r.prefix, r.gateway)
		}
		again, err := parseRoute(r.prefix.String() + " " + r.gateway.String() + " 1")
		if err != nil || again != r {
			t.Fatalf("%q: written and read again it is %v, %v", text, again, err)
		}
	})
}
