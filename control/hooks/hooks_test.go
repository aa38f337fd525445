package hooks

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// fake is a hook that wants everything.
type fake func(c *call) (Verdict, error)

func (f fake) events() eventSet { return ^eventSet(0) }
func (f fake) view(*View)       {}
func (f fake) close()           {}
func (f fake) call(ctx context.Context, c *call) (Verdict, error) {
	v, err := f(c)
	if errors.Is(err, context.DeadlineExceeded) {
		<-ctx.Done()
	}
	return v, err
}

// authenticator answers yes, unless it knows better.
type authenticator struct {
	chain  *Chain
	answer func(*session.AuthRequest) *session.AuthResult
}

func (a *authenticator) Authenticate(r *session.AuthRequest) bool {
	go a.chain.AuthDone(a.answer(r))
	return true
}

// rig is a chain of fakes between an authenticator and whoever waits for its answers.
type rig struct {
	*Chain
	answers chan *session.AuthResult
	asked   chan *session.AuthRequest
	front   Authenticator
}

func newRig(t *testing.T, cfg Config, result session.AuthResult) *rig {
	r := &rig{answers: make(chan *session.AuthResult, 10), asked: make(chan *session.AuthRequest, 10)}
	cfg.Done, cfg.Log = func(a *session.AuthResult) { r.answers <- a }, zap.NewNop()
	r.Chain = New(cfg)
	t.Cleanup(func() { _ = r.Close() })
	r.front = r.Before(&authenticator{r.Chain, func(q *session.AuthRequest) *session.AuthResult {
		r.asked <- q
		answer := result
		answer.Ref = q.Ref
		return &answer
	}})
	return r
}

func (r *rig) add(name string, h hook, closed bool) {
	next := append(slices.Clone(*r.links.Load()), &link{hook: h, name: name, closed: closed, timeout: 50 * time.Millisecond})
	r.links.Store(&next)
}

func (r *rig) login(t *testing.T, q session.AuthRequest) *session.AuthResult {
	t.Helper()
	q.Ref = session.Ref{TunnelID: 1, SessionID: 2, Serial: 3}
	if !r.front.Authenticate(&q) {
		t.Fatal("the login was not taken")
	}
	select {
	case a := <-r.answers:
		if a.Ref != q.Ref {
			t.Errorf("an answer to %v", a.Ref)
		}
		return a
	case <-time.After(time.Minute):
		t.Fatal("no answer")
		return nil
	}
}

// The verdicts decide who is asked, and what becomes of the login; the order is that of
// loading.
func TestChain(t *testing.T) {
	hang, broken := context.DeadlineExceeded, errors.New("broken")
	type step struct {
		v      Verdict
		err    error
		closed bool
	}
	for name, c := range map[string]struct {
		steps []step
		asked string
		want  session.Verdict
	}{
		"all say yes":                {[]step{{}, {}, {}}, "abc", session.Accept},
		"stop ends the chain":        {[]step{{}, {v: Stop}, {}}, "ab", session.Accept},
		"error refuses":              {[]step{{v: Error}, {}}, "a", session.Unavailable},
		"a failure is passed over":   {[]step{{err: broken}, {}}, "ab", session.Accept},
		"or refuses":                 {[]step{{err: broken, closed: true}, {}}, "a", session.Unavailable},
		"one that hangs is too":      {[]step{{err: hang}, {}}, "ab", session.Accept},
		"and refuses where it must":  {[]step{{}, {err: hang, closed: true}}, "ab", session.Unavailable},
		"nobody asks where there is": {nil, "", session.Accept},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{}, session.AuthResult{Verdict: session.Accept})
			asked := make(chan byte, 100)
			for i, s := range c.steps {
				r.add(string('a'+byte(i)), fake(func(x *call) (Verdict, error) {
					if x.event != PreAuth {
						return OK, nil
					}
					asked <- 'a' + byte(i)
					return s.v, s.err
				}), s.closed)
			}
			if a := r.login(t, session.AuthRequest{User: "u"}); a.Verdict != c.want {
				t.Errorf("answered %+v", a)
			}
			got := ""
			for len(asked) > 0 {
				got += string(<-asked)
			}
			if got != c.asked {
				t.Errorf("asked %q, want %q", got, c.asked)
			}
			if len(r.pending) != 0 {
				t.Errorf("%d logins are still remembered", len(r.pending))
			}
		})
	}
}

func pairs(list ...string) session.Profile {
	var p session.Profile
	for _, s := range list {
		k, v, _ := strings.Cut(s, "=")
		p.Pairs = append(p.Pairs, session.Pair{Key: k, Value: v})
	}
	return p
}

func TestBuiltIns(t *testing.T) {
	yes, no := session.Accept, session.Reject
	for name, c := range map[string]struct {
		plugin   string
		user     string
		method   session.AuthMethod
		verdict  session.Verdict
		profile  session.Profile
		want     session.Verdict
		services session.Services
		asked    string
	}{
		"throttle by number":  {"autothrottle", "u", session.AuthPAP, yes, pairs("throttle=512"), yes, session.Services{Up: session.Rate{Bits: 512000}, Down: session.Rate{Bits: 512000}}, "u"},
		"throttle by default": {"autothrottle", "u", session.AuthPAP, yes, pairs("throttle=yes"), yes, session.Services{Up: session.Rate{Bits: 28000}, Down: session.Rate{Bits: 28000}}, "u"},
		"throttle taken back": {"autothrottle", "u", session.AuthPAP, yes, pairs("throttle=5", "throttle=no"), yes, session.Services{}, "u"},
		"Cisco's words": {"autothrottle", "u", session.AuthPAP, yes, pairs("lcp:interface-config#1=service-policy input 64", "lcp:interface-config#2=service-policy output 128"),
			yes, session.Services{Up: session.Rate{Bits: 64000}, Down: session.Rate{Bits: 128000}}, "u"},
		"words that are no rate": {"autothrottle", "u", session.AuthPAP, yes, pairs("throttle=much", "lcp:interface-config#1=mtu 1400"), yes, session.Services{}, "u"},
		"intercept":              {"autosnoop", "u", session.AuthPAP, yes, pairs("intercept=192.0.2.9:4000"), yes, session.Services{Intercept: netip.MustParseAddrPort("192.0.2.9:4000")}, "u"},
		"no intercept":           {"autosnoop", "u", session.AuthPAP, yes, pairs("intercept=somewhere"), yes, session.Services{}, "u"},
		"refused into a garden":  {"garden", "u", session.AuthCHAP, no, session.Profile{}, yes, session.Services{Garden: "unpaid"}, "u"},
		"but not by MS-CHAPv2":   {"garden", "u", session.AuthMSCHAPv2, no, session.Profile{}, no, session.Services{}, "u"},
		"accepted without":       {"garden", "u", session.AuthCHAP, yes, session.Profile{}, yes, session.Services{}, "u"},
		"a domain is taken off":  {"stripdomain", "u@isp.example", session.AuthPAP, yes, session.Profile{}, yes, session.Services{}, "u"},
		"a name is not":          {"stripdomain", "@isp.example", session.AuthPAP, yes, session.Profile{}, yes, session.Services{}, "@isp.example"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, Config{}, session.AuthResult{Verdict: c.verdict, Profile: c.profile})
			if err := r.Reload(Settings{Garden: "unpaid", Throttle: session.Rate{Bits: 28000}}); err != nil {
				t.Fatal(err)
			}
			if err := r.Load(c.plugin); err != nil {
				t.Fatal(err)
			}
			a := r.login(t, session.AuthRequest{User: c.user, Method: c.method})
			if asked := <-r.asked; asked.User != c.asked {
				t.Errorf("asked for %q", asked.User)
			}
			var got session.Services
			if a.Profile.Services != nil {
				got = *a.Profile.Services
			}
			if a.Verdict != c.want || got != c.services {
				t.Errorf("answered %+v, services %+v", a, got)
			}
			if c.asked != c.user && a.Profile.User != c.asked {
				t.Errorf("the session's name is %q", a.Profile.User)
			}
		})
	}
}

// Events come in their order, session_up before new_session.
func TestObserve(t *testing.T) {
	r := newRig(t, Config{}, session.AuthResult{})
	told := make(chan Event, 100)
	r.add("x", fake(func(c *call) (Verdict, error) {
		if c.event != Timer {
			told <- c.event
		}
		return OK, nil
	}), false)
	kinds := []session.NoticeKind{session.TunnelCreated, session.TunnelUp, session.SessionCreated, session.SessionUp, session.SessionChanged,
		session.LoginFailed, session.SessionDown, session.SessionFailed, session.TunnelDown}
	for _, k := range kinds {
		r.Observe(session.Notice{Kind: k})
	}
	want := []Event{TunnelCreated, TunnelUp, SessionCreated, SessionUp, NewSession, SessionModified, KillSession, SessionDown, SessionDown, TunnelDown}
	for _, w := range want {
		select {
		case got := <-told:
			if got != w {
				t.Errorf("told of %v, want %v", got, w)
			}
		case <-time.After(time.Minute):
			t.Fatalf("not told of %v", w)
		}
	}
}

type ended struct{ who session.Selector }

func (e *ended) EndSessions(_ context.Context, x session.Selector) (int, error) {
	e.who = x
	return 2, nil
}

func TestLoadAndSend(t *testing.T) {
	e := &ended{}
	r := newRig(t, Config{Sessions: e}, session.AuthResult{})
	for _, name := range []string{"sessionctl", "stripdomain"} {
		if err := r.Load(name); err != nil {
			t.Fatal(err)
		}
	}
	if err := r.Load("sessionctl"); !errors.Is(err, ErrLoaded) {
		t.Error(err)
	}
	if err := r.Load("none"); !errors.Is(err, ErrUnknown) {
		t.Error(err)
	}
	if err := r.Load("garden"); err == nil {
		t.Error("there is no garden, and the plugin was loaded")
	}
	text, err := r.Send("sessionctl", []string{"drop", "alice"})
	if err != nil || text != "2 sessions ended" || e.who != (session.Selector{User: "alice"}) {
		t.Errorf("%q, %v, %+v", text, err, e.who)
	}
	if _, err := r.Send("sessionctl", []string{"kill", "7"}); err != nil || e.who != (session.Selector{Slot: 7}) {
		t.Errorf("%v, %+v", err, e.who)
	}
	if _, err := r.Send("sessionctl", nil); err == nil {
		t.Error("nothing was understood")
	}
	if _, err := r.Send("stripdomain", []string{"x"}); !errors.Is(err, ErrNoControl) {
		t.Error(err)
	}
	if err := r.Remove("sessionctl"); err != nil {
		t.Error(err)
	}
	if err := r.Remove("sessionctl"); !errors.Is(err, ErrNotLoaded) {
		t.Error(err)
	}
	if l := r.List(); len(l) != 1 || l[0].Name != "stripdomain" || !l[0].BuiltIn {
		t.Errorf("%+v", l)
	}
}
