package radius

import (
	"bytes"
	"encoding/binary"
	"net/netip"
	"testing"
	"time"

	"layeh.com/radius"
	"layeh.com/radius/rfc2865"
	"layeh.com/radius/rfc2869"
)

const (
	signed   signature = true
	unsigned signature = false
)

// Each case makes a packet from the one request in flight; none but the valid ones
// may end it.
func TestAnswerMatching(t *testing.T) {
	accept := func(f flight, s signature, attrs ...radius.AVP) []byte {
		return respond(f.wire, radius.CodeAccessAccept, testSecret, s, attrs...)
	}
	for _, c := range []struct {
		name    string
		require RequireMessageAuthenticator
		packet  func(f flight) []byte
		want    finding
	}{
		{"signed", RequireAuto, func(f flight) []byte { return accept(f, signed) }, valid},
		{"unsigned, auto", RequireAuto, func(f flight) []byte { return accept(f, unsigned) }, valid},
		{"unsigned, yes", RequireYes, func(f flight) []byte { return accept(f, unsigned) }, noMessageAuthenticator},
		{"unsigned, no", RequireNo, func(f flight) []byte { return accept(f, unsigned) }, valid},
		{"signed, yes", RequireYes, func(f flight) []byte { return accept(f, signed) }, valid},
		{"reject", RequireAuto, func(f flight) []byte { return respond(f.wire, radius.CodeAccessReject, testSecret, signed) }, valid},
		{"challenge", RequireAuto, func(f flight) []byte { return respond(f.wire, radius.CodeAccessChallenge, testSecret, signed) }, valid},
		{"accounting response", RequireAuto, func(f flight) []byte { return respond(f.wire, radius.CodeAccountingResponse, testSecret, signed) }, wrongCode},
		{"our own request", RequireAuto, func(f flight) []byte { return f.wire }, wrongCode},
		{"other secret", RequireAuto, func(f flight) []byte { return respond(f.wire, radius.CodeAccessAccept, "other", signed) }, wrongAuthenticator},
		{"no authenticator", RequireAuto, func(f flight) []byte {
			b := accept(f, signed)
			clear(b[4:20])
			return b
		}, wrongAuthenticator},
		{"reject turned into accept", RequireAuto, func(f flight) []byte {
			b := respond(f.wire, radius.CodeAccessReject, testSecret, signed)
			b[0] = byte(radius.CodeAccessAccept)
			return b
		}, wrongAuthenticator},
		{"unused id", RequireAuto, func(f flight) []byte {
			b := accept(f, signed)
			b[1]++
			return b
		}, late},
		{"bad Message-Authenticator, well sealed", RequireAuto, func(f flight) []byte {
			b := accept(f, signed)
			b[headerLen+2] ^= 1
			seal(b, f.wire, testSecret)
			return b
		}, wrongMessageAuthenticator},
		{"bad Message-Authenticator, not required", RequireNo, func(f flight) []byte {
			b := accept(f, signed)
			b[headerLen+17] ^= 1
			seal(b, f.wire, testSecret)
			return b
		}, wrongMessageAuthenticator},
		{"Message-Authenticator not first", RequireYes, func(f flight) []byte {
			b := accept(f, unsigned, textAVP(rfc2865.ReplyMessage_Type, "hello"), avp(rfc2869.MessageAuthenticator_Type, make([]byte, 16)...))
			copy(b[4:20], f.wire[4:20])
			copy(b[len(b)-16:], hmacMD5(testSecret, b))
			seal(b, f.wire, testSecret)
			return b
		}, valid},
		{"two Message-Authenticators", RequireAuto, func(f flight) []byte {
			return accept(f, signed, avp(rfc2869.MessageAuthenticator_Type, make([]byte, 16)...))
		}, malformed},
		{"short Message-Authenticator", RequireNo, func(f flight) []byte {
			return accept(f, unsigned, avp(rfc2869.MessageAuthenticator_Type, make([]byte, 15)...))
		}, malformed},
		{"Proxy-State, unsigned", RequireAuto, func(f flight) []byte { return accept(f, unsigned, avp(rfc2865.ProxyState_Type, 1)) }, foreignProxyState},
		{"Proxy-State, unsigned, no", RequireNo, func(f flight) []byte { return accept(f, unsigned, avp(rfc2865.ProxyState_Type, 1)) }, foreignProxyState},
		{"Proxy-State, signed", RequireAuto, func(f flight) []byte {
			b := accept(f, signed, avp(rfc2865.ProxyState_Type, 1))
			return b
		}, valid},
		{"padding behind Length", RequireAuto, func(f flight) []byte { return append(accept(f, signed), 1, 2, 3) }, valid},
		{"empty", RequireAuto, func(flight) []byte { return nil }, malformed},
		{"header cut", RequireAuto, func(f flight) []byte { return accept(f, signed)[:19] }, malformed},
		{"attributes cut", RequireAuto, func(f flight) []byte { return accept(f, signed)[:30] }, malformed},
		{"Length below header", RequireAuto, func(f flight) []byte {
			b := accept(f, signed)
			binary.BigEndian.PutUint16(b[2:], 19)
			return b
		}, malformed},
		{"attribute of length 1", RequireAuto, func(f flight) []byte {
			b := accept(f, unsigned, avp(rfc2865.ReplyMessage_Type, 'x'))
			b[headerLen+1] = 1
			seal(b, f.wire, testSecret)
			return b
		}, malformed},
		{"attribute beyond the end", RequireAuto, func(f flight) []byte {
			b := accept(f, unsigned, avp(rfc2865.ReplyMessage_Type, 'x'))
			b[headerLen+1] = 4
			seal(b, f.wire, testSecret)
			return b
		}, malformed},
		{"one byte behind the attributes", RequireAuto, func(f flight) []byte {
			b := append(accept(f, unsigned), 18)
			binary.BigEndian.PutUint16(b[2:], uint16(len(b)))
			seal(b, f.wire, testSecret)
			return b
		}, malformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg := testConfig(1)
			cfg.Servers[0].MessageAuthenticator = c.require
			l := newLab(t, cfg, authentication)
			l.submit()
			f := l.last()
			if got := l.answer(f, c.packet(f)); got != c.want {
				t.Fatalf("%v, want %v", got, c.want)
			}
			s := l.x.servers[0]
			if wantBad := c.want != valid && c.want != late; (s.badAnswers == 1) != wantBad || (l.x.late == 1) != (c.want == late) {
				t.Errorf("counted %d bad, %d late", s.badAnswers, l.x.late)
			}
			if done := l.x.inFlight() == 0; done != (c.want == valid) {
				t.Errorf("request done: %v", done)
			}
			if c.want != valid && l.accept(f) != valid {
				t.Error("the right answer after it was not taken")
			}
		})
	}
}

// RFC 2865 section 3: the answer must come from the server that was asked, to the
// port that it was asked from.
func TestAnswerFromStranger(t *testing.T) {
	l := newLab(t, testConfig(1), authentication)
	for range 257 {
		l.submit()
	}
	f := l.sent[0]
	good := respond(f.wire, radius.CodeAccessAccept, testSecret, signed)
	for _, from := range []string{"192.0.2.2:1812", "192.0.2.1:1813", "[2001:db8::1]:1812"} {
		if _, _, got := l.x.answer(l.now, f.socket, netip.MustParseAddrPort(from), good, &l.out); got != stranger {
			t.Errorf("from %s: %v, want stranger", from, got)
		}
	}
	// The other socket's request has the same id but another authenticator.
	other := l.sent[256]
	if _, _, got := l.x.answer(l.now, other.socket, f.to, good, &l.out); got != wrongAuthenticator {
		t.Errorf("on the other socket: %v", got)
	}
	if l.x.servers[0].badAnswers != 4 {
		t.Errorf("%d bad answers counted, want 4", l.x.servers[0].badAnswers)
	}
}

// With the rule auto a server that has signed one answer must sign them all. That
// is learnt from valid packets only, and for each server by itself.
func TestAutoLearnsToRequire(t *testing.T) {
	l := newLab(t, testConfig(2), authentication)
	unsignedAnswer := func(f flight) finding {
		return l.answer(f, respond(f.wire, radius.CodeAccessAccept, testSecret, unsigned))
	}
	l.submit()
	if unsignedAnswer(l.last()) != valid || l.unsigned != 1 {
		t.Fatal("unsigned answer before any signed one was not taken and noted")
	}
	l.submit()
	forged := respond(l.last().wire, radius.CodeAccessAccept, "other", signed)
	l.answer(l.last(), forged)
	if l.x.servers[0].signs || unsignedAnswer(l.last()) != valid {
		t.Fatal("a forged answer taught us to require a Message-Authenticator")
	}
	l.submit()
	if l.accept(l.last()) != valid || !l.x.servers[0].view(l.now, authentication).MessageAuthenticator {
		t.Fatal("a signed answer did not teach us")
	}
	l.submit()
	if got := unsignedAnswer(l.last()); got != noMessageAuthenticator {
		t.Fatalf("unsigned answer after a signed one: %v", got)
	}
	l.advance(3 * time.Second) // to the other server
	if f := l.last(); f.to.Addr().As4()[3] != 2 || unsignedAnswer(f) != valid {
		t.Error("the other server was held to the rule too")
	}
	if l.unsigned != 2 {
		t.Errorf("%d servers noted as unsigned, want 2, once each", l.unsigned)
	}
}

// RFC 3579 section 3.3: accounting has no Message-Authenticator, so that no
// setting requires one.
func TestAccountingResponse(t *testing.T) {
	cfg := testConfig(1)
	cfg.Servers[0].MessageAuthenticator = RequireYes
	l := newLab(t, cfg, accounting)
	l.submit()
	if got := l.answer(l.last(), respond(l.last().wire, radius.CodeAccessAccept, testSecret, unsigned)); got != wrongCode {
		t.Errorf("Access-Accept: %v", got)
	}
	if got := l.answer(l.last(), respond(l.last().wire, radius.CodeAccountingResponse, testSecret, unsigned)); got != valid {
		t.Errorf("Accounting-Response: %v", got)
	}
}

// Bytes from the network never end a request unless its server sealed them.
func FuzzAnswer(f *testing.F) {
	l := newLab(&testing.T{}, testConfig(1), authentication)
	l.submit()
	wire := l.last().wire
	f.Add(respond(wire, radius.CodeAccessAccept, testSecret, signed))
	f.Add(respond(wire, radius.CodeAccessReject, testSecret, unsigned, textAVP(rfc2865.ReplyMessage_Type, "no")))
	f.Add(respond(wire, radius.CodeAccessAccept, "other", signed, avp(rfc2865.ProxyState_Type, 1)))
	f.Add(wire)
	f.Fuzz(func(t *testing.T, b []byte) {
		l := newLab(t, testConfig(1), authentication)
		l.submit()
		sent := l.last()
		found := l.answer(sent, bytes.Clone(b))
		if (found == valid) != (l.x.inFlight() == 0) {
			t.Fatalf("%v with %d in flight", found, l.x.inFlight())
		}
		if found == valid {
			cut := b[:binary.BigEndian.Uint16(b[2:])]
			want := bytes.Clone(cut)
			seal(want, sent.wire, testSecret)
			if !bytes.Equal(cut, want) {
				t.Fatal("an answer that the server did not seal was taken")
			}
		} else if l.accept(sent) != valid {
			t.Fatal("the right answer after it was not taken")
		}
	})
}
