// Package wire writes plain values as bytes and reads them again, for what is kept
// on disk: numbers as varints, text and bytes with their length before them. Who
// uses it begins with a version number and adds new fields at the end only, so that
// a reader knows what an older writer left out.
package wire

import (
	"encoding/binary"
	"errors"
	"net/netip"
	"time"
)

// ErrMalformed says that bytes are not what the reader expected.
var ErrMalformed = errors.New("wire: malformed")

// AppendUint, AppendInt, AppendBool, AppendBytes and AppendString append one value.
func AppendUint(b []byte, v uint64) []byte { return binary.AppendUvarint(b, v) }
func AppendInt(b []byte, v int64) []byte   { return binary.AppendVarint(b, v) }
func AppendBool(b []byte, v bool) []byte {
	if v {
		return append(b, 1)
	}
	return append(b, 0)
}
func AppendBytes(b, v []byte) []byte         { return append(AppendUint(b, uint64(len(v))), v...) }
func AppendString(b []byte, v string) []byte { return append(AppendUint(b, uint64(len(v))), v...) }

// AppendTime appends a time with its nanoseconds; the zero time stays zero. The
// monotonic reading and the location are not kept.
func AppendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return AppendUint(AppendInt(append(b, 1), t.Unix()), uint64(t.Nanosecond()))
}

// AppendAddr appends an address without its zone; the zero Addr stays so.
func AppendAddr(b []byte, a netip.Addr) []byte { return AppendBytes(b, a.WithZone("").AsSlice()) }

// AppendAddrPort and AppendPrefix append an address with what belongs to it.
func AppendAddrPort(b []byte, p netip.AddrPort) []byte {
	return AppendUint(AppendAddr(b, p.Addr()), uint64(p.Port()))
}
func AppendPrefix(b []byte, p netip.Prefix) []byte {
	return AppendInt(AppendAddr(b, p.Addr()), int64(p.Bits()))
}

// AppendList appends the number of values and each of them.
func AppendList[T any](b []byte, list []T, one func([]byte, T) []byte) []byte {
	b = AppendUint(b, uint64(len(list)))
	for _, v := range list {
		b = one(b, v)
	}
	return b
}

// Reader reads values in the order in which they were appended. After the first
// fault it returns zero values, and Err says so: it is enough to ask at the end.
type Reader struct {
	b   []byte
	bad bool
}

// NewReader reads from b, which must not change while values read are in use.
func NewReader(b []byte) *Reader { return &Reader{b: b} }

// Err is ErrMalformed if anything could not be read.
func (r *Reader) Err() error {
	if r.bad {
		return ErrMalformed
	}
	return nil
}

// More reports whether there is something left to read: the fields that a later
// version added.
func (r *Reader) More() bool { return !r.bad && len(r.b) > 0 }

func (r *Reader) fail() { r.b, r.bad = nil, true }

// Uint reads a number.
func (r *Reader) Uint() uint64 {
	v, n := binary.Uvarint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// Int reads a number with a sign.
func (r *Reader) Int() int64 {
	v, n := binary.Varint(r.b)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.b = r.b[n:]
	return v
}

// U8, U16 and U32 read a number that must not be larger than its type.
func (r *Reader) U8() uint8   { return uint8(r.atMost(1<<8 - 1)) }
func (r *Reader) U16() uint16 { return uint16(r.atMost(1<<16 - 1)) }
func (r *Reader) U32() uint32 { return uint32(r.atMost(1<<32 - 1)) }

func (r *Reader) atMost(limit uint64) uint64 {
	v := r.Uint()
	if v > limit {
		r.fail()
		return 0
	}
	return v
}

// Bool reads a truth value.
func (r *Reader) Bool() bool { return r.atMost(1) == 1 }

// Bytes reads bytes; nil when there are none. They are a copy.
func (r *Reader) Bytes() []byte {
	if v := r.raw(); len(v) > 0 {
		return append([]byte(nil), v...)
	}
	return nil
}

// String reads text.
func (r *Reader) String() string { return string(r.raw()) }

func (r *Reader) raw() []byte {
	n := r.Uint()
	if n > uint64(len(r.b)) {
		r.fail()
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

// Fixed fills v, which must have been appended with as many bytes.
func (r *Reader) Fixed(v []byte) {
	b := r.raw()
	if len(b) != len(v) {
		r.fail()
		return
	}
	copy(v, b)
}

// Time reads a time, in UTC.
func (r *Reader) Time() time.Time {
	if !r.Bool() {
		return time.Time{}
	}
	sec, nsec := r.Int(), r.atMost(uint64(time.Second-1))
	if r.bad {
		return time.Time{}
	}
	return time.Unix(sec, int64(nsec)).UTC()
}

// Addr reads an address.
func (r *Reader) Addr() netip.Addr {
	b := r.raw()
	a, ok := netip.AddrFromSlice(b)
	if !ok && len(b) > 0 {
		r.fail()
	}
	return a
}

// AddrPort reads an address with its port.
func (r *Reader) AddrPort() netip.AddrPort {
	a := r.Addr()
	return netip.AddrPortFrom(a, r.U16())
}

// Prefix reads a prefix.
func (r *Reader) Prefix() netip.Prefix {
	a, bits := r.Addr(), r.Int()
	if !a.IsValid() {
		return netip.Prefix{}
	}
	p := netip.PrefixFrom(a, int(max(-1, min(bits, 255))))
	if !p.IsValid() {
		r.fail()
		return netip.Prefix{}
	}
	return p
}

// ReadList reads what AppendList wrote; nil when it is empty.
func ReadList[T any](r *Reader, one func() T) []T {
	n := r.Uint()
	if n > uint64(len(r.b)) { // every value takes a byte at least
		r.fail()
		return nil
	}
	var list []T
	for range n {
		v := one()
		if r.bad {
			return nil
		}
		list = append(list, v)
	}
	return list
}
