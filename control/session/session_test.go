package session

import (
	"errors"
	"net/netip"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
)

// bench is a session with a subscriber at its other end and an owner that notes
// what it is asked to do, and does it when the test says so.
type bench struct {
	t    *testing.T
	now  time.Time
	s    *Session
	out  Out
	peer *ppp.Link
	pout ppp.Out

	up       bool
	auth     []*AuthRequest
	claims   []Claim
	ops      []ProgramOp
	acct     []*AcctRecord
	cdn      []l2tp.Result
	sli      []l2tp.ACCM
	done     bool
	changed  []Changed
	tapped   []Interception
	events   []Event
	silent   bool // the peer neither hears nor speaks
	counters Counters
}

func (b *bench) Counters(uint32) Counters { return b.counters }

func newBench(t *testing.T, adjust func(*Config)) *bench {
	cfg := &Config{
		PPP:          &ppp.Config{MRU: 1460, Auth: []ppp.Auth{ppp.PAP}, ACFC: true, PFC: true},
		LocalAddress: netip.MustParseAddr("192.0.2.1"), Pool: "p", ClampMSS: true,
	}
	if adjust != nil {
		adjust(cfg)
	}
	if err := cfg.Validate(); err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, now: time.Unix(1_700_000_000, 0)}
	seed := byte(0)
	random := func(p []byte) {
		for i := range p {
			seed += 37
			p[i] = seed
		}
	}
	b.s = New(cfg, Setup{Ref: Ref{1, 2, 3}, Slot: 4, AcctSessionID: "id", PeerSessionID: 6,
		Tunnel: &Tunnel{ID: 1, PeerID: 5, Peer: netip.MustParseAddrPort("198.51.100.1:1701")}}, random, b.now)
	b.peer = ppp.NewLink(&ppp.Config{Client: true, User: "alice", Password: "x", MRU: 1492,
		Auth: []ppp.Auth{ppp.PAP}, ACFC: true, PFC: true}, random)
	return b
}

// settle passes frames back and forth until both sides are content.
func (b *bench) settle() {
	for {
		b.take()
		b.deliver()
		if len(b.out.Send) == 0 && len(b.pout.Send) == 0 && len(b.pout.Events) == 0 {
			b.take()
			return
		}
	}
}

// take notes what the session wants, in the order of Out.
func (b *bench) take() {
	o := &b.out
	for _, m := range o.Send {
		h, frame, err := l2tp.ParseHeader(m)
		if err != nil || h.TunnelID != 5 || h.SessionID != 6 {
			b.t.Fatalf("datagram %x: %v", m, err)
		}
		if !b.silent {
			b.peer.Receive(b.now, append([]byte(nil), frame...), &b.pout)
		}
	}
	b.auth = append(b.auth, o.Authenticate...)
	b.claims = append(b.claims, o.Claim...)
	b.ops = append(b.ops, o.Program...)
	b.acct = append(b.acct, o.Account...)
	b.cdn = append(b.cdn, o.HangUp...)
	b.changed = append(b.changed, o.Changed...)
	b.tapped = append(b.tapped, o.Interceptions...)
	b.events = append(b.events, o.Events...)
	b.sli = append(b.sli, o.LinkInfo...)
	b.done = b.done || o.Done
	o.Reset()
}

func (b *bench) deliver() {
	frames := make([][]byte, 0, len(b.pout.Send))
	for _, f := range b.pout.Send {
		frames = append(frames, append([]byte(nil), f...))
	}
	for _, e := range b.pout.Events {
		if e.Kind == ppp.IPv4Up || e.Kind == ppp.IPv4Down {
			b.up = e.Kind == ppp.IPv4Up
		}
	}
	b.pout.Reset()
	for _, f := range frames {
		if !b.silent {
			b.s.Frame(b.now, f, &b.out)
		}
	}
}

// connect brings the session to the point where its address is claimed.
func (b *bench) connect() { b.connectWith(Profile{}) }

func (b *bench) connectWith(p Profile) {
	b.s.CallUp(b.now, &l2tp.CallParams{}, &b.out)
	b.peer.Start(b.now, nil, &b.pout)
	b.settle()
	if len(b.auth) != 1 || b.auth[0].User != "alice" || string(b.auth[0].Password) != "x" {
		b.t.Fatalf("asked %+v", b.auth)
	}
	b.s.Authenticated(b.now, &AuthResult{Verdict: Accept, Profile: p}, &b.out)
	b.settle()
	if len(b.claims) != 1 || b.claims[0].Pool != "p" || b.claims[0].User != "alice" {
		b.t.Fatalf("claimed %+v", b.claims)
	}
}

func (b *bench) granted() {
	b.s.Claimed(b.now, ClaimResult{Address: netip.MustParseAddr("10.0.0.9")}, &b.out)
	b.settle()
}

// programmed answers the operation number i.
func (b *bench) programmed(i int, err error, final Counters) {
	op := b.ops[i]
	b.s.Programmed(b.now, &Programmed{Ref: op.Record.Ref, Removed: op.Remove, Err: err, Final: final}, &b.out)
	b.settle()
}

// want checks the number of each effect so far.
func (b *bench) want(ops, acct, cdn int, done bool) {
	b.t.Helper()
	if len(b.ops) != ops || len(b.acct) != acct || len(b.cdn) != cdn || b.done != done {
		b.t.Fatalf("%d operations, %d records, %d CDNs, done %v; want %d, %d, %d, %v",
			len(b.ops), len(b.acct), len(b.cdn), b.done, ops, acct, cdn, done)
	}
}

func TestOrderOfALife(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.want(1, 0, 0, false) // programmed, and no account before the answer
	r := b.ops[0].Record
	if r.Address != netip.MustParseAddr("10.0.0.9") || r.Slot != 4 || r.PeerSessionID != 6 ||
		r.MTU != 1465 || r.ClampMSS != 1420 || r.Framing.AddressControl || !r.Framing.CompressProtocol {
		t.Errorf("record %+v", r)
	}
	b.programmed(0, nil, Counters{})
	b.want(1, 1, 0, false)
	b.now = b.now.Add(time.Minute)
	b.s.Drop(b.now, EndByOperator(0), &b.out)
	b.settle()
	b.want(2, 1, 0, false) // the subscriber has agreed; no Stop before the last counters
	b.programmed(1, nil, Counters{UpPackets: 3})
	b.want(2, 2, 1, true)
	if s := b.acct[1]; s.Kind != AcctStop || s.Counters.UpPackets != 3 || s.Duration != time.Minute || s.Cause != CauseAdminReset {
		t.Errorf("stop %+v", s)
	}
}

// PPP frames may overtake the ICCN (RFC 2661 section 6.8); a few are kept.
func TestEarlyFramesAreKept(t *testing.T) {
	b := newBench(t, nil)
	b.peer.Start(b.now, nil, &b.pout)
	b.deliver()
	for range 10 {
		b.s.Frame(b.now, make([]byte, maxHeldBytes), &b.out)
		b.s.Frame(b.now, make([]byte, maxHeldBytes+1), &b.out)
	}
	if len(b.s.held) != maxHeld {
		t.Errorf("%d frames held", len(b.s.held))
	}
	b.s.CallUp(b.now, nil, &b.out)
	b.settle()
	if len(b.auth) != 1 {
		t.Error("the early Configure-Request was lost")
	}
}

// IPCP may close and open again in the same session: packets stop and go on, the
// account is one (RFC 1661 section 3.7).
func TestIPCPGoesAndComes(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	terminate := []byte{0xFF, 0x03, 0x80, 0x21, 5, 77, 0, 4} // IPCP Terminate-Request
	b.s.Frame(b.now, terminate, &b.out)
	b.take()
	b.want(2, 1, 0, false)
	if !b.ops[1].Remove {
		t.Fatal("not removed")
	}
	// It opens again before the removal is answered.
	b.peer = ppp.NewLink(&ppp.Config{Client: true, User: "alice", Password: "x", Auth: []ppp.Auth{ppp.PAP}}, b.s.random)
	b.peer.Start(b.now, nil, &b.pout)
	b.settle()
	b.s.Authenticated(b.now, &AuthResult{Verdict: Accept}, &b.out)
	b.settle()
	if !b.up {
		t.Fatal("IPCP did not open again")
	}
	b.want(2, 1, 0, false)
	b.programmed(1, nil, Counters{UpPackets: 10})
	b.want(3, 1, 0, false)
	b.programmed(2, nil, Counters{})
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.programmed(3, nil, Counters{UpPackets: 5})
	b.want(4, 2, 0, true)
	if n := b.acct[1].Counters.UpPackets; n != 15 {
		t.Errorf("%d packets in the Stop, want 15", n)
	}
}

// The call goes while the install is under way: removed again, and no account.
func TestCallGoesWhileInstalling(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.s.CallDown(b.now, EndOfTunnel(l2tp.Result{}), &b.out)
	b.settle()
	b.want(2, 0, 0, false)
	b.programmed(0, nil, Counters{})
	b.want(2, 0, 0, false)
	b.programmed(1, nil, Counters{})
	b.want(2, 0, 0, true)
}

// The call goes while a Terminate-Request is unanswered, or while the claim is.
func TestCallGoesWhileClosing(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	b.silent = true
	b.s.Drop(b.now, EndByOperator(0), &b.out)
	b.settle()
	b.want(1, 1, 0, false)
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.programmed(1, nil, Counters{})
	b.want(2, 2, 0, true)
	if c := b.acct[1].Cause; c != CauseAdminReset {
		t.Errorf("cause %d: the first reason stands", c)
	}

	b = newBench(t, nil)
	b.connect()
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.want(0, 0, 0, true)
	b.s.Claimed(b.now, ClaimResult{Address: netip.MustParseAddr("10.0.0.9")}, &b.out)
	b.settle()
	b.want(0, 0, 0, true)
}

func TestInstallFails(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.programmed(0, errors.New("full"), Counters{})
	b.now = b.now.Add(10 * time.Second)
	b.s.Timer(b.now, b, &b.out)
	b.settle()
	// Not every path need have refused it.
	b.want(2, 0, 0, false)
	b.programmed(1, nil, Counters{})
	b.settle()
	b.want(2, 0, 1, true)
	if b.cdn[0].Code != l2tp.CDNTemporary {
		t.Errorf("CDN %+v", b.cdn[0])
	}
}

func TestRemovalFails(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.programmed(1, errors.New("busy"), Counters{})
	b.want(2, 1, 0, false)
	if d := b.s.Deadline(); d != b.now.Add(removeRetry) {
		t.Errorf("retry at %v", d)
	}
	b.now = b.s.Deadline()
	b.s.Timer(b.now, b, &b.out)
	b.settle()
	b.programmed(2, nil, Counters{UpBytes: 1})
	b.want(3, 2, 0, true)
}

// Deadlines fall away with the session.
func TestNothingIsDueAfterTheEnd(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.SessionTimeout, c.IdleTimeout, c.InterimInterval = time.Hour, time.Hour, time.Hour
	})
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	b.s.CallDown(b.now, EndOfCall(l2tp.Result{Code: 1}), &b.out)
	b.settle()
	b.programmed(1, nil, Counters{})
	if d := b.s.Deadline(); !d.IsZero() {
		t.Errorf("due at %v", d)
	}
}

// An idle session with traffic is looked at again exactly when it could be idle.
func TestIdleTimer(t *testing.T) {
	b := newBench(t, func(c *Config) { c.IdleTimeout = time.Minute })
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	start := b.now
	b.counters.LastSeen = start.Add(45 * time.Second)
	b.now = b.s.Deadline()
	b.s.Timer(b.now, b, &b.out)
	b.settle()
	if d := b.s.Deadline(); d != start.Add(105*time.Second) {
		t.Errorf("looks again after %v", d.Sub(start))
	}
	b.now = b.s.Deadline()
	b.s.Timer(b.now, b, &b.out)
	if b.s.end == nil || b.s.end.Cause != CauseIdleTimeout {
		t.Errorf("end %+v", b.s.end)
	}
}

// Echo frames of an established session cost no allocation.
func TestEchoDoesNotAllocate(t *testing.T) {
	b := newBench(t, nil)
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	magic := b.s.link.Negotiated().PeerMagic
	echo := []byte{0xFF, 0x03, 0xC0, 0x21, 9, 1, 0, 8, byte(magic >> 24), byte(magic >> 16), byte(magic >> 8), byte(magic)}
	b.s.Frame(b.now, echo, &b.out)
	if len(b.out.Send) != 1 {
		t.Fatalf("%d answers to an echo", len(b.out.Send))
	}
	b.out.Reset()
	if n := testing.AllocsPerRun(1000, func() {
		b.s.Frame(b.now, echo, &b.out)
		b.out.Reset()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A subscriber whose echoes are answered in the forwarding path is heard: it is
// neither asked nor given up, and yet idle.
func TestEchoesAnsweredElsewhere(t *testing.T) {
	b := newBench(t, func(c *Config) {
		c.PPP.EchoInterval, c.PPP.EchoFailures = 10*time.Second, 3
		c.IdleTimeout = time.Hour
	})
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	if m := b.ops[0].Record.LocalMagic; m == 0 || m != b.s.link.Negotiated().LocalMagic {
		t.Errorf("the record has magic %#x", m)
	}
	b.silent = true
	step := func() (sent int) {
		b.now = b.s.Deadline()
		b.s.Timer(b.now, b, &b.out)
		sent = len(b.out.Send)
		b.take()
		return sent
	}
	for i := range 100 {
		b.counters.PeerSeen = time.Duration(i+1) * time.Second
		if n := step(); n != 0 || b.s.end != nil {
			t.Fatalf("interval %d: %d frames sent, end %+v", i, n, b.s.end)
		}
	}
	// The stamp stands still: the echoes of our own begin, and end the session.
	asked := 0
	for b.s.end == nil {
		if asked += step(); asked > 10 {
			t.Fatal("a dead line is never given up")
		}
	}
	if asked != 3 || b.s.end.Cause != CauseLostService {
		t.Errorf("given up after %d echoes: %+v", asked, b.s.end)
	}
}

// Answered echoes are no user traffic.
func TestEchoesAreIdle(t *testing.T) {
	b := newBench(t, func(c *Config) { c.IdleTimeout = time.Minute })
	b.connect()
	b.granted()
	b.programmed(0, nil, Counters{})
	b.counters.PeerSeen = 59 * time.Second
	b.now = b.s.Deadline()
	b.s.Timer(b.now, b, &b.out)
	if b.s.end == nil || b.s.end.Cause != CauseIdleTimeout {
		t.Errorf("end %+v", b.s.end)
	}
}
