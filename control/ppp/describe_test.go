package ppp

import (
	"encoding/hex"
	"strings"
	"testing"
)

// What a trace says of a frame of each protocol.
func TestDescribe(t *testing.T) {
	for _, c := range []struct{ frame, want string }{
		{"ff03c02101010016010405b40304c02305061234567807020802", "LCP Configure-Request id 1: MRU 1460, authentication PAP, magic 0x12345678, PFC, ACFC"},
		{"c021010200090300", "LCP malformed packet, 6 bytes"},
		{"c02101020009" + "0305c22381", "LCP Configure-Request id 2: authentication MS-CHAPv2"},
		{"c0210103000b" + "110405dc" + "630355", "LCP Configure-Request id 3: MRRU 1500, option 99 (1 bytes)"},
		{"c02305090009" + hex.EncodeToString([]byte("bye\n!")), `PAP code 5 id 9: 5 bytes`},
		{"c02105090009" + hex.EncodeToString([]byte("bye\n!")), `LCP Terminate-Request id 9: "bye\n!"`},
		{"c02108070008802104050607"[:24], "LCP Protocol-Reject id 7: IPCP, 2 bytes"},
		{"c0210907000800000001", "LCP Echo-Request id 7: magic 0x00000001"},
		{"8021010100100306000000008106c0000235", "IPCP Configure-Request id 1: address 0.0.0.0, DNS 192.0.2.53"},
		{"80570101000e010a02000000000000aa", "IPV6CP Configure-Request id 1: interface identifier 02000000000000aa"},
		{"c023010100100561" + hex.EncodeToString([]byte("lice")) + "05" + hex.EncodeToString([]byte("s3cr3")), `PAP Authenticate-Request id 1: name "alice", password (5 bytes, not shown)`},
		{"c22303040012" + hex.EncodeToString([]byte("S=ABCDEF M=OK!")), `CHAP Success id 4: "S=(not shown) M=OK!"`},
		{"c22304040017" + hex.EncodeToString([]byte("E=691 R=0 C=ABCD V=")), `CHAP Failure id 4: "E=691 R=0 C=(not shown) V="`},
		{"80fd01010004", "CCP Configure-Request id 1"},
		{"c0271234", "protocol 0xc027, 2 bytes"},
		{"ff", "malformed frame, 1 bytes"},
	} {
		b, err := hex.DecodeString(c.frame)
		if err != nil {
			t.Fatal(err)
		}
		if got := Describe(b); got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.frame, got, c.want)
		}
	}
}

// Whatever a frame holds, its description is one printable line; and a password in it
// does not show.
func FuzzDescribe(f *testing.F) {
	f.Add([]byte{0xff, 3, 0xc0, 0x21, 1, 1, 0, 8, 1, 4, 5, 0xb4}, "secret-word")
	f.Add([]byte{0xc2, 0x23, 2, 1, 0, 6, 1, 7}, "another-word")
	f.Fuzz(func(t *testing.T, frame []byte, password string) {
		if text := Describe(frame); strings.ContainsAny(text, "\n\r\x1b") {
			t.Errorf("%q", text)
		}
		if len(password) < 8 || len(password) > 200 || strings.Contains("name , password ( bytes, not shown)PAP Authenticate-Request id 1", password) {
			return
		}
		p := []byte{0xc0, 0x23, papRequest, 1, 0, byte(4 + 2 + 4 + len(password)), 4, 'u', 's', 'e', 'r', byte(len(password))}
		p = append(p, password...)
		if text := Describe(p); strings.Contains(text, password) || strings.Contains(text, hex.EncodeToString([]byte(password))) {
			t.Errorf("%q shows %q", text, password)
		}
	})
}
