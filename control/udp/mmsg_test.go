package udp

import (
	"encoding/binary"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestAncillary(t *testing.T) {
	want := netip.MustParseAddr("192.0.2.7")
	info := make([]byte, pktinfoLen)
	putPktinfo(info, want.As4())
	tos := make([]byte, tosLen)
	putTOS(tos, TOSControl)
	gro := make([]byte, groLen)
	h := (*unix.Cmsghdr)(unsafe.Pointer(&gro[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_GRO
	h.SetLen(unix.CmsgLen(4))
	binary.NativeEndian.PutUint32(gro[unix.CmsgLen(0):], 1400)
	for name, c := range map[string]struct {
		oob     []byte
		ok      bool
		segment int
	}{
		"alone":             {info, true, 0},
		"behind another":    {append(tos, info...), true, 0},
		"before another":    {append(info[:pktinfoLen:pktinfoLen], tos...), true, 0},
		"another alone":     {tos, false, 0},
		"a bundle":          {append(append(gro, tos...), info...), true, 1400},
		"none":              {nil, false, 0},
		"cut in the header": {info[:unix.SizeofCmsghdr-1], false, 0},
		"cut in the value":  {info[:unix.CmsgLen(unix.SizeofInet4Pktinfo)-1], false, 0},
	} {
		got, ok := parseAncillary(c.oob)
		if ok != c.ok || ok && (got.local != want || got.segment != c.segment) {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
}

func FuzzAncillary(f *testing.F) {
	info := make([]byte, pktinfoLen+tosLen)
	putPktinfo(info, [4]byte{192, 0, 2, 7})
	putTOS(info[pktinfoLen:], 1)
	f.Add(info)
	f.Add(info[8:])
	f.Fuzz(func(t *testing.T, oob []byte) {
		if a, ok := parseAncillary(oob); ok && !a.local.Is4() {
			t.Fatalf("%v", a)
		}
	})
}
