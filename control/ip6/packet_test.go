package ip6

import (
	"bytes"
	"net/netip"
	"testing"
)

var (
	a = netip.MustParseAddr("fe80::1")
	b = netip.MustParseAddr("ff02::1:2")
)

func TestUDP(t *testing.T) {
	from, to := netip.AddrPortFrom(a, 546), netip.AddrPortFrom(b, 547)
	for _, data := range [][]byte{nil, {1}, {1, 2, 3, 4, 5}, bytes.Repeat([]byte{0xFF}, 999)} {
		p := AppendUDP([]byte("front"), from, to, data)[5:]
		h, m, ok := Parse(append(p, "padding"...))
		if !ok || h.Src != a || h.Dst != b || h.Next != ProtoUDP {
			t.Fatalf("%x: %+v", p, h)
		}
		src, dst, got, ok := ParseUDP(&h, m)
		if !ok || src != 546 || dst != 547 || !bytes.Equal(got, data) {
			t.Errorf("%d bytes: %d %d %x %v", len(data), src, dst, got, ok)
		}
		m[len(m)-1]++
		if _, _, _, ok := ParseUDP(&h, m); ok {
			t.Error("a changed byte went unnoticed")
		}
		m[len(m)-1]--
		m[6], m[7] = 0, 0
		if _, _, _, ok := ParseUDP(&h, m); ok {
			t.Error("no checksum was accepted")
		}
	}
}

// The example of RFC 1071 section 3, less the pseudo header.
func TestChecksum(t *testing.T) {
	zero := netip.IPv6Unspecified()
	if got := Checksum(zero, zero, 0, []byte{0, 1, 0xF2, 3, 0xF4, 0xF5, 0xF6, 0xF7}); got != ^uint16(0xDDF2+8) {
		t.Errorf("%04x", got)
	}
}

func TestAddresses(t *testing.T) {
	if got := Join(netip.MustParsePrefix("2001:db8:1:2::/64"), [8]byte{7: 9}); got != netip.MustParseAddr("2001:db8:1:2::9") {
		t.Error(got)
	}
	for text, want := range map[string]bool{"fe80::1": true, "febf::1": true, "ff02::1": true, "ff0e::1": true, "fec0::1": false, "2001:db8::1": false, "::": false} {
		if got := LinkScope(netip.MustParseAddr(text)); got != want {
			t.Errorf("%s: %v", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(AppendUDP(nil, netip.AddrPortFrom(a, 546), netip.AddrPortFrom(b, 547), []byte("hello")))
	f.Fuzz(func(t *testing.T, p []byte) {
		if h, m, ok := Parse(p); ok {
			ParseUDP(&h, m)
		}
	})
}
