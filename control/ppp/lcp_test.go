package ppp

import (
	"strings"
	"testing"
	"time"
)

func TestLCPAnswersOptions(t *testing.T) {
	long := make([]byte, 0, 500)
	for range 250 {
		long = append(long, 99, 2)
	}
	for _, c := range []struct {
		name, options string
		raw           []byte
		want          string
	}{
		{name: "nothing is fine", want: "Configure-Ack id=5"},
		{name: "ack is an exact echo", options: "08 02 01 04 05 d4 05 06 11 22 33 44 07 02 02 06 00 00 00 00",
			want: "Configure-Ack id=5 acfc mru=1492 magic=11223344 pfc accm=00000000"},
		{name: "unknown option", options: "01 04 05 d4 0d 03 06", want: "Configure-Reject id=5 option-13=06"},
		{name: "reject comes before nak", options: "01 04 00 01 11 04 05 dc", want: "Configure-Reject id=5 mrru=05dc"},
		{name: "tiny mru", options: "01 04 00 01", want: "Configure-Nak id=5 mru=1500"},
		{name: "mru of a wrong length", options: "01 03 05", want: "Configure-Nak id=5 mru=1500"},
		{name: "jumbo mru", options: "01 04 23 28", want: "Configure-Ack id=5 mru=9000"},
		{name: "repeated option", options: "01 04 05 d4 01 04 05 d4", want: "Configure-Reject id=5 mru=1492"},
		{name: "we do not authenticate ourselves", options: "03 04 c0 23", want: "Configure-Reject id=5 auth=c023"},
		{name: "link quality", options: "04 08 c0 25 00 00 00 64", want: "Configure-Reject id=5 quality=c02500000064"},
		{name: "pfc with a value", options: "07 03 01", want: "Configure-Reject id=5 pfc=01"},
		{name: "length zero", options: "01 00 05 d4"},
		{name: "length one", options: "01 01"},
		{name: "length past the packet", options: "01 05 05 d4"},
		{name: "half an option", options: "01 04 05 d4 05"},
		{name: "250 options", raw: long, want: "Configure-Reject id=5" + strings.Repeat(" option-99", 250)},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := newSolo(t, lnsConfig(PAP))
			s.start(nil)
			options := c.raw
			if options == nil {
				options = unhex(t, c.options)
			}
			got := s.send(ProtoLCP, configureRequest, 5, options...)
			if c.want == "" {
				s.expect(got)
				return
			}
			s.expect(got, "LCP "+c.want)
		})
	}
}

func TestLCPMagicZeroIsNaked(t *testing.T) {
	s := newSolo(t, lnsConfig(PAP))
	s.start(nil)
	got := s.send(ProtoLCP, configureRequest, 5, optMagic, 6, 0, 0, 0, 0)
	if len(got) != 1 || !strings.HasPrefix(got[0], "LCP Configure-Nak id=5 magic=") || strings.HasSuffix(got[0], "=00000000") {
		t.Errorf("got %q", got)
	}
}

func TestCompressionNotOfferedIsRejected(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.ACFC, cfg.PFC = false, false
	s := newSolo(t, cfg)
	got := s.start(nil)
	if strings.Contains(got[0], "pfc") || strings.Contains(got[0], "acfc") {
		t.Errorf("asked for compression: %q", got)
	}
	s.expect(s.send(ProtoLCP, configureRequest, 5, optPFC, 2, optACFC, 2), "LCP Configure-Reject id=5 pfc acfc")
}

// TestMaxFailure: after five Naks the sixth is a Reject (RFC 1661 section 4.6).
func TestMaxFailure(t *testing.T) {
	s := newSolo(t, lnsConfig(PAP))
	s.start(nil)
	for id := byte(1); id <= 5; id++ {
		s.expect(s.send(ProtoLCP, configureRequest, id, optMRU, 4, 0, 1)[:1], "LCP Configure-Nak id="+string('0'+id)+" mru=1500")
	}
	s.expect(s.send(ProtoLCP, configureRequest, 6, optMRU, 4, 0, 1), "LCP Configure-Reject id=6 mru=1")
	// An Ack starts the count anew.
	s.expect(s.send(ProtoLCP, configureRequest, 7), "LCP Configure-Ack id=7")
	s.expect(s.send(ProtoLCP, configureRequest, 8, optMRU, 4, 0, 1), "LCP Configure-Nak id=8 mru=1500")
}

// TestEndlessNaks: a peer that naks whatever we ask for does not keep us asking.
func TestEndlessNaks(t *testing.T) {
	for name, nak := range map[string][]byte{
		"our option":          {optMagic, 6, 1, 2, 3, 4},
		"an unasked option":   {optACCM, 6, 0, 0, 0, 0},
		"an unknown option":   {99, 2},
		"no option":           {},
		"a method we have":    {optAuth, 4, 0xC0, 0x23},
		"a method nobody has": {optAuth, 4, 0xC2, 0x27},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSolo(t, lnsConfig(CHAPMD5, PAP))
			s.start(nil)
			for range 11 {
				s.send(ProtoLCP, configureNak, s.request.id, nak...)
			}
			if s.link.Phase() != "terminate" {
				t.Errorf("after 11 Naks the phase is %s", s.link.Phase())
			}
		})
	}
}

func TestRejectedOptionsAreNotAskedAgain(t *testing.T) {
	s := newSolo(t, lnsConfig())
	s.start(nil)
	asked := append([]byte(nil), s.request.data...)
	got := s.send(ProtoLCP, configureReject, s.request.id, asked...)
	s.expect(got, "LCP Configure-Request id=2")
	if n := s.link.Negotiated(); n.LocalMRU != 1500 || n.LocalMagic == 0 {
		t.Errorf("negotiated %+v", n)
	}
}

func TestRepliesThatDoNotMatchAreDiscarded(t *testing.T) {
	s := newSolo(t, lnsConfig(PAP))
	s.start(nil)
	id, opts := s.request.id, append([]byte(nil), s.request.data...)
	modified := append([]byte(nil), opts...)
	modified[len(modified)-1] ^= 1
	for name, got := range map[string][]string{
		"ack, wrong id":                s.send(ProtoLCP, configureAck, id+1, opts...),
		"ack, changed options":         s.send(ProtoLCP, configureAck, id, modified...),
		"ack, missing option":          s.send(ProtoLCP, configureAck, id, opts[4:]...),
		"nak, wrong id":                s.send(ProtoLCP, configureNak, id+1, optMRU, 4, 5, 0),
		"nak, broken":                  s.send(ProtoLCP, configureNak, id, optMRU, 9, 5, 0),
		"reject, option never sent":    s.send(ProtoLCP, configureReject, id, 17, 4, 5, 220),
		"reject, value never sent":     s.send(ProtoLCP, configureReject, id, optMRU, 4, 5, 0),
		"reject, nothing":              s.send(ProtoLCP, configureReject, id),
		"reject, out of order":         s.send(ProtoLCP, configureReject, id, append(append([]byte(nil), opts[4:8]...), opts[:4]...)...),
		"echo before opened":           s.send(ProtoLCP, echoRequest, 1, 0, 0, 0, 0),
		"protocol-reject, not opened":  s.send(ProtoLCP, protocolReject, 1, 0x80, 0x57),
		"protocol-reject of lcp":       s.send(ProtoLCP, protocolReject, 1, 0xC0, 0x21),
		"terminate-ack in req-sent":    s.send(ProtoLCP, terminateAck, 1),
		"code-reject without a packet": s.send(ProtoLCP, codeReject, 1),
	} {
		if len(got) != 0 {
			t.Errorf("%s: %q", name, got)
		}
	}
	// All that has changed nothing.
	s.expect(s.runTo(s.link.Deadline()), "LCP "+describeRequest(id, opts))
	if s.now != epoch().Add(3*time.Second) {
		t.Errorf("repeated at %v", s.now)
	}
}

func describeRequest(id byte, options []byte) string {
	return strings.TrimPrefix(describe(frameOf(ProtoLCP, configureRequest, id, options...)), "LCP ")
}

func TestRepeatedAckDoesNotDisturb(t *testing.T) {
	s := newSolo(t, lnsConfig(PAP))
	s.start(nil)
	ack := append([]byte(nil), s.request.data...)
	s.open()
	s.expect(s.send(ProtoLCP, configureAck, s.request.id, ack...))
	if s.link.Phase() != "authenticate" {
		t.Errorf("phase %s", s.link.Phase())
	}
}

func TestUnknownCodeIsRejected(t *testing.T) {
	s := networked(t, lnsConfig(PAP))
	s.expect(s.send(ProtoLCP, 12, 9, 1, 2), "LCP Code-Reject id=1 0c0900060102")
	s.expect(s.send(ProtoIPCP, 9, 9, 0, 0, 0, 0), "(bare) IPCP Code-Reject id=2 0909000800000000")
}

// TestRejectsAreCutToTheMRU (RFC 1661 sections 5.6 and 5.7).
func TestRejectsAreCutToTheMRU(t *testing.T) {
	s := newSolo(t, lnsConfig())
	s.start(nil)
	s.open(optMRU, 4, 0, 200)
	s.link.Authenticated(s.now, AuthVerdict{OK: true, IPv4: offered()}, &s.out)
	s.drain()
	for _, p := range []Protocol{ProtoCCP, ProtoLCP} {
		s.link.Receive(s.now, frameOf(p, 77, 1, make([]byte, 900)...), &s.out)
		if n := len(s.out.Send[0]); n != 4+200 {
			t.Errorf("protocol %04x: a frame of %d bytes, want 204", p, n)
		}
		s.drain()
	}
}

func TestCodeRejectOfTheBasicsEndsTheLink(t *testing.T) {
	s := networked(t, lnsConfig(PAP))
	s.expect(s.send(ProtoLCP, codeReject, 1, configureRequest, 1, 0, 4), "LCP Terminate-Request id=2", "IPv4Down")
	s = networked(t, lnsConfig(PAP))
	s.expect(s.send(ProtoLCP, protocolReject, 1, 0xC0, 0x21, 1, 1, 0, 4), "LCP Terminate-Request id=2", "IPv4Down")
}

func TestPeerWithoutEcho(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.EchoInterval, cfg.EchoFailures = 10*time.Second, 2
	s := networked(t, cfg)
	s.runTo(s.link.Deadline())
	s.expect(s.send(ProtoLCP, codeReject, 1, echoRequest, 1, 0, 8, 0, 0, 0, 0))
	if !s.link.Deadline().IsZero() {
		t.Error("echoes go on")
	}
}

func TestEchoReply(t *testing.T) {
	s := networked(t, lnsConfig(PAP))
	s.expect(s.send(ProtoLCP, echoRequest, 77, 1, 2, 3, 4, 0xAA, 0xBB), "LCP Echo-Reply id=77 f327b914aabb")
	s.expect(s.send(ProtoLCP, echoRequest, 78, 0, 0, 0))
	s.expect(s.send(ProtoLCP, discardRequest, 79, 0, 0, 0, 0))
	s.expect(s.send(ProtoLCP, echoReply, 80, 0, 0, 0, 0))
	// Our own number in a request is a loop and is not answered.
	s.expect(s.send(ProtoLCP, echoRequest, 81, 0xF3, 0x27, 0xB9, 0x14))
}

// TestCopiedMagicIsLife: a peer that copies our number into its replies is there.
func TestCopiedMagicIsLife(t *testing.T) {
	cfg := lnsConfig(PAP)
	cfg.EchoInterval, cfg.EchoFailures = 10*time.Second, 2
	s := networked(t, cfg)
	for i := range 10 {
		s.runTo(s.link.Deadline())
		s.send(ProtoLCP, echoReply, byte(i+1), 0xF3, 0x27, 0xB9, 0x14)
	}
	if s.link.Phase() != "network" {
		t.Errorf("phase %s", s.link.Phase())
	}
}

// TestPhases: what is not of the phase is not even looked at (RFC 1661 sections
// 3.4 to 3.7); unsupported protocols are rejected where all is open.
func TestPhases(t *testing.T) {
	type probe struct {
		name  string
		proto Protocol
		code  byte
		data  []byte
	}
	probes := []probe{
		{"ipcp", ProtoIPCP, configureRequest, []byte{3, 6, 100, 64, 0, 7}},
		{"ipv6cp", ProtoIPV6CP, configureRequest, []byte{1, 10, 1, 2, 3, 4, 5, 6, 7, 8}},
		{"ccp", ProtoCCP, configureRequest, nil},
		{"eap", 0xC227, 2, []byte{1, 'j', 'o', 'e'}},
		{"mplscp", 0x8281, configureRequest, nil},
		{"chap response", ProtoCHAP, chapResponse, append([]byte{16}, make([]byte, 19)...)},
		{"pap request", ProtoPAP, papRequest, []byte{1, 'j', 1, 'x'}},
		{"ipv4", ProtoIPv4, 0x45, make([]byte, 30)},
	}
	answer := func(s *solo) map[string]string {
		got := map[string]string{}
		for _, p := range probes {
			got[p.name] = strings.Join(s.send(p.proto, p.code, 200, p.data...), "; ")
		}
		return got
	}
	check := func(phase string, got, want map[string]string) {
		t.Helper()
		for _, p := range probes {
			if got[p.name] != want[p.name] {
				t.Errorf("%s in phase %s: %q, want %q", p.name, phase, got[p.name], want[p.name])
			}
		}
	}
	s := newSolo(t, lnsConfig(CHAPMD5))
	check("dead", answer(s), nil)
	s.start(nil)
	check("establish", answer(s), nil)
	s.open()
	check("authenticate", answer(s), nil)

	s = networked(t, lnsConfig(CHAPMD5))
	check("network", answer(s), map[string]string{
		"ipcp":   "(bare) IPCP Configure-Request id=2 address=10.0.0.1; (bare) IPCP Configure-Ack id=200 address=100.64.0.7; IPv4Down",
		"ipv6cp": "LCP Protocol-Reject id=1 805701c8000e010a0102030405060708",
		"ccp":    "LCP Protocol-Reject id=2 80fd01c80004",
		"eap":    "LCP Protocol-Reject id=3 c22702c80008016a6f65",
		"mplscp": "LCP Protocol-Reject id=4 828101c80004",
	})
	s.link.Close(s.now, "", &s.out)
	s.drain()
	check("terminate", answer(s), nil)
}

func TestTerminateRequestIsAnsweredAndTheLinkWaits(t *testing.T) {
	s := networked(t, lnsConfig(PAP))
	s.expect(s.send(ProtoLCP, terminateRequest, 9, 'b', 'y', 'e', 0, 'x'), "LCP Terminate-Ack id=9", "IPv4Down")
	s.expect(s.send(ProtoLCP, terminateRequest, 9), "LCP Terminate-Ack id=9")
	at := s.link.Deadline()
	s.expect(s.runTo(at), `LinkDown cause="peer closed" message="bye"`)
	if at != epoch().Add(3*time.Second) {
		t.Errorf("down at %v", at)
	}
	s.expect(s.send(ProtoLCP, configureRequest, 10))
	if !s.link.Deadline().IsZero() {
		t.Error("a dead link has a deadline")
	}
}

func TestCloseBeforeStart(t *testing.T) {
	s := newSolo(t, lnsConfig(PAP))
	s.link.Close(s.now, "", &s.out)
	s.expect(s.drain(), `LinkDown cause="closed"`)
	s.link.Close(s.now, "", &s.out)
	s.link.Heard(s.now)
	s.expect(s.start(nil))
}

// TestWallClockSteps: only the time between calls counts.
func TestWallClockSteps(t *testing.T) {
	now := time.Now() // with a monotonic reading
	s := newSolo(t, lnsConfig(PAP))
	s.now = now
	s.start(nil)
	if d := s.link.Deadline().Sub(now); d != 3*time.Second {
		t.Errorf("deadline in %v", d)
	}
}

// TestZeroCountersAreTheDefaults of RFC 1661 section 4.6.
func TestZeroCountersAreTheDefaults(t *testing.T) {
	s := newSolo(t, &Config{})
	s.start(nil)
	sent := 1
	for s.link.Phase() != "dead" {
		for _, line := range s.runTo(s.link.Deadline()) {
			if strings.HasPrefix(line, "LCP Configure-Request") {
				sent++
			}
		}
	}
	if sent != 10 || s.now != epoch().Add(30*time.Second) {
		t.Errorf("%d requests in %v, want 10 in 30 s", sent, s.now.Sub(epoch()))
	}
	if n := s.link.Negotiated(); n.LocalMRU != 1500 {
		t.Errorf("MRU %d", n.LocalMRU)
	}
}

// TestNakedMRU: a smaller one is taken, a larger one does not fit our path.
func TestNakedMRU(t *testing.T) {
	for nak, want := range map[uint16]string{1400: "mru=1400 ", 1492: "mru=1460 ", 10: "mru=1460 "} {
		s := newSolo(t, lnsConfig())
		s.start(nil)
		got := s.send(ProtoLCP, configureNak, 1, appendMRU(nil, nak)...)
		if len(got) != 1 || !strings.Contains(got[0], want) {
			t.Errorf("Nak with %d: %q, want %s", nak, got, want)
		}
	}
}

func TestCauseIsKnownBeforeTheEnd(t *testing.T) {
	s := networked(t, lnsConfig(PAP))
	if c, text := s.link.Cause(); c != CauseNone || text != "" {
		t.Errorf("cause %v %q of a link that is up", c, text)
	}
	s.send(ProtoLCP, terminateRequest, 1, 'b', 'y', 'e')
	if c, text := s.link.Cause(); c != CausePeerClosed || text != "bye" {
		t.Errorf("cause %v %q", c, text)
	}
}
