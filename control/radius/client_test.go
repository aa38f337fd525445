package radius

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2866"

	"github.com/lnsd/lnsd/control/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Thousands of requests at once through a server that loses a fifth of the
// packets in each direction, repeats some answers and forges others: each gets
// its own answer, once.
func TestManyInFlight(t *testing.T) {
	const n = 4000
	var mu sync.Mutex
	random := rand.New(rand.NewPCG(1, 2))
	server := newFakeServer(t, func(b []byte, from netip.AddrPort) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		user := rfc2865.UserName_GetString(mustParse(b))
		code := radius.CodeAccessAccept
		if user[len(user)-1] == '7' {
			code = radius.CodeAccessReject
		}
		good := respond(b, code, testSecret, signed, textAVP(rfc2865.ReplyMessage_Type, user))
		switch x := random.Float64(); {
		case x < 0.36:
			return nil
		case x < 0.45:
			return [][]byte{good, good}
		case x < 0.55:
			return [][]byte{respond(b, radius.CodeAccessAccept, "forged", signed), good}
		}
		return [][]byte{good}
	})
	c, r := newTestClient(t, fast(server))
	for i := range uint32(n) {
		if !c.Authenticate(papRequest(i)) {
			t.Fatalf("request %d refused", i)
		}
	}
	for range n {
		a := r.wait()
		user := fmt.Sprint("user", a.Serial)
		want := session.Accept
		if a.Serial%10 == 7 {
			want = session.Reject
		}
		if a.Verdict != want || a.Message != user {
			t.Fatalf("session %d got %+v", a.Serial, a)
		}
	}
	v := c.Servers()[0]
	if v.Retries == 0 || v.BadAnswers == 0 || v.InFlight != 0 || v.Responses != n {
		t.Errorf("view %+v", v)
	}
}

func mustParse(b []byte) *radius.Packet {
	p, err := radius.Parse(b, []byte(testSecret))
	if err != nil {
		panic(err)
	}
	return p
}

// An answer from another port of the same machine is nobody's.
func TestAnswerFromWrongPort(t *testing.T) {
	other, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	server := newFakeServer(t, func(b []byte, from netip.AddrPort) [][]byte {
		good := respond(b, radius.CodeAccessAccept, testSecret, signed)
		_, _ = other.WriteToUDPAddrPort(good, from)
		time.Sleep(50 * time.Millisecond) // for it to be seen first
		return [][]byte{respond(b, radius.CodeAccessReject, testSecret, signed)}
	})
	cfg := fast(server)
	cfg.InitialRetransmit, cfg.MaxRetransmit, cfg.FailoverAfter = time.Second, time.Second, time.Second
	c, r := newTestClient(t, cfg)
	c.Authenticate(papRequest(1))
	if a := r.wait(); a.Verdict != session.Reject {
		t.Errorf("the stranger's answer was taken: %+v", a)
	}
	if c.Servers()[0].BadAnswers != 1 {
		t.Errorf("%d bad answers, want 1", c.Servers()[0].BadAnswers)
	}
}

// Every request that was taken is answered, also when no server is there and the
// client is closed; what the bounds do not allow is refused and counted.
func TestBoundsAndClose(t *testing.T) {
	cfg := fast(newFakeServer(t, silent))
	cfg.MaxSockets, cfg.AuthQueue, cfg.AcctQueue, cfg.AuthTimeout = 1, 100, 100, time.Hour
	c, r := newTestClient(t, cfg)
	taken, refused := 0, 0
	for i := range uint32(1000) {
		if c.Authenticate(papRequest(i)) {
			taken++
		} else if refused++; c.Servers()[0].InFlight < 256 {
			// The pump had no time yet to move the queue into its socket.
			eventually(t, "room", func() bool {
				v := c.Servers()[0]
				return v.Queued == 0 || v.InFlight == 256
			})
		}
	}
	if taken != 356 {
		t.Errorf("%d taken, want 256 in flight and 100 queued", taken)
	}
	if got := count(c, "radius_auth_queue_full"); got != uint64(refused) {
		t.Errorf("%d refusals counted, want %d", got, refused)
	}
	interims := 0
	for i := range uint32(300) {
		rec := startRecord(i)
		rec.Kind = session.AcctInterim
		if c.Account(rec) {
			interims++
		}
	}
	starts := 0
	for i := range uint32(300) {
		if c.Account(startRecord(i)) {
			starts++
		}
	}
	if interims < 75 || starts < 20 || count(c, "radius_acct_interim_refused") != uint64(300-interims) {
		t.Errorf("%d interim and %d start records taken", interims, starts)
	}
	if err := closeNow(c); err == nil || count(c, "radius_acct_lost") != uint64(interims+starts) {
		t.Errorf("close: %v, %d records counted as lost of %d", err, count(c, "radius_acct_lost"), interims+starts)
	}
	if c.Authenticate(papRequest(1)) || c.Account(startRecord(1)) {
		t.Error("a closed client takes requests")
	}
	if len(r.by) != taken {
		t.Fatalf("%d answers for %d requests", len(r.by), taken)
	}
	for _, a := range r.by {
		if a.Verdict != session.Unavailable || a.Cause == "" {
			t.Fatalf("got %+v", a)
		}
	}
}

// Close delivers the accounting records that are queued.
func TestCloseFlushesAccounting(t *testing.T) {
	var mu sync.Mutex
	got := map[string]bool{}
	server := newFakeServer(t, func(b []byte, _ netip.AddrPort) [][]byte {
		time.Sleep(100 * time.Microsecond)
		mu.Lock()
		defer mu.Unlock()
		got[string(mustParse(b).Get(rfc2866.AcctSessionID_Type))] = true
		return honest(b, netip.AddrPort{})
	})
	c, _ := newTestClient(t, fast(server))
	for i := range uint32(500) {
		if !c.Account(startRecord(i)) {
			t.Fatal("refused")
		}
	}
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	if len(got) != 500 {
		t.Errorf("%d of 500 records delivered", len(got))
	}
	mu.Unlock()
	if err := c.Close(context.Background()); err != nil {
		t.Errorf("second close: %v", err)
	}
}

// An outage in the middle of the load costs no accounting record, and when it is
// over descriptors and goroutines are what they were.
func TestOutageLeavesNothing(t *testing.T) {
	var down sync.Mutex
	out := false
	sockets := map[netip.AddrPort]bool{} // that the load came from
	server := newFakeServer(t, func(b []byte, from netip.AddrPort) [][]byte {
		down.Lock()
		defer down.Unlock()
		if out {
			sockets[from] = true
			return nil
		}
		return honest(b, from)
	})
	setOut := func(v bool) { down.Lock(); out = v; down.Unlock() }
	cfg := fast(server)
	// Much of the load is to be under way before the server is given up.
	cfg.FailoverAfter, cfg.AuthTimeout = 2*time.Second, 2500*time.Millisecond
	c, r := newTestClient(t, cfg)
	c.Authenticate(papRequest(0))
	c.Account(startRecord(0))
	r.wait()
	eventually(t, "first record", func() bool { return count(c, "radius_acct_delivered") == 1 })
	fds, goroutines := openFiles(t), runtime.NumGoroutine()

	setOut(true)
	const n = 3000
	for i := range uint32(n) {
		if !c.Authenticate(papRequest(i+1)) || !c.Account(startRecord(i+1)) {
			t.Fatal("refused")
		}
	}
	for range n {
		if a := r.wait(); a.Verdict != session.Unavailable {
			t.Fatalf("got %+v", a)
		}
	}
	down.Lock()
	if len(sockets) < 4 {
		t.Error("the load opened no sockets: the test proves nothing")
	}
	down.Unlock()
	for _, v := range c.Servers() {
		if v.State == "up" {
			t.Errorf("%s server is up in an outage", v.Purpose)
		}
	}
	setOut(false)
	eventually(t, "all records delivered", func() bool { return count(c, "radius_acct_delivered") == n+1 })
	if lost := count(c, "radius_acct_lost"); lost != 0 {
		t.Errorf("%d records lost", lost)
	}
	eventually(t, "descriptors back to the base", func() bool { return openFiles(t) == fds })
	eventually(t, "goroutines back to the base", func() bool { return runtime.NumGoroutine() == goroutines })
}

// openFiles is the number of this process's open descriptors.
func openFiles(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// The second server takes over when the first is gone, and hands back when it
// returns.
func TestFailoverAndBack(t *testing.T) {
	var mu sync.Mutex
	out := true
	primary := newFakeServer(t, func(b []byte, from netip.AddrPort) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		if out {
			return nil
		}
		return honest(b, from)
	})
	c, r := newTestClient(t, fast(primary, newFakeServer(t, honest)))
	c.Authenticate(papRequest(0))
	if a := r.wait(); a.Verdict != session.Accept {
		t.Fatalf("got %+v", a)
	}
	if v := c.Servers(); v[0].State != "dead" || v[1].Accepts != 1 {
		t.Errorf("servers %+v", v[:2])
	}
	mu.Lock()
	out = false
	mu.Unlock()
	serial := uint32(1)
	eventually(t, "primary up again", func() bool {
		c.Authenticate(papRequest(serial))
		serial++
		return r.wait().Verdict == session.Accept && c.Servers()[0].State == "up"
	})
}

func TestSourcePorts(t *testing.T) {
	var mu sync.Mutex
	ports := map[uint16]bool{}
	server := newFakeServer(t, func(b []byte, from netip.AddrPort) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		ports[from.Port()] = true
		return nil
	})
	cfg := fast(server)
	cfg.Source = netip.MustParseAddr("127.0.0.1")
	cfg.Servers[0].AcctPort = 0
	cfg.PortMin, cfg.PortMax = 29310, 29312
	taken, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 29311})
	if err != nil {
		t.Skip("port 29311 is in use:", err)
	}
	defer taken.Close()
	c, _ := newTestClient(t, cfg)
	for i := range uint32(1000) {
		c.Authenticate(papRequest(i))
	}
	eventually(t, "both free ports in use", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(ports) == 2
	})
	mu.Lock()
	defer mu.Unlock()
	if !ports[29310] || !ports[29312] || c.Servers()[0].InFlight > 513 {
		t.Errorf("ports %v, view %+v", ports, c.Servers()[0])
	}
	if c.Account(startRecord(1)) {
		t.Error("a record was taken with no accounting server")
	}
}

func TestOnOff(t *testing.T) {
	var mu sync.Mutex
	var kinds []rfc2866.AcctStatusType
	server := newFakeServer(t, func(b []byte, from netip.AddrPort) [][]byte {
		mu.Lock()
		defer mu.Unlock()
		kinds = append(kinds, rfc2866.AcctStatusType_Get(mustParse(b)))
		return honest(b, from)
	})
	cfg := fast(server)
	cfg.InitialRetransmit, cfg.MaxRetransmit, cfg.FailoverAfter = time.Minute, time.Minute, time.Minute // once each
	c, _ := newTestClient(t, cfg)
	c.On("boot", time.Now())
	eventually(t, "On delivered", func() bool { return count(c, "radius_acct_delivered") == 1 })
	c.Off("boot", time.Now())
	if err := c.Close(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	if want := []rfc2866.AcctStatusType{7, 8}; !slices.Equal(kinds, want) {
		t.Errorf("kinds %v, want %v", kinds, want)
	}
}

// A session whose credentials fit in no packet is refused, not kept waiting.
func TestUnsendableIsAnswered(t *testing.T) {
	c, r := newTestClient(t, fast(newFakeServer(t, honest)))
	c.Authenticate(&session.AuthRequest{Ref: testRef, User: "u", Method: session.AuthCHAP, Response: []byte("short")})
	if a := r.wait(); a.Ref != testRef || a.Verdict != session.Reject || a.Cause != errCredentials.Error() {
		t.Errorf("got %+v", a)
	}
	if count(c, "radius_auth_unsendable") != 1 {
		t.Error("not counted")
	}
}

func TestConfigErrors(t *testing.T) {
	for name, change := range map[string]func(*Config){
		"no server":        func(c *Config) { c.Servers = nil },
		"no address":       func(c *Config) { c.Servers[0].Addr = netip.Addr{} },
		"no secret":        func(c *Config) { c.Servers[0].Secret = nil },
		"no port":          func(c *Config) { c.Servers[0].AuthPort, c.Servers[0].AcctPort = 0, 0 },
		"other family":     func(c *Config) { c.Source = netip.MustParseAddr("2001:db8::1") },
		"ports reversed":   func(c *Config) { c.PortMin, c.PortMax = 20, 10 },
		"ports half given": func(c *Config) { c.PortMax = 10 },
		"nobody":           func(c *Config) { c.NASIdentifier, c.NASAddress = "", netip.Addr{} },
		"negative bound":   func(c *Config) { c.AuthQueue = -1 },
		"negative time":    func(c *Config) { c.DeadTime = -1 },
		"MRT below IRT":    func(c *Config) { c.InitialRetransmit, c.MaxRetransmit = 2, 1 },
	} {
		cfg := testConfig(1)
		change(&cfg)
		if c, err := New(cfg, nil); err == nil {
			t.Errorf("%s: accepted", name)
			closeNow(c)
		}
	}
}
