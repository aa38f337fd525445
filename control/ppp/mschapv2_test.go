package ppp

import (
	"bytes"
	"encoding/hex"
	"strings"
	"testing"
)

func unhex(t *testing.T, s string) []byte {
	t.Helper()
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// The values of RFC 2759 section 9.2.
func TestRFC2759HashExample(t *testing.T) {
	const user, password = "User", "clientPass"
	challenge := unhex(t, "5B 5D 7C 7D 7B 3F 2F 3E 3C 2C 60 21 32 26 26 28")
	peer := unhex(t, "21 40 23 24 25 5E 26 2A 28 29 5F 2B 3A 33 7C 7E")
	nt := unhex(t, "82 30 9E CD 8D 70 8B 5E A0 8F AA 39 81 CD 83 54 42 33 11 4A 3D 85 D6 DF")
	const success = "S=407A5589115FD0D6209F510FE9C04566932CDA56"

	if c := challengeHash(peer, challenge, user); !bytes.Equal(c[:], unhex(t, "D0 2E 43 86 BC E9 12 26")) {
		t.Errorf("challenge %x", c)
	}
	hash := ntPasswordHash(password)
	if !bytes.Equal(hash[:], unhex(t, "44 EB BA 8D 53 12 B8 D6 11 47 44 11 F5 69 89 AE")) {
		t.Errorf("password hash %x", hash)
	}
	if hh := md4Sum(hash[:]); !bytes.Equal(hh[:], unhex(t, "41 C0 0C 58 4B D2 D9 1C 40 17 A2 A1 2F A5 9F 3F")) {
		t.Errorf("password hash hash %x", hh)
	}
	if r := ntResponse(challenge, peer, user, password); !bytes.Equal(r[:], nt) {
		t.Errorf("NT response %x", r)
	}
	response := append(append(append([]byte(nil), peer...), make([]byte, 8)...), append(nt, 0)...)
	got, ok := VerifyMSCHAPv2(user, challenge, response, password)
	if !ok || got != success {
		t.Errorf("verify = %q, %v", got, ok)
	}
	// RFC 2759 section 4: only the user name is used, without the domain.
	if got, ok = VerifyMSCHAPv2(`BIGCO\User`, challenge, response, password); !ok || got != success {
		t.Errorf("with a domain: %q, %v", got, ok)
	}
	for name, wrong := range map[string]func() (string, bool){
		"password":  func() (string, bool) { return VerifyMSCHAPv2(user, challenge, response, "clientpass") },
		"user":      func() (string, bool) { return VerifyMSCHAPv2("user", challenge, response, password) },
		"short":     func() (string, bool) { return VerifyMSCHAPv2(user, challenge, response[:48], password) },
		"challenge": func() (string, bool) { return VerifyMSCHAPv2(user, challenge[:15], response, password) },
	} {
		if s, ok := wrong(); ok || s != "" {
			t.Errorf("wrong %s is accepted", name)
		}
	}
}

// RFC 2759 section 9.3, of which the parity bits do not matter to DES.
func TestRFC2759DESKeys(t *testing.T) {
	for raw, want := range map[string]string{
		"FC 15 6A F7 ED CD 6C": "FD 0B 5B 5E 7F 6E 34 D9",
		"0E DD E3 33 7D 42 7F": "0E 6E 79 67 37 EA 08 FE",
	} {
		got, expect := desKey(unhex(t, raw)), unhex(t, want)
		for i := range got {
			if got[i]&^1 != expect[i]&^1 {
				t.Errorf("key %s byte %d is %02x, want %02x but for parity", raw, i, got[i], expect[i])
			}
		}
	}
}

func TestNTPasswordIsUTF16(t *testing.T) {
	// é is one UTF-16 unit, 😀 two.
	got, want := ntPasswordHash("é😀"), md4Sum([]byte{0xE9, 0x00, 0x3D, 0xD8, 0x00, 0xDE})
	if got != want {
		t.Errorf("hash %x, want %x", got, want)
	}
}

func TestVerifyCHAP(t *testing.T) {
	challenge, secret := []byte("0123456789abcdef"), []byte("secret")
	good := chapValue(7, challenge, secret)
	if !VerifyCHAP(7, challenge, good[:], secret) {
		t.Error("the right response is refused")
	}
	// md5sum says the same of "\x07secret0123456789abcdef".
	if want := unhex(t, "96db2d8f96c291a6699a973ce5c168a8"); !bytes.Equal(good[:], want) {
		t.Errorf("value %x, want %x", good, want)
	}
	bad := good
	bad[15] ^= 1
	empty := chapValue(7, challenge, nil)
	for name, ok := range map[string]bool{
		"id":        VerifyCHAP(8, challenge, good[:], secret),
		"challenge": VerifyCHAP(7, challenge[1:], good[:], secret),
		"secret":    VerifyCHAP(7, challenge, good[:], []byte("Secret")),
		"response":  VerifyCHAP(7, challenge, bad[:], secret),
		"length":    VerifyCHAP(7, challenge, good[:15], secret),
		"nothing":   VerifyCHAP(7, challenge, nil, secret),
		"no secret": VerifyCHAP(7, challenge, empty[:], nil),
	} {
		if ok {
			t.Errorf("wrong %s is accepted", name)
		}
	}
}
