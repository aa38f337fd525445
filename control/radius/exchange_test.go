package radius

import (
	"bytes"
	"errors"
	"slices"
	"testing"
	"time"
)

// times are when packets were sent, from the start of the test.
func (l *lab) times() []time.Duration {
	var d []time.Duration
	for _, f := range l.sent {
		d = append(d, f.at.Sub(start))
	}
	return d
}

// RFC 5080 section 2.2.1: the time-out doubles up to MRT, and the message exchange
// has failed after MRD. RFC 2866 section 5.2: what is sent again is the same.
func TestRetransmission(t *testing.T) {
	cfg := testConfig(1)
	cfg.MaxRetransmit = 4 * time.Second
	l := newLab(t, cfg, authentication)
	l.submit()
	l.advance(time.Minute)
	want := []time.Duration{0, time.Second, 3 * time.Second, 7 * time.Second, 11 * time.Second}
	if got := l.times(); !slices.Equal(got, want) {
		t.Errorf("sent at %v, want %v", got, want)
	}
	for _, f := range l.sent {
		if !bytes.Equal(f.wire, l.sent[0].wire) || f.port != l.sent[0].port {
			t.Error("a retransmission is not the same packet from the same port")
		}
	}
	if len(l.failed) != 1 || !errors.Is(l.failed[0].err, errNoAnswer) {
		t.Errorf("failed %v, want one without answer", l.failed)
	}
	if n := l.x.inFlight(); n != 0 || len(l.x.timers) != 0 || l.x.servers[0].inFlight != 0 {
		t.Errorf("%d requests left over", n)
	}
}

// RFC 5080 section 2.2.1: RAND is between -0.1 and +0.1.
func TestJitter(t *testing.T) {
	cfg := testConfig(1).withDefaults()
	for _, random := range []float64{0, 0.25, 0.999999} {
		x := &exchange{cfg: &cfg, random: func() float64 { return random }}
		rand := random/5 - 0.1
		first := x.jitter(time.Second, time.Second)
		if want := time.Duration(float64(time.Second) * (1 + rand)); (first - want).Abs() > time.Microsecond {
			t.Errorf("RAND %v: first time-out %v, want %v", rand, first, want)
		}
		if got, want := x.backOff(2*time.Second), time.Duration(float64(2*time.Second)*(2+rand)); (got - want).Abs() > time.Microsecond {
			t.Errorf("RAND %v: time-out after 2 s %v, want %v", rand, got, want)
		}
		if got, want := x.backOff(20*time.Second), time.Duration(float64(16*time.Second)*(1+rand)); (got - want).Abs() > time.Microsecond {
			t.Errorf("RAND %v: time-out after 20 s %v, want %v", rand, got, want)
		}
	}
}

// RFC 2865 section 3: the Identifier is one byte, so each socket carries 256
// requests, each under an id of its own.
func TestSocketsOnDemand(t *testing.T) {
	cfg := testConfig(1)
	cfg.MaxSockets = 3
	l := newLab(t, cfg, authentication)
	n := 0
	for l.submit() {
		n++
	}
	if n != 3*256 || len(l.ports) != 3 {
		t.Fatalf("%d requests on %d sockets, want 768 on 3", n, len(l.ports))
	}
	seen := map[*labPort]map[byte]bool{}
	authenticators := map[string]bool{}
	for _, f := range l.sent {
		if seen[f.port] == nil {
			seen[f.port] = map[byte]bool{}
		}
		if seen[f.port][f.wire[atIdentifier]] {
			t.Fatalf("id %d twice on one socket", f.wire[atIdentifier])
		}
		seen[f.port][f.wire[atIdentifier]] = true
		authenticators[string(f.wire[4:20])] = true
	}
	// An answer makes room for one more, with the id that came free.
	free := l.sent[300]
	if l.accept(free) != valid || !l.submit() || l.submit() {
		t.Fatal("an answer did not make room for exactly one request")
	}
	if f := l.last(); f.port != free.port || f.wire[atIdentifier] != free.wire[atIdentifier] {
		t.Error("the free id was not used")
	}
}

// An id that came free is used again as late as possible, so that a late answer
// meets no other request.
func TestIdentifiersGoRound(t *testing.T) {
	l := newLab(t, testConfig(1), authentication)
	for i := range 600 {
		l.submit()
		if f := l.last(); f.wire[atIdentifier] != byte(i) {
			t.Fatalf("request %d has id %d", i, f.wire[atIdentifier])
		}
		l.accept(l.last())
	}
}

// After a peak all sockets but one are closed.
func TestIdleSocketsClose(t *testing.T) {
	l := newLab(t, testConfig(1), authentication)
	for range 1000 {
		l.submit()
	}
	for _, f := range l.sent[:1000] {
		l.accept(f)
	}
	if len(l.x.servers[0].sockets) != 4 {
		t.Fatalf("%d sockets open, want 4", len(l.x.servers[0].sockets))
	}
	l.advance(2 * l.x.cfg.IdleSocket)
	open := 0
	for _, p := range l.ports {
		if !p.closed {
			open++
		}
	}
	if open != 1 || len(l.x.servers[0].sockets) != 1 {
		t.Errorf("%d sockets open, want 1", open)
	}
	if !l.x.deadline().IsZero() {
		t.Errorf("a timer is left: %v", l.x.deadline())
	}
	if !l.submit() {
		t.Error("no room after the sockets were closed")
	}
}

// A request that finds no socket waits for one, and not for ever.
func TestNoSocket(t *testing.T) {
	l := newLab(t, testConfig(1), authentication)
	l.openErr = errors.New("no port")
	l.submit()
	if len(l.sent) != 0 || l.x.room(l.now) || l.x.inFlight() != 1 {
		t.Fatal("the request did not wait")
	}
	l.advance(2 * time.Second)
	l.openErr = nil
	l.advance(2 * time.Second)
	if len(l.sent) == 0 || l.accept(l.last()) != valid {
		t.Fatal("the request was not sent when a socket could be had")
	}
	l.advance(l.x.cfg.IdleSocket)
	l.x.servers[0].sockets = nil
	l.openErr = errors.New("no port")
	l.submit()
	l.advance(time.Minute)
	if len(l.failed) != 1 || l.x.inFlight() != 0 {
		t.Errorf("failed %v, in flight %d: want the request given up", l.failed, l.x.inFlight())
	}
}

// A request that waited in the queue for too long is not sent at all.
func TestGivenUpInQueue(t *testing.T) {
	l := newLab(t, testConfig(1), authentication)
	r := &request{giveUp: l.now}
	l.x.start(l.now, r, &l.out)
	l.flush()
	if len(l.sent) != 0 || len(l.failed) != 1 {
		t.Errorf("sent %d, failed %d", len(l.sent), len(l.failed))
	}
}

// Only what was sent once tells the round trip time.
func TestRoundTripTimes(t *testing.T) {
	l := newLab(t, testConfig(1), authentication)
	for i := range 100 {
		l.submit()
		l.advance(time.Duration(i+1) * time.Millisecond)
		l.accept(l.last())
	}
	l.submit()
	l.advance(1500 * time.Millisecond) // answered after it was sent again
	l.accept(l.last())
	v := l.x.servers[0].view(l.now, authentication)
	if v.RTT50 != 51*time.Millisecond || v.RTT99 != 100*time.Millisecond {
		t.Errorf("percentiles %v and %v, want 51ms and 100ms", v.RTT50, v.RTT99)
	}
	if v.Sent != 101 || v.Retries != 1 || v.Accepts != 101 || v.InFlight != 0 {
		t.Errorf("view %+v", v)
	}
}
