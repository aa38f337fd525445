package tun

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"net/netip"
	"strings"
	"testing"
)

// unhex joins labelled chunks: "label:hex hex", one a line.
func unhex(t testing.TB, chunks ...string) []byte {
	t.Helper()
	var out []byte
	for _, c := range chunks {
		digits := c[strings.LastIndex(c, ":")+1:]
		b, err := hex.DecodeString(strings.ReplaceAll(digits, " ", ""))
		if err != nil {
			t.Fatalf("%s: %v", c, err)
		}
		out = append(out, b...)
	}
	return out
}

// ipv4 builds a packet with a valid header checksum.
func ipv4(src, dst string, proto byte, word uint16, options, payload []byte) []byte {
	p := make([]byte, ipv4MinHeader, ipv4MinHeader+len(options)+len(payload))
	p[0] = 0x40 | byte((ipv4MinHeader+len(options))/4)
	binary.BigEndian.PutUint16(p[2:], uint16(ipv4MinHeader+len(options)+len(payload)))
	binary.BigEndian.PutUint16(p[4:], 0x1234)
	binary.BigEndian.PutUint16(p[6:], word)
	p[8], p[9] = 64, proto
	copy(p[12:], netip.MustParseAddr(src).AsSlice())
	copy(p[16:], netip.MustParseAddr(dst).AsSlice())
	p = append(p, options...)
	setHeaderChecksum(p)
	return append(p, payload...)
}

func udpPacket(src, dst string, word uint16, payload int) []byte {
	b := make([]byte, 8+payload)
	binary.BigEndian.PutUint16(b[4:], uint16(len(b)))
	for i := range payload {
		b[8+i] = byte(i)
	}
	return ipv4(src, dst, 17, word, nil, b)
}

// tcpSum is the TCP checksum computed from scratch; 0 when the packet's is right.
func tcpSum(p []byte) uint16 {
	tcp := p[headerLen(p):]
	pseudo := append(bytes.Clone(p[12:20]), 0, protoTCP, byte(len(tcp)>>8), byte(len(tcp)))
	return checksum(append(pseudo, tcp...))
}

func TestTrimIPv4(t *testing.T) {
	good := udpPacket("192.0.2.1", "192.0.2.2", 0, 20)
	with := func(at int, v byte) []byte { b := bytes.Clone(good); b[at] = v; return b }
	for _, c := range []struct {
		name string
		in   []byte
		want []byte
	}{
		{"whole", good, good},
		{"padding behind the packet", append(bytes.Clone(good), 0, 0, 0), good},
		{"empty", nil, nil},
		{"shorter than a header", good[:19], nil},
		{"cut", good[:len(good)-1], nil},
		{"version 6", with(0, 0x65), nil},
		{"header of 16 bytes", with(0, 0x44), nil},
		{"header longer than the packet", with(0, 0x4F), nil},
		{"total length below the header's", with(3, 19), nil},
	} {
		got, ok := trimIPv4(c.in)
		if ok != (c.want != nil) || !bytes.Equal(got, c.want) {
			t.Errorf("%s: %x, %v", c.name, got, ok)
		}
	}
}

// The example of RFC 1071 section 3.
func TestChecksum(t *testing.T) {
	if got := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("%#x, want %#x", got, ^uint16(0xddf2))
	}
	if got := checksum([]byte{0x12, 0x34, 0x56}); got != ^uint16(0x1234+0x5600) {
		t.Errorf("odd length: %#x", got)
	}
}
