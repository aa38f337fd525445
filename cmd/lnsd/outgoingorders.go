package main

import (
	"context"
	"errors"
	"fmt"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/config/commit"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

var _ api.OutgoingBackend = (*backend)(nil)

func (b *backend) ListOutgoing(ctx context.Context) ([]session.OutgoingView, error) {
	return b.d.engine.Outgoing(ctx)
}

func (b *backend) GetOutgoing(kind, name string) (own, effective []session.Value, err error) {
	c := b.current.running()
	for _, v := range c.OutgoingViews(kind) {
		if v.Name != name {
			continue
		}
		for _, x := range v.Values {
			own = append(own, session.Value(x))
		}
		for _, x := range v.Effective(c) {
			effective = append(effective, session.Value(x))
		}
		return own, effective, nil
	}
	return nil, nil, api.ErrNotFound
}

// ChangeOutgoing is a commit of the object's commands.
func (b *backend) ChangeOutgoing(ctx context.Context, p api.OutgoingChange) (api.CommitReport, error) {
	own, _, err := b.GetOutgoing(p.Kind, p.Name)
	switch {
	case p.Create && b.current.running().Outgoing.DenyLocal:
		return api.CommitReport{}, fmt.Errorf("%w: deny_local_tunnel_creates is set", api.ErrRefused)
	case p.Create && err == nil:
		return api.CommitReport{}, fmt.Errorf("%w: there is a %s %s already", api.ErrRefused, p.Kind, p.Name)
	case !p.Create && err != nil:
		return api.CommitReport{}, err
	}
	if key := fixedKey(own, p); key != "" {
		return api.CommitReport{}, fmt.Errorf("%w: %s makes it another %s: delete it and create it anew", api.ErrRefused, key, p.Kind)
	}
	verb := "changed"
	if p.Delete {
		verb = "deleted"
	}
	return commitReport(b.current.commits.Change(ctx, outgoingLines(p, b.current.running()), commit.Options{
		// Who deletes a tunnel wants it to end.
		By: p.By, Force: p.Delete, Comment: p.Kind + " " + p.Name + " " + verb,
	}))
}

// fixedKey is a key that can't be modified, and that p would give another value.
func fixedKey(own []session.Value, p api.OutgoingChange) string {
	if p.Create || p.Delete {
		return ""
	}
	fixed := map[string]bool{"dest_ipaddr": true, "role": true, "src_ipaddr": true, "udp_port": true, "peer_udp_port": true,
		"tunnel": true, "tunnel_name": true}
	was := map[string]string{}
	for _, v := range own {
		was[v.Name] = v.Value
	}
	for _, v := range p.Set {
		if fixed[v.Name] && was[v.Name] != v.Value {
			return v.Name
		}
	}
	for _, name := range p.Unset {
		if fixed[name] {
			return name
		}
	}
	return ""
}

func outgoingLines(p api.OutgoingChange, c *config.Config) (lines []string) {
	if p.Delete {
		if p.Kind == "tunnel" { // with all that is placed in it
			for _, call := range c.CallsIn(p.Name) {
				lines = append(lines, "no "+config.Words("session", call.Name))
			}
		}
		return append(lines, "no "+config.Words(p.Kind, p.Name))
	}
	for _, key := range p.Unset {
		lines = append(lines, "no "+config.Words(p.Kind, p.Name, key))
	}
	ws := []string{p.Kind, p.Name}
	for _, v := range p.Set {
		ws = append(ws, v.Name, v.Value)
	}
	if p.Create || len(p.Set) > 0 {
		lines = append(lines, config.Words(ws...))
	}
	return lines
}

func (b *backend) RetryOutgoing(ctx context.Context, tunnel string) error {
	err := b.d.engine.Retry(ctx, tunnel)
	if errors.Is(err, engine.ErrNotFound) {
		return api.ErrNotFound
	}
	return err
}

// unwanted is what is up and begins here, and what c does not want any more.
func (l *live) unwanted(ctx context.Context, c *config.Config) (tunnels []session.OutgoingView, calls []session.PlacedView, err error) {
	names, placed := enginePolicy(l.running(), l.d.ipv6).Removes(enginePolicy(c, l.d.ipv6))
	if len(names) == 0 && len(placed) == 0 {
		return nil, nil, nil
	}
	views, err := l.d.engine.Outgoing(ctx)
	if err != nil {
		return nil, nil, err
	}
	gone := map[string]bool{}
	for _, n := range names {
		gone[n] = true
	}
	for _, v := range views {
		if gone[v.Name] && v.State == "up" {
			tunnels = append(tunnels, v)
			continue
		}
		for _, x := range v.Calls {
			for _, name := range placed[v.Name] {
				if x.Name == name && x.Slot != 0 {
					calls = append(calls, x)
				}
			}
		}
	}
	return tunnels, calls, nil
}
