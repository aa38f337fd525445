package l2tp

import (
	"bytes"
	"fmt"
	"testing"
	"time"
)

// Section 5.8: a ZLB's Ns is not used up and does not move our Nr, so that the
// message that follows under the same Ns is not a duplicate. Its Nr counts.
func TestZLBDoesNotAdvanceNr(t *testing.T) {
	b := inTunnelState(t, testConfig(LNS), WaitCtlConn)
	nr := b.t.Stats().Nr
	if got := b.recv(0, nil); got != "" {
		t.Errorf("a ZLB drew %q", got)
	}
	b.ns-- // it took no number
	s := b.t.Stats()
	if s.Nr != nr || s.Unacked != 0 || s.ZLBReceived != 1 {
		t.Errorf("%+v", s)
	}
	if got := b.recv(0, body(SCCCN)); got != "ZLB TunnelUp" {
		t.Errorf("SCCCN behind a ZLB of the same Ns: %q", got)
	}
}

func TestVersionMismatch(t *testing.T) {
	old := bytes.Replace(body(SCCRQ), []byte{0, 2, 1, 0}, []byte{0, 2, 2, 0}, 1)
	b := newBench(t, testConfig(LNS))
	// Section 4.4.2: the error code is the highest version supported.
	if got := b.recv(0, old); got != "StopCCN(5,256) TunnelClosing malformed" {
		t.Errorf("%q", got)
	}
	rev := bytes.Replace(body(SCCRQ), []byte{0, 2, 1, 0}, []byte{0, 2, 1, 7}, 1)
	b = newBench(t, testConfig(LNS))
	if got := b.recv(0, rev); got != "SCCRP" {
		t.Errorf("another revision: %q", got)
	}
}

// Section 5.1.1, both ends: response missing, wrong, or impossible.
func TestAuthenticationFailures(t *testing.T) {
	challenge := func(w *builder) { w.bytes(avpChallenge, []byte("0123456789abcdef")) }
	response := func(w *builder) { w.bytes(avpChallengeResponse, make([]byte, 16)) }
	const refused = "StopCCN(4,0) TunnelClosing unauthenticated"
	for _, c := range []struct {
		name  string
		cfg   *Config
		state TunnelState
		msg   []byte
		want  string
	}{
		{"SCCRP without a response", secretConfig(LAC), WaitCtlReply, body(SCCRP), refused},
		{"SCCRP with a wrong one", secretConfig(LAC), WaitCtlReply, body(SCCRP, response), refused},
		{"SCCCN without a response", secretConfig(LNS), WaitCtlConn, body(SCCCN), refused},
		{"SCCCN with a wrong one", secretConfig(LNS), WaitCtlConn, body(SCCCN, response), refused},
		{"SCCRQ with a challenge, no secret", testConfig(LNS), Idle, body(SCCRQ, challenge), refused},
		{"SCCRP with a challenge, no secret", testConfig(LAC), WaitCtlReply, body(SCCRP, challenge), refused},
		{"SCCCN with a response nobody asked for", testConfig(LNS), WaitCtlConn, body(SCCCN, response), "ZLB TunnelUp"},
	} {
		b := inTunnelState(t, c.cfg, c.state)
		if got := b.recv(0, c.msg); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	// Without a secret nothing is challenged.
	cfg := testConfig(LNS)
	cfg.Challenge = true
	b := newBench(t, cfg)
	b.recv(0, body(SCCRQ))
	if b.t.challenge != nil {
		t.Error("challenged without a secret")
	}
}

// Section 5.5: HELLO after silence, control or data; not while a message waits for its
// acknowledgement anyway.
func TestHelloOnlyAfterSilence(t *testing.T) {
	b := inTunnelState(t, testConfig(LNS), Established)
	b.recv(0, nil)
	b.ns--
	at := func(d time.Duration) string {
		b.now = epoch.Add(d)
		b.out.Reset()
		b.t.Timer(b.now, &b.out)
		return b.effects()
	}
	if got := b.t.Deadline(); !got.Equal(epoch.Add(time.Minute)) {
		t.Fatalf("deadline %v", got.Sub(epoch))
	}
	b.t.Heard(epoch.Add(50 * time.Second)) // a data packet
	if got := at(60 * time.Second); got != "" {
		t.Errorf("10 s after a data packet: %q", got)
	}
	if got := at(109 * time.Second); got != "" {
		t.Errorf("too early: %q", got)
	}
	if got := at(110 * time.Second); got != "HELLO" {
		t.Errorf("after 60 s of silence: %q", got)
	}
	if got := at(110*time.Second + 500*time.Millisecond); got != "" {
		t.Errorf("a second HELLO: %q", got)
	}
	b.recv(0, nil)
	b.ns--
	if got := b.t.Deadline().Sub(epoch); got != 170*time.Second+500*time.Millisecond {
		t.Errorf("deadline after the acknowledgement: %v", got)
	}
	cfg := testConfig(LNS)
	cfg.HelloInterval = 0
	b = inTunnelState(t, cfg, Established)
	b.recv(0, nil)
	if !b.t.Deadline().IsZero() {
		t.Error("HELLO though the interval is 0")
	}
}

// Section 5.8: a repeated SCCRQ gets the SCCRP again, and no second tunnel.
func TestRepeatedSCCRQ(t *testing.T) {
	b := newBench(t, testConfig(LNS))
	b.ackAll = false
	b.recv(0, body(SCCRQ))
	first := append([]byte(nil), b.out.Send[0]...)
	b.ns--
	if got := b.recv(0, body(SCCRQ)); got != "SCCRP duplicate" || !bytes.Equal(first, b.out.Send[0]) {
		t.Errorf("%q", got)
	}
	// Once the peer has the SCCRP an acknowledgement is enough.
	b.ackAll = true
	b.recv(0, body(SCCCN))
	b.ns -= 2
	if got := b.recv(0, body(SCCRQ)); got != "ZLB duplicate" {
		t.Errorf("late: %q", got)
	}
}

// Messages out of order are kept within the window and acted on in order, those
// beyond it are dropped.
func TestOutOfOrder(t *testing.T) {
	b := newBench(t, testConfig(LNS))
	b.recv(0, body(SCCRQ))
	b.ns = 3
	if got := b.recv(0, body(HELLO)); got != "" {
		t.Errorf("held: %q", got)
	}
	b.ns = 2
	if got := b.recv(0, body(ICRQ)); got != "" {
		t.Errorf("held: %q", got)
	}
	b.ns = 9
	if got := b.recv(0, body(HELLO)); got != "out_of_window" {
		t.Errorf("too far: %q", got)
	}
	b.ns = 1
	if got := b.recv(0, body(SCCCN)); got != "TunnelUp CallRequest" {
		t.Errorf("the gap is filled: %q", got)
	}
	if got := fmt.Sprint(b.out.Received); got != "[SCCCN ICRQ HELLO]" {
		t.Errorf("acted on %s", got)
	}
	if s := b.t.Stats(); s.Nr != 4 || s.HeldOutOfOrder != 2 || s.OutOfWindow != 1 {
		t.Errorf("%+v", s)
	}
}

// Section 4.4.3: what each end tells of itself reaches the other, in the clear or
// hidden.
func TestPeerInfo(t *testing.T) {
	for _, hide := range []bool{false, true} {
		lac, lns := secretConfig(LAC), secretConfig(LNS)
		lac.HideAVPs, lac.TieBreaker, lac.ReceiveWindow = hide, true, 16
		p := newPair(t, lac, lns, 8).up()
		want := PeerInfo{"lac.example", "test", 0x0102, 3, 3, 16, *p.lac.t.TieBreaker(), true}
		if got := *p.lns.t.Peer(); got != want {
			t.Errorf("hide %v: the LNS learnt %+v", hide, got)
		}
		want = PeerInfo{"lns.example", "test", 0x0102, 3, 3, 8, [8]byte{}, false}
		if got := *p.lac.t.Peer(); got != want {
			t.Errorf("hide %v: the LAC learnt %+v", hide, got)
		}
		if p.lac.t.PeerID() != p.lns.t.ID() || p.lns.t.PeerID() != p.lac.t.ID() {
			t.Error("ids")
		}
	}
	// An absent Receive Window Size means 4.
	b := inTunnelState(t, testConfig(LNS), WaitCtlConn)
	if s := b.t.Stats(); s.PeerWindow != 4 || s.Ssthresh != 4 {
		t.Errorf("%+v", s)
	}
}
