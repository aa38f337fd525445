package radius

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// start is when the tests' clock starts.
var start = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)

const testSecret = "s3cr3t"

// testConfig has n servers, 192.0.2.1 and up, and all else by default.
func testConfig(n int) Config {
	c := Config{NASIdentifier: "lns1", NASAddress: netip.MustParseAddr("198.51.100.1"), NASPortType: 5, Policy: policy.Config{ZeroTimeoutRejects: true}}
	for i := range n {
		c.Servers = append(c.Servers, Server{Addr: netip.AddrFrom4([4]byte{192, 0, 2, byte(i + 1)}), Priority: i, AuthPort: 1812, AcctPort: 1813, Secret: []byte(testSecret)})
	}
	return c
}

// lab runs an exchange in virtual time, with no jitter, on sockets of its own.
type lab struct {
	t   *testing.T
	now time.Time
	x   *exchange
	out effects
	// sent are the packets so far, failed the requests that were, in order.
	sent   []flight
	failed []failure
	// changes of health, as "address:from->to".
	changes  []string
	unsigned int
	ports    []*labPort
	openErr  error
}

// flight is one packet that was sent.
type flight struct {
	at     time.Time
	port   *labPort
	to     netip.AddrPort
	wire   []byte
	socket *socket
}

type labPort struct {
	lab    *lab
	socket *socket
	closed bool
}

func (p *labPort) send(b []byte, to netip.AddrPort) {
	if p.closed {
		p.lab.t.Error("a packet was sent on a closed socket")
	}
	p.lab.sent = append(p.lab.sent, flight{p.lab.now, p, to, b, p.socket})
}

func (p *labPort) close() { p.closed = true }

func newLab(t *testing.T, cfg Config, p purpose) *lab {
	t.Helper()
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		t.Fatal(err)
	}
	l := &lab{t: t, now: start}
	seed := uint16(0)
	q := &requests{cfg: &cfg, attrs: newAttributes(), random: func(b []byte) {
		seed++
		binary.BigEndian.PutUint16(b, seed)
	}}
	encode := q.packets(p)
	open := func(k *socket) (port, error) {
		if l.openErr != nil {
			return nil, l.openErr
		}
		l.ports = append(l.ports, &labPort{lab: l, socket: k})
		return l.ports[len(l.ports)-1], nil
	}
	l.x = newExchange(&cfg, p, encode, open, func() float64 { return 0.5 })
	return l
}

// flush carries the effects out.
func (l *lab) flush() {
	for _, c := range l.out.changes {
		l.changes = append(l.changes, fmt.Sprintf("%v:%v->%v", c.server.Addr(), c.from, c.to))
	}
	for _, s := range l.out.send {
		s.port.send(s.wire, s.to)
	}
	l.failed = append(l.failed, l.out.failed...)
	l.unsigned += len(l.out.unsigned)
	for _, p := range l.out.closed {
		p.close()
	}
	l.out.reset()
}

// submit hands over a request if there is room, and reports whether there was.
func (l *lab) submit() bool {
	l.t.Helper()
	if !l.x.room(l.now) {
		return false
	}
	r := &request{}
	if l.x.purpose == authentication {
		r.auth = &session.AuthRequest{User: "alice", Method: session.AuthPAP, Password: []byte("pw")}
		r.giveUp = l.now.Add(l.x.cfg.AuthTimeout)
	} else {
		r.acct = &session.AcctRecord{Kind: session.AcctStart, User: "alice", At: l.now}
		r.giveUp = l.now.Add(l.x.cfg.AcctTimeout)
	}
	l.x.start(l.now, r, &l.out)
	l.flush()
	return true
}

// advance lets time pass, stopping at each deadline.
func (l *lab) advance(d time.Duration) {
	l.t.Helper()
	end := l.now.Add(d)
	for range 1_000_000 {
		next := l.x.deadline()
		if next.IsZero() || next.After(end) {
			l.now = end
			return
		}
		if next.After(l.now) {
			l.now = next
		}
		l.x.expire(l.now, &l.out)
		l.flush()
	}
	l.t.Fatal("the deadline does not move")
}

// last is the most recent packet.
func (l *lab) last() flight {
	l.t.Helper()
	if len(l.sent) == 0 {
		l.t.Fatal("nothing was sent")
	}
	return l.sent[len(l.sent)-1]
}

// answer has the packet b arrive in answer to f from the address it went to.
func (l *lab) answer(f flight, b []byte) finding {
	r, _, found := l.x.answer(l.now, f.socket, f.to, b, &l.out)
	l.flush()
	if (r != nil) != (found == valid) {
		l.t.Errorf("finding %v with request %v", found, r)
	}
	return found
}

// accept answers f as a server should.
func (l *lab) accept(f flight) finding {
	code := radius.CodeAccessAccept
	if l.x.purpose == accounting {
		code = radius.CodeAccountingResponse
	}
	return l.answer(f, respond(f.wire, code, testSecret, signature(l.x.purpose == authentication)))
}

// signature says what becomes of the Message-Authenticator in an answer.
type signature bool

// respond makes the answer to a request, with attributes given as type, value
// pairs; a Message-Authenticator comes first if sign is set.
func respond(request []byte, code radius.Code, secret string, sign signature, attrs ...radius.AVP) []byte {
	p := radius.Packet{Code: code, Identifier: request[atIdentifier], Secret: []byte(secret)}
	copy(p.Authenticator[:], request[atAuthenticator:headerLen])
	if sign {
		p.Add(rfc2869.MessageAuthenticator_Type, make([]byte, 16))
	}
	for _, a := range attrs {
		p.Add(a.Type, a.Attribute)
	}
	b, err := p.MarshalBinary()
	if err != nil {
		panic(err)
	}
	if sign {
		copy(b[headerLen+2:], hmacMD5(secret, b))
	}
	seal(b, request, secret)
	return b
}

// seal puts the Response Authenticator in place.
func seal(b, request []byte, secret string) {
	h := md5.New()
	h.Write(b[:4])
	h.Write(request[4:20])
	h.Write(b[20:])
	h.Write([]byte(secret))
	copy(b[4:20], h.Sum(nil))
}

func hmacMD5(secret string, b []byte) []byte {
	h := hmac.New(md5.New, []byte(secret))
	h.Write(b)
	return h.Sum(nil)
}

func avp(t radius.Type, v ...byte) radius.AVP { return radius.AVP{Type: t, Attribute: v} }

func textAVP(t radius.Type, s string) radius.AVP {
	return radius.AVP{Type: t, Attribute: radius.Attribute(s)}
}

func intAVP(t radius.Type, v uint32) radius.AVP {
	return radius.AVP{Type: t, Attribute: binary.BigEndian.AppendUint32(nil, v)}
}

// vsa is a Vendor-Specific attribute with one attribute in it.
func vsa(vendor uint32, t byte, v ...byte) radius.AVP {
	b := binary.BigEndian.AppendUint32(nil, vendor)
	b = append(b, t, byte(len(v)+2))
	return radius.AVP{Type: rfc2865.VendorSpecific_Type, Attribute: append(b, v...)}
}
