package l2tp

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"
)

// lossy makes the pair's network bad: loss and repeat are probabilities, delays are
// spread so that messages overtake each other.
func (p *pair) lossy(loss, repeat float64, spread time.Duration) {
	p.loss, p.repeat = loss, repeat
	p.delay = func() time.Duration { return time.Millisecond + time.Duration(p.rnd.Int64N(int64(spread))) }
}

// Calls are set up and torn down over a bad network, from both ends, in both
// directions; afterwards both ends agree, every call has ended exactly once, and
// nothing is left.
func TestLossyNetwork(t *testing.T) {
	const calls = 200
	for seed := range uint64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			lac, lns := secretConfig(LAC), secretConfig(LNS)
			lac.MaxRetries, lns.MaxRetries = 12, 12
			lac.EstablishTimeout, lns.EstablishTimeout = 0, 0
			lac.HideAVPs = seed%2 == 0
			p := newPair(t, lac, lns, seed)
			p.lossy(0.25, 0.1, 300*time.Millisecond)
			// The sequence numbers wrap on the way.
			p.lac.t.ch.una, p.lns.t.ch.nr = 0xFFF0, 0xFFF0
			p.lns.t.ch.una, p.lac.t.ch.nr = 0xFFF8, 0xFFF8
			p.do(p.lac, (*Tunnel).Open)
			p.run(3 * time.Minute)
			if p.lac.t.State() != Established || p.lns.t.State() != Established {
				t.Fatalf("%v %v", p.lac.t.State(), p.lns.t.State())
			}
			rnd := rand.New(rand.NewPCG(seed, 3))
			var placed []*Call
			for i := range uint16(calls) {
				s, base := p.lac, uint16(1000)
				if i%4 == 0 {
					s, base = p.lns, 2000
				}
				c, err := s.t.PlaceCall(p.now, base+i, &CallParams{Serial: uint32(i), CalledNumber: "1"}, &s.out)
				if err != nil {
					t.Fatal(err)
				}
				placed = append(placed, c)
				p.settle(s)
				p.run(time.Duration(rnd.IntN(400)) * time.Millisecond)
			}
			p.run(20 * time.Minute)
			for _, c := range p.lac.calls { // outgoing calls: the line answers
				p.do(p.lac, func(t *Tunnel, now time.Time, out *Out) { t.ConnectCall(now, c, &CallParams{}, out) })
			}
			p.run(20 * time.Minute)
			if p.lac.t.Calls() != calls || p.lns.t.Calls() != calls {
				t.Fatalf("%d and %d calls", p.lac.t.Calls(), p.lns.t.Calls())
			}
			for _, c := range placed {
				if !c.Up() {
					t.Fatalf("call %d is in state %s", c.LocalID, c.State())
				}
			}
			for _, s := range []*side{p.lac, p.lns} {
				for _, c := range s.t.calls.all() {
					if o := p.other(s).t.Call(c.PeerID); !c.Up() || o == nil || o.PeerID != c.LocalID {
						t.Fatalf("%s: call %+v against %+v", s.name, c, o)
					}
				}
			}
			// Half of them hang up, from either end, some from both at once.
			for i, c := range placed[:calls/2] {
				s, o := p.lac, p.lns
				if i%4 == 0 {
					s, o = p.lns, p.lac
				}
				peer := o.t.Call(c.PeerID)
				if i%3 != 0 {
					p.do(s, func(t *Tunnel, now time.Time, out *Out) { t.HangUp(now, c, Result{Code: 3}, out) })
				}
				if i%3 != 1 {
					p.do(o, func(t *Tunnel, now time.Time, out *Out) { t.HangUp(now, peer, Result{Code: 3}, out) })
				}
			}
			p.run(20 * time.Minute)
			if p.lac.t.Calls() != calls/2 || p.lns.t.Calls() != calls/2 || len(p.lac.t.calls.byPeer) != calls/2 {
				t.Fatalf("%d and %d calls after the half", p.lac.t.Calls(), p.lns.t.Calls())
			}
			p.do(p.lns, func(t *Tunnel, now time.Time, out *Out) { t.Close(now, Result{Code: StopShutdown}, out) })
			p.run(20 * time.Minute)
			for _, s := range []*side{p.lac, p.lns} {
				if s.count(CallDown) != calls || s.count(CallUp) != calls || s.count(TunnelGone) != 1 || s.count(TunnelClosing) != 1 {
					t.Errorf("%s: %d down, %d up, %d gone", s.name, s.count(CallDown), s.count(CallUp), s.count(TunnelGone))
				}
				if c := s.t.Stats(); c.Retransmits == 0 || c.Duplicates == 0 || c.HeldOutOfOrder == 0 {
					t.Errorf("%s: the network was not bad: %+v", s.name, c)
				}
				ended := map[*Call]bool{}
				for _, e := range s.events {
					if e.Kind == CallDown && ended[e.Call] {
						t.Errorf("%s: call %d ended twice", s.name, e.Call.LocalID)
					}
					ended[e.Call] = ended[e.Call] || e.Kind == CallDown
				}
				if s.t.Calls() != 0 || len(s.t.calls.pending) != 0 || !s.t.Deadline().IsZero() {
					t.Errorf("%s: something is left", s.name)
				}
				if n := s.bad[Malformed] + s.bad[Unexpected] + s.bad[OutOfWindow]; n != 0 {
					t.Errorf("%s: discarded %v", s.name, s.bad)
				}
			}
		})
	}
}

// The same seed gives the same run, message by message.
func TestRunsRepeatExactly(t *testing.T) {
	run := func() (log string) {
		lac := secretConfig(LAC)
		lac.HideAVPs = true
		p := newPair(t, lac, secretConfig(LNS), 5)
		p.log = func(from *side, b []byte) { log += fmt.Sprintf("%v %s %x\n", p.now, from.name, b) }
		p.lossy(0.1, 0.1, 100*time.Millisecond)
		p.do(p.lac, (*Tunnel).Open)
		for i := range uint16(50) {
			p.lac.t.PlaceCall(p.now, 100+i, &CallParams{}, &p.lac.out)
			p.settle(p.lac)
		}
		p.run(time.Minute)
		p.do(p.lns, func(t *Tunnel, now time.Time, out *Out) { t.Close(now, Result{Code: StopClear}, out) })
		p.run(time.Minute)
		for _, s := range []*side{p.lac, p.lns} {
			for _, e := range s.events {
				log += s.name + " " + describeEvent(e) + "\n"
			}
		}
		return log
	}
	if a, b := run(), run(); a != b {
		t.Error("two runs of one seed differ")
	}
}

// A burst of thousands of calls goes through a window of 8 without one getting lost.
func TestBurstOfCalls(t *testing.T) {
	p := newPair(t, testConfig(LAC), testConfig(LNS), 6).up()
	const n = 5000
	for id := range uint16(n) {
		if _, err := p.lac.t.PlaceCall(p.now, id+1, &CallParams{}, &p.lac.out); err != nil {
			t.Fatal(err)
		}
		p.settle(p.lac)
	}
	p.run(50 * time.Second)
	if p.lns.count(CallUp) != n || p.lac.count(CallUp) != n {
		t.Errorf("%d and %d calls are up", p.lac.count(CallUp), p.lns.count(CallUp))
	}
	if s := p.lac.t.Stats(); s.Retransmits != 0 || s.ZLBReceived > 2*n {
		t.Errorf("%+v", s)
	}
}
