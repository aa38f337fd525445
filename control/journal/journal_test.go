package journal

import (
	"bytes"
	"encoding/hex"
	"flag"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/session"
)

var update = flag.Bool("update", false, "write the golden file of the current version")

// fill puts something into every exported field, below v too.
func fill(v reflect.Value, n *int) {
	*n++
	switch x := v.Addr().Interface().(type) {
	case *netip.Addr:
		*x = netip.AddrFrom4([4]byte{10, 0, 0, byte(*n)})
		return
	case *netip.AddrPort:
		*x = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(*n)}), 1701)
		return
	case *netip.Prefix:
		*x = netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(*n), 0, 0}), 16)
		return
	case *time.Time:
		*x = time.Unix(int64(1_700_000_000+*n), int64(*n)*1000).UTC()
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				fill(v.Field(i), n)
			}
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		fill(v.Index(0), n)
		fill(v.Index(1), n)
	case reflect.Array:
		for i := range v.Len() {
			fill(v.Index(i), n)
		}
	case reflect.Bool:
		v.SetBool(true)
	case reflect.String:
		v.SetString(fmt.Sprint("text", *n))
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(int64(*n % 100))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(uint64(*n % 100))
	}
}

func filled[T any](n int) *T {
	v := new(T)
	fill(reflect.ValueOf(v).Elem(), &n)
	return v
}

// someDurable is one of each, everything filled in.
func someDurable() *session.Durable {
	s, t := filled[session.Snapshot](0), filled[session.TunnelSnapshot](50)
	s.TunnelID, s.SessionID, t.ID = 7, 8, 7
	return &session.Durable{
		Tunnels: []session.TunnelSnapshot{*t}, Sessions: []*session.Snapshot{s},
		Calls: []session.CallID{{TunnelID: 7, SessionID: 9, PeerSessionID: 10}},
	}
}

func open(t testing.TB, cfg Config) (*Journal, *session.Durable) {
	t.Helper()
	j, d, err := Open(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return j, d
}

// Every field of a tunnel and a session is there again, also those that were added to
// them since this was written.
func TestEverythingComesBack(t *testing.T) {
	dir := t.TempDir()
	j, d := open(t, Config{Dir: dir})
	if !d.Empty() {
		t.Errorf("a new journal holds %+v", d)
	}
	want := someDurable()
	j.Write(want)
	j.Close()
	j, got := open(t, Config{Dir: dir})
	defer j.Close()
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, not %+v", got.Sessions[0], want.Sessions[0])
	}
}

// What replaces and what ends another thing does so over restarts; nothing that is the
// same is written twice.
func TestLastStateCounts(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Config{Dir: dir})
	d := someDurable()
	j.Write(d)
	before := j.log.Size()
	j.Write(d)
	if j.log.Size() != before || j.unchanged.Load() != 3 {
		t.Errorf("%d bytes were written again", j.log.Size()-before)
	}
	again := *d.Sessions[0]
	again.User = "other"
	d.Tunnels[0].Nr++
	j.Write(&session.Durable{Sessions: []*session.Snapshot{&again}, Tunnels: d.Tunnels})
	j.Write(&session.Durable{CallsGone: d.Calls})
	j.Close()
	j, got := open(t, Config{Dir: dir})
	if len(got.Sessions) != 1 || got.Sessions[0].User != "other" || got.Tunnels[0].Nr != d.Tunnels[0].Nr || len(got.Calls) != 0 {
		t.Errorf("%+v", got)
	}
	// A session on its way out is a call, then nothing; a tunnel goes too.
	j.Write(&session.Durable{Calls: []session.CallID{{TunnelID: 7, SessionID: 8, PeerSessionID: 1}}, TunnelsGone: []uint16{7}})
	j.Close()
	j, got = open(t, Config{Dir: dir})
	if len(got.Sessions)+len(got.Tunnels) != 0 || len(got.Calls) != 1 {
		t.Errorf("%+v", got)
	}
	if err := j.Empty(); err != nil {
		t.Error(err)
	}
	j.Close()
	j, got = open(t, Config{Dir: dir})
	defer j.Close()
	if !got.Empty() {
		t.Errorf("%+v after Empty", got)
	}
}

// The journal stays a few times as large as what lives, whatever has happened.
func TestCompaction(t *testing.T) {
	cfg := Config{Dir: t.TempDir(), SegmentBytes: 8 << 10}
	j, _ := open(t, cfg)
	epoch := j.Epoch(100)
	d := someDurable()
	j.Write(d) // lives on, written once
	busy := *filled[session.TunnelSnapshot](9)
	busy.ID = 99
	for i := range 3000 {
		busy.Nr = uint16(i)
		j.Write(&session.Durable{Tunnels: []session.TunnelSnapshot{busy}})
	}
	if size := j.log.Size(); size > 8*cfg.SegmentBytes {
		t.Errorf("%d bytes for two tunnels and a session", size)
	}
	j.Close()
	j, got := open(t, cfg)
	defer j.Close()
	if len(got.Tunnels) != 2 || len(got.Sessions) != 1 || len(got.Calls) != 1 || got.Tunnels[1].Nr != 2999 && got.Tunnels[0].Nr != 2999 {
		t.Errorf("%d tunnels, %d sessions, %d calls", len(got.Tunnels), len(got.Sessions), len(got.Calls))
	}
	if next := j.Epoch(50); next != epoch+1 {
		t.Errorf("epoch %d after %d", next, epoch)
	}
}

// A journal that ends anywhere is read up to there.
func TestTorn(t *testing.T) {
	dir := t.TempDir()
	j, _ := open(t, Config{Dir: dir})
	d := someDurable()
	j.Write(&session.Durable{Tunnels: d.Tunnels})
	whole := j.log.Size()
	j.Write(&session.Durable{Sessions: d.Sessions})
	j.Close()
	names, _ := filepath.Glob(filepath.Join(dir, "*.log"))
	b, err := os.ReadFile(names[0])
	if err != nil {
		t.Fatal(err)
	}
	for _, cut := range []int{int(whole), int(whole) + 5, len(b) - 1} {
		if err := os.WriteFile(names[0], b[:cut], 0o600); err != nil {
			t.Fatal(err)
		}
		j, got := open(t, Config{Dir: dir})
		if len(got.Tunnels) != 1 || len(got.Sessions) != 0 {
			t.Errorf("cut at %d: %d tunnels, %d sessions", cut, len(got.Tunnels), len(got.Sessions))
		}
		j.Close()
	}
}

// What the first version wrote is still read.
func TestGolden(t *testing.T) {
	c, err := newCodec()
	if err != nil {
		t.Fatal(err)
	}
	d := someDurable()
	for name, v := range map[string]any{"tunnel": &d.Tunnels[0], "session": d.Sessions[0]} {
		file := filepath.Join("testdata", name+".v1.hex")
		if *update {
			b, err := c.marshal(1, v)
			if err == nil {
				err = os.WriteFile(file, []byte(hex.EncodeToString(b)+"\n"), 0o644)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		b, err := hex.DecodeString(strings.TrimSpace(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		got := reflect.New(reflect.TypeOf(v).Elem())
		if err := c.unmarshal(b, got.Interface()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		// Fields that were added since are zero; what was there keeps its name.
		again, err := c.marshal(1, got.Interface())
		if err != nil {
			t.Fatal(err)
		}
		if !holds(t, c, again, b) {
			t.Errorf("%s: a field of the first version is gone or means something else", name)
		}
	}
}

// holds reports whether every field of old has the same value in b.
func holds(t *testing.T, c codec, b, old []byte) bool {
	t.Helper()
	var x, y map[string]any
	if err := c.unmarshal(b, &x); err != nil {
		t.Fatal(err)
	}
	if err := c.unmarshal(old, &y); err != nil {
		t.Fatal(err)
	}
	return contains(x, y)
}

func contains(x, y any) bool {
	my, ok := y.(map[any]any)
	if sy, is := y.(map[string]any); is {
		sx, _ := x.(map[string]any)
		for k, v := range sy {
			if !contains(sx[k], v) {
				return false
			}
		}
		return true
	}
	if !ok {
		if ly, is := y.([]any); is {
			lx, _ := x.([]any)
			for i := range ly {
				if i >= len(lx) || !contains(lx[i], ly[i]) {
					return false
				}
			}
			return true
		}
		return reflect.DeepEqual(x, y)
	}
	mx, _ := x.(map[any]any)
	for k, v := range my {
		if !contains(mx[k], v) {
			return false
		}
	}
	return true
}

// Whatever is in a record, decoding it ends without harm, and what it yields can be
// written and read again.
func FuzzDecode(f *testing.F) {
	c, err := newCodec()
	if err != nil {
		f.Fatal(err)
	}
	d := someDurable()
	for kind, v := range map[byte]any{kindTunnel: &d.Tunnels[0], kindSession: d.Sessions[0]} {
		b, err := c.marshal(1, v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(kind, b)
	}
	f.Add(byte(kindCall), appendCall(nil, d.Calls[0]))
	f.Add(byte(kindGone), appendKey(nil, tunnelKey(7)))
	f.Fuzz(func(t *testing.T, kind byte, b []byte) {
		j := &Journal{codec: c}
		if _, ok := keyOf(kind, b); !ok {
			return
		}
		var d session.Durable
		if j.decode(kind, b, &d) != nil || d.Empty() {
			return
		}
		for _, s := range d.Sessions {
			once, err := c.marshal(1, s)
			if err != nil {
				t.Fatal(err)
			}
			var again session.Snapshot
			if err := c.unmarshal(once, &again); err != nil {
				t.Fatal(err)
			}
			if twice, _ := c.marshal(1, &again); !bytes.Equal(once, twice) {
				t.Errorf("%x became %x", once, twice)
			}
		}
	})
}

// BenchmarkSession is a session that comes up: its call, then the whole of it.
func BenchmarkSession(b *testing.B) {
	j, _ := open(b, Config{Dir: b.TempDir()})
	defer j.Close()
	v := *someDurable().Sessions[0]
	b.ReportAllocs()
	for i := range b.N {
		v.Serial, v.SessionID, v.TunnelID = uint32(i), uint16(i), uint16(i>>16)
		id := session.CallID{TunnelID: v.TunnelID, SessionID: v.SessionID}
		j.Write(&session.Durable{Calls: []session.CallID{id}})
		j.Write(&session.Durable{Sessions: []*session.Snapshot{&v}})
		j.Write(&session.Durable{CallsGone: []session.CallID{id}})
	}
}

// BenchmarkMarshal is a session as most are: IPv4, nothing special granted.
func BenchmarkMarshal(b *testing.B) {
	c, err := newCodec()
	if err != nil {
		b.Fatal(err)
	}
	v := &session.Snapshot{AcctSessionID: "0123456789abcdef", User: "user@example.org", Address: netip.MustParseAddr("10.0.0.1"), UpSince: time.Now(), Opened: time.Now()}
	b.ReportAllocs()
	for b.Loop() {
		x, err := c.marshal(1, v)
		if err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(x)))
	}
}

// BenchmarkOpen is what a start with a hundred thousand sessions waits for.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	j, _ := open(b, Config{Dir: dir})
	for i := range 100_000 {
		v := &session.Snapshot{AcctSessionID: "0123456789abcdef", User: "user@example.org", Address: netip.MustParseAddr("10.0.0.1"), UpSince: time.Now(), Opened: time.Now()}
		v.TunnelID, v.SessionID = uint16(i>>10), uint16(i)
		j.Write(&session.Durable{Sessions: []*session.Snapshot{v}})
	}
	j.Close()
	for b.Loop() {
		j, d := open(b, Config{Dir: dir})
		if len(d.Sessions) != 100_000 {
			b.Fatal(len(d.Sessions))
		}
		j.Close()
	}
}
