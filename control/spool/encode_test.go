package spool

import (
	"bytes"
	"encoding/hex"
	"flag"
	"net/netip"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

var update = flag.Bool("update", false, "write the golden file of the current version")

// full has something in every field.
func full() *session.AcctRecord {
	return &session.AcctRecord{
		Ref: session.Ref{TunnelID: 1, SessionID: 2, Serial: 3}, Slot: 4, Kind: session.AcctStop,
		At: time.Unix(1_700_000_000, 5).UTC(), User: "user@example.org", Login: "user", Method: session.AuthCHAP,
		Address: netip.MustParseAddr("10.0.0.1"),
		Routes:  []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
		IPv6: &session.Network6{
			InterfaceID: [8]byte{1, 2, 3, 4, 5, 6, 7, 8},
			Prefixes:    []netip.Prefix{netip.MustParsePrefix("2001:db8:1::/64")},
			Delegated:   []netip.Prefix{netip.MustParsePrefix("2001:db8:100::/56")},
			Addresses:   []netip.Addr{netip.MustParseAddr("2001:db8:2::1")},
			Routes:      []netip.Prefix{netip.MustParsePrefix("2001:db8:3::/48")},
			DNS:         []netip.Addr{netip.MustParseAddr("2001:db8::53")},
		},
		Class: [][]byte{{0, 1, 2}, []byte("second")},
		CUI:   []byte("cui"), Local: true,
		Call: session.CallInfo{
			AcctSessionID: "0123456789abcdef", CalledNumber: "100", CallingNumber: "200", CallSerial: 6,
			TxSpeed: 7, RxSpeed: 8, PhysicalChannel: 9,
			LAC: netip.MustParseAddrPort("192.0.2.1:1701"), LNS: netip.MustParseAddrPort("[2001:db8::1]:1701"),
			LACName: "lac", LNSName: "lns", PeerTunnelID: 10, PeerSessionID: 11,
			Line: &session.AccessLine{
				CircuitID: "eth 1/2", RemoteID: "r", Loop: "\x01\x02\x00", Interworking: true,
				Values: [14]uint32{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 1<<32 - 1},
			},
		},
		Duration: 12 * time.Second,
		Counters: session.Counters{
			UpPackets: 13, UpBytes: 14, DownPackets: 15, DownBytes: 16, UpDropped: 17, DownDropped: 18,
			UpPackets6: 19, UpBytes6: 20, DownPackets6: 21, DownBytes6: 22, UpThrottled: 33, DownThrottled: 34, LastSeen: time.Unix(1_700_000_001, 0).UTC(),
		},
		Base: &session.Counters{
			UpPackets: 23, UpBytes: 24, DownPackets: 25, DownBytes: 26, UpDropped: 27, DownDropped: 28,
			UpPackets6: 29, UpBytes6: 30, DownPackets6: 31, DownBytes6: 32, UpThrottled: 35, DownThrottled: 36, LastSeen: time.Unix(1_700_000_002, 0).UTC(),
		},
		Cause: session.CauseUserRequest, Throttled: true, Tunnel: "fedcba9876543210",
	}
}

// Every version that was ever written is read.
func TestGolden(t *testing.T) {
	const name = "testdata/record.v1.hex"
	if *update {
		if err := os.WriteFile(name, []byte(hex.EncodeToString(appendRecord(nil, full()))+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	b, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	got, err := parseRecord(b)
	if err != nil || !reflect.DeepEqual(got, full()) {
		t.Errorf("%+v: %v", got, err)
	}
	if now := appendRecord(nil, full()); !bytes.Equal(now, b) {
		t.Errorf("written as %x, not %x: a change needs a new version", now, b)
	}
}

// A field that is added to a record must be kept, too, or be named here.
func TestEveryFieldIsKept(t *testing.T) {
	var look func(name string, v reflect.Value)
	look = func(name string, v reflect.Value) {
		if name == "Counters.PeerSeen" || name == "Base.PeerSeen" { // means nothing to a later process
			return
		}
		if v.IsZero() {
			t.Errorf("%s is not in the test's record; is it encoded?", name)
		}
		if v.Kind() == reflect.Pointer {
			v = v.Elem()
		}
		if v.Kind() == reflect.Struct && strings.HasPrefix(v.Type().PkgPath(), "github.com/lnsd") {
			for i := range v.NumField() {
				look(strings.TrimPrefix(name+"."+v.Type().Field(i).Name, "."), v.Field(i))
			}
		}
	}
	look("", reflect.ValueOf(full()))
}

func TestEmptyRecord(t *testing.T) {
	want := &session.AcctRecord{Kind: session.AcctStart}
	if got, err := parseRecord(appendRecord(nil, want)); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v: %v", got, err)
	}
}

func FuzzRecord(f *testing.F) {
	f.Add(appendRecord(nil, full()))
	f.Add(appendRecord(nil, &session.AcctRecord{}))
	f.Add([]byte{version + 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		rec, err := parseRecord(b)
		if err != nil {
			return
		}
		once := appendRecord(nil, rec)
		again, err := parseRecord(once)
		if err != nil || !reflect.DeepEqual(rec, again) {
			t.Errorf("%+v became %+v: %v", rec, again, err)
		}
	})
}
