package l2tp

import (
	"encoding/hex"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden files anew")

// describe prints a control message as one line of a transcript. Hidden AVPs are
// shown as such.
func describe(tb testing.TB, b []byte) string {
	h, body, err := ParseHeader(b)
	if err != nil {
		tb.Fatalf("%x: %v", b, err)
	}
	typ, ok := PeekType(body)
	if !ok {
		tb.Fatalf("%x: no type", b)
	}
	var s strings.Builder
	fmt.Fprintf(&s, "%-7s tid=%04x sid=%04x Ns=%d Nr=%d", typ, h.TunnelID, h.SessionID, h.Ns, h.Nr)
	for rest := body; len(rest) > 0; {
		var a rawAVP
		if a, rest, ok = nextAVP(rest); !ok {
			tb.Fatalf("%x: bad AVP", b)
		}
		if isMessageType(&a) {
			continue
		}
		fmt.Fprintf(&s, "\n    %s%s: %s", avpBits(a.flags), AVPName(a.vendor, a.typ), avpText(&a))
	}
	return s.String()
}

func avpBits(flags uint16) string {
	bits := "--"
	if flags&avpMandatory != 0 {
		bits = "M-"
	}
	if flags&avpHidden != 0 {
		bits = bits[:1] + "H"
	}
	return bits + " "
}

func avpText(a *rawAVP) string {
	id, _ := lookupAVP(a.vendor, a.typ)
	switch {
	case a.flags&avpHidden != 0:
		return fmt.Sprintf("%d hidden octets", len(a.value))
	case id == avpHostName || id == avpVendorName || id == avpCalledNumber || id == avpCallingNumber ||
		id == avpAgentCircuitID || id == avpProxyAuthName:
		return fmt.Sprintf("%q", a.value)
	}
	return hex.EncodeToString(a.value)
}

func describeEvent(e Event) string {
	var s strings.Builder
	s.WriteString([...]string{TunnelUp: "TunnelUp", TunnelClosing: "TunnelClosing", TunnelGone: "TunnelGone",
		CallRequest: "CallRequest", CallAccepted: "CallAccepted", CallUp: "CallUp", CallDown: "CallDown",
		WANErrors: "WANErrors", LinkInfo: "LinkInfo"}[e.Kind])
	if e.Call != nil {
		fmt.Fprintf(&s, " call %d/%d", e.Call.LocalID, e.Call.PeerID)
	}
	switch e.Kind {
	case CallDown, TunnelClosing:
		fmt.Fprintf(&s, " %+v remote=%v", e.Result, e.Remote)
	case WANErrors:
		fmt.Fprintf(&s, " %+v", e.Errors)
	case LinkInfo:
		fmt.Fprintf(&s, " %+v", e.ACCM)
	}
	return s.String()
}

// story records a pair as text: messages, losses, and the events at the end of
// each chapter.
type story struct {
	*pair
	text strings.Builder
	seen map[*side]int
	lose int // how many of the next messages are lost
}

func newStory(t *testing.T, lac, lns *Config) *story {
	s := &story{pair: newPair(t, lac, lns, 9), seen: map[*side]int{}}
	s.log = func(from *side, b []byte) {
		lost := ""
		s.cut = s.lose > 0
		if s.cut {
			s.lose--
			lost = " (lost)"
		}
		fmt.Fprintf(&s.text, "%8.3f %s -> %s%s\n", s.now.Sub(epoch).Seconds(), from.name, describe(t, b), lost)
	}
	return s
}

func (s *story) chapter(title string, d time.Duration, acts ...func()) {
	fmt.Fprintf(&s.text, "# %s\n", title)
	for _, act := range acts {
		act()
	}
	s.run(d)
	for _, x := range []*side{s.lac, s.lns} {
		for _, e := range x.events[s.seen[x]:] {
			fmt.Fprintf(&s.text, "         %s: %s\n", x.name, describeEvent(e))
		}
		s.seen[x] = len(x.events)
	}
}

func (s *story) check(t *testing.T, name string) {
	t.Helper()
	checkGolden(t, filepath.Join("transcripts", name+".txt"), s.text.String())
}

// checkGolden compares got with a file in testdata.
func checkGolden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("%s differs; got:\n%s", path, got)
	}
}

func TestTranscriptIncomingCall(t *testing.T) {
	s := newStory(t, testConfig(LAC), testConfig(LNS))
	var call *Call
	s.chapter("The LAC opens the tunnel", time.Second, func() { s.do(s.lac, (*Tunnel).Open) })
	s.chapter("The LAC places a call", time.Second, func() {
		call, _ = s.lac.t.PlaceCall(s.now, 0x0a01, &CallParams{
			Serial: 7, BearerType: BearerDigital, FramingType: FramingSync, CalledNumber: "400", CallingNumber: "0551",
			HasPhysicalChannel: true, PhysicalChannel: 3,
			TxSpeed: 50_000_000, RxSpeed: 10_000_000, SequencingRequired: true, PrivateGroup: "red",
			Line: LineInfo{CircuitID: "olt1 eth 1/1:100", ActualUp: 10_000, ActualDown: 50_000},
			Proxy: ProxyState{
				InitialReceived: []byte{1, 4, 5, 0xd4}, LastSent: []byte{3, 4, 0xc0, 0x23}, LastReceived: []byte{1, 4, 5, 0xd4},
				AuthType: 3, AuthName: "user@isp", AuthID: 9, AuthResponse: []byte("pass"),
			},
		}, &s.lac.out)
		s.settle(s.lac)
	})
	s.chapter("The LNS tells the ACCM, the LAC reports line errors", time.Second,
		func() {
			s.do(s.lns, func(t *Tunnel, now time.Time, out *Out) {
				t.SendSLI(now, t.Call(1), ACCM{Send: 0x000A0000, Receive: 0xFFFFFFFF}, out)
			})
		},
		func() {
			s.do(s.lac, func(t *Tunnel, now time.Time, out *Out) {
				t.SendWEN(now, call, CallErrors{CRC: 1, Framing: 2, HardwareOverruns: 3, BufferOverruns: 4, Timeouts: 5, Alignment: 6}, out)
			})
		})
	s.chapter("A minute of silence", 61*time.Second)
	s.chapter("The LNS hangs up and says why", time.Second, func() {
		s.do(s.lns, func(t *Tunnel, now time.Time, out *Out) {
			t.HangUp(now, t.Call(1), Result{Code: CDNAdministrative, Disconnect: DisconnectCause{
				Present: true, Code: 16, Protocol: 0xC023, Direction: 1, Message: "authentication failed"}}, out)
		})
	})
	s.chapter("The LNS shuts down", time.Minute, func() {
		s.do(s.lns, func(t *Tunnel, now time.Time, out *Out) {
			t.Close(now, Result{Code: StopShutdown, Message: "maintenance"}, out)
		})
	})
	s.check(t, "incoming-call")
}

func TestTranscriptOutgoingCall(t *testing.T) {
	s := newStory(t, testConfig(LAC), testConfig(LNS))
	s.chapter("The LNS opens the tunnel, a call waits for it", time.Second, func() {
		s.do(s.lns, func(t *Tunnel, now time.Time, out *Out) {
			t.PlaceCall(now, 0x0b01, &CallParams{Serial: 8, MinBPS: 64000, MaxBPS: 128000, BearerType: BearerDigital,
				FramingType: FramingSync, CalledNumber: "112", SubAddress: "5"}, out)
			t.Open(now, out)
		})
	})
	s.chapter("The line answers", time.Second, func() {
		s.do(s.lac, func(t *Tunnel, now time.Time, out *Out) {
			t.ConnectCall(now, s.lac.calls[0], &CallParams{TxSpeed: 64000, FramingType: FramingSync}, out)
		})
	})
	s.chapter("The line drops", time.Second, func() {
		s.do(s.lac, func(t *Tunnel, now time.Time, out *Out) {
			t.HangUp(now, s.lac.calls[0], Result{Code: CDNLostCarrier}, out)
		})
	})
	s.check(t, "outgoing-call")
}

func secretConfig(role Role) *Config {
	c := testConfig(role)
	c.Secret, c.Challenge, c.Firmware = []byte("s3cret"), true, 0x0102
	return c
}

func TestTranscriptHiddenAndAuthenticated(t *testing.T) {
	lac, lns := secretConfig(LAC), secretConfig(LNS)
	lac.HideAVPs, lns.HideAVPs = true, true
	s := newStory(t, lac, lns)
	s.chapter("Both challenge, both hide", time.Second, func() { s.do(s.lac, (*Tunnel).Open) })
	s.chapter("A call with a password in it", time.Second, func() {
		s.lac.t.PlaceCall(s.now, 0x0a01, &CallParams{Serial: 7, TxSpeed: 1000, FramingType: 1,
			Proxy: ProxyState{AuthType: 3, AuthName: "u", AuthID: 1, AuthResponse: []byte("p")}}, &s.lac.out)
		s.settle(s.lac)
	})
	if p := s.lns.calls[0].Params; string(p.Proxy.AuthResponse) != "p" || p.Serial != 7 {
		t.Errorf("the LNS understood %+v", p)
	}
	s.check(t, "hidden")
}

func TestTranscriptWrongSecret(t *testing.T) {
	lac, lns := secretConfig(LAC), secretConfig(LNS)
	lac.Secret, lac.Challenge = []byte("wrong"), false
	s := newStory(t, lac, lns)
	s.chapter("The LAC's response to the challenge is wrong", time.Minute, func() { s.do(s.lac, (*Tunnel).Open) })
	s.check(t, "wrong-secret")
	if s.lns.bad[Unauthenticated] != 1 {
		t.Errorf("the LNS counted %v", s.lns.bad)
	}
}

func TestTranscriptCallRejected(t *testing.T) {
	s := newStory(t, testConfig(LAC), testConfig(LNS))
	s.lns.decide = func(x *side, now time.Time, c *Call) {
		x.t.RejectCall(now, c, Result{Code: CDNTemporary, Error: ErrorResources, Message: "draining"}, &x.out)
	}
	s.chapter("The LAC opens the tunnel", time.Second, func() { s.do(s.lac, (*Tunnel).Open) })
	s.chapter("The LNS takes no calls", time.Second, func() {
		s.lac.t.PlaceCall(s.now, 0x0a01, &CallParams{Serial: 7}, &s.lac.out)
		s.settle(s.lac)
	})
	s.check(t, "call-rejected")
}

// RFC 2661 section 5.8 for a lost SCCRP, and the example of appendix B.2.
func TestTranscriptLoss(t *testing.T) {
	s := newStory(t, testConfig(LAC), testConfig(LNS))
	s.chapter("The SCCRP is lost", 10*time.Second, func() { s.do(s.lac, (*Tunnel).Open) }, func() { s.lose = 1 })
	s.chapter("The ICRP is lost", 10*time.Second, func() {
		s.lac.t.PlaceCall(s.now, 0x0a01, &CallParams{Serial: 7}, &s.lac.out)
		s.settle(s.lac)
		s.lose = 1
	})
	s.check(t, "loss")
}

func TestTranscriptPeerLost(t *testing.T) {
	s := newStory(t, testConfig(LAC), testConfig(LNS))
	s.chapter("A call is up", time.Second, func() { s.do(s.lac, (*Tunnel).Open) }, func() {
		s.lac.t.PlaceCall(s.now, 0x0a01, &CallParams{Serial: 7}, &s.lac.out)
	})
	s.chapter("Nothing gets through any more", 3*time.Minute, func() { s.lose = 1000 })
	s.check(t, "peer-lost")
}
