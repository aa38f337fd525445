package ppp

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the transcripts in testdata instead of comparing")

// scenarios are whole links as transcripts: testdata/NAME.txt is what happened.
var scenarios = map[string]func(p *pair){
	"pap":      func(p *pair) { p.start(nil); p.close(p.lns) },
	"chap":     func(p *pair) { p.start(nil); p.close(p.client) },
	"mschapv2": func(p *pair) { p.start(nil); p.close(p.lns) },

	// The client prefers another method than the first that the LNS asks for.
	"auth-fallback": func(p *pair) {
		p.lns.link = NewLink(lnsConfig(CHAPMD5, MSCHAPv2, PAP), seeded(1))
		p.client.link = NewLink(clientConfig(PAP), seeded(2))
		p.start(nil)
	},
	// The LNS wants CHAP, the client only has PAP.
	"auth-refused": func(p *pair) {
		p.client.link = NewLink(clientConfig(PAP), seeded(2))
		p.start(nil)
		p.run(10 * time.Second)
	},
	"auth-optional": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.AuthOptional = true
		p.lns.link = NewLink(lns, seeded(1))
		p.client.link = NewLink(clientConfig(), seeded(2))
		p.start(nil)
	},
	"auth-failure-pap":      func(p *pair) { p.fail() },
	"auth-failure-chap":     func(p *pair) { p.fail() },
	"auth-failure-mschapv2": func(p *pair) { p.fail() },
	// Nobody answers the owner's question.
	"auth-timeout": func(p *pair) { p.silent = true; p.start(nil); p.run(time.Minute) },

	"rechallenge": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.Rechallenge = 10 * time.Minute
		p.lns.link = NewLink(lns, seeded(1))
		p.start(nil)
		p.run(15 * time.Minute)
		p.password = "changed"
		p.run(10 * time.Minute)
	},
	"rechallenge-unanswered": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.Rechallenge, lns.AuthTimeout = 10*time.Minute, 8*time.Second
		p.lns.link = NewLink(lns, seeded(1))
		p.start(nil)
		p.cut = true
		p.run(11 * time.Minute)
	},

	"ccp-rejected": func(p *pair) {
		p.start(nil)
		p.say(p.client, ProtoCCP, configureRequest, 1, 18, 6, 1, 0, 0, 0x60)
	},
	// The client knows nothing of IPv6.
	"ipv6cp-refused": func(p *pair) {
		lns := lnsConfig(PAP)
		lns.IPv6CP = true
		p.lns.link = NewLink(lns, seeded(1))
		p.start(nil)
		p.run(time.Minute)
	},
	// One NCP goes and comes back, the other does not notice.
	"ipv6cp-terminated": func(p *pair) {
		lns, client := lnsConfig(PAP), clientConfig(PAP)
		lns.IPv6CP, client.IPv6CP = true, true
		p.lns.link, p.client.link = NewLink(lns, seeded(1)), NewLink(client, seeded(2))
		p.start(nil)
		p.say(p.client, ProtoIPV6CP, terminateRequest, 9)
		p.run(10 * time.Second)
	},
	"ipcp-reopened": func(p *pair) {
		p.start(nil)
		p.say(p.client, ProtoIPCP, terminateRequest, 9)
		p.run(10 * time.Second)
		p.say(p.client, ProtoIPCP, configureRequest, 10, 3, 6, 100, 64, 0, 7)
	},

	// The client restarts without having said good-bye.
	"renegotiation": func(p *pair) {
		p.start(nil)
		p.client.link = NewLink(clientConfig(CHAPMD5), seeded(5))
		p.client.link.Start(p.now, nil, &p.client.out)
		p.flush(p.client, p.lns)
		p.settle()
		p.run(10 * time.Second)
	},
	"echo-loss": func(p *pair) {
		lns := lnsConfig(PAP)
		lns.EchoInterval, lns.EchoFailures = 10*time.Second, 3
		p.lns.link = NewLink(lns, seeded(1))
		p.start(nil)
		p.run(25 * time.Second)
		p.lns.link.Heard(p.now) // user traffic puts the next echo off
		p.run(15 * time.Second)
		p.cut = true
		p.run(time.Minute)
	},
	// What the LNS sends comes back to it.
	"loopback": func(p *pair) {
		p.client = p.lns
		p.lns.link.Start(p.now, nil, &p.lns.out)
		p.flush(p.lns, p.lns)
		p.settle()
		p.run(10 * time.Second)
	},
	// The path closes into a loop after LCP is up.
	"loopback-late": func(p *pair) {
		lns := lnsConfig(PAP)
		lns.EchoInterval, lns.EchoFailures = 10*time.Second, 2
		p.lns.link = NewLink(lns, seeded(1))
		p.start(nil)
		p.client = p.lns
		p.run(time.Minute)
	},
	"silent-peer": func(p *pair) { p.cut = true; p.start(nil); p.run(time.Minute) },
	// Neither end offers an address for the client.
	"no-ncp": func(p *pair) {
		p.verdict.IPv4 = IPv4{}
		p.start(nil)
		p.run(time.Minute)
	},

	// The LAC has done LCP and collected the credentials; nothing is repeated.
	"proxy-pap":      func(p *pair) { p.behindLAC(lnsConfig(PAP), nil) },
	"proxy-chap":     func(p *pair) { p.behindLAC(lnsConfig(PAP, CHAPMD5), nil) },
	"proxy-mschapv2": func(p *pair) { p.behindLAC(lnsConfig(MSCHAPv2), nil) },
	// The LAC only did LCP: the LNS challenges.
	"proxy-lcp-only-chap": func(p *pair) {
		p.behindLAC(lnsConfig(CHAPMD5), func(x *Proxy) { x.HasAuth = false })
	},
	// The LAC agreed on PAP; we want CHAP, and the client will not.
	"proxy-mismatch": func(p *pair) { p.behindLAC(lnsConfig(CHAPMD5), nil) },
	// The LAC promised a larger MRU than our path carries.
	"proxy-mismatch-chap": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.MRU = 1400
		p.behindLAC(lns, nil)
	},
	"proxy-always-chap": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.Renegotiate = Always
		p.behindLAC(lns, nil)
	},
	// The same, but never means never.
	"proxy-never-chap": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.MRU, lns.Renegotiate = 1400, Never
		p.behindLAC(lns, nil)
	},
	"proxy-never-refused": func(p *pair) {
		lns := lnsConfig(CHAPMD5)
		lns.Renegotiate = Never
		p.behindLAC(lns, nil)
		p.run(10 * time.Second)
	},
	"proxy-auth-failure-chap": func(p *pair) {
		p.password = "other"
		p.behindLAC(lnsConfig(CHAPMD5), nil)
		p.run(10 * time.Second)
	},
}

// scenarioAuth is the method of a scenario by the end of its name; PAP by default.
func scenarioAuth(name string) Auth {
	for _, a := range []Auth{MSCHAPv2, CHAPMD5} {
		suffix := a.String()
		if len(name) >= len(suffix) && name[len(name)-len(suffix):] == suffix {
			return a
		}
	}
	switch name {
	case "auth-refused", "rechallenge", "rechallenge-unanswered", "renegotiation":
		return CHAPMD5
	}
	return PAP
}

func (p *pair) close(e *end) {
	p.run(5 * time.Second)
	e.link.Close(p.now, "good bye", &e.out)
	p.flush(e, p.other(e))
	p.settle()
	p.run(10 * time.Second)
}

// behindLAC lets a LAC bring the client up to authentication, then starts the LNS's
// link with what the LAC knows, changed by edit.
func (p *pair) behindLAC(lns *Config, edit func(*Proxy)) {
	p.silent = true
	p.start(nil)
	p.silent = false
	sent, received := p.lns.requests, p.client.requests
	x := &Proxy{
		InitialReceived: received[0], LastSent: sent[len(sent)-1], LastReceived: received[len(received)-1],
		Auth: p.asked.Method, HasAuth: true, AuthName: p.asked.Name,
		AuthChallenge: p.asked.Challenge, AuthID: p.asked.ID, AuthResponse: p.asked.Response,
	}
	if x.Auth == PAP {
		x.AuthResponse = p.asked.Password
	}
	if edit != nil {
		edit(x)
	}
	fmt.Fprintf(&p.log, "%6.1f  the LAC hands over: sent%s, received%s\n", p.now.Sub(epoch()).Seconds(),
		describeOptions("LCP", x.LastSent), describeOptions("LCP", x.LastReceived))
	p.lns = &end{name: "lns", link: NewLink(lns, seeded(11))}
	p.lns.link.Start(p.now, x, &p.lns.out)
	p.flush(p.lns, p.client)
	p.settle()
}

func (p *pair) fail() {
	p.verdict.Message = "no such user"
	p.password = "other"
	p.start(nil)
	p.run(10 * time.Second)
}

// say makes e send a packet that its link would not send by itself.
func (p *pair) say(e *end, proto Protocol, code, id uint8, data ...byte) {
	e.out.Send = append(e.out.Send, frameOf(proto, code, id, data...))
	p.flush(e, p.other(e))
	p.settle()
}

func TestTranscripts(t *testing.T) {
	for name, play := range scenarios {
		t.Run(name, func(t *testing.T) {
			a := scenarioAuth(name)
			p := newPair(lnsConfig(a), clientConfig(a))
			play(p)
			compareTranscript(t, name, p.log.String())
		})
	}
}

func compareTranscript(t *testing.T, name, got string) {
	t.Helper()
	file := filepath.Join("testdata", name+".txt")
	if *update {
		if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("transcript differs from %s:\n%s", file, got)
	}
}
