package radius

import (
	"slices"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2869"
)

// shares counts the packets that went to each server, by the last byte of its address.
func (l *lab) shares() map[byte]int {
	n := map[byte]int{}
	for _, b := range l.to() {
		n[b]++
	}
	return n
}

// Servers of one priority share in proportion to their weights, at any length of the
// series; those of a higher number get nothing while one of them is up.
func TestWeights(t *testing.T) {
	cfg := testConfig(4)
	for i, w := range []int{5, 3, 1, 1} {
		cfg.Servers[i].Priority, cfg.Servers[i].Weight = 1, w
	}
	cfg.Servers[3].Priority = 2
	l := newLab(t, cfg, authentication)
	for round := 1; round <= 20; round++ {
		for range 9 {
			l.submit()
			l.accept(l.last())
		}
		want := map[byte]int{1: 5 * round, 2: 3 * round, 3: round}
		for server, n := range want {
			if got := l.shares()[server]; got < n-1 || got > n+1 {
				t.Fatalf("after %d requests server %d has %d, want %d", 9*round, server, got, n)
			}
		}
		if l.shares()[4] != 0 {
			t.Fatal("a server of the next priority was asked")
		}
	}
}

// Of servers that share, a dead one's part goes to the others; when it is back it has
// its part again and no more. When all of a priority are dead, the next has its turn.
func TestWeightsFailover(t *testing.T) {
	cfg := testConfig(3)
	for i := range cfg.Servers[:2] {
		cfg.Servers[i].Priority = 1
	}
	cfg.Servers[2].Priority = 2
	l := newLab(t, cfg, authentication)
	silent := map[byte]bool{1: true}
	run := func(n int, d time.Duration) map[byte]int {
		l.sent = nil
		for range n {
			l.submit()
			for i := 0; i < 8; i++ {
				if f := l.sent[len(l.sent)-1]; !silent[f.to.Addr().As4()[3]] {
					l.accept(f)
					break
				}
				l.advance(time.Second)
			}
			l.advance(d)
		}
		return l.shares()
	}
	run(2, 0) // finds out
	if got := run(20, 0); got[1] != 0 || got[2] != 20 {
		t.Errorf("with server 1 dead: %v", got)
	}
	silent = map[byte]bool{1: true, 2: true}
	run(4, 0)
	if got := run(10, 0); got[3] != 10 {
		t.Errorf("with both of the first priority dead: %v", got)
	}
	silent = nil
	l.advance(l.x.cfg.DeadTime)
	run(4, time.Second) // the probes
	if got := run(20, 0); got[1] != 10 || got[2] != 10 || got[3] != 0 {
		t.Errorf("with all back: %v", got)
	}
}

// statusPackets are the Status-Server packets sent so far.
func (l *lab) statusPackets() (list []flight) {
	for _, f := range l.sent {
		if radius.Code(f.wire[atCode]) == radius.CodeStatusServer {
			list = append(list, f)
		}
	}
	return list
}

// RFC 5997 section 4.3: a dead server gets no request of a subscriber until it has
// answered a Status-Server.
func TestStatusServer(t *testing.T) {
	for _, p := range []purpose{authentication, accounting} {
		t.Run(p.String(), func(t *testing.T) {
			cfg := testConfig(2)
			cfg.Servers[0].StatusServer = true
			l := newLab(t, cfg, p)
			l.submit()
			l.advance(3 * time.Second)
			l.accept(l.last()) // the second server's
			if len(l.statusPackets()) != 0 {
				t.Fatal("asked before the dead time is over")
			}
			l.sent = nil
			l.advance(l.x.cfg.DeadTime)
			for range 3 {
				l.submit()
				l.accept(l.last())
				l.advance(5 * time.Second)
			}
			asked := l.statusPackets()
			if len(asked) < 3 || l.shares()[1] != len(asked) {
				t.Fatalf("%d Status-Server packets, %v packets in all: want the first server asked only so", len(asked), l.shares())
			}
			checkStatusPackets(t, asked)
			if l.x.inFlight() != 0 {
				t.Errorf("%d requests in flight: a question is none", l.x.inFlight())
			}
			// A late answer to an earlier one says nothing; one to the last does.
			code := map[purpose]radius.Code{authentication: radius.CodeAccessAccept, accounting: radius.CodeAccountingResponse}[p]
			if f := l.answer(asked[0], respond(asked[0].wire, code, testSecret, signed)); f != late {
				t.Errorf("an answer to an earlier question is %v", f)
			}
			last := asked[len(asked)-1]
			if f := l.answer(last, respond(last.wire, radius.CodeAccessReject, testSecret, signed)); f != wrongCode {
				t.Errorf("a reject of the question is %v", f)
			}
			// Either code will do on either port, signed or not.
			r, _, f := l.x.answer(l.now, last.socket, last.to, respond(last.wire, radius.CodeAccountingResponse, testSecret, unsigned), &l.out)
			if f != valid || !r.statusServer() {
				t.Fatalf("the answer is %v", f)
			}
			l.flush()
			l.sent = nil
			l.submit()
			if got := l.to(); !slices.Equal(got, []byte{1}) {
				t.Errorf("after the answer the request goes to %v", got)
			}
			v := l.x.servers[0].view(l.now, p)
			if v.State != "up" || v.StatusSent != uint64(len(asked)) || v.StatusAnswers != 1 || v.Accepts != 0 {
				t.Errorf("view %+v", v)
			}
		})
	}
}

// checkStatusPackets holds what RFC 5997 sections 3 and 4.1 ask of them.
func checkStatusPackets(t *testing.T, asked []flight) {
	t.Helper()
	for i, f := range asked {
		p, err := radius.Parse(f.wire, []byte(testSecret))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Get(rfc2869.MessageAuthenticator_Type)) != 16 || p.Get(1) != nil || p.Get(40) != nil || p.Get(44) != nil {
			t.Errorf("packet %d has attributes %v", i, p.Attributes)
		}
		if i == 0 {
			continue
		}
		before := asked[i-1]
		if f.wire[atIdentifier] == before.wire[atIdentifier] || string(f.wire[4:20]) == string(before.wire[4:20]) {
			t.Errorf("packet %d is a retransmission", i)
		}
		if d := f.at.Sub(before.at); d != 6*time.Second {
			t.Errorf("packet %d after %v", i, d)
		}
	}
}

// A question under way does not keep the client from closing.
func TestStatusServerAbandoned(t *testing.T) {
	cfg := testConfig(1)
	cfg.Servers[0].StatusServer = true
	l := newLab(t, cfg, authentication)
	l.submit()
	l.advance(time.Minute)
	if len(l.statusPackets()) == 0 || l.x.asking != 1 {
		t.Fatalf("%d questions, %d under way", len(l.statusPackets()), l.x.asking)
	}
	l.failed = nil
	l.x.abandon(l.now, errClosing, &l.out)
	l.flush()
	if len(l.failed) != 0 || l.x.asking != 0 || l.x.inFlight() != 0 || l.x.servers[0].inFlight != 0 {
		t.Errorf("left over: failed %v, asking %d", l.failed, l.x.asking)
	}
}
