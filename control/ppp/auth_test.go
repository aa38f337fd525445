package ppp

import (
	"bytes"
	"slices"
	"strings"
	"testing"
	"time"
)

// authenticating is an LNS link in the authentication phase.
func authenticating(t *testing.T, cfg *Config) *solo {
	t.Helper()
	s := newSolo(t, cfg)
	s.start(nil)
	s.open()
	if s.link.Phase() != "authenticate" {
		t.Fatalf("phase %s", s.link.Phase())
	}
	return s
}

func pap(name, password string) []byte {
	b := append([]byte{byte(len(name))}, name...)
	return append(append(b, byte(len(password))), password...)
}

func (s *solo) verdict(v AuthVerdict) []string {
	s.link.Authenticated(s.now, v, &s.out)
	return s.drain()
}

// TestPAPRepeats (RFC 1334 section 2.2.1): the verdict answers the last request,
// and a repeated request gets the same answer.
func TestPAPRepeats(t *testing.T) {
	s := authenticating(t, lnsConfig(PAP))
	s.expect(s.send(ProtoPAP, papRequest, 1, pap("joe", "x")...), `AuthRequested pap id=1 name="joe" password="x"`)
	s.expect(s.send(ProtoPAP, papRequest, 2, pap("joe", "x")...))
	got := s.verdict(AuthVerdict{OK: true, Message: "welcome", IPv4: offered()})
	s.expect(got, `PAP Authenticate-Ack id=2 "welcome"`, "IPCP Configure-Request id=1 address=10.0.0.1")
	s.expect(s.send(ProtoPAP, papRequest, 3, pap("joe", "x")...), `PAP Authenticate-Ack id=3 "welcome"`)
	if got := s.verdict(AuthVerdict{}); len(got) != 0 {
		t.Errorf("an unasked verdict did %q", got)
	}
}

func TestPAPHostileInput(t *testing.T) {
	s := authenticating(t, lnsConfig(PAP))
	for _, data := range [][]byte{nil, {5}, {5, 'j'}, {3, 'j', 'o', 'e'}, {3, 'j', 'o', 'e', 1}, {255}} {
		s.expect(s.send(ProtoPAP, papRequest, 1, data...))
	}
	// Ack and Nak are the authenticator's to send.
	s.expect(s.send(ProtoPAP, papAck, 1))
	s.expect(s.send(ProtoPAP, papNak, 1))
	// Empty name and password are for the authenticator to judge.
	s.expect(s.send(ProtoPAP, papRequest, 1, 0, 0), `AuthRequested pap id=1 name="" password=""`)
}

func response(id byte, challenge []byte, secret, name string) []byte {
	v := chapValue(id, challenge, []byte(secret))
	return append(append([]byte{16}, v[:]...), name...)
}

func (s *solo) challenge() []byte { return append([]byte(nil), s.link.auth.challenge[:]...) }

// TestCHAPRepeats (RFC 1994 section 4.1).
func TestCHAPRepeats(t *testing.T) {
	s := authenticating(t, lnsConfig(CHAPMD5))
	good := response(1, s.challenge(), "secret", "joe")
	s.expect(s.send(ProtoCHAP, chapResponse, 2, good...))      // not our Identifier
	s.expect(s.send(ProtoCHAP, chapResponse, 1, good[:10]...)) // cut
	s.expect(s.send(ProtoCHAP, chapResponse, 1, append([]byte{49}, make([]byte, 49)...)...))
	s.expect(s.send(ProtoCHAP, chapChallenge, 1, good...)) // we do not authenticate ourselves
	s.expect(s.send(ProtoCHAP, chapSuccess, 1))
	s.expect(s.send(ProtoCHAP, chapResponse, 1, good...), `AuthRequested chap id=1 name="joe"`)
	s.expect(s.send(ProtoCHAP, chapResponse, 1, good...)) // the owner is being asked
	s.verdict(AuthVerdict{OK: true, IPv4: offered()})
	s.expect(s.send(ProtoCHAP, chapResponse, 1, good...), "CHAP Success id=1")
	s.expect(s.send(ProtoCHAP, chapResponse, 2, good...))
	// "must return the same reply": even if the value is now another one.
	good[3] ^= 1
	s.expect(s.send(ProtoCHAP, chapResponse, 1, good...), "CHAP Success id=1")
}

// TestChallengesDiffer: each Challenge has a new Identifier and a new value.
func TestChallengesDiffer(t *testing.T) {
	s := authenticating(t, lnsConfig(CHAPMD5))
	first := s.challenge()
	got := s.runTo(epoch().Add(3 * time.Second))
	if len(got) != 1 || !strings.HasPrefix(got[0], "CHAP Challenge id=2 ") {
		t.Fatalf("got %q", got)
	}
	if bytes.Equal(first, s.challenge()) {
		t.Error("the challenge was sent twice")
	}
}

// TestChallengesHeardInTheWrongOrder: a peer that has passed and answers an older
// challenge waits for a Success that will not come; a new challenge ends its wait.
func TestChallengesHeardInTheWrongOrder(t *testing.T) {
	cfg := lnsConfig(CHAPMD5)
	s := authenticating(t, cfg)
	response := append(append([]byte{16}, make([]byte, 16)...), "joe"...)
	s.runTo(s.link.Deadline()) // the second challenge
	s.send(ProtoCHAP, chapResponse, 2, response...)
	s.verdict(AuthVerdict{OK: true})
	before := s.now
	s.expect(s.send(ProtoCHAP, chapResponse, 1, response...))
	var got []string
	for range 4 { // the NCPs have timers of their own
		got = append(got, s.runTo(s.link.Deadline())...)
	}
	if !slices.ContainsFunc(got, func(line string) bool { return strings.HasPrefix(line, "CHAP Challenge id=3") }) {
		t.Errorf("no new challenge in %v: %q", s.now.Sub(before), got)
	}
}

// TestRechallengeLeavesTrafficAlone: no network event while it is pending.
func TestRechallengeLeavesTrafficAlone(t *testing.T) {
	cfg := lnsConfig(CHAPMD5)
	cfg.Rechallenge = time.Minute
	s := networked(t, cfg)
	s.runTo(s.link.Deadline())
	old := response(1, make([]byte, 16), "secret", "joe")
	s.expect(s.send(ProtoCHAP, chapResponse, 1, old...)) // of the last round
	good := response(2, s.challenge(), "secret", "joe")
	s.expect(s.send(ProtoCHAP, chapResponse, 2, good...), `AuthRequested chap id=2 name="joe" again`)
	other := offered()
	other.Peer = other.Local
	s.expect(s.verdict(AuthVerdict{OK: true, IPv4: other}), "(bare) CHAP Success id=2")
	if s.link.ipcp.agreed() != offered() || s.link.Phase() != "network" {
		t.Errorf("addresses %v, phase %s", s.link.ipcp.agreed(), s.link.Phase())
	}
}

// TestVerdictAfterRenegotiation: a verdict on credentials of before is not one on
// those of after.
func TestVerdictAfterRenegotiation(t *testing.T) {
	s := authenticating(t, lnsConfig(PAP))
	s.send(ProtoPAP, papRequest, 1, pap("joe", "x")...)
	s.send(ProtoLCP, configureRequest, 77)
	s.expect(s.verdict(AuthVerdict{OK: true, IPv4: offered()}))
	if s.link.Phase() != "establish" {
		t.Errorf("phase %s", s.link.Phase())
	}
}

// TestAuthFallbackOrder: the method that the peer names, if it is ours, else the
// next in our order; none is tried twice.
func TestAuthFallbackOrder(t *testing.T) {
	s := newSolo(t, lnsConfig(MSCHAPv2, CHAPMD5, PAP))
	nak := func(auth ...byte) string {
		got := s.send(ProtoLCP, configureNak, s.request.id, append([]byte{optAuth, byte(2 + len(auth))}, auth...)...)
		if len(got) == 0 {
			return ""
		}
		for _, f := range strings.Fields(got[0]) {
			if strings.HasPrefix(f, "auth=") {
				return f
			}
		}
		return got[0]
	}
	s.start(nil)
	for i, want := range []string{"auth=c22305", "auth=c023", `LCP Terminate-Request id=4 "authentication required"`} {
		if got := nak(0xC2, 0x27); got != want { // EAP is not ours
			t.Errorf("after Nak %d: %s, want %s", i+1, got, want)
		}
	}
	s = newSolo(t, lnsConfig(MSCHAPv2, CHAPMD5, PAP))
	s.start(nil)
	if got := nak(0xC0, 0x23); got != "auth=c023" {
		t.Errorf("PAP suggested: %s", got)
	}
	if got := nak(0xC2, 0x23, 0x81); got != "auth=c22305" {
		t.Errorf("back to a refused method: %s", got)
	}
}

// TestClientChecksTheAuthenticator (RFC 2759 section 5): without the right proof
// the client must end the session.
func TestClientChecksTheAuthenticator(t *testing.T) {
	for name, message := range map[string]string{
		"none":  "",
		"wrong": "S=407A5589115FD0D6209F510FE9C04566932CDA56 M=hello",
	} {
		t.Run(name, func(t *testing.T) {
			s := newSolo(t, clientConfig(MSCHAPv2))
			s.start(nil)
			s.open(optAuth, 5, 0xC2, 0x23, algorithmMSCHAPv2)
			s.send(ProtoCHAP, chapChallenge, 1, append([]byte{16}, make([]byte, 16)...)...)
			s.send(ProtoCHAP, chapSuccess, 1, []byte(message)...)
			if s.link.Phase() != "terminate" || s.link.cause != CauseAuthFailed {
				t.Errorf("phase %s, cause %v", s.link.Phase(), s.link.cause)
			}
		})
	}
}

// TestClientRepeatsItsResponse: a lost Success is asked for, with the same value.
func TestClientRepeatsItsResponse(t *testing.T) {
	for _, method := range []Auth{CHAPMD5, MSCHAPv2} {
		s := newSolo(t, clientConfig(method))
		s.start(nil)
		s.open(appendAuth(nil, method)...)
		challenge := append([]byte{16}, make([]byte, 16)...)
		first := s.send(ProtoCHAP, chapChallenge, 1, challenge...)
		again := s.runTo(s.link.Deadline())
		s.expect(again, first...)
		s.expect(s.send(ProtoCHAP, chapChallenge, 1, challenge...), first...)
	}
}

// TestUnsolicitedSuccess: nobody is authenticated by a Success it never asked for.
func TestUnsolicitedSuccess(t *testing.T) {
	s := newSolo(t, clientConfig(MSCHAPv2))
	s.start(nil)
	s.open(optAuth, 5, 0xC2, 0x23, algorithmMSCHAPv2)
	s.expect(s.send(ProtoCHAP, chapSuccess, 0, []byte("S=")...))
	if s.link.Phase() != "authenticate" {
		t.Errorf("phase %s", s.link.Phase())
	}
}

// TestCredentialsOutliveTheFrame: the caller may reuse its buffer at once.
func TestCredentialsOutliveTheFrame(t *testing.T) {
	s := authenticating(t, lnsConfig(PAP))
	frame := frameOf(ProtoPAP, papRequest, 1, pap("joe", "secret")...)
	s.link.Receive(s.now, frame, &s.out)
	clear(frame)
	if c := s.out.Events[0].Auth; c.Name != "joe" || string(c.Password) != "secret" {
		t.Errorf("credentials %q %q", c.Name, c.Password)
	}
}

func TestAuthProtocolRejected(t *testing.T) {
	s := authenticating(t, lnsConfig(CHAPMD5))
	s.expect(s.send(ProtoLCP, protocolReject, 1, 0xC2, 0x23, 1, 1, 0, 4),
		`LCP Terminate-Request id=2 "authentication required"`)
}

// TestClientAnswersNoChallengeOutOfPhase: neither before LCP is opened (RFC 1661
// section 3.4) nor after it was refused.
func TestClientAnswersNoChallengeOutOfPhase(t *testing.T) {
	challenge := append([]byte{16}, make([]byte, 16)...)
	s := newSolo(t, clientConfig(CHAPMD5))
	s.start(nil)
	s.send(ProtoLCP, configureRequest, 1, appendAuth(nil, CHAPMD5)...)
	s.expect(s.send(ProtoCHAP, chapChallenge, 1, challenge...))
	s.send(ProtoLCP, configureAck, s.request.id, s.request.data...)
	if got := s.send(ProtoCHAP, chapChallenge, 2, challenge...); len(got) != 1 {
		t.Fatalf("challenge: %q", got)
	}
	s.expect(s.send(ProtoCHAP, chapFailure, 2, 'n', 'o'))
	s.expect(s.send(ProtoCHAP, chapChallenge, 3, challenge...))
}

// TestClientRechallengeIsBounded: a rechallenge that never gets its Success ends
// the link.
func TestClientRechallengeIsBounded(t *testing.T) {
	p := newPair(lnsConfig(CHAPMD5), clientConfig(CHAPMD5))
	p.start(nil)
	s := &solo{t: t, link: p.client.link, now: p.now}
	s.send(ProtoCHAP, chapChallenge, 2, append([]byte{16}, make([]byte, 16)...)...)
	for !s.link.Deadline().IsZero() {
		s.runTo(s.link.Deadline())
	}
	if c, _ := s.link.Cause(); c != CauseAuthTimeout {
		t.Errorf("cause %v", c)
	}
}
