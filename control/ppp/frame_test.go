package ppp

import (
	"bytes"
	"testing"
)

func TestParseFrame(t *testing.T) {
	for _, c := range []struct {
		name  string
		frame string
		proto Protocol
		rest  string
		ok    bool
	}{
		{"full header", "ff 03 c0 21 01", ProtoLCP, "01", true},
		{"no address and control", "c0 21 01", ProtoLCP, "01", true},
		{"compressed protocol", "ff 03 21 45", ProtoIPv4, "45", true},
		{"both compressed", "57 60", ProtoIPv6, "60", true},
		{"protocol in full, below 256", "00 21 45", ProtoIPv4, "45", true},
		{"no payload", "ff 03 80 21", ProtoIPCP, "", true},
		{"empty", "", 0, "", false},
		{"address and control alone", "ff 03", 0, "", false},
		{"half a protocol", "ff 03 c0", 0, "", false},
		{"even second octet", "c0 22 01", 0, "", false},
		{"address without control", "ff c0 21", 0, "", false},
		{"FF alone", "ff", 0, "", false},
		{"FF 03 twice", "ff 03 ff 03 c0 21", 0, "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, rest, ok := ParseFrame(unhex(t, c.frame))
			if p != c.proto || ok != c.ok || !bytes.Equal(rest, unhex(t, c.rest)) {
				t.Errorf("got %04x % x %v, want %04x %s %v", p, rest, ok, c.proto, c.rest, c.ok)
			}
		})
	}
}

func TestParsePacketLength(t *testing.T) {
	for _, c := range []struct {
		name, bytes string
		data        string
		ok          bool
	}{
		{"exact", "01 07 00 06 aa bb", "aa bb", true},
		{"padding is ignored", "01 07 00 05 aa bb", "aa", true},
		{"header alone", "05 07 00 04", "", true},
		{"length beyond the frame", "01 07 00 07 aa bb", "", false},
		{"length below the header", "01 07 00 03", "", false},
		{"short header", "01 07 00", "", false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, ok := parsePacket(unhex(t, c.bytes))
			if ok != c.ok || !bytes.Equal(p.data, unhex(t, c.data)) {
				t.Errorf("got % x %v", p.data, ok)
			}
		})
	}
}

// TestFraming: LCP always has FF 03 and the protocol in full; the others leave
// FF 03 out once the peer takes that.
func TestFraming(t *testing.T) {
	for _, acfc := range []bool{false, true} {
		client := clientConfig(PAP)
		client.ACFC, client.PFC = acfc, acfc
		p := newPair(lnsConfig(PAP), client)
		var lcpFrames, others int
		p.lns.link.Start(p.now, nil, &p.lns.out)
		check := func(e *end) {
			for _, f := range e.out.Send {
				full := f[0] == 0xFF && f[1] == 3
				proto, _, _ := ParseFrame(f)
				switch {
				case proto == ProtoLCP:
					lcpFrames++
					if !full || f[2] != 0xC0 || f[3] != 0x21 {
						t.Errorf("acfc %v: LCP frame % x", acfc, f)
					}
				default:
					others++
					if full == acfc {
						t.Errorf("acfc %v: frame % x", acfc, f)
					}
				}
			}
		}
		check(p.lns)
		p.flush(p.lns, p.client)
		p.client.link.Start(p.now, nil, &p.client.out)
		p.flush(p.client, p.lns)
		for len(p.lns.inbox)+len(p.client.inbox) > 0 {
			for _, e := range []*end{p.lns, p.client} {
				if len(e.inbox) == 0 {
					continue
				}
				f := e.inbox[0]
				e.inbox = e.inbox[1:]
				e.link.Receive(p.now, f, &e.out)
				if e == p.lns {
					check(e)
				}
				p.flush(e, p.other(e))
			}
		}
		if lcpFrames == 0 || others == 0 {
			t.Errorf("acfc %v: %d LCP frames and %d others were checked", acfc, lcpFrames, others)
		}
	}
}
