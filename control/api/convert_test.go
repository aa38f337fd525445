package api

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/lnsd/lnsd/control/session"
)

// fill gives every field of a struct a value that is not zero.
func fill(v reflect.Value) {
	for i := range v.NumField() {
		f := v.Field(i)
		switch x := f.Addr().Interface().(type) {
		case *time.Time:
			*x = time.Unix(1_000_000, int64(i))
		case *netip.Addr:
			*x = netip.MustParseAddr("192.0.2.1")
		case *netip.AddrPort:
			*x = netip.MustParseAddrPort("192.0.2.1:1701")
		case *[]netip.Prefix:
			*x = []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}
		case *[]netip.Addr:
			*x = []netip.Addr{netip.MustParseAddr("2001:db8::1")}
		case *netip.Prefix:
			*x = netip.MustParsePrefix("2001:db8::/56")
		case *[2]netip.Addr:
			x[0] = netip.MustParseAddr("192.0.2.53")
		default:
			fillKind(f, i)
		}
	}
}

func fillKind(f reflect.Value, i int) {
	switch {
	case f.Kind() == reflect.Struct:
		fill(f)
	case f.Kind() == reflect.Pointer:
		f.Set(reflect.New(f.Type().Elem()))
		fillKind(f.Elem(), i)
	case f.Kind() == reflect.Slice:
		f.Set(reflect.MakeSlice(f.Type(), 1, 1))
		fillKind(f.Index(0), i)
	case f.Kind() == reflect.Array:
		fillKind(f.Index(0), i)
	case f.Kind() == reflect.String:
		f.SetString("text")
	case f.Kind() == reflect.Bool:
		f.SetBool(true)
	case f.CanInt():
		f.SetInt(int64(i + 1))
	default:
		f.SetUint(uint64(i%2 + 1))
	}
}

// What the daemon shows of a thing is in its message: a value with every field set
// leaves no field of the message empty, but for those that nothing fills yet.
func TestMessagesLeaveNothingOut(t *testing.T) {
	now := time.Unix(2_000_000, 0)
	var (
		v session.View
		u session.TunnelView
		p session.PoolView
		l session.LeaseView
		a session.AuthServerView
	)
	for _, x := range []any{&v, &u, &p, &l, &a} {
		fill(reflect.ValueOf(x).Elem())
	}
	for _, m := range []proto.Message{
		sessionMessage(&v, now, true), tunnelMessage(&u, now), poolMessage(&p), leaseMessage(&l, now), serverMessage(&a),
	} {
		checkFull(t, m, nil)
	}
}

func checkFull(t *testing.T, m proto.Message, except map[string]bool) {
	r := m.ProtoReflect()
	fields := r.Descriptor().Fields()
	for i := range fields.Len() {
		f := fields.Get(i)
		if r.Has(f) == except[string(f.Name())] {
			t.Errorf("%s.%s: set is %v", r.Descriptor().Name(), f.Name(), r.Has(f))
		}
		if f.Message() != nil && !f.IsList() && r.Has(f) {
			checkFull(t, r.Get(f).Message().Interface(), nil)
		}
	}
}

// The daemon's group may do all but intercept, strangers nothing.
func TestRightsOnTheSocket(t *testing.T) {
	o := owner{uid: 100, gid: 200}
	const all = RightView | RightOperate | RightAdmin | RightIntercept
	for _, c := range []struct {
		who  process
		want Right
	}{
		{process{uid: 0}, all},
		{process{uid: 100, groups: []uint32{1}}, all},
		{process{uid: 5, groups: []uint32{1, 200}}, all &^ RightIntercept},
		{process{uid: 5, groups: []uint32{100}}, 0},
		{process{uid: 200}, 0},
	} {
		if got := o.rights(c.who); got != c.want {
			t.Errorf("%+v: %v", c.who, got)
		}
	}
}
