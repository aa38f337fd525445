package l2tp

import (
	"bytes"
	"encoding/hex"
	"math/rand/v2"
	"testing"
)

func sequence(from, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(from + i)
	}
	return b
}

// RFC 2661 section 4.3. The octets were computed apart from this package, from the
// formulas of the section.
func TestHiddenGolden(t *testing.T) {
	secret, vector := []byte("s3cret"), sequence(0, 16)
	for _, c := range []struct{ value, pad, want string }{
		{"pass", "", "d397fbdfb680"},
		{"a longer password than sixteen", "\xaa\xaa\xaa\xaa\xaa\xaa\xaa",
			"d38dea9ea99cc3e4d514b7730c9d7498e595782ff2f0ed6a624b5720d2376435b3942f5a9f705a"},
	} {
		got := appendHidden(nil, 33, secret, vector, []byte(c.value), []byte(c.pad))
		if hex.EncodeToString(got) != c.want {
			t.Errorf("%q hidden is %x", c.value, got)
		}
		before := append([]byte(nil), got...)
		value, ok := unhide(33, secret, vector, got)
		if !ok || string(value) != c.value || !bytes.Equal(got, before) {
			t.Errorf("%q came back as %q, %v", c.value, value, ok)
		}
	}
}

// Section 4.4.3: the id in the response is the type of the message that carries it.
func TestChallengeResponseGolden(t *testing.T) {
	for carrier, want := range map[MessageType]string{
		SCCRP: "da4b8b906126b95f767505c01dd92d15",
		SCCCN: "5f09aef87ea40aab52232ce73e16bb57",
	} {
		got := challengeResponse(carrier, []byte("s3cret"), sequence(100, 16))
		if hex.EncodeToString(got[:]) != want {
			t.Errorf("%s: %x", carrier, got)
		}
		if !responseMatches(carrier, []byte("s3cret"), sequence(100, 16), got[:]) ||
			responseMatches(carrier, []byte("other"), sequence(100, 16), got[:]) ||
			responseMatches(carrier, []byte("s3cret"), sequence(100, 16), got[:15]) ||
			responseMatches(carrier, []byte("s3cret"), sequence(100, 16), nil) {
			t.Errorf("%s: comparison", carrier)
		}
	}
}

func TestHiddenRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	random := testRandom(1)
	for range 2000 {
		value, secret, vector := make([]byte, rnd.IntN(200)), make([]byte, 1+rnd.IntN(150)), make([]byte, rnd.IntN(40))
		for _, b := range [][]byte{value, secret, vector} {
			random(b)
		}
		pad := make([]byte, hidePadLen(len(value)))
		hidden := appendHidden([]byte("x"), 7, secret, vector, value, pad)[1:]
		if len(hidden)%16 != 0 {
			t.Fatalf("%d octets hidden in %d", len(value), len(hidden))
		}
		if got, ok := unhide(7, secret, vector, hidden); !ok || !bytes.Equal(got, value) {
			t.Fatalf("%x came back as %x", value, got)
		}
	}
	for _, n := range []int{0, 14, 15, avpMaxValue - 2} {
		if pad := hidePadLen(n); n+2+pad > avpMaxValue || pad < 0 {
			t.Errorf("%d octets are padded by %d", n, pad)
		}
	}
}

// Somebody without the secret sends noise: it never passes for a mandatory value
// that it is not, and costs no more than the message.
func TestHiddenNoise(t *testing.T) {
	random := testRandom(2)
	faults := 0
	const rounds = 3000
	for range rounds {
		noise := make([]byte, 16)
		random(noise)
		w := newBuilder(nil, ICRQ, 0, 0, hider{})
		w.uint16(avpAssignedSessionID, 1)
		w.bytes(avpRandomVector, noise)
		random(noise)
		w.b = appendAVPHeader(w.b, avpMandatory|avpHidden, 0, uint16(avpCallSerial), len(noise))
		w.b = append(w.b, noise...)
		var m message
		m.decode(w.b[controlHeaderLen:], []byte("secret"))
		if m.fault.reaction == reactClear {
			faults++
			continue
		}
		if len(m.values[avpCallSerial]) != 4 {
			t.Fatalf("a Call Serial Number of %d octets", len(m.values[avpCallSerial]))
		}
	}
	// 1 in 65536 has the right length by chance.
	if faults < rounds-3 {
		t.Errorf("%d of %d were found out", faults, rounds)
	}
}

// Sections 4.3 and 4.4.1: the last Random Vector before the AVP applies, and none
// behind it.
func TestLastRandomVectorApplies(t *testing.T) {
	secret := []byte("secret")
	hiddenSerial := func(vector []byte) []byte {
		v := appendHidden(nil, uint16(avpCallSerial), secret, vector, []byte{0, 0, 0, 9}, nil)
		return append(appendAVPHeader(nil, avpMandatory|avpHidden, 0, uint16(avpCallSerial), len(v)), v...)
	}
	vector := func(v []byte) []byte {
		return append(appendAVPHeader(nil, avpMandatory, 0, uint16(avpRandomVector), len(v)), v...)
	}
	session := unhex(t, "8008 0000 000e 0001")
	start := append(unhex(t, "8008 0000 0000 000a"), session...)
	one, two := sequence(0, 16), sequence(50, 16)
	join := func(parts ...[]byte) []byte { return bytes.Join(append([][]byte{start}, parts...), nil) }

	var m message
	m.decode(join(vector(one), vector(two), hiddenSerial(two)), secret)
	if m.fault.reaction != reactNone || m.uint32(avpCallSerial) != 9 {
		t.Errorf("second vector: %+v, %d", m.fault, m.uint32(avpCallSerial))
	}
	m = message{}
	m.decode(join(hiddenSerial(one), vector(one)), secret)
	if m.fault.reaction != reactClear {
		t.Error("a vector behind the hidden AVP was used")
	}
	m = message{}
	m.decode(join(vector(one), hiddenSerial(one)), nil)
	if m.fault.reaction != reactClear {
		t.Error("hidden AVP accepted without a secret")
	}
}

func FuzzUnhide(f *testing.F) {
	f.Add([]byte("s3cret"), []byte("vector"), []byte("pass"), []byte("pad"), uint16(33))
	f.Add([]byte{}, []byte{}, []byte{}, []byte{}, uint16(0))
	f.Add([]byte("s"), []byte{}, bytes.Repeat([]byte{7}, 40), []byte{}, uint16(14))
	f.Fuzz(func(t *testing.T, secret, vector, value, pad []byte, typ uint16) {
		if len(value) > 0xFFFF {
			return
		}
		hidden := appendHidden(nil, typ, secret, vector, value, pad)
		got, ok := unhide(typ, secret, vector, hidden)
		if !ok || !bytes.Equal(got, value) {
			t.Fatalf("%x came back as %x", value, got)
		}
		// Noise is refused or yields something no longer than it is.
		if noise, ok := unhide(typ, secret, vector, value); ok && len(noise) > len(value)-2 {
			t.Fatalf("%d octets from %d", len(noise), len(value))
		}
	})
}

// The original length may take all that there is and not an octet more.
func TestUnhideLength(t *testing.T) {
	for n := range 40 {
		for said := range n + 3 {
			plain := appendHidden(nil, 9, []byte("s"), nil, make([]byte, n), nil)
			// Only the first octets differ, by XOR.
			plain[0] ^= byte(n>>8) ^ byte(said>>8)
			plain[1] ^= byte(n) ^ byte(said)
			v, ok := unhide(9, []byte("s"), nil, plain)
			if ok != (said <= n) || len(v) != said && ok {
				t.Fatalf("%d of %d octets: %d, %v", said, n, len(v), ok)
			}
		}
	}
	if _, ok := unhide(9, []byte("s"), nil, []byte{1}); ok {
		t.Error("one octet")
	}
}
