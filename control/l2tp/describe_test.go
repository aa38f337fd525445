package l2tp

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

// What is hidden or secret is named, and told whether it can be read, and not shown.
func TestDescribe(t *testing.T) {
	secret, vector := []byte("tunnel secret"), []byte("0123456789abcdef")
	w := newBuilder(nil, ICCN, 9, 8, hider{secret, func(b []byte) { copy(b, vector) }})
	w.uint32(avpTxConnectSpeed, 100_000_000)
	w.bytes(avpProxyAuthResponse, []byte("password of alice"))
	hidden, _ := Describe(w.finish()[controlHeaderLen:], secret)
	w = newBuilder(nil, ICCN, 9, 8, hider{})
	w.uint32(avpTxConnectSpeed, 100_000_000)
	w.bytes(avpProxyAuthResponse, []byte("password of alice"))
	plain, whole := Describe(w.finish()[controlHeaderLen:], nil)
	if !whole || len(plain) != 3 || plain[1].Value != "100000000" || plain[2].Value != "(17 bytes, not shown)" || plain[0].Value != "ICCN" {
		t.Errorf("plain: %+v", plain)
	}
	n := 0
	for _, a := range hidden {
		if a.Hidden {
			n++
			if a.Value != "(hidden)" || !a.Readable {
				t.Errorf("hidden: %+v", a)
			}
		}
	}
	if n != 2 {
		t.Errorf("%d hidden AVPs in %+v", n, hidden)
	}
}

// Every AVP of the table is named and has a value in words.
func TestDescribeEveryAVP(t *testing.T) {
	for id := range avpCount {
		s := &avpTable[id]
		if s.kind == kindUnknown {
			continue
		}
		v := bytes.Repeat([]byte{0, 1}, 20)[:kindLength[s.kind].min]
		if len(v) < 6 && kindLength[s.kind].max > 6 && s.kind != kindRate {
			v = []byte{0, 1, 0, 1, 0, 'x', 'y'}
		}
		b := append(appendAVPHeader(nil, avpMandatory, s.vendor, s.typ, len(v)), v...)
		avps, whole := Describe(b, nil)
		if !whole || len(avps) != 1 || avps[0].Name != s.name || s.kind != kindNone && avps[0].Value == "" || strings.HasPrefix(avps[0].Value, "(malformed") {
			t.Errorf("%s: %+v", s.name, avps)
		}
	}
}

// Whatever a message holds, its description ends, and is printable.
func FuzzDescribe(f *testing.F) {
	seed, _ := hex.DecodeString("8008000000000001" + "800a000000070000" + "c01600000024" + "00")
	f.Add(seed, []byte("secret"))
	f.Fuzz(func(t *testing.T, body, secret []byte) {
		avps, _ := Describe(body, secret)
		if len(avps) > len(body)/avpHeaderLen {
			t.Errorf("%d AVPs in %d bytes", len(avps), len(body))
		}
		for _, a := range avps {
			if strings.ContainsAny(a.Value, "\n\r\x1b") || a.Hidden && a.Value != "(hidden)" {
				t.Errorf("%+v", a)
			}
		}
		CallingNumber(body)
	})
}
