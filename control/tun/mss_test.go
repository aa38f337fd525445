package tun

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// syn builds a TCP segment with the given flags and options and right checksum.
func syn(flags byte, options ...byte) []byte {
	for len(options)%4 != 0 {
		options = append(options, 0)
	}
	tcp := make([]byte, tcpMinHeader, tcpMinHeader+len(options))
	binary.BigEndian.PutUint16(tcp, 40000)
	binary.BigEndian.PutUint16(tcp[2:], 443)
	tcp[12] = byte((tcpMinHeader + len(options)) / 4 << 4)
	tcp[13] = flags
	p := ipv4("192.0.2.1", "198.51.100.2", protoTCP, flagDF, nil, append(tcp, options...))
	binary.BigEndian.PutUint16(p[ipv4MinHeader+16:], tcpSum(p))
	return p
}

func mssOf(p []byte, at int) uint16 {
	return binary.BigEndian.Uint16(p[ipv4MinHeader+tcpMinHeader+at:])
}

func TestClampMSS(t *testing.T) {
	const synFlag, synAck = tcpFlagSYN, tcpFlagSYN | 0x10
	for _, c := range []struct {
		name    string
		packet  []byte
		limit   uint16
		at      int // of the MSS value in the options
		changed bool
	}{
		{"SYN", syn(synFlag, 2, 4, 0x05, 0xB4), 1400, 2, true},
		{"SYN-ACK", syn(synAck, 2, 4, 0x05, 0xB4), 1400, 2, true},
		{"after other options", syn(synFlag, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 4, 2, 2, 4, 0x05, 0xB4), 1400, 14, true},
		{"at an odd offset", syn(synFlag, 1, 2, 4, 0x05, 0xB4), 1400, 3, true},
		{"low enough", syn(synFlag, 2, 4, 0x05, 0x78), 1400, 2, false},
		{"lower", syn(synFlag, 2, 4, 0x02, 0x18), 1400, 2, false},
		{"no limit", syn(synFlag, 2, 4, 0x05, 0xB4), 0, 2, false},
		{"not a SYN", syn(0x10, 2, 4, 0x05, 0xB4), 1400, 2, false},
		{"no MSS option", syn(synFlag, 1, 1, 4, 2), 1400, 0, false},
		{"behind the end of options", syn(synFlag, 0, 2, 4, 0x05, 0xB4), 1400, 0, false},
		{"option length 0", syn(synFlag, 3, 0, 2, 4, 0x05, 0xB4, 0, 0), 1400, 0, false},
		{"option beyond the header", syn(synFlag, 1, 1, 3, 9), 1400, 0, false},
		{"MSS option of 3 bytes", syn(synFlag, 2, 3, 0xFF, 1), 1400, 0, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			before := bytes.Clone(c.packet)
			if got := clampMSS(c.packet, c.limit); got != c.changed {
				t.Fatalf("changed: %v, want %v", got, c.changed)
			}
			if sum := tcpSum(c.packet); sum != 0 {
				t.Errorf("TCP checksum is off by %#x", sum)
			}
			if !c.changed {
				if !bytes.Equal(before, c.packet) {
					t.Error("packet was changed all the same")
				}
				return
			}
			if got := mssOf(c.packet, c.at); got != c.limit {
				t.Errorf("MSS %d, want %d", got, c.limit)
			}
		})
	}
}

func TestClampMSSLeavesOthersAlone(t *testing.T) {
	base := syn(tcpFlagSYN, 2, 4, 0x05, 0xB4)
	for name, change := range map[string]func(p []byte) []byte{
		"UDP":                    func(p []byte) []byte { p[9] = 17; return p },
		"later fragment":         func(p []byte) []byte { p[7] = 1; return p },
		"TCP header cut":         func(p []byte) []byte { return p[:ipv4MinHeader+19] },
		"TCP options cut":        func(p []byte) []byte { return p[:ipv4MinHeader+tcpMinHeader+2] },
		"data offset below five": func(p []byte) []byte { p[ipv4MinHeader+12] = 0x40; return p },
	} {
		p := change(bytes.Clone(base))
		before := bytes.Clone(p)
		if clampMSS(p, 1000) || !bytes.Equal(p, before) {
			t.Errorf("%s: changed", name)
		}
	}
}

// Whatever the packet, a clamp keeps a right checksum right and touches nothing
// but the MSS and the checksum.
func FuzzClampMSS(f *testing.F) {
	f.Add(syn(tcpFlagSYN, 2, 4, 0x05, 0xB4), uint16(1400))
	f.Add(syn(tcpFlagSYN, 1, 2, 4, 0x05, 0xB4), uint16(536))
	f.Fuzz(func(t *testing.T, b []byte, limit uint16) {
		p, ok := trimIPv4(b)
		if !ok {
			return
		}
		before := bytes.Clone(p)
		sum := uint16(0)
		if protocol(p) == protoTCP && len(p) >= headerLen(p)+tcpMinHeader {
			sum = tcpSum(p)
		}
		if !clampMSS(p, limit) {
			if !bytes.Equal(before, p) {
				t.Fatal("changed a packet and denied it")
			}
			return
		}
		// 0 and 0xFFFF are the same number in one's complement.
		if got := tcpSum(p); got != sum && got^sum != 0xFFFF {
			t.Fatalf("checksum was off by %#x, is off by %#x", sum, got)
		}
		changed := 0
		for i := range p {
			if p[i] != before[i] {
				changed++
			}
		}
		if changed > 4 {
			t.Fatalf("%d bytes changed", changed)
		}
	})
}
