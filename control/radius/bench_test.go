package radius

import (
	"net"
	"net/netip"
	"testing"

	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/session"
)

// outstanding is how many requests the benchmarks keep in flight: as many as fit in
// a socket buffer of the default size.
const outstanding = 200

// BenchmarkAuthenticate measures whole authentications against a server in the
// same process, and beside it the same number of datagrams of the same size sent
// to and fro with nothing done to them: what the sockets alone would allow.
func BenchmarkAuthenticate(b *testing.B) {
	subscriber := chapRequest("alice", "secret")
	b.Run("client", func(b *testing.B) {
		tokens := make(chan struct{}, outstanding)
		cfg := fast(newFakeServer(b, honest))
		cfg.InitialRetransmit, cfg.MaxRetransmit = cfg.AuthTimeout, cfg.AuthTimeout
		cfg.AuthQueue = outstanding
		c, err := New(cfg, func(r *session.AuthResult) {
			if r.Verdict != session.Accept {
				b.Errorf("got %+v", r)
			}
			<-tokens
		})
		if err != nil {
			b.Fatal(err)
		}
		defer closeNow(c)
		b.ReportAllocs()
		for b.Loop() {
			tokens <- struct{}{}
			if !c.Authenticate(subscriber) {
				b.Fatal("queue full")
			}
		}
		for range outstanding { // all answered
			tokens <- struct{}{}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
	})
	b.Run("echo", func(b *testing.B) {
		cfg := testConfig(1).withDefaults()
		wire, err := testRequests(&cfg).access(newServer(cfg.Servers[0], 1), 1, &request{auth: subscriber})
		if err != nil {
			b.Fatal(err)
		}
		tokens := make(chan struct{}, outstanding)
		server := newFakeServer(b, func(p []byte, _ netip.AddrPort) [][]byte { return [][]byte{p[:38]} })
		conn, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			b.Fatal(err)
		}
		_ = conn.SetReadBuffer(4 << 20)
		done := make(chan struct{})
		go func() {
			defer close(done)
			buf := make([]byte, radius.MaxPacketLength)
			for {
				if _, _, err := conn.ReadFromUDPAddrPort(buf); err != nil {
					return
				}
				<-tokens
			}
		}()
		for b.Loop() {
			tokens <- struct{}{}
			if _, err := conn.WriteToUDPAddrPort(wire, server.addr); err != nil {
				b.Fatal(err)
			}
		}
		for range outstanding {
			tokens <- struct{}{}
		}
		b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
		conn.Close()
		<-done
	})
}

// BenchmarkExchange is the client's own work without sockets: encode a request,
// match and decode its answer.
func BenchmarkExchange(b *testing.B) {
	q := chapRequest("alice", "secret")
	cfg := testConfig(1).withDefaults()
	silence, table := &keptPort{}, testTable(cfg)
	var out effects
	x := newExchange(&cfg, authentication, testRequests(&cfg).access, func(*socket) (port, error) { return silence, nil }, func() float64 { return 0.5 })
	b.ReportAllocs()
	for b.Loop() {
		r := &request{auth: q, giveUp: start.Add(cfg.AuthTimeout)}
		x.start(start, r, &out)
		answer := respond(r.wire, radius.CodeAccessAccept, testSecret, signed, avp(8, 10, 0, 0, 7), intAVP(27, 3600), textAVP(25, "class"))
		out.reset()
		if _, p, f := x.answer(start, r.socket, x.servers[0].addr, answer, &out); f != valid {
			b.Fatal(f)
		} else if res, _ := decodeReply(table, q, p); res.Verdict != session.Accept {
			b.Fatal(res)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "requests/s")
}

// BenchmarkEncode writes packets.
func BenchmarkEncode(b *testing.B) {
	cfg := testConfig(1).withDefaults()
	q, s := testRequests(&cfg), newServer(cfg.Servers[0], 1)
	r := &request{auth: chapRequest("alice", "secret"), acct: &session.AcctRecord{Kind: session.AcctStop, User: "alice", Call: testCall()}}
	for name, encode := range map[string]encoder{"access": q.access, "accounting": q.account} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := encode(s, 1, r); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// keptPort is a socket that sends nothing.
type keptPort struct{}

func (*keptPort) send([]byte, netip.AddrPort) {}
func (*keptPort) close()                      {}
