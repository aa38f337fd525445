package l2tp

import (
	"bytes"
	"encoding/hex"
	"errors"
	"strings"
	"testing"
)

// unhex reads hex with blanks.
func unhex(tb testing.TB, s string) []byte {
	tb.Helper()
	b, err := hex.DecodeString(strings.Join(strings.Fields(s), ""))
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// RFC 2661 section 3.1: every combination of the optional fields of a data header,
// with all reserved bits set.
func TestDataHeaderVariants(t *testing.T) {
	const payload = "dada dada"
	for _, c := range []struct {
		name, hex string
		want      Header
	}{
		{"bare", "0002 0001 0002", Header{0x0002, 10, 1, 2, 0, 0}},
		{"L", "4002 000c 0001 0002", Header{0x4002, 12, 1, 2, 0, 0}},
		{"S", "0802 0001 0002 0005 0006", Header{0x0802, 14, 1, 2, 5, 6}},
		{"L S", "4802 0010 0001 0002 0005 0006", Header{0x4802, 16, 1, 2, 5, 6}},
		{"O, no pad", "0202 0001 0002 0000", Header{0x0202, 12, 1, 2, 0, 0}},
		{"O, 3 octets of pad", "0202 0001 0002 0003 ffffff", Header{0x0202, 15, 1, 2, 0, 0}},
		{"L O", "4202 0010 0001 0002 0002 ffff", Header{0x4202, 16, 1, 2, 0, 0}},
		{"S O", "0a02 0001 0002 0005 0006 0001 ff", Header{0x0a02, 17, 1, 2, 5, 6}},
		{"L S O P", "4b02 0014 0001 0002 0005 0006 0002 ffff", Header{0x4b02, 20, 1, 2, 5, 6}},
		{"P", "0102 0001 0002", Header{0x0102, 10, 1, 2, 0, 0}},
		{"reserved bits", "34f2 0001 0002", Header{0x34f2, 10, 1, 2, 0, 0}},
	} {
		h, body, err := ParseHeader(unhex(t, c.hex+payload))
		if err != nil || h != c.want || !bytes.Equal(body, unhex(t, payload)) {
			t.Errorf("%s: %+v, body %x, %v", c.name, h, body, err)
		}
	}
}

// Section 3.1: Length is that of the whole message; what lies behind is not payload.
func TestLengthCutsTheTail(t *testing.T) {
	_, body, err := ParseHeader(unhex(t, "4002 000a 0001 0002 aabb 0000 0000"))
	if err != nil || hex.EncodeToString(body) != "aabb" {
		t.Errorf("body %x, %v", body, err)
	}
	_, body, err = ParseHeader(unhex(t, "c802 000c 0001 0000 0000 0000 0000 0000"))
	if err != nil || len(body) != 0 {
		t.Errorf("control body %x, %v", body, err)
	}
}

func TestHeaderErrors(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		want      error
	}{
		{"empty", "", ErrShort},
		{"five octets", "0002 0001 00", ErrShort},
		{"L2F", "0001 0001 0002", ErrL2F},
		{"L2TPv3", "c803 0014 0001 0002 0000 0000", ErrL2TPv3},
		{"version 0", "0000 0001 0002", ErrVersion},
		{"version 15", "000f 0001 0002", ErrVersion},
		{"control without L", "8802 0001 0000 0000 0000 0000", ErrControlFlags},
		{"control without S", "c002 000c 0001 0000 0000 0000", ErrControlFlags},
		{"control with O", "ca02 000e 0001 0000 0000 0000 0000", ErrControlFlags},
		{"short control", "c802 000b 0001 0000 0000 00", ErrShort},
		{"control Length too long", "c802 000d 0001 0000 0000 0000", ErrLength},
		{"control Length too short", "c802 000b 0001 0000 0000 0000", ErrLength},
		{"data Length too long", "4002 000b 0001 0002 dada", ErrLength},
		{"data Length inside the header", "4002 0006 0001 0002", ErrShort},
		{"data Length before the ids", "4002 0000 0001 0002", ErrShort},
		{"Ns cut off", "0802 0001 0002 0005 00", ErrShort},
		{"Ns beyond Length", "4802 000a 0001 0002 0005 0006", ErrShort},
		{"Offset Size cut off", "0202 0001 0002 00", ErrShort},
		{"offset beyond the message", "0202 0001 0002 0002 ff", ErrOffset},
		{"offset beyond Length", "4202 000b 0001 0002 0002 ffff ffff", ErrOffset},
	} {
		if _, body, err := ParseHeader(unhex(t, c.hex)); !errors.Is(err, c.want) || body != nil {
			t.Errorf("%s: body %x, error %v, want %v", c.name, body, err, c.want)
		}
	}
	if _, _, err := ParseHeader(append(unhex(t, "0002 0001 0002"), make([]byte, 0x10000)...)); !errors.Is(err, ErrLength) {
		t.Errorf("64 KiB: %v", err)
	}
}

func TestControlHeader(t *testing.T) {
	h, body, err := ParseHeader(unhex(t, "c902 0014 0001 0002 0003 0004 8008 0000 0000 0006"))
	if err != nil || h != (Header{0xc902, 20, 1, 2, 3, 4}) || len(body) != 8 || !h.IsControl() {
		t.Errorf("%+v %x %v", h, body, err)
	}
}

func TestAppendDataHeader(t *testing.T) {
	for _, c := range []struct {
		length, sequence bool
		want             string
	}{
		{false, false, "0002 0102 0304"},
		{true, false, "4002 0012 0102 0304"},
		{false, true, "0802 0102 0304 0506 0000"},
		{true, true, "4802 0016 0102 0304 0506 0000"},
	} {
		got := AppendDataHeader([]byte{0xee}, 0x0102, 0x0304, c.length, c.sequence, 0x0506, 10)
		if want := append([]byte{0xee}, unhex(t, c.want)...); !bytes.Equal(got, want) {
			t.Errorf("L %v S %v: %x, want %x", c.length, c.sequence, got, want)
		}
	}
}

func TestParsePPP(t *testing.T) {
	for _, c := range []struct {
		name, hex string
		protocol  uint16
		payload   string
		ok        bool
	}{
		{"FF03, two octets", "ff03 0021 45", 0x21, "45", true},
		{"two octets", "0021 45", 0x21, "45", true},
		{"FF03, one octet", "ff03 21 45", 0x21, "45", true},
		{"one octet", "21 45", 0x21, "45", true},
		{"IPv6 compressed", "57 60", 0x57, "60", true},
		{"LCP", "ff03 c021 01", 0xc021, "01", true},
		{"no payload", "c021", 0xc021, "", true},
		{"empty", "", 0, "", false},
		{"FF03 alone", "ff03", 0, "", false},
		{"half a protocol", "c0", 0, "", false},
		{"even protocol", "0020 45", 0, "", false},
	} {
		protocol, payload, ok := ParsePPP(unhex(t, c.hex))
		if protocol != c.protocol || hex.EncodeToString(payload) != c.payload || ok != c.ok {
			t.Errorf("%s: %#x %x %v", c.name, protocol, payload, ok)
		}
	}
}

// What AppendDataIP makes of a packet, in every framing, is a legal message from
// which DataIP gets the packet back.
func TestDataRoundTrip(t *testing.T) {
	packets := map[uint16][]byte{
		ProtocolIPv4: append([]byte{0x45}, make([]byte, 19)...),
		ProtocolIPv6: append([]byte{0x60}, make([]byte, 39)...),
	}
	for i := range 16 {
		f := Framing{i&1 != 0, i&2 != 0, i&4 != 0, i&8 != 0}
		for protocol, ip := range packets {
			b := AppendDataIP(nil, f, 1, 2, 3, ip)
			if len(b) != f.Overhead(protocol)+len(ip) {
				t.Errorf("%+v: overhead is %d, not %d", f, len(b)-len(ip), f.Overhead(protocol))
			}
			h, frame, err := ParseHeader(b)
			if err != nil || h.TunnelID != 1 || h.SessionID != 2 || int(h.Length) != len(b) {
				t.Fatalf("%+v: %+v %v", f, h, err)
			}
			if f.Sequence != (h.Flags&FlagSequence != 0) || (f.Sequence && h.Ns != 3) {
				t.Errorf("%+v: %+v", f, h)
			}
			if got, ok := DataIP(frame); !ok || !bytes.Equal(got, ip) {
				t.Errorf("%+v: got %x back", f, got)
			}
		}
	}
}

func TestDataIPRefusesOthers(t *testing.T) {
	for _, s := range []string{"", "c021 01", "0021", "0021 60", "0057 45", "003d 45"} {
		if ip, ok := DataIP(unhex(t, s)); ok {
			t.Errorf("%s: %x", s, ip)
		}
	}
}

func FuzzParseHeader(f *testing.F) {
	for _, s := range []string{"0002 0001 0002 0021 45", "4b02 0014 0001 0002 0005 0006 0002 ffff dadadada",
		"c802 0014 0001 0002 0003 0004 8008 0000 0000 0006", "0202 0001 0002 ffff", "4002 0000 0001 0002"} {
		f.Add(unhex(f, s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		h, body, err := ParseHeader(b)
		if err != nil {
			if body != nil {
				t.Fatal("a body with an error")
			}
			return
		}
		if int(h.Length) > len(b) || len(body) > int(h.Length)-6 {
			t.Fatalf("%+v: body of %d in %d", h, len(body), len(b))
		}
		// The body aliases the end of the message, and nothing behind it.
		if len(body) > 0 && &body[len(body)-1] != &b[h.Length-1] {
			t.Fatal("the body is not the end of the message")
		}
		if h.IsControl() {
			var m message
			m.decode(body, []byte("secret"))
			return
		}
		// A message put together from what was parsed parses to the same.
		s := h.Flags&FlagSequence != 0
		again := append(AppendDataHeader(nil, h.TunnelID, h.SessionID, true, s, h.Ns, len(body)), body...)
		g, body2, err := ParseHeader(again)
		if len(again) <= 0xFFFF && (err != nil || g.TunnelID != h.TunnelID || g.SessionID != h.SessionID ||
			(s && g.Ns != h.Ns) || !bytes.Equal(body, body2)) {
			t.Fatalf("%+v became %+v, %v", h, g, err)
		}
		DataIP(body)
	})
}
