package tun

import (
	"bytes"
	"testing"

	"github.com/lnsd/lnsd/control/l2tp"
)

// innerOf is the packet in a data message.
func innerOf(t *testing.T, b []byte) []byte {
	t.Helper()
	_, frame, err := l2tp.ParseHeader(b)
	if err != nil {
		t.Fatal(err)
	}
	ip, _ := l2tp.DataIP(frame)
	return ip
}

// segment is the i-th of a subscriber's connection, 100 bytes each.
func segment(i int, change func(p []byte)) []byte {
	p := withID(tcpPacket("10.64.0.7", "198.51.100.2", uint32(1000+100*i), tcpFlagACK, timestamps, counting(100)), uint16(i))
	if change != nil {
		change(p)
		setTCPChecksum(p)
		setHeaderChecksum(p)
	}
	return p
}

// Only segments that follow each other and differ in nothing that matters become
// one packet.
func TestWhatIsJoined(t *testing.T) {
	plain := func(i int) []byte { return segment(i, nil) }
	changed := func(at int, v byte) func(p []byte) { return func(p []byte) { p[at] = v } }
	noDF := func(p []byte) { p[6] = 0 }
	broken := func(i, at int) []byte {
		p := plain(i)
		p[at] ^= 1
		return p
	}
	short := withID(tcpPacket("10.64.0.7", "198.51.100.2", 1100, tcpFlagACK, timestamps, counting(60)), 1)
	udp := udpPacket("10.64.0.7", "198.51.100.2", flagDF, 20)
	other := withID(tcpPacket("10.64.1.9", "198.51.100.2", 5, tcpFlagACK, timestamps, counting(100)), 9)
	many := func(n int) (out [][]byte) {
		for i := range n {
			out = append(out, plain(i))
		}
		return out
	}
	for _, c := range []struct {
		name    string
		packets [][]byte
		frames  []int // packets in each
	}{
		{"consecutive", many(5), []int{5}},
		{"as many as may be", many(maxJoined + 2), []int{maxJoined, 2}},
		{"a gap", [][]byte{plain(0), plain(2)}, []int{1, 1}},
		{"out of order", [][]byte{plain(1), plain(0)}, []int{1, 1}},
		{"twice the same", [][]byte{plain(0), plain(0)}, []int{1, 1}},
		{"the last is shorter", [][]byte{plain(0), short}, []int{2}},
		{"nothing follows a shorter one", [][]byte{plain(0), short, segment(0, func(p []byte) { p[26], p[27] = 0x04, 0x88 })}, []int{2, 1}},
		{"PSH ends it", [][]byte{plain(0), segment(1, changed(33, tcpFlagACK|tcpFlagPSH)), plain(2)}, []int{2, 1}},
		{"PSH at once", [][]byte{segment(0, changed(33, tcpFlagACK|tcpFlagPSH)), plain(1)}, []int{1, 1}},
		{"FIN", [][]byte{plain(0), segment(1, changed(33, tcpFlagACK|tcpFlagFIN))}, []int{1, 1}},
		{"other TOS", [][]byte{plain(0), segment(1, changed(1, 4))}, []int{1, 1}},
		{"other TTL", [][]byte{plain(0), segment(1, changed(8, 9))}, []int{1, 1}},
		{"other acknowledgment", [][]byte{plain(0), segment(1, changed(31, 9))}, []int{1, 1}},
		{"other window", [][]byte{plain(0), segment(1, changed(35, 9))}, []int{1, 1}},
		{"other options", [][]byte{plain(0), segment(1, changed(47, 9))}, []int{1, 1}},
		{"other port", [][]byte{plain(0), segment(1, changed(21, 9))}, []int{1, 1}},
		{"other destination", [][]byte{plain(0), segment(1, changed(19, 9))}, []int{1, 1}},
		{"without DF, numbered", [][]byte{segment(0, noDF), segment(1, noDF)}, []int{2}},
		{"without DF, not numbered", [][]byte{segment(0, noDF), segment(1, func(p []byte) { p[6], p[5] = 0, 77 })}, []int{1, 1}},
		{"a fragment", [][]byte{plain(0), segment(1, changed(6, 0x20))}, []int{1, 1}},
		{"another packet between", [][]byte{plain(0), udp, plain(1)}, []int{1, 1, 1}},
		{"another subscriber between", [][]byte{plain(0), other, plain(1)}, []int{2, 1}},
		{"the first is broken", [][]byte{broken(0, 80), plain(1), plain(2)}, []int{1, 2}},
		{"the second is broken", [][]byte{plain(0), broken(1, 80), plain(2)}, []int{1, 1, 1}},
		{"the header is broken", [][]byte{plain(0), broken(1, 5)}, []int{1, 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			j := newJoiner(uplinkBatch, true)
			for _, p := range c.packets {
				j.add(bytes.Clone(p), 0)
			}
			if len(j.frames) != len(c.frames) {
				t.Fatalf("%d frames, want %d", len(j.frames), len(c.frames))
			}
			for i, f := range j.frames {
				if f.packets != c.frames[i] {
					t.Errorf("frame %d has %d packets, want %d", i, f.packets, c.frames[i])
				}
			}
		})
	}
}

// Without offloads nothing is joined.
func TestNothingIsJoined(t *testing.T) {
	j := newJoiner(uplinkBatch, false)
	j.add(segment(0, nil), 0)
	j.add(segment(1, nil), 0)
	j.finish()
	if len(j.frames) != 2 || j.frames[0].inFront {
		t.Errorf("%+v", j.frames)
	}
}
