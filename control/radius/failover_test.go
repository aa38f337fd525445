package radius

import (
	"bytes"
	"slices"
	"testing"
	"time"
)

// to lists the last byte of the server address of each packet sent.
func (l *lab) to() []byte {
	var b []byte
	for _, f := range l.sent {
		b = append(b, f.to.Addr().As4()[3])
	}
	return b
}

// settle answers everything in flight and drops the record of it.
func (l *lab) settle() {
	for _, f := range l.sent {
		l.accept(f)
	}
	l.sent = nil
}

func TestPrimaryFirst(t *testing.T) {
	l := newLab(t, testConfig(3), authentication)
	for range 5 {
		l.submit()
	}
	if got := l.to(); !bytes.Equal(got, []byte{1, 1, 1, 1, 1}) {
		t.Errorf("servers %v, want the first only", got)
	}
}

// A silent server is dead after FailoverAfter; its requests go to the next one,
// as new requests, and so do those that come later.
func TestFailover(t *testing.T) {
	l := newLab(t, testConfig(2), authentication)
	l.submit()
	l.advance(3 * time.Second)
	if got := l.to(); !bytes.Equal(got, []byte{1, 1, 2}) {
		t.Fatalf("servers %v, want 1 twice, then 2", got)
	}
	if at := l.last().at.Sub(start); at != 2500*time.Millisecond {
		t.Errorf("failover after %v, want 2.5s", at)
	}
	if bytes.Equal(l.sent[0].wire[4:20], l.sent[2].wire[4:20]) {
		t.Error("the request to the other server has the same authenticator")
	}
	if l.accept(l.last()) != valid || l.x.inFlight() != 0 || len(l.failed) != 0 {
		t.Error("the second server's answer was not taken")
	}
	if l.accept(l.sent[0]) != late {
		t.Error("an answer of the first server after failover is not late")
	}
	l.sent = nil
	l.submit()
	if got := l.to(); !bytes.Equal(got, []byte{2}) {
		t.Errorf("next request to %v, want 2", got)
	}
	if want := []string{"192.0.2.1:up->suspect", "192.0.2.1:suspect->dead"}; !slices.Equal(l.changes, want) {
		t.Errorf("changes %v, want %v", l.changes, want)
	}
	if v := l.x.servers[0].view(l.now, authentication); v.State != "dead" || v.Timeouts != 1 || v.DeadUntil.IsZero() {
		t.Errorf("view %+v", v)
	}
}

// When its dead time is over, a server gets one request; when that is answered it
// gets the others too.
func TestProbeAndRevival(t *testing.T) {
	l := newLab(t, testConfig(2), authentication)
	l.submit()
	l.advance(3 * time.Second)
	l.settle()
	l.advance(l.x.cfg.DeadTime)
	for range 3 {
		l.submit()
	}
	if got := l.to(); !bytes.Equal(got, []byte{1, 2, 2}) {
		t.Fatalf("servers %v, want one probe to 1", got)
	}
	if v := l.x.servers[0].view(l.now, authentication); v.State != "suspect" {
		t.Errorf("state %s, want suspect", v.State)
	}
	l.settle()
	l.submit()
	if got := l.to(); !bytes.Equal(got, []byte{1}) {
		t.Errorf("after the answer to the probe: server %v, want 1", got)
	}
}

// The subscriber whose request is the probe waits for one time-out only.
func TestProbeUnanswered(t *testing.T) {
	l := newLab(t, testConfig(2), authentication)
	l.submit()
	l.advance(3 * time.Second)
	l.settle()
	l.advance(l.x.cfg.DeadTime)
	l.submit()
	probed := l.now
	l.advance(1100 * time.Millisecond)
	if got := l.to(); !bytes.Equal(got, []byte{1, 2}) || l.last().at.Sub(probed) != time.Second {
		t.Fatalf("servers %v, last after %v, want 2 after 1s", got, l.last().at.Sub(probed))
	}
	if l.x.servers[0].is(l.now) != dead {
		t.Error("the server is not dead again")
	}
	l.settle()
	l.submit()
	if got := l.to(); !bytes.Equal(got, []byte{2}) {
		t.Errorf("server %v, want 2", got)
	}
}

// One lost packet is not an outage: the server goes on getting requests as long
// as it answers others.
func TestLossIsNoOutage(t *testing.T) {
	l := newLab(t, testConfig(2), authentication)
	l.submit()
	lost := l.last()
	for range 50 {
		l.submit()
		l.advance(100 * time.Millisecond)
		for _, f := range l.sent {
			if !bytes.Equal(f.wire, lost.wire) {
				l.accept(f)
			}
		}
	}
	for _, c := range l.changes {
		t.Errorf("change %v", c)
	}
}

// With no server up subscribers' requests still go out, to all in turn.
func TestAllDead(t *testing.T) {
	l := newLab(t, testConfig(2), authentication)
	l.submit()
	l.advance(time.Minute)
	if len(l.failed) != 1 {
		t.Fatalf("%d failed, want 1", len(l.failed))
	}
	if got := l.to(); !slices.Contains(got, 1) || !slices.Contains(got, 2) {
		t.Errorf("servers %v, want both tried", got)
	}
	for _, s := range l.x.servers {
		if s.health != dead {
			t.Errorf("server %v is %v", s.addr, s.health)
		}
	}
	l.sent = nil
	for range 4 {
		l.submit()
	}
	if got := l.to(); len(got) != 4 || !slices.Contains(got, 1) || !slices.Contains(got, 2) {
		t.Errorf("servers %v, want both", got)
	}
	l.settle()
	if l.x.servers[0].health != up || l.x.servers[1].health != up {
		t.Error("answers did not bring the servers back")
	}
}

// Accounting waits out an outage in the queue: a dead server is sent one record
// again and again, and once it answers the others follow at once.
func TestAccountingOutage(t *testing.T) {
	l := newLab(t, testConfig(1), accounting)
	for range 100 {
		l.submit()
	}
	l.advance(30 * time.Minute)
	if l.submit() {
		t.Error("a record was sent to a dead server that already has a hundred")
	}
	if len(l.failed) != 0 {
		t.Fatalf("%d records lost", len(l.failed))
	}
	// Backed off to MRT, 16 s: four a minute from each of the hundred.
	before := len(l.sent)
	l.advance(time.Minute)
	if n := len(l.sent) - before; n > 100*4 {
		t.Errorf("%d packets in a minute of outage, want at most 400", n)
	}
	back := l.now
	l.accept(l.last())
	if !l.submit() {
		t.Error("the queue does not move after the server came back")
	}
	before = len(l.sent)
	l.advance(l.x.cfg.InitialRetransmit)
	for _, f := range l.sent[before:] {
		l.accept(f)
	}
	if l.x.inFlight() > 1 || l.now.Sub(back) > time.Second {
		t.Errorf("%d records still wait a second after the server came back", l.x.inFlight())
	}
}

// A probe to an idle dead server moves the queue again when nothing else is in
// flight.
func TestAccountingProbesWhenIdle(t *testing.T) {
	cfg := testConfig(2)
	cfg.AcctTimeout = 10 * time.Second
	l := newLab(t, cfg, accounting)
	l.submit()
	l.advance(time.Minute)
	if len(l.failed) != 1 {
		t.Fatalf("%d failed, want 1", len(l.failed))
	}
	l.sent = nil
	n := 0
	for l.submit() {
		n++
	}
	if got := l.to(); n != 2 || !bytes.Equal(got, []byte{1, 2}) {
		t.Errorf("%d probes to %v, want one to each server", n, got)
	}
}

// A server that runs out of ids hands over to the next before anyone waits.
func TestOverflow(t *testing.T) {
	cfg := testConfig(2)
	cfg.MaxSockets = 1
	l := newLab(t, cfg, authentication)
	for range 257 {
		l.submit()
	}
	if got := l.last().to.Addr().As4()[3]; got != 2 {
		t.Errorf("request 257 to server %d, want 2", got)
	}
}
