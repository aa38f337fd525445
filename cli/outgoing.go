package cli

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// outgoingCommands are those about tunnels and sessions that begin here.
func (a *app) outgoingCommands() []command {
	out := []command{
		{words: "tunnel retry", arg: &arg{name: "NAME", kind: outgoingNames("tunnel")}, run: a.retryTunnel,
			help: "Try at once to open a tunnel that waits, or is over, and to place its sessions"},
	}
	for _, k := range []outgoingKind{
		{"tunnel", lnsv1.OutgoingKind_OUTGOING_KIND_TUNNEL, "Open a tunnel: dest_ipaddr says where to, profile what holds for it"},
		{"session", lnsv1.OutgoingKind_OUTGOING_KIND_SESSION, "Place a call: tunnel says in which one, profile what holds for it"},
	} {
		out = append(out, a.outgoingCommandsOf(k)...)
	}
	return out
}

// outgoingNames is the name of a tunnel, or of a session, that begins here.
func outgoingNames(word string) kind {
	return kind{complete: func(ctx context.Context, c *api.Client, prefix string) ([]string, error) {
		reply, err := c.Outgoing.ListOutgoing(ctx, &lnsv1.ListOutgoingRequest{})
		if err != nil {
			return nil, err
		}
		var out []string
		add := func(name, remark string) {
			if strings.HasPrefix(name, prefix) && escape(name) == name && len(out) < maxOffers {
				out = append(out, name+"\t"+escape(remark))
			}
		}
		for _, t := range reply.Tunnels {
			if word == "tunnel" {
				add(t.Name, t.Peer)
				continue
			}
			for _, s := range t.Calls {
				add(s.Name, "in "+s.Tunnel)
			}
		}
		return out, nil
	}}
}

type outgoingKind struct {
	word string
	kind lnsv1.OutgoingKind
	help string
}

func (a *app) outgoingCommandsOf(k outgoingKind) []command {
	fresh, name := arg{name: "NAME"}, arg{name: "NAME", kind: outgoingNames(k.word)}
	pairs := arg{name: "KEY=VALUE", kind: kind{check: pair}}
	change := func(verb lnsv1.ChangeOutgoingRequest_Verb, unset bool) func(context.Context, []string) error {
		return func(ctx context.Context, words []string) error { return a.changeOutgoing(ctx, k, verb, unset, words) }
	}
	begin := k.word + " "
	return []command{
		{words: begin + "create", args: []arg{fresh, pairs}, most: maxCommand, help: k.help,
			runs: change(lnsv1.ChangeOutgoingRequest_VERB_CREATE, false)},
		{words: begin + "modify", args: []arg{name, pairs}, most: maxCommand, help: "Change what holds for a " + k.word + " from its next attempt on",
			runs: change(lnsv1.ChangeOutgoingRequest_VERB_MODIFY, false)},
		{words: begin + "unset", args: []arg{name, {name: "KEY"}}, most: maxCommand, help: "Let a " + k.word + " inherit a value again",
			runs: change(lnsv1.ChangeOutgoingRequest_VERB_MODIFY, true)},
		{words: begin + "delete", args: []arg{name}, help: "Disconnect a " + k.word + " that began here, and forget it",
			runs: change(lnsv1.ChangeOutgoingRequest_VERB_DELETE, false)},
		{words: begin + "show", arg: &name, help: "Show what has become of a " + k.word + " that begins here, and all that holds for it",
			run: func(ctx context.Context, value string) error { return a.showOutgoing(ctx, k, value) }},
		{words: begin + "list", help: "List the " + k.word + "s that begin here",
			run: func(ctx context.Context, _ string) error { return a.listOutgoing(ctx, k) }},
	}
}

func (a *app) changeOutgoing(ctx context.Context, k outgoingKind, verb lnsv1.ChangeOutgoingRequest_Verb, unset bool, words []string) error {
	r := &lnsv1.ChangeOutgoingRequest{Kind: k.kind, Name: words[0], Verb: verb}
	for _, w := range words[1:] {
		if unset {
			r.Unset = append(r.Unset, w)
			continue
		}
		if err := pair(w); err != nil {
			return usageError{fmt.Errorf("%s: %w", w, err)}
		}
		key, value, _ := strings.Cut(w, "=")
		r.Set = append(r.Set, &lnsv1.ProfileValue{Name: key, Value: value})
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Outgoing.ChangeOutgoing(ctx, r)
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, commitJSONOf(reply.Commit))
		}
		return a.printCommit(reply.Commit)
	})
}

func (a *app) retryTunnel(ctx context.Context, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		if _, err := c.Outgoing.RetryOutgoing(ctx, &lnsv1.RetryOutgoingRequest{Tunnel: name}); err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Tunnel string `json:"tunnel"`
			}{name})
		}
		return a.lines([]string{"tunnel " + name + " is tried again where it is not up"})
	})
}

type outgoingTunnelJSON struct {
	Name     string                `json:"name"`
	Role     string                `json:"role"`
	State    string                `json:"state"`
	Reason   string                `json:"reason"`
	Local    string                `json:"local"`
	Peer     string                `json:"peer"`
	HostName string                `json:"host_name"`
	Persist  bool                  `json:"persist"`
	TID      uint32                `json:"tid"`
	Attempts uint32                `json:"attempts"`
	RetryIn  *float64              `json:"retry_seconds"`
	Sessions uint32                `json:"sessions"`
	Calls    []outgoingSessionJSON `json:"calls"`
}

type outgoingSessionJSON struct {
	Name      string   `json:"name"`
	Tunnel    string   `json:"tunnel"`
	Type      string   `json:"type"`
	State     string   `json:"state"`
	Reason    string   `json:"reason"`
	Persist   bool     `json:"persist"`
	SID       uint32   `json:"sid"`
	TID       uint32   `json:"tid"`
	SessionID uint32   `json:"session_id"`
	User      string   `json:"user"`
	Own       string   `json:"own_address"`
	Peer      string   `json:"peer_address"`
	Attempts  uint32   `json:"attempts"`
	RetryIn   *float64 `json:"retry_seconds"`
}

// waitFor is how long it is until a moment; nil for none.
func waitFor(at, now int64) *float64 {
	if at == 0 {
		return nil
	}
	s := max(time.Duration(at-now), 0).Seconds()
	return &s
}

func outgoingTunnelJSONOf(t *lnsv1.OutgoingTunnel, now int64) outgoingTunnelJSON {
	out := outgoingTunnelJSON{
		Name: t.Name, Role: t.Role, State: t.State, Reason: t.Reason, Local: t.Local, Peer: t.Peer, HostName: t.HostName,
		Persist: t.Persist, TID: t.TunnelId, Attempts: t.Attempts, RetryIn: waitFor(t.RetryAt, now), Sessions: t.Sessions,
		Calls: []outgoingSessionJSON{},
	}
	for _, c := range t.Calls {
		out.Calls = append(out.Calls, outgoingSessionJSONOf(c, now))
	}
	return out
}

func outgoingSessionJSONOf(c *lnsv1.OutgoingSession, now int64) outgoingSessionJSON {
	return outgoingSessionJSON{
		Name: c.Name, Tunnel: c.Tunnel, Type: c.Type, State: c.State, Reason: c.Reason, Persist: c.Persist, SID: c.Sid,
		TID: c.TunnelId, SessionID: c.SessionId, User: c.User, Own: c.OwnAddress, Peer: c.PeerAddress,
		Attempts: c.Attempts, RetryIn: waitFor(c.RetryAt, now),
	}
}

func (a *app) listOutgoing(ctx context.Context, k outgoingKind) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Outgoing.ListOutgoing(ctx, &lnsv1.ListOutgoingRequest{})
		switch {
		case err != nil:
			return err
		case k.word == "tunnel":
			return a.printTunnels(reply)
		}
		return a.printCalls(reply)
	})
}

func (a *app) printTunnels(reply *lnsv1.ListOutgoingReply) error {
	if a.json {
		l := &jsonList{w: a.env.Out}
		for _, t := range reply.Tunnels {
			if err := l.item(outgoingTunnelJSONOf(t, reply.Now)); err != nil {
				return err
			}
		}
		return l.end()
	}
	t := &table{w: a.env.Out, columns: []column{{"Name", 16, false}, {"Role", 4, false}, {"Peer", 21, false}, {"State", 8, false},
		{"TID", 5, true}, {"Sessions", 8, true}, {"Retry", 7, true}, {"Reason", 6, false}}}
	for _, v := range reply.Tunnels {
		if err := t.row(v.Name, v.Role, v.Peer, v.State, orDash(v.TunnelId), number(v.Sessions), retryText(v.RetryAt, reply.Now), v.Reason); err != nil {
			return err
		}
	}
	return t.head()
}

func (a *app) printCalls(reply *lnsv1.ListOutgoingReply) error {
	if a.json {
		l := &jsonList{w: a.env.Out}
		for _, t := range reply.Tunnels {
			for _, c := range t.Calls {
				if err := l.item(outgoingSessionJSONOf(c, reply.Now)); err != nil {
					return err
				}
			}
		}
		return l.end()
	}
	t := &table{w: a.env.Out, columns: []column{{"Name", 16, false}, {"Tunnel", 16, false}, {"Type", 4, false}, {"State", 7, false},
		{"SID", 7, true}, {"User", 16, false}, {"Own address", 15, false}, {"Peer's", 15, false}, {"Retry", 7, true}, {"Reason", 6, false}}}
	for _, x := range reply.Tunnels {
		for _, v := range x.Calls {
			if err := t.row(v.Name, v.Tunnel, v.Type, v.State, orDash(v.Sid), v.User, or(v.OwnAddress, "-"), or(v.PeerAddress, "-"),
				retryText(v.RetryAt, reply.Now), v.Reason); err != nil {
				return err
			}
		}
	}
	return t.head()
}

func orDash(n uint32) string {
	if n == 0 {
		return "-"
	}
	return number(n)
}

func retryText(at, now int64) string {
	if w := waitFor(at, now); w != nil {
		return fmt.Sprintf("%.0fs", *w)
	}
	return "-"
}

func (a *app) showOutgoing(ctx context.Context, k outgoingKind, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Outgoing.GetOutgoing(ctx, &lnsv1.GetOutgoingRequest{Kind: k.kind, Name: name})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, outgoingJSON(k, reply))
		}
		shown := outgoingTunnelFields(reply)
		if k.word == "session" {
			shown = outgoingSessionFields(reply)
		}
		if err := fields(a.env.Out, shown); err != nil {
			return err
		}
		if err := a.lines([]string{""}); err != nil {
			return err
		}
		return a.valueTable(valuesJSON(reply.Values))
	})
}

func outgoingJSON(k outgoingKind, reply *lnsv1.GetOutgoingReply) any {
	type values struct {
		Own    []valueJSON `json:"own"`
		Values []valueJSON `json:"values"`
	}
	v := values{valuesJSON(reply.Own), valuesJSON(reply.Values)}
	if k.word == "session" {
		return struct {
			outgoingSessionJSON
			values
		}{outgoingSessionJSONOf(reply.Tunnel.Calls[0], reply.Now), v}
	}
	return struct {
		outgoingTunnelJSON
		values
	}{outgoingTunnelJSONOf(reply.Tunnel, reply.Now), v}
}

func outgoingTunnelFields(reply *lnsv1.GetOutgoingReply) []field {
	t := reply.Tunnel
	var calls []string
	for _, c := range t.Calls {
		calls = append(calls, c.Name+" ("+c.State+")")
	}
	return []field{
		{"Tunnel", t.Name},
		{"State", stateText(t.State, t.Reason, t.RetryAt, reply.Now)},
		{"Role", t.Role},
		{"Peer", t.Peer + ", " + or(t.HostName, "name not known")},
		{"Local address", t.Local},
		{"Tunnel ID", orDash(t.TunnelId)},
		{"Persistent", yesNo(t.Persist)},
		{"Attempts", number(t.Attempts)},
		{"Sessions", number(t.Sessions)},
		{"Placed from here", or(strings.Join(calls, ", "), "none")},
	}
}

func outgoingSessionFields(reply *lnsv1.GetOutgoingReply) []field {
	c := reply.Tunnel.Calls[0]
	return []field{
		{"Session", c.Name},
		{"State", stateText(c.State, c.Reason, c.RetryAt, reply.Now)},
		{"Tunnel", c.Tunnel + " (" + reply.Tunnel.State + ")"},
		{"Type", c.Type},
		{"SID", orDash(c.Sid)},
		{"Session ID", orDash(c.SessionId)},
		{"User", or(c.User, "none")},
		{"Own address", or(c.OwnAddress, "none")},
		{"Peer's address", or(c.PeerAddress, "none")},
		{"Persistent", yesNo(c.Persist)},
		{"Attempts", number(c.Attempts)},
	}
}

func stateText(state, reason string, retryAt, now int64) string {
	if w := waitFor(retryAt, now); w != nil {
		state += fmt.Sprintf(", tried again in %.0f s", *w)
	}
	if reason != "" {
		state += ": " + reason
	}
	return state
}
