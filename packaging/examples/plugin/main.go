// Command plugin is an example of a plugin for lnsd, to be copied. It takes the domain
// off the names of subscribers, refuses some before they are authenticated, throttles
// those of "slow." domains, and answers an operator:
//
//	lnsctl plugin send example refuse NAME
//	lnsctl plugin send example allow NAME
//	lnsctl plugin send example sessions
package main

import (
	"context"
	"fmt"
	"os"
	"strings"
	"sync"

	"github.com/lnsd/lnsd/control/hooks/hookv1"
)

// example keeps what it is told; its methods are called from several goroutines at once.
type example struct {
	hookv1.UnimplementedHookServer // answers what this plugin does not want

	mu      sync.Mutex
	refused map[string]bool
	slow    map[string]bool // by Acct-Session-Id, until the session's fate is known
	up      int
	ticks   uint64
}

func main() {
	hookv1.Serve(&example{refused: make(map[string]bool), slow: make(map[string]bool)})
}

// Describe names the events that lnsd is to ask for; those alone cost anything.
func (*example) Describe(context.Context, *hookv1.DescribeRequest) (*hookv1.DescribeReply, error) {
	return &hookv1.DescribeReply{Version: "1.0", Events: []hookv1.Event{
		hookv1.Event_EVENT_PRE_AUTH, hookv1.Event_EVENT_POST_AUTH, hookv1.Event_EVENT_RADIUS_RESPONSE,
		hookv1.Event_EVENT_NEW_SESSION, hookv1.Event_EVENT_KILL_SESSION, hookv1.Event_EVENT_TIMER, hookv1.Event_EVENT_CONTROL,
	}}, nil
}

// PreAuth takes the domain off.
func (e *example) PreAuth(_ context.Context, r *hookv1.PreAuthRequest) (*hookv1.PreAuthReply, error) {
	user, domain, found := strings.Cut(r.Session.User, "@")
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.refused[user] {
		return &hookv1.PreAuthReply{Refuse: true, Message: "call us"}, nil
	}
	if !found {
		return &hookv1.PreAuthReply{}, nil
	}
	if strings.HasPrefix(domain, "slow.") {
		e.slow[r.Session.AcctSessionId] = true
	}
	return &hookv1.PreAuthReply{User: &user}, nil
}

// PostAuth throttles those that PreAuth has noted.
func (e *example) PostAuth(_ context.Context, r *hookv1.PostAuthRequest) (*hookv1.PostAuthReply, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	slow := e.slow[r.Session.AcctSessionId]
	delete(e.slow, r.Session.AcctSessionId)
	if !slow || !r.Allowed {
		return &hookv1.PostAuthReply{}, nil
	}
	rate := uint64(128_000)
	return &hookv1.PostAuthReply{Grant: &hookv1.Grant{UpBits: &rate, DownBits: &rate}}, nil
}

// RadiusResponse obeys one key of its own: "max-time=SECONDS".
func (*example) RadiusResponse(_ context.Context, r *hookv1.RadiusResponseRequest) (*hookv1.RadiusResponseReply, error) {
	var seconds uint32
	if r.Key != "max-time" {
		return &hookv1.RadiusResponseReply{}, nil
	}
	if _, err := fmt.Sscan(r.Value, &seconds); err != nil {
		fmt.Fprintln(os.Stderr, "max-time is no number:", r.Value) // into lnsd's log
		return &hookv1.RadiusResponseReply{}, nil
	}
	return &hookv1.RadiusResponseReply{Verdict: hookv1.Verdict_VERDICT_STOP, Grant: &hookv1.Grant{SessionTimeout: &seconds}}, nil
}

// Happened counts the sessions that are up.
func (e *example) Happened(_ context.Context, r *hookv1.HappenedRequest) (*hookv1.HappenedReply, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch r.Event {
	case hookv1.Event_EVENT_NEW_SESSION:
		e.up++
	case hookv1.Event_EVENT_KILL_SESSION:
		e.up--
	}
	return &hookv1.HappenedReply{}, nil
}

// Timer counts the seconds.
func (e *example) Timer(context.Context, *hookv1.TimerRequest) (*hookv1.TimerReply, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ticks++
	return &hookv1.TimerReply{}, nil
}

// Control answers an operator.
func (e *example) Control(_ context.Context, r *hookv1.ControlRequest) (*hookv1.ControlReply, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	switch w := r.Words; {
	case len(w) == 2 && w[0] == "refuse":
		e.refused[w[1]] = true
	case len(w) == 2 && w[0] == "allow":
		delete(e.refused, w[1])
	case len(w) == 1 && w[0] == "sessions":
		return &hookv1.ControlReply{Text: fmt.Sprintf("%d sessions after %d seconds", e.up, e.ticks)}, nil
	default:
		return &hookv1.ControlReply{Verdict: hookv1.Verdict_VERDICT_ERROR, Text: "refuse NAME, allow NAME or sessions"}, nil
	}
	return &hookv1.ControlReply{Text: "done"}, nil
}
