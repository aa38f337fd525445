package hooks

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/hooks/hookv1"
	"github.com/lnsd/lnsd/control/session"
)

// scripted is a plugin that does what keys of Cisco-AVPairs and names of subscribers say.
type scripted struct {
	hookv1.UnimplementedHookServer
}

// TestMain is the plugin's program too.
func TestMain(m *testing.M) {
	if h := hookv1.Handshake(); os.Getenv(h.MagicCookieKey) == h.MagicCookieValue {
		hookv1.Serve(scripted{})
		return
	}
	os.Exit(m.Run())
}

func (scripted) Describe(context.Context, *hookv1.DescribeRequest) (*hookv1.DescribeReply, error) {
	return &hookv1.DescribeReply{Version: "scripted", Events: []hookv1.Event{
		hookv1.Event_EVENT_POST_AUTH, hookv1.Event_EVENT_RADIUS_RESPONSE, hookv1.Event_EVENT_CONTROL}}, nil
}

func (scripted) RadiusResponse(_ context.Context, r *hookv1.RadiusResponseRequest) (*hookv1.RadiusResponseReply, error) {
	grant := &hookv1.Grant{}
	switch r.Key {
	case "place":
		grant.Garden = &r.Value
	case "max-time":
		var seconds uint32
		if _, err := fmt.Sscan(r.Value, &seconds); err != nil {
			return &hookv1.RadiusResponseReply{Verdict: hookv1.Verdict_VERDICT_ERROR}, nil
		}
		grant.SessionTimeout = &seconds
	case "last":
		return &hookv1.RadiusResponseReply{Verdict: hookv1.Verdict_VERDICT_STOP}, nil
	}
	return &hookv1.RadiusResponseReply{Grant: grant}, nil
}

func (scripted) PostAuth(_ context.Context, r *hookv1.PostAuthRequest) (*hookv1.PostAuthReply, error) {
	yes, garden := true, "unpaid"
	if r.Allowed || !strings.HasPrefix(r.Session.User, "debtor") {
		return &hookv1.PostAuthReply{}, nil
	}
	return &hookv1.PostAuthReply{Allowed: &yes, Message: "pay first", Grant: &hookv1.Grant{Garden: &garden}}, nil
}

func (scripted) Control(_ context.Context, r *hookv1.ControlRequest) (*hookv1.ControlReply, error) {
	return &hookv1.ControlReply{Text: fmt.Sprintf("%d: %s", os.Getpid(), strings.Join(r.Words, " "))}, nil
}

// withProgram is a rig with this test's own program loaded as a plugin.
func withProgram(t *testing.T, result session.AuthResult) (*rig, Settings) {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	s := Settings{Externals: []External{{Name: "scripted", Path: path, Timeout: 30 * time.Second, Closed: true}}, Load: []string{"scripted"}}
	r := newRig(t, Config{}, result)
	if err := r.Reload(s); err != nil {
		t.Fatal(err)
	}
	r.running(t, "scripted")
	return r, s
}

// running waits until a plugin runs, and returns its process.
func (r *rig) running(t *testing.T, name string) int {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		for _, v := range r.List() {
			if v.Name == name && v.State == "running" {
				return v.PID
			}
		}
	}
	t.Fatalf("%s does not run: %+v", name, r.List())
	return 0
}

// A program decides by the Cisco-AVPairs of an Access-Accept, and lets the refused into
// a garden.
func TestExternalDecides(t *testing.T) {
	yes, no := session.Accept, session.Reject
	for name, c := range map[string]struct {
		user    string
		method  session.AuthMethod
		result  session.Verdict
		pairs   []string
		want    session.Verdict
		garden  string
		timeout time.Duration
		behind  int // how often the next plugin is asked about pairs
	}{
		"a garden by pair":      {"u", session.AuthCHAP, yes, []string{"place=unpaid", "max-time=60"}, yes, "unpaid", time.Minute, 2},
		"a stop":                {"u", session.AuthCHAP, yes, []string{"last=1", "max-time=60"}, yes, "", time.Minute, 1},
		"an error":              {"u", session.AuthCHAP, yes, []string{"max-time=x"}, session.Unavailable, "", 0, 0},
		"more than can be had":  {"u", session.AuthCHAP, yes, []string{"place=no such name"}, session.Unavailable, "", 0, 0},
		"refused into a garden": {"debtor", session.AuthPAP, no, nil, yes, "unpaid", 0, 0},
		"not by MS-CHAPv2":      {"debtor", session.AuthMSCHAPv2, no, nil, no, "", 0, 0},
		"refused for good":      {"u", session.AuthPAP, no, nil, no, "", 0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r, _ := withProgram(t, session.AuthResult{Verdict: c.result, Profile: pairs(c.pairs...)})
			behind := make(chan struct{}, 100)
			r.add("behind", fake(func(x *call) (Verdict, error) {
				if x.event == RadiusResponse {
					behind <- struct{}{}
				}
				return OK, nil
			}), false)
			a := r.login(t, session.AuthRequest{User: c.user, Method: c.method})
			got := ""
			if s := a.Profile.Services; s != nil {
				got = s.Garden
			}
			if a.Verdict != c.want || got != c.garden || a.Profile.SessionTimeout != c.timeout || len(behind) != c.behind {
				t.Errorf("answered %+v, garden %q, %d asked behind", a, got, len(behind))
			}
		})
	}
}

// A reload ends what is loaded no more, loads what is new, starts a program anew that is
// defined otherwise, and leaves all else as it is.
func TestReload(t *testing.T) {
	r, s := withProgram(t, session.AuthResult{Verdict: session.Accept})
	names := func() (out []string) {
		for _, v := range r.List() {
			out = append(out, v.Name)
		}
		return out
	}
	step := func(what string, s Settings, want ...string) {
		t.Helper()
		if err := r.Reload(s); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		if got := names(); !slices.Equal(got, want) {
			t.Errorf("%s: loaded are %q, not %q", what, got, want)
		}
	}
	first := r.running(t, "scripted")
	s.Load = []string{"stripdomain", "scripted"}
	step("another in front", s, "stripdomain", "scripted")
	if pid := r.running(t, "scripted"); pid != first {
		t.Error("the program was started anew for nothing")
	}
	if err := r.Load("sessionctl"); err != nil {
		t.Fatal(err)
	}
	if err := r.Remove("stripdomain"); err != nil {
		t.Fatal(err)
	}
	step("an operator's changes stay", s, "scripted", "sessionctl")

	bad := s
	bad.Load = []string{"none"}
	if err := r.Reload(bad); err == nil {
		t.Error("a plugin that there is not was loaded")
	}
	bad.Load = []string{"scripted", "garden"}
	if err := r.Reload(bad); err == nil {
		t.Error("the garden plugin was loaded without a garden")
	}
	step("after what was refused", s, "scripted", "sessionctl")

	s.Externals = []External{s.Externals[0]}
	s.Externals[0].Timeout = 20 * time.Second
	step("defined otherwise", s, "scripted", "sessionctl")
	if pid := r.running(t, "scripted"); pid == first {
		t.Error("the program was not started anew")
	}
	if text, err := r.Send("scripted", []string{"hello"}); err != nil || !strings.HasSuffix(text, ": hello") {
		t.Errorf("%q, %v", text, err)
	}
	s.Load = []string{"sessionctl"}
	step("loaded no more", s, "sessionctl")
	step("nothing", Settings{})
}
