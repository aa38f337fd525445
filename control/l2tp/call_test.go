package l2tp

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"
)

// Section 4.1: an unknown mandatory AVP costs the call when the message is about one,
// else the tunnel; without M it costs nothing. The same for malformed ones (7.1).
func TestReactionByScope(t *testing.T) {
	unknown, optional := unhex(t, "8006 0009 0001"), unhex(t, "0006 0009 0001")
	withAVP := func(typ MessageType, avp []byte) []byte { return append(body(typ), avp...) }

	b := inTunnelState(t, testConfig(LNS), Established)
	if got := b.recv(0, withAVP(HELLO, optional)); got != "ZLB" {
		t.Errorf("HELLO with an optional one: %q", got)
	}
	if got := b.recv(0, withAVP(ICRQ, unknown)); got != "CDN(2,8) malformed" {
		t.Errorf("ICRQ: %q", got)
	}
	m := machines[1]
	b, c := m.inCallState(t, callWaitConnect)
	other := b.recv(0, bytes.Replace(body(ICRQ), []byte{0, 0x77}, []byte{0, 0x78}, 1))
	if got := b.recv(c.LocalID, withAVP(ICCN, unknown)); !strings.HasPrefix(got, "CDN(2,8) CallDown") || b.t.Calls() != 1 {
		t.Errorf("ICCN: %q, %d calls; other call %q", got, b.t.Calls(), other)
	}
	b = inTunnelState(t, testConfig(LNS), Established)
	if got := b.recv(0, withAVP(HELLO, unknown)); got != "StopCCN(2,8) TunnelClosing malformed" {
		t.Errorf("HELLO: %q", got)
	}
	b = newBench(t, testConfig(LNS))
	if got := b.recv(0, withAVP(SCCRQ, unknown)); got != "StopCCN(2,8) TunnelClosing malformed" || b.t.PeerID() != benchPeerID {
		t.Errorf("SCCRQ: %q to %#x", got, b.t.PeerID())
	}
	// A call message before there is a tunnel cannot cost a call.
	b = inTunnelState(t, testConfig(LNS), WaitCtlConn)
	if got := b.recv(0, withAVP(ICRQ, unknown)); got != "StopCCN(2,8) TunnelClosing malformed" {
		t.Errorf("early ICRQ: %q", got)
	}
}

// Messages that end something do so however broken they are.
func TestFaultyEndings(t *testing.T) {
	b, c := machines[1].inCallState(t, callEstablished)
	if got := b.recv(c.LocalID, unhex(t, "8008 0000 0000 000e")); got != "ZLB CallDown malformed" {
		t.Errorf("bare CDN: %q", got)
	}
	if got := b.recv(0, unhex(t, "8008 0000 0000 0004")); got != "ZLB TunnelClosing malformed" {
		t.Errorf("bare StopCCN: %q", got)
	}
	// An ICRQ that does not say whom to answer costs nothing.
	b = inTunnelState(t, testConfig(LNS), Established)
	if got := b.recv(0, unhex(t, "8008 0000 0000 000a")); got != "ZLB malformed" {
		t.Errorf("bare ICRQ: %q", got)
	}
	if got := b.recv(9, unhex(t, "8008 0000 0000 000c")); got != "ZLB malformed" {
		t.Errorf("bare ICCN of no call: %q", got)
	}
}

// Section 4.4.4: a CDN that was sent before our id was known finds the call by the
// sender's id.
func TestCDNByAssignedSessionID(t *testing.T) {
	for _, m := range machines {
		for _, s := range m.states {
			b, c := m.inCallState(t, s)
			got := b.recv(0, body(CDN))
			if known := c.PeerID == 0x77; known != (c.state == callDown) {
				t.Errorf("%s, %s: %q", m.name, s, got)
			}
		}
	}
	// But a CDN for an id that is not ours means no other call.
	b, c := machines[1].inCallState(t, callEstablished)
	if b.recv(0x99, body(CDN)); c.state != callEstablished {
		t.Error("a CDN for an unknown id took the call")
	}
}

// The acknowledgement of a call request waits for the owner's answer, and no longer.
func TestRequestAcknowledgement(t *testing.T) {
	b := inTunnelState(t, testConfig(LNS), Established)
	b.recv(0, body(ICRQ))
	c := b.out.Events[0].Call
	if !b.t.Deadline().Equal(b.now) {
		t.Error("the acknowledgement is not due at once")
	}
	b.out.Reset()
	b.t.AcceptCall(b.now, c, 5, &b.out)
	if got := b.effects(); got != "ICRP CallAccepted" || nrOf(b.out.Send[0]) != 3 {
		t.Errorf("%q", got)
	}
	if b.t.Deadline().Equal(b.now) {
		t.Error("an acknowledgement is still due")
	}
	b = inTunnelState(t, testConfig(LNS), Established)
	b.recv(0, body(ICRQ))
	b.out.Reset()
	b.t.Timer(b.now, &b.out)
	if got := b.effects(); got != "ZLB" {
		t.Errorf("no answer: %q", got)
	}
}

func TestPlaceCallErrors(t *testing.T) {
	b := inTunnelState(t, testConfig(LAC), Established)
	if _, err := b.t.PlaceCall(b.now, 0, nil, &b.out); !errors.Is(err, ErrSessionID) {
		t.Error(err)
	}
	c, err := b.t.PlaceCall(b.now, 1, nil, &b.out)
	if err != nil || b.t.Call(1) != c {
		t.Error(err)
	}
	if _, err := b.t.PlaceCall(b.now, 1, nil, &b.out); !errors.Is(err, ErrSessionID) {
		t.Error(err)
	}
	// Sections 4.4.4 and 6.9: an LNS asks only for what the LAC has.
	b = inTunnelState(t, testConfig(LNS), Established)
	for _, p := range []*CallParams{{BearerType: 4}, {FramingType: 8}} {
		if _, err := b.t.PlaceCall(b.now, 2, p, &b.out); !errors.Is(err, ErrCapability) {
			t.Errorf("%+v: %v", p, err)
		}
	}
	b = inTunnelState(t, testConfig(LNS), WaitCtlConn)
	c, err = b.t.PlaceCall(b.now, 2, &CallParams{BearerType: 4}, &b.out)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.recv(0, body(SCCCN)); got != "ZLB TunnelUp CallDown" || c.State() != "down" {
		t.Errorf("%q", got)
	}
}

// AcceptCall with an id that cannot be used rejects the call; with a call that has
// ended it does nothing.
func TestAcceptCallTwice(t *testing.T) {
	b, c := machines[1].inCallState(t, callRequested)
	b.out.Reset()
	b.t.AcceptCall(b.now, c, 0, &b.out)
	if got := b.effects(); got != "CDN(4,0) CallDown" {
		t.Errorf("id 0: %q", got)
	}
	b.out.Reset()
	b.t.AcceptCall(b.now, c, 5, &b.out)
	b.t.RejectCall(b.now, c, Result{Code: CDNBusy}, &b.out)
	b.t.HangUp(b.now, c, Result{Code: CDNBusy}, &b.out)
	b.t.ConnectCall(b.now, c, &CallParams{}, &b.out)
	b.t.SendSLI(b.now, c, ACCM{}, &b.out)
	b.t.SendWEN(b.now, c, CallErrors{}, &b.out)
	if got := b.effects(); got != "" {
		t.Errorf("after the end: %q", got)
	}
}

// The peer's session ids name one call each.
func TestReplyWithAnotherCallsID(t *testing.T) {
	for _, m := range []machine{machines[0], machines[3]} {
		b, _ := m.inCallState(t, callEstablished)
		c, err := b.t.PlaceCall(b.now, 6, &CallParams{}, &b.out)
		if err != nil {
			t.Fatal(err)
		}
		reply := map[Role]MessageType{LAC: ICRP, LNS: OCRP}[m.role]
		if got := b.recv(6, body(reply)); got != "CDN(2,5) CallDown unexpected" || c.state != callDown || b.t.Calls() != 1 {
			t.Errorf("%s: %q", m.name, got)
		}
	}
}

// A call that still waits for the tunnel goes without a CDN; an idle tunnel is closed
// without a word.
func TestEndBeforeItBegan(t *testing.T) {
	b := newBench(t, testConfig(LAC))
	c, err := b.t.PlaceCall(b.now, 1, &CallParams{}, &b.out)
	if err != nil {
		t.Fatal(err)
	}
	b.t.HangUp(b.now, c, Result{Code: CDNAdministrative}, &b.out)
	if got := b.effects(); got != "CallDown" || b.t.Calls() != 0 {
		t.Errorf("%q", got)
	}
	b.out.Reset()
	b.t.Close(b.now, Result{Code: StopClear}, &b.out)
	if got := b.effects(); got != "TunnelClosing TunnelGone" {
		t.Errorf("%q", got)
	}
	// A call that was given up before the tunnel came is not placed.
	b = inTunnelState(t, testConfig(LAC), WaitCtlReply)
	c, _ = b.t.PlaceCall(b.now, 1, &CallParams{}, &b.out)
	b.t.HangUp(b.now, c, Result{Code: CDNAdministrative}, &b.out)
	if got := b.recv(0, body(SCCRP)); got != "SCCCN TunnelUp" {
		t.Errorf("%q", got)
	}
}

// Texts are cut to what an AVP holds and made valid UTF-8 (section 4.4.2).
func TestLongTexts(t *testing.T) {
	long := strings.Repeat("ä", 2000)
	for _, hide := range []bool{false, true} {
		cfg := secretConfig(LAC)
		cfg.Challenge, cfg.HideAVPs, cfg.VendorName = false, hide, long
		peer := secretConfig(LNS)
		peer.Challenge = false
		p := newPair(t, cfg, peer, 4).up()
		lac, _ := p.call(1, &CallParams{CallingNumber: long})
		p.do(p.lac, func(t *Tunnel, now time.Time, out *Out) {
			t.HangUp(now, lac, Result{Code: 3, Message: long, Disconnect: DisconnectCause{Present: true, Message: long}}, out)
		})
		p.run(time.Second)
		r := p.lns.last(CallDown).Result
		if n := len(r.Message); n < 1000 || n > avpMaxValue-4 || strings.Trim(r.Message, "ä") != "" {
			t.Errorf("hide %v: message of %d octets ends in %q", hide, n, r.Message[n-4:])
		}
		if n := len(r.Disconnect.Message); n < 1000 || strings.Trim(r.Disconnect.Message, "ä") != "" {
			t.Errorf("hide %v: cause of %d octets", hide, n)
		}
	}
}

// Sections 6.12 and 4.4.4: a CDN for a call that never got an id of ours carries one
// that is not 0 and means no other call.
func TestRefusedCallGetsAnUnusedID(t *testing.T) {
	b, _ := machines[1].inCallState(t, callEstablished) // its id is 5
	values := []byte{0, 0, 0, 5, 0, 9}
	b.t.random = func(p []byte) { values = values[copy(p, values):] }
	b.recv(0, append(bytes.Replace(body(ICRQ), []byte{0, 0x77}, []byte{0, 0x78}, 1), unhex(t, "8006 0009 0001")...))
	h, cdn, _ := ParseHeader(b.out.Send[0])
	var m message
	if m.decode(cdn, nil); m.typ != CDN || h.SessionID != 0x78 || m.uint16(avpAssignedSessionID) != 9 {
		t.Errorf("%+v %x", h, cdn)
	}
}

// Section 4.4.4: the Rx Connect Speed says that the line is asymmetric.
func TestRxSpeedOnlyWhenItDiffers(t *testing.T) {
	for rx, want := range map[uint32]bool{0: false, 64000: false, 32000: true} {
		w := builder{}
		w.iccn(&CallParams{TxSpeed: 64000, RxSpeed: rx})
		if _, ok := peekAVP(w.b, avpRxConnectSpeed); ok != want {
			t.Errorf("Rx %d of Tx 64000: sent %v", rx, ok)
		}
	}
}

// With BatchAcks one acknowledgement answers all messages that came before Timer is
// called, and none is sent when a message of ours carries it.
func TestBatchAcks(t *testing.T) {
	cfg := testConfig(LNS)
	cfg.BatchAcks = true
	b := inTunnelState(t, cfg, Established)
	for range 3 {
		if got := b.recv(0, body(HELLO)); got != "" {
			t.Errorf("a HELLO drew %q before Timer", got)
		}
	}
	if !b.t.Deadline().Equal(b.now) {
		t.Error("the acknowledgement is not due at once")
	}
	b.out.Reset()
	b.t.Timer(b.now, &b.out)
	if got := b.effects(); got != "ZLB" || nrOf(b.out.Send[0]) != b.t.Stats().Nr {
		t.Errorf("three HELLOs drew %q", got)
	}
	if b.t.Deadline().Equal(b.now) {
		t.Error("an acknowledgement is still due")
	}
}
