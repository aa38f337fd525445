package l2tp

import (
	"encoding/binary"
	"math/rand/v2"
	"testing"
	"time"
)

// epoch is where virtual time starts in tests.
var epoch = time.Unix(1_000_000_000, 0)

// side is one tunnel of a pair with what its owner has seen.
type side struct {
	name   string
	t      *Tunnel
	out    Out
	events []Event
	nextID uint16
	// decide answers a CallRequest; nil accepts with ids from 1 on.
	decide func(s *side, now time.Time, c *Call)
	calls  []*Call
	counts map[MessageType]int
	bad    map[DiscardReason]int
}

type flight struct {
	at   time.Time
	seq  int
	to   *side
	data []byte
}

// pair is two tunnels over a network that delays, loses, repeats and reorders, in
// virtual time.
type pair struct {
	tb       testing.TB
	now      time.Time
	lac, lns *side
	net      []flight
	seq      int
	rnd      *rand.Rand
	delay    func() time.Duration
	loss     float64
	repeat   float64
	log      func(from *side, b []byte)
	cut      bool // nothing gets through
}

func testConfig(role Role) *Config {
	c := &Config{
		Role: role, HostName: "lns.example", VendorName: "test",
		ReceiveWindow: 8, HelloInterval: time.Minute,
		RetryInterval: time.Second, RetryCap: 8 * time.Second, MaxRetries: 5,
		EstablishTimeout: 60 * time.Second,
		FramingCaps:      FramingSync | FramingAsync, BearerCaps: BearerDigital | BearerAnalog,
	}
	if role == LAC {
		c.HostName = "lac.example"
	}
	return c
}

// testRandom is a reproducible source.
func testRandom(seed uint64) func([]byte) {
	r := rand.New(rand.NewPCG(seed, 1))
	return func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
}

func newPair(tb testing.TB, lac, lns *Config, seed uint64) *pair {
	p := &pair{
		tb: tb, now: epoch,
		rnd:   rand.New(rand.NewPCG(seed, 2)),
		delay: func() time.Duration { return 10 * time.Millisecond },
	}
	p.lac = newSide("lac", NewTunnel(lac, 0x1001, testRandom(seed+100)))
	p.lns = newSide("lns", NewTunnel(lns, 0x2002, testRandom(seed+200)))
	return p
}

func newSide(name string, t *Tunnel) *side {
	return &side{name: name, t: t, nextID: 1, counts: map[MessageType]int{}, bad: map[DiscardReason]int{}}
}

func (p *pair) other(s *side) *side {
	if s == p.lac {
		return p.lns
	}
	return p.lac
}

// settle carries out what s's tunnel wants, in the order of Out.
func (p *pair) settle(s *side) {
	for _, b := range s.out.Send {
		p.post(s, append([]byte(nil), b...))
	}
	for _, t := range s.out.Received {
		s.counts[t]++
	}
	for _, d := range s.out.Discarded {
		s.bad[d.Reason]++
	}
	events := append([]Event(nil), s.out.Events...)
	s.out.Reset()
	for _, e := range events {
		s.events = append(s.events, e)
		if e.Kind != CallRequest {
			continue
		}
		s.calls = append(s.calls, e.Call)
		if s.decide != nil {
			s.decide(s, p.now, e.Call)
		} else {
			s.t.AcceptCall(p.now, e.Call, s.nextID, &s.out)
			s.nextID++
		}
		p.settle(s)
	}
}

func (p *pair) post(from *side, b []byte) {
	if p.log != nil {
		p.log(from, b)
	}
	copies := 1
	if p.rnd.Float64() < p.repeat {
		copies = 2
	}
	for range copies {
		if p.cut || p.rnd.Float64() < p.loss {
			continue
		}
		p.seq++
		p.net = append(p.net, flight{p.now.Add(p.delay()), p.seq, p.other(from), b})
	}
}

// do lets a side act and settles it.
func (p *pair) do(s *side, act func(t *Tunnel, now time.Time, out *Out)) {
	act(s.t, p.now, &s.out)
	p.settle(s)
}

// step moves time to the next thing that happens, at most to end. It returns false
// when nothing is left.
func (p *pair) step(end time.Time) bool {
	var at time.Time
	best := -1
	for i := range p.net {
		f := &p.net[i]
		if best < 0 || f.at.Before(p.net[best].at) || (f.at.Equal(p.net[best].at) && f.seq < p.net[best].seq) {
			best = i
		}
	}
	if best >= 0 {
		at = p.net[best].at
	}
	var timer *side
	for _, s := range []*side{p.lac, p.lns} {
		if d := s.t.Deadline(); !d.IsZero() && (at.IsZero() || d.Before(at)) {
			at, timer = d, s
		}
	}
	if at.IsZero() || at.After(end) {
		p.now = end
		return false
	}
	if at.After(p.now) {
		p.now = at
	}
	if timer != nil {
		p.do(timer, (*Tunnel).Timer)
		if d := timer.t.Deadline(); !d.IsZero() && !d.After(p.now) {
			p.tb.Fatalf("%s: Timer at %v left the deadline %v behind", timer.name, p.now, d)
		}
		return true
	}
	f := p.net[best]
	p.net = append(p.net[:best], p.net[best+1:]...)
	h, body, err := ParseHeader(f.data)
	if err != nil {
		p.tb.Fatalf("a tunnel sent %x: %v", f.data, err)
	}
	if h.TunnelID != 0 && h.TunnelID != f.to.t.ID() {
		p.tb.Fatalf("message to tunnel %#x reached %#x", h.TunnelID, f.to.t.ID())
	}
	f.to.t.Receive(p.now, h, body, &f.to.out)
	p.settle(f.to)
	return true
}

// run lets d pass.
func (p *pair) run(d time.Duration) {
	end := p.now.Add(d)
	for n := 0; p.step(end); n++ {
		if n > 1_000_000 {
			p.tb.Fatal("no end of it")
		}
	}
}

// count is how many events of a kind s has seen.
func (s *side) count(k EventKind) (n int) {
	for _, e := range s.events {
		if e.Kind == k {
			n++
		}
	}
	return n
}

func (s *side) last(k EventKind) (e Event) {
	for _, x := range s.events {
		if x.Kind == k {
			e = x
		}
	}
	return e
}

// up establishes the tunnel from the LAC.
func (p *pair) up() *pair {
	p.tb.Helper()
	p.do(p.lac, (*Tunnel).Open)
	p.run(30 * time.Second)
	if p.lac.t.State() != Established || p.lns.t.State() != Established {
		p.tb.Fatalf("states are %v and %v", p.lac.t.State(), p.lns.t.State())
	}
	return p
}

// call places an incoming call from the LAC and waits for it.
func (p *pair) call(id uint16, params *CallParams) (lac, lns *Call) {
	p.tb.Helper()
	c, err := p.lac.t.PlaceCall(p.now, id, params, &p.lac.out)
	if err != nil {
		p.tb.Fatal(err)
	}
	p.settle(p.lac)
	p.run(time.Second)
	if !c.Up() || len(p.lns.calls) == 0 {
		p.tb.Fatalf("call %d is in state %s", id, c.State())
	}
	return c, p.lns.calls[len(p.lns.calls)-1]
}

func nsOf(b []byte) uint16 { return binary.BigEndian.Uint16(b[offNs:]) }
func nrOf(b []byte) uint16 { return binary.BigEndian.Uint16(b[offNr:]) }

func TestIncomingCallBetweenTwoTunnels(t *testing.T) {
	p := newPair(t, testConfig(LAC), testConfig(LNS), 1).up()
	lac, lns := p.call(77, &CallParams{Serial: 5, TxSpeed: 1e6, FramingType: FramingSync, CallingNumber: "0551"})
	if lac.PeerID != lns.LocalID || lns.PeerID != 77 || lns.Params.CallingNumber != "0551" || lns.Params.RxSpeed != 1e6 {
		t.Fatalf("lac %+v, lns %+v %+v", lac, lns, lns.Params)
	}
	p.do(p.lac, func(t *Tunnel, now time.Time, out *Out) { t.HangUp(now, lac, Result{Code: CDNLostCarrier}, out) })
	p.run(time.Second)
	if e := p.lns.last(CallDown); e.Call != lns || e.Result.Code != CDNLostCarrier || !e.Remote {
		t.Fatalf("LNS saw %+v", e)
	}
	p.do(p.lns, func(t *Tunnel, now time.Time, out *Out) { t.Close(now, Result{Code: StopShutdown}, out) })
	p.run(time.Minute)
	for _, s := range []*side{p.lac, p.lns} {
		if s.count(TunnelUp) != 1 || s.count(TunnelClosing) != 1 || s.count(TunnelGone) != 1 || s.t.Calls() != 0 {
			t.Errorf("%s: %+v", s.name, s.events)
		}
	}
}
