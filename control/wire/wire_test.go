package wire

import (
	"bytes"
	"net/netip"
	"reflect"
	"testing"
	"time"
)

type sample struct {
	U    uint64
	I    int64
	B    bool
	S    string
	D    []byte
	T, Z time.Time
	A, N netip.Addr
	P    netip.AddrPort
	X    []netip.Prefix
}

func (v *sample) append(b []byte) []byte {
	b = AppendBool(AppendInt(AppendUint(b, v.U), v.I), v.B)
	b = AppendBytes(AppendString(b, v.S), v.D)
	b = AppendTime(AppendTime(b, v.T), v.Z)
	b = AppendAddrPort(AppendAddr(AppendAddr(b, v.A), v.N), v.P)
	return AppendList(b, v.X, AppendPrefix)
}

func read(r *Reader) sample {
	return sample{
		U: r.Uint(), I: r.Int(), B: r.Bool(), S: r.String(), D: r.Bytes(), T: r.Time(), Z: r.Time(),
		A: r.Addr(), N: r.Addr(), P: r.AddrPort(), X: ReadList(r, r.Prefix),
	}
}

func full() sample {
	return sample{
		U: 1<<64 - 1, I: -5, B: true, S: "text", D: []byte{0, 1}, T: time.Unix(1700000000, 7).UTC(),
		A: netip.MustParseAddr("192.0.2.1"), P: netip.MustParseAddrPort("[2001:db8::1]:1701"),
		X: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8"), netip.MustParsePrefix("2001:db8::/32")},
	}
}

func TestRoundTrip(t *testing.T) {
	for _, want := range []sample{{}, full()} {
		b := want.append(nil)
		r := NewReader(b)
		got := read(r)
		if r.Err() != nil || r.More() || !reflect.DeepEqual(got, want) {
			t.Errorf("%+v, not %+v: %v", got, want, r.Err())
		}
		for n := range b {
			if r := NewReader(b[:n]); read(r).U == want.U && r.Err() == nil {
				t.Errorf("%d of %d bytes were enough", n, len(b))
			}
		}
	}
}

func TestNumbersThatDoNotFit(t *testing.T) {
	for name, f := range map[string]func(*Reader){
		"U8": func(r *Reader) { r.U8() }, "U16": func(r *Reader) { r.U16() }, "U32": func(r *Reader) { r.U32() },
		"Bool": func(r *Reader) { r.Bool() }, "List": func(r *Reader) { ReadList(r, r.Uint) },
		"Fixed": func(r *Reader) { r.Fixed(make([]byte, 3)) },
	} {
		r := NewReader(AppendUint(nil, 1<<40))
		if f(r); r.Err() == nil {
			t.Errorf("%s took 2^40", name)
		}
	}
}

// Whatever is read without a fault is the same when it is written and read again.
func FuzzReader(f *testing.F) {
	s := full()
	f.Add(s.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		r := NewReader(b)
		v := read(r)
		if r.Err() != nil {
			return
		}
		once := v.append(nil)
		v = read(NewReader(once))
		if twice := v.append(nil); !bytes.Equal(once, twice) {
			t.Errorf("%x became %x", once, twice)
		}
	})
}
