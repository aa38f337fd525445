package cli_test

import (
	"context"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/apitest"
	"github.com/lnsd/lnsd/control/session"
)

// someTraces remembers what was set, and has two lines for who follows.
type someTraces struct{ rules []session.TraceRule }

func (s *someTraces) Set(t session.TraceTarget, m session.TraceMask, d time.Duration, _ string) (session.TraceRule, error) {
	r := session.TraceRule{ID: uint32(len(s.rules) + 1), TraceTarget: t, Mask: m, By: "uid 0"}
	if d > 0 {
		r.Until = now.Add(d)
	}
	s.rules = append(s.rules, r)
	return r, nil
}

func (s *someTraces) List() ([]session.TraceRule, uint64) { return s.rules, 3 }

func (s *someTraces) Clear(which func(*session.TraceRule) bool) (gone []session.TraceRule) {
	var left []session.TraceRule
	for _, r := range s.rules {
		if which(&r) {
			gone = append(gone, r)
		} else {
			left = append(left, r)
		}
	}
	s.rules = left
	return gone
}

func (s *someTraces) Follow(ctx context.Context, _ session.TraceTarget, _ session.TraceMask, begun func() error,
	yield func([]session.TraceLine, uint64) error) error {
	if err := begun(); err != nil {
		return err
	}
	lac := netip.MustParseAddrPort("198.51.100.5:1701")
	lines := []session.TraceLine{
		{At: now, Category: session.TraceProtocol, Text: "rx SCCRQ", TraceSubject: session.TraceSubject{LAC: lac}},
		{At: now, Category: session.TraceFSM, Text: "tunnel idle -> wait-ctl-conn on SCCRQ", TraceSubject: session.TraceSubject{Ref: session.Ref{TunnelID: 4711}, LAC: lac}},
		{At: now, Category: session.TracePPP, Text: "rx LCP Configure-Request\x1b[2J", TraceSubject: session.TraceSubject{Ref: session.Ref{TunnelID: 4711, SessionID: 1}, Slot: 1, User: "alice@example", LAC: lac}},
	}
	if err := yield(lines, 5); err != nil {
		return err
	}
	<-ctx.Done()
	return ctx.Err()
}

// stories are what is remembered.
type stories []session.Story

func (s stories) Stories(slot uint32, user string, tunnel uint16, failed bool) (some []session.Story) {
	for _, x := range s {
		if (slot == 0 || x.Slot == slot) && (user == "" || x.User == user) && (tunnel == 0 || x.TunnelID == tunnel) && (!failed || x.State == "failed") {
			some = append(some, x)
		}
	}
	return some
}

func someStories() stories {
	lac := netip.MustParseAddrPort("198.51.100.5:1701")
	at := ago(time.Minute)
	return stories{
		{
			LAC: netip.MustParseAddrPort("203.0.113.9:1701"), LACName: "who", State: "failed", Stage: "tunnel", Reason: "no policy for this LAC", Repeated: 41,
			Check: "lac commands and allow_unknown_lacs", Events: []session.StoryEvent{{At: at, What: "tunnel-refused", Detail: "no policy for this LAC"}},
		},
		{
			Ref: session.Ref{TunnelID: 4711, SessionID: 2}, Slot: 2, User: "evil\x1b[2Jname", AcctSessionID: "65e1c0a000000002", LAC: lac, LACName: "lac-5",
			State: "failed", Stage: "auth", Reason: "authentication failed", Check: "user name and password; the RADIUS server's log says why",
			Events: []session.StoryEvent{{At: at, What: "call", Detail: "from lac-5"}, {At: at.Add(20 * time.Millisecond), What: "call-connected", Detail: "after 20ms"},
				{At: at.Add(time.Second), What: "login-failed", Detail: "user unknown"}, {At: at.Add(time.Second), What: "session-failed", Detail: "authentication failed"}},
		},
		{
			Ref: session.Ref{TunnelID: 4711, SessionID: 815}, Slot: 1, User: "alice@example", AcctSessionID: "65e1c0a000000001", LAC: lac, LACName: "lac-5", State: "up",
			Events: []session.StoryEvent{{At: at, What: "call", Detail: "from lac-5"}, {At: at.Add(time.Second), What: "session-up"}},
		},
	}
}

func TestGoldenTrace(t *testing.T) {
	socket := apitest.Start(t, daemon(), now, api.Traces(&someTraces{}), api.History(someStories()))
	var all strings.Builder
	for _, line := range []string{
		"trace set user alice@example ppp,fsm --for 10m", "trace set system 2047", "trace set session 1 0x400", "trace set tunnel 4711 ctl",
		"trace set calling 0301234567 all", "trace set lac 198.51.100.5 1 --json", "trace set user alice", "trace set lac here 1", "trace set user alice lcp", "trace set user alice none",
		"trace show", "trace show --json", "trace clear 2", "trace clear user alice@example", "trace clear session 99", "trace clear nonsense x", "trace clear --json", "trace show",
		"trace follow system --count 3", "trace follow session 1 ppp --count 3 --json",
		"show history", "show history failed", "show history failed --json", "show history session 2", "show history user alice@example", "show history tunnel 4711",
		"show history user nobody", "show history session", "explain failure", "explain failure evil\x1b[2Jname", "explain failure alice@example", "explain failure --json",
	} {
		got, code := lctl(socket, strings.Fields(line)...)
		all.WriteString("$ lnsctl " + strings.ReplaceAll(line, "\x1b", "ESC") + "\n" + got)
		if code != 0 {
			all.WriteString("(exit code " + string(rune('0'+code)) + ")\n")
		}
	}
	compare(t, "trace", all.String())
}
