package session

import (
	"net/netip"
	"testing"
)

// The sums of what goes around an inner packet, worked out by hand.
func TestInnerMTU(t *testing.T) {
	v4, v6 := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
	cases := []struct {
		name  string
		outer uint16
		peer  netip.Addr
		f     Framing
		mru   uint16
		want  uint16
	}{
		{"plain", 0, v4, Framing{}, 0, 1500 - 20 - 8 - 6 - 2},
		{"with length and FF 03", 1500, v4, Framing{Length: true, AddressControl: true}, 0, 1460},
		{"the same over IPv6", 1500, v6, Framing{Length: true, AddressControl: true}, 0, 1440},
		{"IPv4 in IPv6 notation", 1500, netip.MustParseAddr("::ffff:192.0.2.1"), Framing{Length: true, AddressControl: true}, 0, 1460},
		{"sequenced", 1500, v4, Framing{Sequence: true}, 0, 1460},
		{"compressed protocol", 1500, v4, Framing{CompressProtocol: true}, 0, 1465},
		{"peer takes less", 1500, v4, Framing{}, 1400, 1400},
		{"peer takes more", 1500, v4, Framing{}, 1500, 1464},
		{"jumbo", 9000, v4, Framing{}, 0, 8964},
	}
	for _, x := range cases {
		c := Config{OuterMTU: x.outer}
		if got := c.innerMTU(x.peer, x.f, x.mru); got != x.want {
			t.Errorf("%s: %d, want %d", x.name, got, x.want)
		}
	}
}

func TestClampMSS(t *testing.T) {
	for _, x := range []struct{ mtu, mru, want uint16 }{
		{1460, 0, 1420}, {1460, 1500, 1420}, {1460, 1400, 1360}, {40, 0, 0}, {20, 0, 0},
	} {
		if got := clampMSS(x.mtu, x.mru); got != x.want {
			t.Errorf("clampMSS(%d, %d) = %d, want %d", x.mtu, x.mru, got, x.want)
		}
	}
}
