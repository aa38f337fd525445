package tun

import (
	"bytes"
	"encoding/binary"
	"testing"
)

func TestAppendUnreachableGolden(t *testing.T) {
	about := unhex(t,
		"version, TOS, length:   45 02 00 24",
		"id, flags (DF):         12 34 40 00",
		"TTL, protocol, sum:     40 11 00 00",
		"source 198.51.100.2:    c6 33 64 02",
		"destination 10.64.0.7:  0a 40 00 07",
		"UDP:                    00 35 04 d2 00 10 00 00",
		"data:                   01 02 03 04 05 06 07 08")
	want := unhex(t,
		"version, TOS (RFC 1812 4.3.2.5: precedence 6), length 64: 45 c2 00 40",
		"id, flags:              00 00 00 00",
		"TTL, protocol ICMP, sum:40 01 45 85",
		"source 10.64.0.1:       0a 40 00 01",
		"destination:            c6 33 64 02",
		"type 3, code 4, sum:    03 04 d6 6f",
		"unused, next-hop MTU 1400 (RFC 1191 4): 00 00 05 78")
	want = append(want, about...)
	got := appendUnreachable([]byte("kept"), 0x0A400001, about, codeFragmentNeed, 1400)
	if string(got[:4]) != "kept" {
		t.Fatal("what was in front is gone")
	}
	got = got[4:]
	if checksum(got[:20]) != 0 || checksum(got[20:]) != 0 {
		t.Errorf("checksums do not verify")
	}
	if !bytes.Equal(got, want) {
		t.Errorf("got  %x\nwant %x", got, want)
	}
}

func TestAppendUnreachableQuotesUpTo576Bytes(t *testing.T) {
	p := udpPacket("198.51.100.2", "10.64.0.7", flagDF, 1400)
	got := appendUnreachable(nil, 1, p, codeHost, 0)
	if len(got) != icmpMax || totalLen(got) != icmpMax {
		t.Fatalf("%d bytes, length field %d, want %d", len(got), totalLen(got), icmpMax)
	}
	if !bytes.Equal(got[28:], p[:548]) {
		t.Error("the quote differs from the packet")
	}
	if binary.BigEndian.Uint16(got[26:]) != 0 {
		t.Error("MTU in a host unreachable")
	}
}

// RFC 1812 section 4.3.2.7.
func TestMayAnswer(t *testing.T) {
	icmp := func(typ byte) []byte {
		return ipv4("198.51.100.2", "10.64.0.7", protoICMP, 0, nil, []byte{typ, 0, 0, 0, 0, 0, 0, 0})
	}
	for _, c := range []struct {
		name   string
		packet []byte
		want   bool
	}{
		{"UDP", udpPacket("198.51.100.2", "10.64.0.7", 0, 8), true},
		{"first fragment", udpPacket("198.51.100.2", "10.64.0.7", flagMF, 8), true},
		{"later fragment", udpPacket("198.51.100.2", "10.64.0.7", flagMF|1, 8), false},
		{"echo request", icmp(8), true},
		{"timestamp", icmp(13), true},
		{"unreachable", icmp(3), false},
		{"redirect", icmp(5), false},
		{"time exceeded", icmp(11), false},
		{"parameter problem", icmp(12), false},
		{"ICMP without a type", ipv4("198.51.100.2", "10.64.0.7", protoICMP, 0, nil, nil), false},
		{"to multicast", udpPacket("198.51.100.2", "224.0.0.5", 0, 8), false},
		{"to broadcast", udpPacket("198.51.100.2", "255.255.255.255", 0, 8), false},
		{"from 0.0.0.0", udpPacket("0.0.0.0", "10.64.0.7", 0, 8), false},
		{"from loopback", udpPacket("127.0.0.1", "10.64.0.7", 0, 8), false},
		{"from multicast", udpPacket("239.1.1.1", "10.64.0.7", 0, 8), false},
		{"from class E", udpPacket("240.0.0.1", "10.64.0.7", 0, 8), false},
	} {
		if got := mayAnswer(c.packet); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}
