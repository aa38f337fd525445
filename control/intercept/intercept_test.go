package intercept

import (
	"bufio"
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lnsd/lnsd/control/session"
)

// ring is a source whose copies are pushed by the test.
type ring struct {
	copies    chan session.PacketCopy
	lost      uint64
	others    uint64 // lost of sessions without a counter
	forgotten []uint32
}

func (r *ring) RunCopies(ctx context.Context, f func(*session.PacketCopy)) error {
	for {
		select {
		case c := <-r.copies:
			f(&c)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (r *ring) CopiesLost(slot uint32) uint64 {
	if slot == 0 {
		return r.others
	}
	return r.lost
}

func (r *ring) ForgetCopiesLost(slot uint32) { r.forgotten = append(r.forgotten, slot) }

// collector is a receiver that keeps what it gets.
type collector struct {
	net  *net.UDPConn
	addr netip.AddrPort
}

func newCollector(t *testing.T, addr string) *collector {
	t.Helper()
	c, err := net.ListenUDP("udp", net.UDPAddrFromAddrPort(netip.MustParseAddrPort(addr)))
	if err != nil {
		t.Skipf("no receiver at %s: %v", addr, err)
	}
	t.Cleanup(func() { c.Close() })
	return &collector{c, c.LocalAddr().(*net.UDPAddr).AddrPort()}
}

func (c *collector) next(t *testing.T) []byte {
	t.Helper()
	b := make([]byte, 65536)
	c.net.SetReadDeadline(time.Now().Add(time.Minute))
	n, err := c.net.Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return b[:n]
}

func ref(tunnel, id uint16, serial uint32) session.Ref {
	return session.Ref{TunnelID: tunnel, SessionID: id, Serial: serial}
}

func record(slot uint32, r session.Ref, to netip.AddrPort) []session.ProgramOp {
	rec := session.Record{Ref: r, Slot: slot, User: fmt.Sprintf("user%d", slot), AcctSessionID: "00000001000000ff"}
	if to.IsValid() {
		rec.Services = &session.Services{Intercept: to}
	}
	return []session.ProgramOp{{Record: rec}}
}

func copyOf(slot uint32, r session.Ref, up bool, packet string) session.PacketCopy {
	return session.PacketCopy{At: time.Unix(100, 7), Slot: slot, TunnelID: r.TunnelID, SessionID: r.SessionID, Up: up,
		Length: len(packet), Packet: []byte(packet)}
}

// start runs interceptions over real sockets.
func start(t *testing.T, format string) (*Interceptions, *ring) {
	t.Helper()
	f, err := ParseFormat(format)
	if err != nil {
		t.Fatal(err)
	}
	u, err := OpenUDP()
	if err != nil {
		t.Fatal(err)
	}
	x, r := New(f, u, zap.NewNop()), &ring{copies: make(chan session.PacketCopy, 16)}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { x.Run(ctx, r) })
	t.Cleanup(func() {
		cancel()
		wg.Wait()
		if err := u.Close(); err != nil {
			t.Error(err)
		}
	})
	return x, r
}

// Copies of both paths arrive as they were taken, in IPv4 and IPv6, and a change of
// the receiver moves what comes after it.
func TestCopiesArrive(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		t.Run(addr, func(t *testing.T) {
			first, second := newCollector(t, addr), newCollector(t, "127.0.0.1:0")
			x, r := start(t, "raw")
			a := ref(1, 2, 3)
			x.Apply(record(7, a, first.addr))
			r.copies <- copyOf(7, a, true, "sent")
			if got := first.next(t); string(got) != "sent" {
				t.Errorf("got %q", got)
			}
			c := copyOf(7, a, false, "received")
			x.Intercepted(&c)
			if got := first.next(t); string(got) != "received" {
				t.Errorf("got %q", got)
			}
			x.Apply(record(7, a, second.addr))
			long := string(bytes.Repeat([]byte("x"), 9000)) // in fragments, where need be
			r.copies <- copyOf(7, a, true, long)
			if got := second.next(t); string(got) != long {
				t.Errorf("got %d bytes", len(got))
			}
			r.lost = 5
			v := x.List(r)
			for end := time.Now().Add(time.Minute); v[0].UpPackets < 2 && time.Now().Before(end); v = x.List(r) {
				time.Sleep(time.Millisecond) // it is counted when it has been sent
			}
			if len(v) != 1 || v[0].UpPackets != 2 || v[0].DownPackets != 1 || v[0].UpBytes != 9004 || v[0].Lost != 5 || v[0].Target != second.addr {
				t.Errorf("list %+v", v)
			}
		})
	}
}

// Copies never reach a stranger: those of an earlier session of the slot, and those of
// a session that is not intercepted, go nowhere; those under way at the end still do.
func TestCopiesReachNobodyElse(t *testing.T) {
	c := newCollector(t, "127.0.0.1:0")
	x, r := start(t, "raw")
	old, next := ref(1, 2, 3), ref(1, 9, 4)
	x.Apply(record(7, old, c.addr))
	x.Apply(record(7, old, netip.AddrPort{}))
	r.copies <- copyOf(7, old, true, "under way")
	if got := c.next(t); string(got) != "under way" {
		t.Errorf("got %q", got)
	}
	if v := x.List(r); len(v) != 0 {
		t.Errorf("list %+v", v)
	}
	x.Apply(record(7, next, c.addr))
	r.copies <- copyOf(7, old, true, "of the former session")
	r.copies <- copyOf(8, old, true, "of another")
	r.copies <- copyOf(7, next, true, "of the session")
	if got := c.next(t); string(got) != "of the session" {
		t.Errorf("got %q", got)
	}
}

// The slow path does not wait: what it has too much of is lost and counted, while the
// ring's reader waits and loses nothing.
func TestQueueIsBounded(t *testing.T) {
	q := newQueue(nil)
	s := &subject{}
	write := func(b []byte) []byte { return append(b, make([]byte, 1000)...) }
	n := 0
	for q.add(s, netip.AddrPort{}, false, write) {
		n++
	}
	if n != queuePackets {
		t.Errorf("%d packets queued", n)
	}
	waited := make(chan bool)
	go func() { waited <- q.add(s, netip.AddrPort{}, true, write) }()
	select {
	case <-waited:
		t.Fatal("a full queue took one more")
	case <-time.After(20 * time.Millisecond):
	}
	q.transport = discard{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { q.run(ctx); close(done) }()
	if !<-waited {
		t.Error("who waited was refused")
	}
	cancel()
	<-done
	if q.add(s, netip.AddrPort{}, true, write) {
		t.Error("taken after the end")
	}
}

type discard struct{}

func (discard) Send([]Datagram, func(int)) {}

// What can't be sent is counted for its session.
func TestNotSent(t *testing.T) {
	u := &UDP{}
	failed := 0
	u.Send([]Datagram{{netip.MustParseAddrPort("[::1]:9"), nil}, {netip.MustParseAddrPort("[::1]:9"), nil}}, func(int) { failed++ })
	if failed != 2 {
		t.Errorf("%d failed", failed)
	}
}

func TestHeaderFormat(t *testing.T) {
	c := copyOf(7, ref(1, 2, 3), false, "packet")
	b := withHeader{}.Append([]byte("before"), &c, &Header{Sequence: 9, AcctSessionID: "00000001000000ff-2"})[6:]
	if b[0] != 1 || b[1] != 1 || binary.BigEndian.Uint16(b[2:]) != 28 || binary.BigEndian.Uint32(b[4:]) != 9 ||
		binary.BigEndian.Uint64(b[8:]) != 100e9+7 || binary.BigEndian.Uint64(b[16:]) != 0x1_000000ff ||
		binary.BigEndian.Uint32(b[24:]) != 6 || string(b[28:]) != "packet" {
		t.Errorf("got % x", b)
	}
	c.Up = true
	if b := (withHeader{}).Append(nil, &c, &Header{AcctSessionID: "x"}); b[1] != 0 || len(b) != 34 {
		t.Errorf("got % x", b)
	}
	if _, err := ParseFormat("pcap"); err == nil {
		t.Error("an unknown format was taken")
	}
}

func lines(t *testing.T, path string) (out []map[string]any) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		var m map[string]any
		if err := json.Unmarshal(s.Bytes(), &m); err != nil {
			t.Fatalf("%s: %v", s.Text(), err)
		}
		out = append(out, m)
	}
	return out
}

// The audit log holds each start, change and end, survives rotation, and is the
// owner's alone.
func TestAudit(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit")
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	a, err := OpenAudit(path, zap.NewNop())
	if err != nil {
		t.Fatal(err)
	}
	one, two := netip.MustParseAddrPort("192.0.2.1:9"), netip.MustParseAddrPort("[2001:db8::1]:9")
	x := session.Interception{Slot: 7, User: "alice", AcctSessionID: "00ff", At: time.Unix(0, 0), To: one, By: "uid 0"}
	a.Intercepted(x)
	x.From, x.To = one, two
	a.Intercepted(x)
	for range 1000 { // the writer takes them when it does
		if info, err := os.Stat(path); err == nil && info.Size() > 0 && len(lines(t, path)) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := a.Reopen(path); err != nil {
		t.Fatal(err)
	}
	x.From, x.To, x.By = two, netip.AddrPort{}, ""
	a.Intercepted(x)
	if err := a.Reopen(filepath.Join(path, "not", "there")); err == nil {
		t.Error("a file was opened that can't be")
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	got := fmt.Sprint(append(lines(t, path+".1"), lines(t, path)...))
	want := "[map[acct_session_id:00ff at:1970-01-01T00:00:00Z by:uid 0 event:start from:<nil> slot:7 to:192.0.2.1:9 user:alice]" +
		" map[acct_session_id:00ff at:1970-01-01T00:00:00Z by:uid 0 event:change from:192.0.2.1:9 slot:7 to:[2001:db8::1]:9 user:alice]" +
		" map[acct_session_id:00ff at:1970-01-01T00:00:00Z by:end of session event:stop from:[2001:db8::1]:9 slot:7 to:<nil> user:alice]]"
	if got != want {
		t.Errorf("log\n got %s\nwant %s", got, want)
	}
	for _, p := range []string{path, path + ".1"} {
		if info, err := os.Stat(p); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", p, info.Mode(), err)
		}
	}
}

// Without a file the daemon's log tells that there was something, and nothing of it.
func TestAuditWithoutFile(t *testing.T) {
	core, logs := observer.New(zap.DebugLevel)
	a, err := OpenAudit("", zap.New(core))
	if err != nil {
		t.Fatal(err)
	}
	a.Intercepted(session.Interception{User: "alice", To: netip.MustParseAddrPort("192.0.2.1:9"), By: "uid 0"})
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	if logs.Len() != 1 || bytes.Contains([]byte(fmt.Sprint(logs.All())), []byte("alice")) {
		t.Errorf("logged %v", logs.All())
	}
}

// The counter of a session's losses is given back when its last copies are through, and
// losses that there was no counter left for are shown apart.
func TestLossesOfOthers(t *testing.T) {
	x, from := New(raw{}, nil, zap.NewNop()), &ring{lost: 3}
	to := netip.MustParseAddrPort("192.0.2.9:4000")
	x.Apply(record(7, ref(1, 2, 3), to))
	x.Apply(record(8, ref(1, 3, 4), to))
	if l := x.List(from); len(l) != 2 || l[0].Slot != 7 {
		t.Fatalf("%+v", l)
	}
	from.others = 5
	if l := x.List(from); len(l) != 3 || l[0].Slot != 0 || l[0].Lost != 5 || l[0].Target.IsValid() || l[1].Lost != 3 {
		t.Errorf("%+v", l)
	}
	x.Apply(record(7, ref(1, 2, 3), netip.AddrPort{}))
	x.forgetAt(time.Now(), from)
	if len(from.forgotten) != 0 {
		t.Error("forgotten while copies may be under way")
	}
	x.forgetAt(time.Now().Add(linger+time.Second), from)
	if len(from.forgotten) != 1 || from.forgotten[0] != 7 {
		t.Errorf("forgotten are %v", from.forgotten)
	}
}
