package sim

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/netip"
	"regexp"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/trace"
)

// traced is a world whose traces are seen: as lines "category: text", and by subject.
type traced struct {
	*World
	hub  *trace.Hub
	logs *observer.ObservedLogs
}

// newTraced makes it with rules that are there before anything else is.
func newTraced(t *testing.T, adjust func(*engine.Config), rules ...session.TraceRule) *traced {
	t.Helper()
	core, logs := observer.New(zapcore.InfoLevel)
	x := &traced{logs: logs}
	x.hub = trace.New(zap.New(core), time.Now)
	for _, r := range rules {
		if _, err := x.hub.Set(r.TraceTarget, r.Mask, 0, "test"); err != nil {
			t.Fatal(err)
		}
	}
	x.World = New(t, SeedFromEnv(t, 1), Options{Network: quick, Adjust: adjust, Tracer: x.hub})
	return x
}

// lines are those traced so far.
func (x *traced) lines() []string {
	var all []string
	for _, e := range x.logs.All() {
		if c, ok := e.ContextMap()["category"]; ok {
			all = append(all, fmt.Sprintf("%v: %s", c, e.Message))
		}
	}
	return all
}

func everything() session.TraceRule {
	return session.TraceRule{TraceTarget: session.TraceTarget{System: true}, Mask: session.TraceAll}
}

// play brings subscribers up and down, with hidden AVPs, a wrong password and a lost
// tunnel on the way.
func (x *traced) play() {
	lac := x.LAC("198.51.100.1:1701", "lac1", Secret)
	lac.cfg.HideAVPs = true
	tun := lac.Open()
	x.Until(time.Second, "tunnel up", func() bool { return tun.Up })
	c := tun.DialWith(ClientConfig("alice", "pw-alice"), &l2tp.CallParams{CallingNumber: "0301234567"})
	x.waitUp(c)
	bad := tun.Dial("bob", "wrong-pw-of-bob")
	x.down(bad)
	x.hub.Asked("/lns.v1.LNS/Sessions", "uid 0", nil)
	c.Quit()
	x.down(c)
	lac.Dead = true
	x.Run(3 * time.Minute)
}

// Every category yields the lines that it is for; a category without a row fails.
func TestEveryTraceCategory(t *testing.T) {
	rows := map[string][]string{
		"protocol": {`rx SCCRQ ns 0 nr 0, tunnel id 0`, `tx ICRP ns \d+ nr \d+`, `rx ICCN `},
		"fsm": {`tunnel idle -> wait-ctl-conn on SCCRQ`, `tunnel wait-ctl-conn -> established on SCCCN`, `call \d+ .* idle -> wait-connect on ICRQ`,
			`call \d+ .* wait-connect -> established on ICCN`, `session lcp -> auth`, `LCP RCA: (Req-Sent|Ack-Sent) -> (Ack-Rcvd|Opened)`, `IPCP `, `session ncp -> up`},
		"api":      {`/lns.v1.LNS/Sessions by uid 0: done`},
		"avp":      {`rx SCCRQ: Host Name M, \d+ bytes`, `rx ICRQ: Calling Number M H`},
		"avp_hide": {`rx ICRQ: Calling Number is hidden in \d+ bytes, readable`},
		"avp_data": {`rx SCCRQ: Host Name = "lac1"`, `tx SCCRP: Challenge = \(\d+ bytes, not shown\)`, `rx ICRQ: Calling Number = \(hidden\)`},
		"func":     {`call accepted: session id \d+, slot \d+`, `timer`, `is over; slot`},
		"xprt":     {`rx ICRQ ns \d+: in order`, `rx nr \d+: 0 unacknowledged`, `tx ICRP ns`, `retransmission 1 of HELLO`},
		"data":     {`lnsctl capture session \d+`},
		"system":   {`asks to authenticate "alice" by chap`, `the authenticator says yes`, `claim: granted, address 10\.`, `asks the forwarding path to install slot`, `accounting record of kind 1`},
		"ppp":      {`rx LCP Configure-Request id \d+: .*magic 0x`, `tx LCP Configure-Request id \d+: .*authentication CHAP MD5`, `rx CHAP Response id \d+: name "alice", value \(16 bytes, not shown\)`, `tx IPCP Configure-Nak id \d+: address 10\.`},
	}
	x := newTraced(t, nil, everything())
	x.play()
	all := x.lines()
	for _, c := range session.TraceCategories() {
		want, ok := rows[c]
		if !ok {
			t.Errorf("category %s has no row", c)
		}
		for _, w := range want {
			re := regexp.MustCompile("^" + c + ": .*" + w)
			found := false
			for _, l := range all {
				found = found || re.MatchString(l)
			}
			if !found {
				t.Errorf("%s: no line like %s", c, w)
			}
		}
	}
	if t.Failed() {
		t.Log(strings.Join(all, "\n"))
	}
}

// A category that is not asked for yields no line.
func TestTraceKeepsToItsCategories(t *testing.T) {
	for i, c := range session.TraceCategories() {
		r := everything()
		r.Mask = 1 << i
		x := newTraced(t, nil, r)
		x.play()
		all := x.lines()
		if len(all) == 0 {
			t.Errorf("%s: no lines", c)
		}
		for _, l := range all {
			if !strings.HasPrefix(l, c+": ") {
				t.Errorf("%s yields %q", c, l)
			}
		}
	}
}

// forms are the ways in which a secret could show.
func forms(secret string) []string {
	return []string{secret, hex.EncodeToString([]byte(secret)), strings.ToUpper(hex.EncodeToString([]byte(secret))),
		base64.StdEncoding.EncodeToString([]byte(secret)), fmt.Sprint([]byte(secret))}
}

// Whatever is traced, no secret shows: whichever way subscribers prove who they are, at
// us or at the LAC.
func TestTracesHoldNoSecrets(t *testing.T) {
	for _, method := range []ppp.Auth{ppp.PAP, ppp.CHAPMD5, ppp.MSCHAPv2} {
		for _, proxy := range []bool{false, true} {
			t.Run(fmt.Sprint(method, proxy), func(t *testing.T) { traceOfSecrets(t, method, proxy) })
		}
	}
}

func traceOfSecrets(t *testing.T, method ppp.Auth, proxy bool) {
	x := newTraced(t, func(c *engine.Config) {
		l := *c.Policy.Default
		l.HideAVPs = true
		c.Policy.Default = &l
		s, p := *c.Policy.Session, *c.Policy.Session.PPP
		p.Auth = []ppp.Auth{method}
		s.PPP, c.Policy.Session = &p, &s
	}, everything())
	secrets := []string{Secret, "pw-alice", "wrong-pw-of-bob", "proxy-response-of-carol", "proxy-challenge-16"}
	lac := x.LAC("198.51.100.1:1701", "lac1", Secret)
	lac.cfg.HideAVPs = !proxy
	tun := lac.Open()
	x.Until(time.Second, "tunnel up", func() bool { return tun.Up })
	for _, u := range [][2]string{{"alice", "pw-alice"}, {"bob", "wrong-pw-of-bob"}} {
		cfg := ClientConfig(u[0], u[1])
		cfg.Auth = []ppp.Auth{method}
		p := &l2tp.CallParams{CallingNumber: "030" + u[0]}
		if proxy {
			p.Proxy = l2tp.ProxyState{AuthType: 3, AuthName: "carol", AuthResponse: []byte("proxy-response-of-carol"), AuthChallenge: []byte("proxy-challenge-16")}
		}
		tun.DialWith(cfg, p)
	}
	x.Run(20 * time.Second)
	tun.Close()
	x.Run(time.Minute)
	text := strings.Join(x.lines(), "\n")
	for _, l := range x.logs.All() {
		text += fmt.Sprint(l.ContextMap())
	}
	for _, s := range secrets {
		for _, f := range forms(s) {
			if strings.Contains(text, f) {
				t.Errorf("%q shows as %q", s, f)
			}
		}
	}
	if !strings.Contains(text, "not shown") || !strings.Contains(text, `"alice"`) {
		t.Errorf("the trace tells of no proof: it proves nothing\n%s", text)
	}
}

// A user, a number and a LAC are traced before there is a session: and from its start,
// although the name shows late. Nobody else is.
func TestTraceBeforeTheSession(t *testing.T) {
	lac := netip.MustParseAddr("198.51.100.1")
	for _, c := range []struct {
		target session.TraceTarget
		want   []string
	}{
		{session.TraceTarget{User: "alice"}, []string{"fsm: call", "ppp: rx LCP Configure-Request", "ppp: rx IPCP"}},
		{session.TraceTarget{Calling: "0301234567"}, []string{"protocol: rx ICRQ", "protocol: tx ICRP", "ppp: rx LCP Configure-Request", "ppp: rx IPCP"}},
		{session.TraceTarget{LAC: lac}, []string{"protocol: rx SCCRQ", "protocol: rx ICRQ", "ppp: rx IPCP"}},
	} {
		x := newTraced(t, nil, session.TraceRule{TraceTarget: c.target, Mask: session.TraceAll})
		other := x.open("203.0.113.9:1701", "lac9")
		o := other.DialWith(ClientConfig("oscar", "pw-oscar"), &l2tp.CallParams{CallingNumber: "999"})
		x.waitUp(o)
		tun := x.open("198.51.100.1:1701", "lac1")
		a := tun.DialWith(ClientConfig("alice", "pw-alice"), &l2tp.CallParams{CallingNumber: "0301234567"})
		x.waitUp(a)
		text := strings.Join(x.lines(), "\n")
		for _, w := range c.want {
			if !strings.Contains(text, w) {
				t.Errorf("%v: no line with %q\n%s", c.target, w, text)
			}
		}
		if strings.Contains(text, "oscar") {
			t.Errorf("%v: somebody else is traced\n%s", c.target, text)
		}
		x.end(tun, other)
	}
}

// The policy of a LAC traces its tunnels and their sessions, and a change of it does not
// touch those that live.
func TestTraceByPolicy(t *testing.T) {
	var policy *engine.Policy
	x := newTraced(t, func(c *engine.Config) {
		p := *c.Policy
		p.LACs = []engine.LAC{{Source: netip.MustParsePrefix("198.51.100.1/32"), L2TP: p.Default, Trace: session.TracePPP}}
		policy, c.Policy = &p, &p
	})
	tun := x.open("198.51.100.1:1701", "lac1")
	a := x.up(tun, "alice")
	if n := len(x.lines()); n == 0 || !strings.HasPrefix(x.lines()[0], "ppp: ") {
		t.Fatalf("lines %q", x.lines())
	}
	plain := *policy
	plain.LACs = nil
	if err := x.Engine.Reload(&plain); err != nil {
		t.Fatal(err)
	}
	before := len(x.lines())
	a.Quit()
	x.down(a)
	if len(x.lines()) == before {
		t.Error("a session that lives is not traced any more")
	}
	before = len(x.lines())
	x.up(tun, "bob")
	if n := len(x.lines()); n != before {
		t.Errorf("a new session is traced: %q", x.lines()[before:])
	}
	x.end(tun)
}

// Without rules nothing is traced, and the rest of the engine sees no difference.
func TestTraceIsOff(t *testing.T) {
	x := newTraced(t, nil)
	x.play()
	if n := x.logs.Len(); n > 0 {
		t.Errorf("%d lines", n)
	}
}

// A tracer without rules costs a session no memory: what is done for a line is done
// only when somebody wants it.
func TestTraceIsFreeWhenOff(t *testing.T) {
	allocations := func(tracer engine.Tracer) uint64 {
		least := ^uint64(0)
		for range 3 {
			w := New(t, 1, Options{Network: quick, Tracer: tracer})
			w.CheckEvery = 0
			tun := w.open("198.51.100.1:1701", "lac1")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for i := range 200 {
				w.up(tun, fmt.Sprintf("user%d", i))
			}
			runtime.ReadMemStats(&after)
			least = min(least, after.Mallocs-before.Mallocs)
			w.end(tun)
		}
		return least
	}
	without, with := allocations(nil), allocations(trace.New(zap.NewNop(), time.Now))
	// One allocation more for each session would be 200.
	if with > without+100 {
		t.Errorf("%d allocations with a tracer, %d without", with, without)
	}
}
