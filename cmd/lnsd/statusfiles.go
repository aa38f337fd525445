package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/status"
)

const defaultStatusDir = "/run/lnsd/status"

// observers tells several.
type observers []engine.Observer

// Observe tells each in turn.
func (o observers) Observe(n session.Notice) {
	for _, x := range o {
		x.Observe(n)
	}
}

// public keeps from an observer what is for plugins alone.
type public struct{ engine.Observer }

func (p public) Observe(n session.Notice) {
	if n.Kind.Public() {
		p.Observer.Observe(n)
	}
}

// observer is whom the engine tells what happens.
func (d *daemon) observer() engine.Observer {
	all := observers{public{newSparing(d.events)}, public{d.history}, d.plugins}
	if d.changes != nil {
		all = append(all, d.changes)
	}
	return all
}

// keepStatus keeps status files from now on, where they are wanted.
func (d *daemon) keepStatus(ctx context.Context, p *parts, b *backend) error {
	if d.changes == nil {
		return nil
	}
	files, err := status.Open(d.statusDir, d.statusRate, d.changes, statusSource{b}, d.log.Named("status"))
	if err == nil {
		p.group.Go(func() { files.Run(ctx) })
	}
	return err
}

// statusSource is the daemon as status files tell of it.
type statusSource struct{ *backend }

// Names lists what there is.
func (s statusSource) Names(ctx context.Context) ([]string, error) {
	names := []string{"system"}
	for name := range policyCommands(s.current.text()) {
		names = append(names, status.Policies+"/"+name)
	}
	tunnels, err := s.Tunnels(ctx)
	if err != nil {
		return nil, err
	}
	peers := make(map[netip.Addr]bool)
	for i := range tunnels {
		names = append(names, fmt.Sprintf("%s/%d", status.Tunnels, tunnels[i].TunnelID))
		peers[tunnels[i].Peer.Addr()] = true
	}
	for a := range peers {
		names = append(names, status.Peers+"/"+a.String())
	}
	err = s.Sessions(ctx, func(views []session.View) error {
		for i := range views {
			names = append(names, fmt.Sprintf("%s/%d", status.Sessions, views[i].Slot))
		}
		return nil
	})
	return names, err
}

// Text is the contents of one file.
func (s statusSource) Text(ctx context.Context, name string) ([]byte, error) {
	kind, id, _ := strings.Cut(name, "/")
	text, err := s.text(ctx, kind, id)
	if errors.Is(err, api.ErrNotFound) {
		err = status.ErrGone
	}
	return text, err
}

func (s statusSource) text(ctx context.Context, kind, id string) ([]byte, error) {
	now := time.Now()
	switch kind {
	case status.Sessions:
		slot, err := strconv.ParseUint(id, 10, 32)
		if err != nil {
			return nil, err
		}
		v, err := s.Session(ctx, uint32(slot))
		if err != nil {
			return nil, err
		}
		return api.SessionJSON(&v, now)
	case status.Tunnels:
		n, err := strconv.ParseUint(id, 10, 16)
		if err != nil {
			return nil, err
		}
		v, err := s.Tunnel(ctx, uint16(n))
		if err != nil {
			return nil, err
		}
		return api.TunnelJSON(&v, now)
	case status.Peers:
		return s.peer(ctx, id)
	case status.Policies:
		lines := policyCommands(s.current.text())[id]
		if lines == nil {
			return nil, status.ErrGone
		}
		return indented(struct {
			Name     string   `json:"name"`
			Commands []string `json:"commands"`
		}{id, lines})
	default:
		st, err := s.Status(ctx)
		if err != nil {
			return nil, err
		}
		return api.StatusJSON(st, now)
	}
}

// peer is the tunnels with one address.
func (s statusSource) peer(ctx context.Context, address string) ([]byte, error) {
	tunnels, err := s.Tunnels(ctx)
	if err != nil {
		return nil, err
	}
	p := struct {
		Address   string   `json:"address"`
		HostNames []string `json:"host_names"`
		Tunnels   []uint16 `json:"tunnels"`
		Sessions  int      `json:"sessions"`
	}{Address: address, HostNames: []string{}}
	for i := range tunnels {
		t := &tunnels[i]
		if t.Peer.Addr().String() != address {
			continue
		}
		p.Tunnels = append(p.Tunnels, t.TunnelID)
		p.Sessions += t.Sessions
		if !slices.Contains(p.HostNames, t.HostName) {
			p.HostNames = append(p.HostNames, t.HostName)
		}
	}
	if len(p.Tunnels) == 0 {
		return nil, status.ErrGone
	}
	return indented(p)
}

func indented(v any) ([]byte, error) {
	b, err := json.MarshalIndent(v, "", "  ")
	return append(b, '\n'), err
}

// policyCommands are the commands of each LAC policy in a configuration, secrets
// hidden as they are in its text.
func policyCommands(config string) map[string][]string {
	out := make(map[string][]string)
	for line := range strings.Lines(config) {
		line = strings.TrimSpace(line)
		f := strings.Fields(strings.TrimPrefix(line, "# "))
		if len(f) > 1 && f[0] == "lac" {
			out[f[1]] = append(out[f[1]], line)
		}
	}
	return out
}
