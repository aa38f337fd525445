package dae

import (
	"context"
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/zap"
	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
	"layeh.com/radius/rfc3576"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

const testSecret = "dae secret"

// order is one call of the fake sessions.
type order struct {
	end    bool
	x      session.Selector
	change *session.Change
	o      session.ChangeOptions
}

// fakeSessions notes orders and answers as told.
type fakeSessions struct {
	mu     sync.Mutex
	orders []order
	err    error
	hold   chan struct{} // closed to let orders go on
}

func (f *fakeSessions) take(o order) (int, error) {
	f.mu.Lock()
	f.orders = append(f.orders, o)
	hold, err := f.hold, f.err
	f.mu.Unlock()
	if hold != nil {
		<-hold
	}
	if err != nil {
		return 0, err
	}
	return 1, nil
}

func (f *fakeSessions) Change(_ context.Context, x session.Selector, c *session.Change, o session.ChangeOptions) (int, error) {
	return f.take(order{x: x, change: c, o: o})
}

func (f *fakeSessions) End(_ context.Context, x session.Selector, o session.ChangeOptions) (int, error) {
	return f.take(order{end: true, x: x, o: o})
}

// say makes all that follow answer with err.
func (f *fakeSessions) say(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.err = err
}

func (f *fakeSessions) taken() []order {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.orders
}

// rig is a server on loopback and a client of it.
type rig struct {
	t        *testing.T
	s        *Server
	sessions *fakeSessions
	conn     *net.UDPConn
	id       byte
}

func newRig(t *testing.T, adjust func(*Config)) *rig {
	t.Helper()
	table, err := policy.New(policy.Config{Presets: policy.Presets()})
	if err != nil {
		t.Fatal(err)
	}
	r := &rig{t: t, sessions: &fakeSessions{}}
	cfg := Config{
		Listen: netip.MustParseAddrPort("127.0.0.1:0"), NASIdentifier: "lns1",
		NASAddress: netip.MustParseAddr("192.0.2.1"), Several: true,
		Clients: []Client{{Name: "test", Sources: prefixes("127.0.0.0/8"), Secret: []byte(testSecret)}},
		Policy:  table, Sessions: r.sessions, Log: zap.NewNop(),
	}
	if adjust != nil {
		adjust(&cfg)
	}
	if r.s, err = Listen(cfg); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := r.s.Close(); err != nil {
			t.Error(err)
		}
	})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), r.s.Addr().Port())
	r.conn, err = net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(to))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.conn.Close() })
	return r
}

func prefixes(texts ...string) []netip.Prefix {
	var out []netip.Prefix
	for _, x := range texts {
		out = append(out, netip.MustParsePrefix(x))
	}
	return out
}

// packet makes a request with a new identifier.
func (r *rig) packet(code radius.Code, attrs ...radius.AVP) *radius.Packet {
	r.id++
	p := &radius.Packet{Code: code, Identifier: r.id, Secret: []byte(testSecret)}
	for _, a := range attrs {
		p.Add(a.Type, a.Attribute)
	}
	return p
}

func encode(t testing.TB, p *radius.Packet) []byte {
	t.Helper()
	b, err := p.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// signed adds a Message-Authenticator (RFC 5176 section 3.4).
func signed(t testing.TB, p *radius.Packet) *radius.Packet {
	sum := make(radius.Attribute, 16)
	p.Add(rfc2869.MessageAuthenticator_Type, sum)
	b, err := p.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(md5.New, p.Secret)
	m.Write(b)
	copy(sum, m.Sum(nil))
	return p
}

// exchange sends bytes and returns the answer, nil when there is none.
func (r *rig) exchange(b []byte, wait time.Duration) *radius.Packet {
	r.t.Helper()
	if _, err := r.conn.Write(b); err != nil {
		r.t.Fatal(err)
	}
	return r.read(b, wait)
}

func (r *rig) read(request []byte, wait time.Duration) *radius.Packet {
	r.t.Helper()
	r.conn.SetReadDeadline(time.Now().Add(wait))
	buf := make([]byte, 4096)
	n, err := r.conn.Read(buf)
	if err != nil {
		return nil
	}
	if !radius.IsAuthenticResponse(buf[:n], request, []byte(testSecret)) {
		r.t.Fatal("answer with a wrong authenticator")
	}
	p, err := radius.Parse(buf[:n], []byte(testSecret))
	if err != nil {
		r.t.Fatal(err)
	}
	checkSignature(r.t, p, request)
	return p
}

// checkSignature wants a Message-Authenticator that is right: over the answer, with
// the authenticator of the request in it.
func checkSignature(t *testing.T, p *radius.Packet, request []byte) {
	t.Helper()
	sent, ok := p.Lookup(rfc2869.MessageAuthenticator_Type)
	if !ok {
		t.Fatal("answer without Message-Authenticator")
	}
	q := p.Response(p.Code)
	copy(q.Authenticator[:], request[4:20])
	for _, a := range p.Attributes {
		v := a.Attribute
		if a.Type == rfc2869.MessageAuthenticator_Type {
			v = make(radius.Attribute, 16)
		}
		q.Add(a.Type, v)
	}
	b, err := q.MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	m := hmac.New(md5.New, []byte(testSecret))
	m.Write(b)
	if !hmac.Equal(m.Sum(nil), sent) {
		t.Fatal("answer with a wrong Message-Authenticator")
	}
}

const soon = time.Minute

// silence is how long an answer is waited for that must not come. What proves it are
// the counters, which are looked at as well.
const silence = 100 * time.Millisecond

func causeOf(p *radius.Packet) uint32 {
	v, ok := p.Lookup(rfc3576.ErrorCause_Type)
	if !ok {
		return 0
	}
	return binary.BigEndian.Uint32(v)
}

func text(t radius.Type, s string) radius.AVP {
	return radius.AVP{Type: t, Attribute: radius.Attribute(s)}
}

func integer(t radius.Type, v uint32) radius.AVP {
	return radius.AVP{Type: t, Attribute: number(v)}
}

func address(t radius.Type, s string) radius.AVP {
	return radius.AVP{Type: t, Attribute: netip.MustParseAddr(s).AsSlice()}
}

func vendor(id uint32, t byte, v string) radius.AVP {
	b := binary.BigEndian.AppendUint32(nil, id)
	b = append(b, t, byte(2+len(v)))
	return radius.AVP{Type: rfc2865.VendorSpecific_Type, Attribute: append(b, v...)}
}

var alice = text(rfc2865.UserName_Type, "alice")
