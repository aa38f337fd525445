package tun

import (
	"bytes"
	"testing"
)

// cut returns all fragments of p.
func cut(t testing.TB, p []byte, mtu int) [][]byte {
	t.Helper()
	f, ok := newFragmenter(p, mtu)
	if !ok {
		return nil
	}
	var out [][]byte
	for {
		b, more := f.next(nil)
		if !more {
			return out
		}
		out = append(out, b)
		if len(out) > 70000/8 {
			t.Fatal("no end of fragments")
		}
	}
}

// join puts fragments together as a receiver does, and checks each.
func join(t testing.TB, fragments [][]byte, mtu int) []byte {
	t.Helper()
	var payload []byte
	first := int(fragmentWord(fragments[0]) & fragmentOffset)
	for i, f := range fragments {
		if len(f) > mtu {
			t.Fatalf("fragment %d has %d bytes, MTU %d", i, len(f), mtu)
		}
		if trimmed, ok := trimIPv4(f); !ok || len(trimmed) != len(f) {
			t.Fatalf("fragment %d is malformed: %x", i, f)
		}
		if checksum(f[:headerLen(f)]) != 0 {
			t.Fatalf("fragment %d: wrong header checksum", i)
		}
		word := fragmentWord(f)
		if at := (int(word&fragmentOffset) - first) * 8; at != len(payload) {
			t.Fatalf("fragment %d at %d, want %d", i, at, len(payload))
		}
		if i < len(fragments)-1 && word&flagMF == 0 {
			t.Fatalf("fragment %d claims to be the last", i)
		}
		payload = append(payload, f[headerLen(f):]...)
	}
	return payload
}

func TestFragments(t *testing.T) {
	p := udpPacket("198.51.100.2", "10.64.0.7", 0, 1472)
	for _, c := range []struct {
		mtu  int
		want []int // lengths
	}{
		{1500, []int{1500}},
		{1499, []int{1492, 28}},
		{1460, []int{1460, 60}},
		{1459, []int{1452, 68}},
		{576, []int{572, 572, 396}},
	} {
		got := cut(t, p, c.mtu)
		if len(got) != len(c.want) {
			t.Fatalf("MTU %d: %d fragments, want %d", c.mtu, len(got), len(c.want))
		}
		for i := range got {
			if len(got[i]) != c.want[i] {
				t.Errorf("MTU %d: fragment %d has %d bytes, want %d", c.mtu, i, len(got[i]), c.want[i])
			}
		}
		if !bytes.Equal(join(t, got, c.mtu), p[20:]) {
			t.Errorf("MTU %d: payload differs", c.mtu)
		}
		if last := fragmentWord(got[len(got)-1]); last&flagMF != 0 {
			t.Errorf("MTU %d: the last fragment is not marked so", c.mtu)
		}
	}
}

func TestFragmentOfAFragmentKeepsItsPlace(t *testing.T) {
	p := udpPacket("198.51.100.2", "10.64.0.7", flagMF|185, 1472)
	got := cut(t, p, 1000)
	if w := fragmentWord(got[0]); w != flagMF|185 {
		t.Errorf("first piece: %#x", w)
	}
	if w := fragmentWord(got[1]); w != flagMF|185+976/8 {
		t.Errorf("last piece: %#x: more fragments follow it", w)
	}
}

// RFC 791 section 3.1: options without the copied flag are in the first fragment
// alone.
func TestFragmentOptions(t *testing.T) {
	record := []byte{7, 7, 4, 0, 0, 0, 0}         // record route, not copied
	security := []byte{0x82, 6, 0x11, 0x22, 0, 0} // security, copied
	options := append(append([]byte{1}, record...), security...)
	options = append(options, 0, 0)
	p := ipv4("198.51.100.2", "10.64.0.7", 17, 0, options, make([]byte, 1000))
	got := cut(t, p, 576)
	if !bytes.Equal(got[0][20:headerLen(got[0])], options) {
		t.Errorf("first: options %x", got[0][20:headerLen(got[0])])
	}
	want := append(bytes.Clone(security), 0, 0)
	for i, f := range got[1:] {
		if !bytes.Equal(f[20:headerLen(f)], want) {
			t.Errorf("fragment %d: options %x, want %x", i+1, f[20:headerLen(f)], want)
		}
	}
	join(t, got, 576)
}

func TestNoRoomForAFragment(t *testing.T) {
	if cut(t, udpPacket("198.51.100.2", "10.64.0.7", 0, 100), 27) != nil {
		t.Error("cut to 7 bytes of payload")
	}
}

func FuzzFragment(f *testing.F) {
	f.Add(udpPacket("198.51.100.2", "10.64.0.7", 0, 1472), uint16(576))
	f.Add(ipv4("192.0.2.1", "192.0.2.2", 17, flagMF|8, []byte{0x82, 4, 1, 2, 7, 3, 4, 0}, make([]byte, 200)), uint16(68))
	f.Fuzz(func(t *testing.T, b []byte, mtu uint16) {
		p, ok := trimIPv4(b)
		// Positions beyond 64 KiB can't be told from earlier ones.
		if !ok || len(p) == headerLen(p) || int(fragmentWord(p)&fragmentOffset)*8+len(p) > maxPacket {
			return
		}
		fragments := cut(t, p, int(mtu))
		if fragments == nil {
			return
		}
		if !bytes.Equal(join(t, fragments, max(int(mtu), len(fragments[0]))), p[headerLen(p):]) {
			t.Fatal("payload differs")
		}
		if len(p) > int(mtu) && len(fragments) == 1 {
			t.Fatal("too long and not cut")
		}
		if fragmentWord(fragments[len(fragments)-1])&flagMF != fragmentWord(p)&flagMF {
			t.Fatal("the last fragment's MF differs from the packet's")
		}
	})
}
