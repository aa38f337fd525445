package radius

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// fakeServer is a UDP server that answers by a script.
type fakeServer struct {
	conn *net.UDPConn
	addr netip.AddrPort
	wg   sync.WaitGroup
}

// script returns the packets to send in answer to a request.
type script func(request []byte, from netip.AddrPort) [][]byte

func newFakeServer(t testing.TB, f script) *fakeServer {
	t.Helper()
	conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	_ = conn.SetReadBuffer(4 << 20)
	s := &fakeServer{conn: conn, addr: conn.LocalAddr().(*net.UDPAddr).AddrPort()}
	s.wg.Go(func() {
		buf := make([]byte, radius.MaxPacketLength)
		for {
			n, from, err := conn.ReadFromUDPAddrPort(buf)
			if err != nil {
				return
			}
			for _, b := range f(buf[:n], from) {
				_, _ = conn.WriteToUDPAddrPort(b, from)
			}
		}
	})
	t.Cleanup(func() { conn.Close(); s.wg.Wait() })
	return s
}

// honest accepts all requests.
func honest(request []byte, _ netip.AddrPort) [][]byte {
	if radius.Code(request[0]) == radius.CodeAccountingRequest {
		return [][]byte{respond(request, radius.CodeAccountingResponse, testSecret, unsigned)}
	}
	return [][]byte{respond(request, radius.CodeAccessAccept, testSecret, signed)}
}

func silent([]byte, netip.AddrPort) [][]byte { return nil }

// fast is a configuration for servers on loopback, twenty times faster than
// the default.
func fast(servers ...*fakeServer) Config {
	cfg := Config{
		NASIdentifier:     "lns1",
		InitialRetransmit: 50 * time.Millisecond, MaxRetransmit: 800 * time.Millisecond,
		FailoverAfter: 125 * time.Millisecond, DeadTime: 2 * time.Second,
		AuthTimeout: time.Minute, AcctTimeout: time.Minute, IdleSocket: 200 * time.Millisecond,
	}
	for _, s := range servers {
		cfg.Servers = append(cfg.Servers, Server{Addr: s.addr.Addr(), Priority: len(cfg.Servers), AuthPort: s.addr.Port(), AcctPort: s.addr.Port(), Secret: []byte(testSecret)})
	}
	return cfg
}

// once makes c repeat nothing, for servers that answer at once and count what they hear.
func (c *Config) once() {
	c.InitialRetransmit, c.MaxRetransmit, c.FailoverAfter = time.Minute, time.Minute, time.Minute
}

// results collects answers by session serial.
type results struct {
	t  testing.TB
	mu sync.Mutex
	by map[uint32]*session.AuthResult
	ch chan *session.AuthResult
}

func newResults(t testing.TB) *results {
	return &results{t: t, by: map[uint32]*session.AuthResult{}, ch: make(chan *session.AuthResult, 100_000)}
}

func (r *results) done(a *session.AuthResult) {
	r.mu.Lock()
	if r.by[a.Serial] != nil {
		r.t.Errorf("session %d answered twice", a.Serial)
	}
	r.by[a.Serial] = a
	r.mu.Unlock()
	r.ch <- a
}

// wait returns the next answer.
func (r *results) wait() *session.AuthResult {
	r.t.Helper()
	select {
	case a := <-r.ch:
		return a
	case <-time.After(time.Minute):
		r.t.Fatal("no answer")
		return nil
	}
}

// newTestClient starts a client that is closed with the test.
func newTestClient(t testing.TB, cfg Config) (*Client, *results) {
	t.Helper()
	r := newResults(t)
	c, err := New(cfg, r.done)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeNow(c) })
	return c, r
}

// closeNow closes without waiting for accounting.
func closeNow(c *Client) error {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	return c.Close(ctx)
}

func papRequest(serial uint32) *session.AuthRequest {
	return &session.AuthRequest{Ref: session.Ref{TunnelID: 1, SessionID: 2, Serial: serial}, User: fmt.Sprint("user", serial), Method: session.AuthPAP, Password: []byte("pw")}
}

func startRecord(serial uint32) *session.AcctRecord {
	return &session.AcctRecord{Ref: session.Ref{Serial: serial}, Kind: session.AcctStart, At: time.Now(), User: "u", Call: session.CallInfo{AcctSessionID: fmt.Sprint(serial)}}
}

// eventually waits for a condition.
func eventually(t testing.TB, what string, f func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !f(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func count(c *Client, name string) uint64 {
	for _, n := range c.Counts() {
		if n.Name == name {
			return n.Value
		}
	}
	return 1<<64 - 1
}
