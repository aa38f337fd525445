package cli

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// profileKinds are the layers with the first words of their commands.
func profileKinds() []profileKind {
	return []profileKind{
		{"peer", lnsv1.ProfileKind_PROFILE_KIND_PEER}, {"tunnel", lnsv1.ProfileKind_PROFILE_KIND_TUNNEL},
		{"session", lnsv1.ProfileKind_PROFILE_KIND_SESSION}, {"ppp", lnsv1.ProfileKind_PROFILE_KIND_PPP},
	}
}

type profileKind struct {
	word string
	kind lnsv1.ProfileKind
}

func (a *app) profileCommands() []command {
	out := []command{{words: "explain session", arg: &arg{name: "SID", kind: sidKind()}, run: a.explainSession,
		help: "Show the values of a session and which layer or attribute set each"}}
	for _, k := range profileKinds() {
		out = append(out, a.profileCommandsOf(k)...)
	}
	return out
}

func (a *app) profileCommandsOf(k profileKind) []command {
	name := arg{name: "NAME"}
	pairs := arg{name: "KEY=VALUE", kind: kind{check: pair}}
	force := func(c *cobra.Command) {
		c.Flags().BoolVar(&a.commit.force, "force", false, "disconnect sessions that the change can't spare")
	}
	live := func(c *cobra.Command) {
		force(c)
		c.Flags().BoolVar(&a.live, "live", false, "change sessions that are up, too, where that can be: timers that nobody else has set")
	}
	change := func(verb lnsv1.ChangeProfileRequest_Verb, unset bool) func(context.Context, []string) error {
		return func(ctx context.Context, words []string) error { return a.changeProfile(ctx, k, verb, unset, words) }
	}
	begin, optional := k.word+" profile ", pairs
	optional.optional = true
	return []command{
		{words: begin + "create", args: []arg{name, optional}, most: maxCommand, flags: force,
			runs: change(lnsv1.ChangeProfileRequest_VERB_CREATE, false), help: "Make a " + k.word + " profile"},
		{words: begin + "modify", args: []arg{name, pairs}, most: maxCommand, flags: live,
			runs: change(lnsv1.ChangeProfileRequest_VERB_MODIFY, false), help: "Change a " + k.word + " profile"},
		{words: begin + "unset", args: []arg{name, {name: "KEY"}}, most: maxCommand, flags: live,
			runs: change(lnsv1.ChangeProfileRequest_VERB_MODIFY, true), help: "Let a " + k.word + " profile inherit a value again"},
		{words: begin + "delete", args: []arg{name}, flags: force,
			runs: change(lnsv1.ChangeProfileRequest_VERB_DELETE, false), help: "Delete a " + k.word + " profile"},
		{words: begin + "show", arg: &name, help: "Show a " + k.word + " profile and all that it inherits",
			run: func(ctx context.Context, value string) error { return a.showProfile(ctx, k, value) }},
		{words: begin + "list", help: "List the " + k.word + " profiles",
			run: func(ctx context.Context, _ string) error { return a.listProfiles(ctx, k) }},
	}
}

func pair(s string) error {
	if key, _, ok := strings.Cut(s, "="); !ok || key == "" {
		return fmt.Errorf("must be KEY=VALUE")
	}
	return nil
}

func (a *app) changeProfile(ctx context.Context, k profileKind, verb lnsv1.ChangeProfileRequest_Verb, unset bool, words []string) error {
	r := &lnsv1.ChangeProfileRequest{Kind: k.kind, Name: words[0], Verb: verb, Live: a.live, Force: a.commit.force}
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
		reply, err := c.Profiles.ChangeProfile(ctx, r)
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Commit  commitJSON `json:"commit"`
				Changed uint64     `json:"sessions_changed"`
			}{commitJSONOf(reply.Commit), reply.Changed})
		}
		if err := a.printCommit(reply.Commit); err != nil || !a.live {
			return err
		}
		return a.lines([]string{fmt.Sprintf("%d sessions that are up were changed", reply.Changed)})
	})
}

type valueJSON struct {
	Name   string `json:"name"`
	Value  string `json:"value"`
	Source string `json:"source"`
}

func valuesJSON(vs []*lnsv1.ProfileValue) []valueJSON {
	out := []valueJSON{}
	for _, v := range vs {
		out = append(out, valueJSON{v.Name, v.Value, v.Source})
	}
	return out
}

func (a *app) valueTable(vs []valueJSON) error {
	t := &table{w: a.env.Out, columns: []column{{title: "Name", width: 26}, {title: "Value", width: 24}, {title: "From", width: 4}}}
	if err := t.head(); err != nil {
		return err
	}
	for _, v := range vs {
		if err := t.row(v.Name, v.Value, v.Source); err != nil {
			return err
		}
	}
	return nil
}

func (a *app) showProfile(ctx context.Context, k profileKind, name string) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Profiles.GetProfile(ctx, &lnsv1.GetProfileRequest{Kind: k.kind, Name: name})
		if err != nil {
			return err
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				Name   string      `json:"name"`
				Own    []valueJSON `json:"own"`
				Values []valueJSON `json:"values"`
			}{reply.Profile.Name, valuesJSON(reply.Profile.Values), valuesJSON(reply.Values)})
		}
		return a.valueTable(valuesJSON(reply.Values))
	})
}

func (a *app) listProfiles(ctx context.Context, k profileKind) error {
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Profiles.ListProfiles(ctx, &lnsv1.ListProfilesRequest{Kind: k.kind})
		if err != nil {
			return err
		}
		if a.json {
			type profile struct {
				Name   string      `json:"name"`
				Values []valueJSON `json:"values"`
			}
			out := []profile{}
			for _, p := range reply.Profiles {
				out = append(out, profile{p.Name, valuesJSON(p.Values)})
			}
			return printJSON(a.env.Out, out)
		}
		t := &table{w: a.env.Out, columns: []column{{title: "Name", width: 20}, {title: "Says", width: 4}}}
		if err := t.head(); err != nil {
			return err
		}
		for _, p := range reply.Profiles {
			var says []string
			for _, v := range p.Values {
				says = append(says, v.Name+"="+v.Value)
			}
			if err := t.row(p.Name, strings.Join(says, " ")); err != nil {
				return err
			}
		}
		return nil
	})
}

func (a *app) explainSession(ctx context.Context, sid string) error {
	n, err := strconv.ParseUint(sid, 10, 32)
	if err != nil {
		return usageError{err}
	}
	return a.call(ctx, func(ctx context.Context, c *api.Client) error {
		reply, err := c.Profiles.Explain(ctx, &lnsv1.ExplainRequest{Sid: uint32(n)})
		if err != nil {
			return err
		}
		values := []valueJSON{}
		for _, v := range reply.Values {
			values = append(values, valueJSON{v.Name, v.Value, v.Source})
		}
		if a.json {
			return printJSON(a.env.Out, struct {
				SID    uint32      `json:"sid"`
				User   string      `json:"user"`
				Peer   string      `json:"peer"`
				Values []valueJSON `json:"values"`
			}{reply.Sid, reply.User, reply.Peer, values})
		}
		if err := a.lines([]string{fmt.Sprintf("session %d of %s, let in by %s", reply.Sid, reply.User, reply.Peer)}); err != nil {
			return err
		}
		return a.valueTable(values)
	})
}
