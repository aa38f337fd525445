package l2tp

import (
	"bytes"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Section 4.4.3: before the peer's id is known, StopCCN goes to tunnel 0 with our id
// in it.
func TestCloseBeforeReply(t *testing.T) {
	b := inTunnelState(t, testConfig(LAC), WaitCtlReply)
	b.out.Reset()
	b.t.Close(b.now, Result{Code: StopClear}, &b.out)
	if got := b.effects(); got != "TunnelClosing" {
		t.Errorf("%q: the SCCRQ is still unacknowledged and the window is 1", got)
	}
	b.ackAll = true
	b.recv(0, nil)
	h, body, _ := ParseHeader(b.out.Send[0])
	if id, ok := PeekStopCCN(body); h.TunnelID != 0 || !ok || id != benchID {
		t.Errorf("%+v %#x", h, id)
	}
}

// A control connection, or a call, that is not established in time.
func TestEstablishTimeout(t *testing.T) {
	timer := func(b *bench, d time.Duration) string {
		b.now = epoch.Add(d)
		b.out.Reset()
		b.t.Timer(b.now, &b.out)
		return b.effects()
	}
	cfg := testConfig(LNS)
	cfg.EstablishTimeout = 10 * time.Second
	// Nothing proves that the SCCRQ's source is genuine: it gets no more.
	b := newBench(t, cfg)
	b.recv(0, body(SCCRQ))
	b.t.ch.deadline = epoch.Add(time.Hour)
	if got := timer(b, 10*time.Second); got != "TunnelClosing TunnelGone" || !b.t.Deadline().IsZero() {
		t.Errorf("half-open, unproven: %q", got)
	}
	b = newBench(t, cfg)
	b.recv(0, body(SCCRQ))
	b.recv(0, nil)
	if got := timer(b, 10*time.Second); got != "StopCCN(1,0) TunnelClosing" {
		t.Errorf("half-open, proven: %q", got)
	}
	lac := testConfig(LAC)
	lac.EstablishTimeout = 10 * time.Second
	for i, code := range []uint16{CDNTimeout, CDNTemporary, CDNTimeout, CDNTemporary} {
		m := machines[i]
		for _, s := range m.states {
			if s == callEstablished {
				continue
			}
			b, c := m.inCallState(t, s)
			b.recv(0, nil) // acknowledge
			b.ns--
			if got := b.t.Deadline(); !got.Equal(epoch.Add(time.Minute)) {
				t.Errorf("%s, %s: deadline %v", m.name, s, got.Sub(epoch))
			}
			b.t.Heard(epoch.Add(time.Minute))
			if got, want := timer(b, time.Minute), fmt.Sprintf("CDN(%d,0) CallDown", code); got != want || c.state != callDown {
				t.Errorf("%s, %s: %q, want %q", m.name, s, got, want)
			}
		}
	}
}

// Section 5.7: after StopCCN, sent or received, repeats are acknowledged for a full
// cycle, and the tunnel ends then.
func TestClosingLastsAFullCycle(t *testing.T) {
	b := inTunnelState(t, testConfig(LNS), Closing)
	b.ns-- // the StopCCN again
	b.now = epoch.Add(22 * time.Second)
	if got := b.recv(0, body(StopCCN)); got != "ZLB duplicate" {
		t.Errorf("repeated StopCCN: %q", got)
	}
	if got := b.t.Deadline().Sub(epoch); got != 23*time.Second {
		t.Errorf("deadline %v", got)
	}
	b.now = epoch.Add(23 * time.Second)
	b.out.Reset()
	b.t.Timer(b.now, &b.out)
	if got := b.effects(); got != "TunnelGone" {
		t.Errorf("%q", got)
	}
	for name, act := range map[string]func(){
		"Receive": func() { b.recv(0, body(StopCCN)) },
		"Timer":   func() { b.t.Timer(b.now, &b.out) },
		"Close":   func() { b.t.Close(b.now, Result{}, &b.out) },
		"Discard": func() { b.t.Discard(&b.out) },
		"Open":    func() { b.t.Open(b.now, &b.out) },
	} {
		b.out.Reset()
		if act(); b.effects() != "" || !b.t.Deadline().IsZero() {
			t.Errorf("%s after the end: %q", name, b.effects())
		}
	}
	if _, err := b.t.PlaceCall(b.now, 1, nil, &b.out); !errors.Is(err, ErrClosing) {
		t.Error(err)
	}
}

// Our StopCCN is sent again until it is acknowledged, or the peer is lost.
func TestStopCCNIsDelivered(t *testing.T) {
	b := inTunnelState(t, testConfig(LNS), Established)
	b.recv(0, nil)
	b.ns--
	b.out.Reset()
	b.t.Close(b.now, Result{Code: StopShutdown}, &b.out)
	var sent []int
	for !b.t.gone {
		b.now = b.t.Deadline()
		b.out.Reset()
		b.t.Timer(b.now, &b.out)
		if len(b.out.Send) > 0 {
			sent = append(sent, int(b.now.Sub(epoch).Seconds()))
		}
	}
	if got := fmt.Sprint(sent, b.now.Sub(epoch)); got != "[1 3 7 15 23] 31s" {
		t.Errorf("sent again at %s", got)
	}
}

// What was queued behind the window is dropped by a StopCCN, which goes next.
func TestStopCCNOvertakesTheQueue(t *testing.T) {
	b := inTunnelState(t, testConfig(LAC), Established)
	for id := range uint16(5) {
		if _, err := b.t.PlaceCall(b.now, id+1, &CallParams{}, &b.out); err != nil {
			t.Fatal(err)
		}
	}
	b.out.Reset()
	b.t.Close(b.now, Result{Code: StopClear}, &b.out)
	if s := b.t.Stats(); s.Queued != 1 || b.out.Events[0].Kind != CallDown || b.out.Events[0].Result.Code != CDNAdministrative {
		t.Errorf("%+v %q", s, b.effects())
	}
	for _, e := range b.out.Events[:5] {
		if !e.WithTunnel || e.Kind != CallDown {
			t.Errorf("%+v", e)
		}
	}
	for i := range 5 {
		if id := b.out.Events[i].Call.LocalID; id != uint16(i+1) {
			t.Errorf("call %d ended as number %d", id, i)
		}
	}
	if got := b.recv(0, nil); got != "StopCCN(1,0)" || nsOf(b.out.Send[0]) != 3 {
		t.Errorf("%q %x", got, b.out.Send)
	}
}

func TestTieBreaker(t *testing.T) {
	low, high := &[8]byte{7: 1}, &[8]byte{0: 1}
	for _, c := range []struct {
		ours, peers *[8]byte
		want        TieResult
	}{
		{nil, nil, TieNone}, {low, nil, TieWon}, {nil, low, TieLost}, {low, high, TieWon}, {high, low, TieLost}, {low, low, TieEqual},
	} {
		if got := CompareTieBreakers(c.ours, c.peers); got != c.want {
			t.Errorf("%v %v: %d", c.ours, c.peers, got)
		}
	}
	cfg := testConfig(LAC)
	cfg.TieBreaker = true
	b := inTunnelState(t, cfg, WaitCtlReply)
	_, sccrq, _ := ParseHeader(b.out.Send[0])
	if tie, ok := PeekTieBreaker(sccrq); !ok || tie != *b.t.TieBreaker() {
		t.Errorf("%x %v", tie, ok)
	}
	// Section 4.4.3: the loser discards its tunnel silently.
	lose := body(SCCRQ, func(w *builder) { w.bytes(avpTieBreaker, make([]byte, 8)) })
	if got := b.recv(0, lose); got != "TunnelClosing TunnelGone unexpected" {
		t.Errorf("lost: %q", got)
	}
	b = inTunnelState(t, cfg, WaitCtlReply)
	b.out.Reset()
	b.t.Discard(&b.out)
	if got := b.effects(); got != "TunnelClosing TunnelGone" {
		t.Errorf("Discard: %q", got)
	}
	if b = inTunnelState(t, testConfig(LAC), WaitCtlReply); b.t.TieBreaker() != nil {
		t.Error("a tie breaker that nobody asked for")
	}
}

func TestRefusal(t *testing.T) {
	b := AppendRefusal([]byte("x"), 0x0102, 0x0304, Result{Code: StopError, Error: ErrorResources, Message: "draining"})
	want := "c802 002c 0102 0000 0000 0001  8008 0000 0000 0004  8008 0000 0009 0304" +
		"8012 0000 0001 0002 0004 647261696e696e67"
	wantLen := unhex(t, want)
	wantLen[3] = byte(len(wantLen))
	if !bytes.Equal(b, append([]byte("x"), wantLen...)) {
		t.Errorf("%x, want %x", b[1:], wantLen)
	}
	// A tunnel that has sent the SCCRQ takes it.
	lac := inTunnelState(t, testConfig(LAC), WaitCtlReply)
	h, m, err := ParseHeader(b[1:])
	if err != nil {
		t.Fatal(err)
	}
	lac.out.Reset()
	lac.t.Receive(lac.now, h, m, &lac.out)
	if got := lac.effects(); got != "ZLB TunnelClosing" || lac.t.PeerID() != 0x0304 {
		t.Errorf("%q", got)
	}
}

// What was in flight when a StopCCN came has used its sequence numbers: the
// acknowledgement names the one after them (section 5.8).
func TestStopCCNWithMessagesInFlight(t *testing.T) {
	b := inTunnelState(t, testConfig(LNS), Established)
	b.ackAll = false
	b.recv(0, body(ICRQ))
	b.t.AcceptCall(b.now, b.out.Events[0].Call, 5, &b.out)
	if got := b.recv(0, body(StopCCN)); got != "ZLB CallDown TunnelClosing" || nsOf(b.out.Send[0]) != 2 {
		t.Errorf("%q %x", got, b.out.Send)
	}
}

// A StopCCN says whose it is in the clear, even when AVPs are hidden: the peer may
// have to find the tunnel, and its secret, by it.
func TestStopCCNIsNotHidden(t *testing.T) {
	cfg := secretConfig(LNS)
	cfg.Challenge, cfg.HideAVPs = false, true
	b := inTunnelState(t, cfg, Established)
	b.recv(0, nil)
	b.out.Reset()
	b.t.Close(b.now, Result{Code: StopClear}, &b.out)
	_, m, _ := ParseHeader(b.out.Send[0])
	if id, ok := PeekStopCCN(m); !ok || id != benchID {
		t.Errorf("%x: %#x %v", m, id, ok)
	}
}
