package ppp

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// epoch is when the tests' virtual time begins.
func epoch() time.Time { return time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC) }

// seeded returns a source of repeatable "random" bytes.
func seeded(seed uint64) func([]byte) {
	r := rand.New(rand.NewPCG(seed, 0x9E3779B97F4A7C15))
	return func(b []byte) {
		for i := range b {
			b[i] = byte(r.Uint32())
		}
	}
}

func lnsConfig(auth ...Auth) *Config {
	return &Config{
		MRU: 1460, ACFC: true, PFC: true, Auth: auth, Name: "lns",
		RestartTimer: 3 * time.Second, MaxConfigure: 10, MaxTerminate: 2, MaxFailure: 5,
		AuthTimeout: 30 * time.Second, NetworkTimeout: 30 * time.Second,
	}
}

func clientConfig(auth ...Auth) *Config {
	return &Config{
		Client: true, User: "joe", Password: "secret", MRU: 1492, ACFC: true, PFC: true, Auth: auth,
		RestartTimer: 3 * time.Second, MaxConfigure: 10, MaxTerminate: 2, MaxFailure: 5,
		AuthTimeout: 40 * time.Second, NetworkTimeout: 40 * time.Second,
	}
}

func offered() IPv4 {
	return IPv4{
		Local: netip.MustParseAddr("10.0.0.1"), Peer: netip.MustParseAddr("100.64.0.7"),
		DNS: [2]netip.Addr{netip.MustParseAddr("9.9.9.9"), netip.MustParseAddr("149.112.112.112")},
	}
}

// end is one end of a pair, with the events it reported.
type end struct {
	name   string
	link   *Link
	out    Out
	events []Event
	inbox  [][]byte
	// requests are the options of the LCP Configure-Requests it sent.
	requests [][]byte
}

// pair wires an LNS link to a client link over a perfect wire in virtual time, and
// plays the owner of the LNS link: it checks the credentials with password.
type pair struct {
	now         time.Time
	lns, client *end
	log         strings.Builder
	password    string
	verdict     AuthVerdict
	// cut drops what both ends send.
	cut bool
	// silent leaves AuthRequested unanswered.
	silent bool
	// asked are the last credentials that the LNS link reported.
	asked Credentials
}

func newPair(lns, client *Config) *pair {
	return &pair{
		now: epoch(), password: "secret", verdict: AuthVerdict{OK: true, IPv4: offered()},
		lns:    &end{name: "lns", link: NewLink(lns, seeded(1))},
		client: &end{name: "client", link: NewLink(client, seeded(2))},
	}
}

func (p *pair) start(proxy *Proxy) {
	p.lns.link.Start(p.now, proxy, &p.lns.out)
	p.flush(p.lns, p.client)
	p.client.link.Start(p.now, nil, &p.client.out)
	p.flush(p.client, p.lns)
	p.settle()
}

// flush carries out what e wants done, in the order that Out demands.
func (p *pair) flush(e, other *end) {
	for _, f := range e.out.Send {
		p.logFrame(e, f)
		if proto, payload, _ := ParseFrame(f); proto == ProtoLCP && payload[0] == configureRequest {
			e.requests = append(e.requests, append([]byte(nil), payload[4:]...))
		}
		if !p.cut {
			other.inbox = append(other.inbox, append([]byte(nil), f...))
		}
	}
	events := append([]Event(nil), e.out.Events...)
	for _, ev := range events {
		p.logEvent(e, ev)
		e.events = append(e.events, ev)
	}
	var verdicts []AuthVerdict
	for _, ev := range events {
		if ev.Kind == AuthRequested {
			p.asked = *ev.Auth
			p.asked.Password = append([]byte(nil), ev.Auth.Password...)
			p.asked.Challenge = append([]byte(nil), ev.Auth.Challenge...)
			p.asked.Response = append([]byte(nil), ev.Auth.Response...)
		}
		if ev.Kind == AuthRequested && !p.silent {
			verdicts = append(verdicts, p.judge(ev.Auth))
		}
	}
	e.out.Reset()
	for _, v := range verdicts {
		e.link.Authenticated(p.now, v, &e.out)
		p.flush(e, other)
	}
}

func (p *pair) judge(c *Credentials) AuthVerdict {
	v, ok := p.verdict, false
	switch c.Method {
	case NoAuth:
		ok = true
	case PAP:
		ok = string(c.Password) == p.password
	case CHAPMD5:
		ok = VerifyCHAP(c.ID, c.Challenge, c.Response, []byte(p.password))
	case MSCHAPv2:
		var success string
		if success, ok = VerifyMSCHAPv2(c.Name, c.Challenge, c.Response, p.password); ok {
			v.Message = success + " M=welcome"
		}
	}
	if !ok || !v.OK {
		return AuthVerdict{Message: v.Message}
	}
	return v
}

// settle delivers frames until both ends are quiet.
func (p *pair) settle() {
	for len(p.lns.inbox)+len(p.client.inbox) > 0 {
		p.deliver(p.lns, p.client)
		p.deliver(p.client, p.lns)
	}
}

func (p *pair) deliver(to, from *end) {
	if len(to.inbox) == 0 {
		return
	}
	f := to.inbox[0]
	to.inbox = to.inbox[1:]
	to.link.Receive(p.now, f, &to.out)
	p.flush(to, from)
}

// run lets time pass until d is over, timers and frames being served.
func (p *pair) run(d time.Duration) {
	for until := p.now.Add(d); ; {
		next := until
		for _, e := range []*end{p.lns, p.client} {
			if t := e.link.Deadline(); !t.IsZero() && t.Before(next) {
				next = t
			}
		}
		p.now = next
		for _, e := range []*end{p.lns, p.client} {
			if t := e.link.Deadline(); !t.IsZero() && !t.After(p.now) {
				e.link.Timer(p.now, &e.out)
				p.flush(e, p.other(e))
			}
		}
		p.settle()
		if !p.now.Before(until) {
			return
		}
	}
}

func (p *pair) other(e *end) *end {
	if e == p.lns {
		return p.client
	}
	return p.lns
}

// saw reports whether e has had an event of the kind, and the last one.
func (e *end) saw(k EventKind) (last Event, ok bool) {
	for _, ev := range e.events {
		if ev.Kind == k {
			last, ok = ev, true
		}
	}
	return last, ok
}

func TestLinkComesUpAndGoesDown(t *testing.T) {
	for _, method := range []Auth{NoAuth, PAP, CHAPMD5, MSCHAPv2} {
		t.Run(method.String(), func(t *testing.T) {
			lns, client := lnsConfig(), clientConfig()
			if method != NoAuth {
				lns, client = lnsConfig(method), clientConfig(method)
			}
			lns.IPv6CP, client.IPv6CP = true, true
			p := newPair(lns, client)
			p.start(nil)
			up, ok := p.lns.saw(IPv4Up)
			if !ok || up.IPv4 != offered() {
				t.Fatalf("lns IPv4 = %v, up %v\n%s", up.IPv4, ok, p.log.String())
			}
			up, ok = p.client.saw(IPv4Up)
			if !ok || up.IPv4.Local != offered().Peer || up.IPv4.DNS != offered().DNS {
				t.Fatalf("client IPv4 = %v, up %v\n%s", up.IPv4, ok, p.log.String())
			}
			l6, ok := p.lns.saw(IPv6Up)
			c6, ok2 := p.client.saw(IPv6Up)
			if !ok || !ok2 || l6.IPv6[0] != c6.IPv6[1] || l6.IPv6[1] != c6.IPv6[0] || l6.IPv6[0] == l6.IPv6[1] {
				t.Fatalf("interface identifiers lns %v client %v\n%s", l6.IPv6, c6.IPv6, p.log.String())
			}
			if p.lns.link.Phase() != "network" || !p.lns.link.Deadline().IsZero() {
				t.Errorf("idle link: phase %s, deadline %v", p.lns.link.Phase(), p.lns.link.Deadline())
			}
			p.lns.link.Close(p.now, "bye", &p.lns.out)
			p.flush(p.lns, p.client)
			p.settle()
			p.run(10 * time.Second)
			if d, _ := p.lns.saw(LinkDown); d.Cause != CauseClosed {
				t.Errorf("lns cause = %v\n%s", d.Cause, p.log.String())
			}
			if d, _ := p.client.saw(LinkDown); d.Cause != CausePeerClosed || d.Message != "bye" {
				t.Errorf("client cause = %v %q\n%s", d.Cause, d.Message, p.log.String())
			}
		})
	}
}
