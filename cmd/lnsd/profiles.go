package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/config/commit"
	"github.com/lnsd/lnsd/control/session"
)

var _ api.ProfilesBackend = (*backend)(nil)

func (b *backend) ListProfiles(layer string) (out []api.Profile) {
	for _, p := range b.current.running().ProfileViews(layer + "_profile") {
		out = append(out, profileOf(layer, p))
	}
	return out
}

func profileOf(layer string, p config.ProfileView) api.Profile {
	out := api.Profile{Layer: layer, Name: p.Name}
	for _, v := range p.Values {
		out.Values = append(out.Values, session.Value(v))
	}
	return out
}

func (b *backend) GetProfile(layer, name string) (api.Profile, []session.Value, error) {
	c := b.current.running()
	for _, p := range c.ProfileViews(layer + "_profile") {
		if p.Name != name {
			continue
		}
		var effective []session.Value
		for _, v := range p.Effective(c) {
			effective = append(effective, session.Value(v))
		}
		return profileOf(layer, p), effective, nil
	}
	return api.Profile{}, nil, api.ErrNotFound
}

// ChangeProfile is a commit of one profile's commands.
func (b *backend) ChangeProfile(ctx context.Context, p api.ProfileChange) (api.CommitReport, int, error) {
	_, _, err := b.GetProfile(p.Layer, p.Name)
	switch {
	case p.Create && err == nil:
		return api.CommitReport{}, 0, fmt.Errorf("%w: there is a %s profile %s already", api.ErrRefused, p.Layer, p.Name)
	case !p.Create && err != nil:
		return api.CommitReport{}, 0, err
	}
	command := p.Layer + "_profile"
	var lines []string
	switch {
	case p.Delete:
		lines = []string{"no " + config.Words(command, p.Name)}
	default:
		for _, key := range p.Unset {
			lines = append(lines, "no "+config.Words(command, p.Name, key))
		}
		ws := []string{command, p.Name}
		for _, v := range p.Set {
			ws = append(ws, v.Name, v.Value)
		}
		if p.Create || len(p.Set) > 0 {
			lines = append(lines, config.Words(ws...))
		}
	}
	before, err := b.timers(ctx, p.Live)
	if err != nil {
		return api.CommitReport{}, 0, err
	}
	verb := map[bool]string{true: "deleted", false: "changed"}[p.Delete]
	r, err := commitReport(b.current.commits.Change(ctx, lines, commit.Options{
		By: p.By, Force: p.Force, Comment: p.Layer + " profile " + p.Name + " " + verb,
	}))
	if err != nil || !p.Live {
		return r, 0, err
	}
	n, err := b.applyLive(ctx, before)
	return r, n, err
}

// livePeer is a session that is up, before a change.
type livePeer struct {
	lac  string
	peer session.View
}

// timers are the sessions that are up, where a change is to reach them.
func (b *backend) timers(ctx context.Context, wanted bool) (out []livePeer, err error) {
	if !wanted {
		return nil, nil
	}
	err = b.Sessions(ctx, func(vs []session.View) error {
		for _, v := range vs {
			if v.State == "up" {
				out = append(out, livePeer{v.LACName, v})
			}
		}
		return nil
	})
	return out, err
}

// applyLive gives sessions that are up what the configuration says now, where they have
// what it said before. It returns how many have changed.
func (b *backend) applyLive(ctx context.Context, before []livePeer) (int, error) {
	policy := enginePolicy(b.current.running(), b.d.ipv6)
	changed := 0
	var failed error
	for _, x := range before {
		now := policy.SessionFor(x.peer.LAC.Addr(), x.lac)
		c := liveChange(x.peer, now)
		if c.Empty() {
			continue
		}
		n, err := b.d.engine.Change(ctx, session.Selector{Slot: x.peer.Slot}, c, session.ChangeOptions{By: "profile"})
		changed += n
		if err != nil && !errors.Is(err, session.ErrNoSession) && !errors.Is(err, session.ErrNotUp) {
			failed = err
		}
	}
	return changed, failed
}

// liveChange is what a session lacks of what holds now. What the authentication has
// granted, or somebody has changed, is not touched.
func liveChange(v session.View, now *session.Config) *session.Change {
	was, c := map[string]string{}, &session.Change{}
	for _, x := range v.Values {
		was[x.Name] = x.Value
	}
	timer := func(name string, is, next time.Duration) *time.Duration {
		if was[name] != seconds(is) || is == next {
			return nil
		}
		return &next
	}
	c.SessionTimeout = timer("session_timeout", v.SessionTimeout, now.SessionTimeout)
	c.IdleTimeout = timer("idle_timeout", v.IdleTimeout, now.IdleTimeout)
	c.InterimInterval = timer("radius_interim", v.InterimInterval, now.InterimInterval)
	return c
}

func seconds(d time.Duration) string {
	return strings.TrimSuffix(strings.TrimRight(fmt.Sprintf("%.3f", d.Seconds()), "0"), ".")
}

// Explain says where each value of a session is from: what the authentication granted,
// what was changed while it was up, and what the configuration says otherwise.
func (b *backend) Explain(ctx context.Context, slot uint32) (user, peer string, values []session.Value, err error) {
	v, err := b.Session(ctx, slot)
	if err != nil {
		return "", "", nil, err
	}
	return v.User, v.Peer, explain(v), nil
}

func explain(v session.View) []session.Value {
	from := map[string]string{}
	if v.Origins != nil {
		for _, o := range *v.Origins {
			from[o.Name] = o.Source
		}
	}
	configured := map[string]session.Value{}
	for _, x := range v.Values {
		configured[x.Name] = x
	}
	pool := session.Value{Name: "pool", Source: configured["pool"].Source}
	var out []session.Value
	add := func(name, value, otherwise string) {
		source := otherwise
		switch x, known := configured[name]; {
		case from[name] != "":
			source = from[name]
		case known && x.Value == value:
			source = x.Source
		}
		delete(configured, name)
		out = append(out, session.Value{Name: name, Value: value, Source: source})
	}
	authentication := "authentication"
	if v.Local {
		authentication = "radius_down"
	}
	add("address", addressText(v), "pool "+configured["pool"].Value+" ("+pool.Source+")")
	for i, name := range []string{"primary_dns", "secondary_dns"} {
		if v.DNS[i].IsValid() {
			add(name, v.DNS[i].String(), authentication)
		}
	}
	const changed = "authentication, or changed while it was up"
	add("session_timeout", seconds(v.SessionTimeout), changed)
	add("idle_timeout", seconds(v.IdleTimeout), changed)
	add("radius_interim", seconds(v.InterimInterval), changed)
	for _, r := range v.Routes {
		add("routes", r.String(), authentication)
	}
	if s := v.Services; s != nil {
		for _, x := range []struct{ name, value string }{
			{"rate_up", rateText(s.Up)}, {"rate_down", rateText(s.Down)}, {"filter_up", s.FilterUp}, {"filter_down", s.FilterDown}, {"garden", s.Garden},
		} {
			if x.value != "" {
				add(x.name, x.value, changed)
			}
		}
	}
	for _, x := range v.Values {
		if _, left := configured[x.Name]; left {
			out = append(out, x)
		}
	}
	return out
}

func addressText(v session.View) string {
	if !v.Address.IsValid() {
		return "none"
	}
	return v.Address.String()
}

func rateText(r session.Rate) string {
	if !r.Limited() {
		return ""
	}
	return fmt.Sprintf("%d bit/s", r.Bits)
}
