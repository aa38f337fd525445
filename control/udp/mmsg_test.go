package udp

import (
	"net/netip"
	"testing"

	"golang.org/x/sys/unix"
)

func TestLocalAddress(t *testing.T) {
	want := netip.MustParseAddr("192.0.2.7")
	info := make([]byte, pktinfoLen)
	putPktinfo(info, want.As4())
	tos := make([]byte, tosLen)
	putTOS(tos, TOSControl)
	for name, c := range map[string]struct {
		oob []byte
		ok  bool
	}{
		"alone":             {info, true},
		"behind another":    {append(tos, info...), true},
		"before another":    {append(info[:pktinfoLen:pktinfoLen], tos...), true},
		"another alone":     {tos, false},
		"none":              {nil, false},
		"cut in the header": {info[:unix.SizeofCmsghdr-1], false},
		"cut in the value":  {info[:unix.CmsgLen(unix.SizeofInet4Pktinfo)-1], false},
	} {
		got, ok := localAddress(c.oob)
		if ok != c.ok || ok && got != want {
			t.Errorf("%s: %v, %v", name, got, ok)
		}
	}
}

func FuzzLocalAddress(f *testing.F) {
	info := make([]byte, pktinfoLen+tosLen)
	putPktinfo(info, [4]byte{192, 0, 2, 7})
	putTOS(info[pktinfoLen:], 1)
	f.Add(info)
	f.Add(info[8:])
	f.Fuzz(func(t *testing.T, oob []byte) {
		if a, ok := localAddress(oob); ok && !a.Is4() {
			t.Fatalf("%v", a)
		}
	})
}
