package ppp

import (
	"strings"
	"testing"
)

// proxied is what a LAC reports of a CHAP client.
func proxied(t *testing.T) *Proxy {
	t.Helper()
	sent := unhex(t, "01 04 05 b4 03 05 c2 23 05 05 06 aa bb cc dd")
	received := unhex(t, "01 04 05 d4 05 06 11 22 33 44 07 02 08 02")
	challenge := unhex(t, "00112233445566778899aabbccddeeff")
	value := chapValue(200, challenge, []byte("secret"))
	return &Proxy{
		InitialReceived: received, LastSent: sent, LastReceived: received,
		Auth: CHAPMD5, HasAuth: true, AuthName: "joe", AuthChallenge: challenge, AuthID: 200, AuthResponse: value[:],
	}
}

func TestProxyIsTakenWhenItFits(t *testing.T) {
	s := newSolo(t, lnsConfig(CHAPMD5))
	s.expect(s.start(proxied(t)), "LinkUp auth=chap mru=1460/1492 acfc=true pfc=true", `AuthRequested chap id=200 name="joe" proxied`)
	n := s.link.Negotiated()
	if n.LocalMagic != 0xAABBCCDD || n.PeerMagic != 0x11223344 || n.SendACCM != defaultACCM {
		t.Errorf("negotiated %+v", n)
	}
	s.expect(s.verdict(AuthVerdict{OK: true, IPv4: offered()}),
		"(bare) CHAP Success id=200", "(bare) IPCP Configure-Request id=1 address=10.0.0.1")
	// The client may have missed it.
	s.expect(s.send(ProtoCHAP, chapResponse, 200, response(200, proxied(t).AuthChallenge, "secret", "joe")...),
		"(bare) CHAP Success id=200")
	// A client that starts again finds LCP as usual.
	got := s.send(ProtoLCP, configureRequest, 1)
	if len(got) != 2 || !strings.HasPrefix(got[0], "LCP Configure-Request id=1 mru=1460 auth=c22305") {
		t.Errorf("renegotiation: %q", got)
	}
}

// TestProxyMismatch: what the LAC agreed on must be what we could have agreed on.
func TestProxyMismatch(t *testing.T) {
	for name, edit := range map[string]func(*Proxy, *Config){
		"method not allowed":         func(_ *Proxy, c *Config) { c.Auth = []Auth{PAP} },
		"no method":                  func(p *Proxy, _ *Config) { p.LastSent = unhex(t, "05 06 aa bb cc dd") },
		"mru too large":              func(_ *Proxy, c *Config) { c.MRU = 1400 },
		"default mru too large":      func(p *Proxy, _ *Config) { p.LastSent = unhex(t, "03 05 c2 23 05") },
		"multilink":                  func(p *Proxy, _ *Config) { p.LastReceived = unhex(t, "11 04 05 dc") },
		"multilink offered":          func(p *Proxy, _ *Config) { p.LastSent = append(p.LastSent, 17, 4, 5, 220) },
		"link quality":               func(p *Proxy, _ *Config) { p.LastReceived = unhex(t, "04 04 c0 25") },
		"client wants us to prove":   func(p *Proxy, _ *Config) { p.LastReceived = unhex(t, "03 04 c0 23") },
		"tiny mru":                   func(p *Proxy, _ *Config) { p.LastReceived = unhex(t, "01 04 00 10") },
		"equal magic numbers":        func(p *Proxy, _ *Config) { p.LastReceived = unhex(t, "05 06 aa bb cc dd") },
		"broken options":             func(p *Proxy, _ *Config) { p.LastReceived = unhex(t, "05 09 aa") },
		"broken options sent":        func(p *Proxy, _ *Config) { p.LastSent = unhex(t, "05 00") },
		"no last received CONFREQ":   func(p *Proxy, _ *Config) { p.LastReceived = nil },
		"no last sent CONFREQ":       func(p *Proxy, _ *Config) { p.LastSent = nil },
		"always by policy":           func(_ *Proxy, c *Config) { c.Renegotiate = Always },
		"nothing usable, never":      func(p *Proxy, c *Config) { p.LastSent, c.Renegotiate = nil, Never },
		"unknown method of the peer": func(p *Proxy, _ *Config) { p.LastSent = unhex(t, "03 05 c2 23 80 01 04 05 b4") },
	} {
		t.Run(name, func(t *testing.T) {
			cfg, p := lnsConfig(CHAPMD5), proxied(t)
			edit(p, cfg)
			s := newSolo(t, cfg)
			got := s.start(p)
			if len(got) != 1 || !strings.HasPrefix(got[0], "LCP Configure-Request id=1") {
				t.Errorf("got %q", got)
			}
			if s.link.lcp.collisions != 0 {
				t.Error("looking at the proxy AVPs left a trace")
			}
		})
	}
}

// TestProxyFitsThoughUnused: what the client can receive we need not send.
func TestProxyFitsThoughUnused(t *testing.T) {
	cfg := lnsConfig(CHAPMD5)
	cfg.ACFC, cfg.PFC = false, false
	s := newSolo(t, cfg)
	s.expect(s.start(proxied(t))[:1], "LinkUp auth=chap mru=1460/1492 acfc=false pfc=false")
}

// TestProxyCredentialsMustBeOfTheMethod: else the client is challenged anew, with
// an Identifier that the LAC has not used.
func TestProxyCredentialsMustBeOfTheMethod(t *testing.T) {
	for name, edit := range map[string]func(*Proxy){
		"none":              func(p *Proxy) { p.HasAuth = false },
		"another type":      func(p *Proxy) { p.Auth = PAP },
		"short response":    func(p *Proxy) { p.AuthResponse = p.AuthResponse[:15] },
		"empty challenge":   func(p *Proxy) { p.AuthChallenge = nil },
		"no authentication": func(p *Proxy) { p.Auth = NoAuth },
	} {
		t.Run(name, func(t *testing.T) {
			p := proxied(t)
			edit(p)
			s := newSolo(t, lnsConfig(CHAPMD5))
			got := s.start(p)
			if len(got) != 2 || !strings.HasPrefix(got[0], "(bare) CHAP Challenge id=201 ") {
				t.Errorf("got %q", got)
			}
		})
	}
}

// TestProxyNeverLetsNobodyInByTheBackDoor: the policy is about LCP, not about
// authentication.
func TestProxyNeverLetsNobodyInByTheBackDoor(t *testing.T) {
	cfg, p := lnsConfig(CHAPMD5), proxied(t)
	cfg.Renegotiate = Never
	p.LastSent = unhex(t, "05 06 aa bb cc dd")
	s := newSolo(t, cfg)
	s.expect(s.start(p), `LCP Terminate-Request id=1 "authentication required"`)
	if s.link.cause != CauseAuthRefused {
		t.Errorf("cause %v", s.link.cause)
	}
	cfg.AuthOptional = true
	s = newSolo(t, cfg)
	s.expect(s.start(p), "LinkUp auth=none mru=1500/1492 acfc=true pfc=true", `AuthRequested none id=200 name=""`)
}
