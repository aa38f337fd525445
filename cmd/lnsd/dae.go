package main

import (
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/radius/dae"
	"github.com/lnsd/lnsd/control/radius/policy"
)

// openDAE listens for CoA- and Disconnect-Requests; nil where nobody may send any.
func openDAE(c *config.Config, e *engine.Engine, log *zap.Logger) (*dae.Server, error) {
	clients := daeClients(c)
	if c.DAE.Port == 0 || len(clients) == 0 {
		return nil, nil
	}
	table, err := policy.New(policyConfig(c))
	if err != nil {
		return nil, err
	}
	cfg := dae.Config{
		Listen:        netip.AddrPortFrom(netip.IPv6Unspecified(), c.DAE.Port),
		Clients:       clients,
		NASIdentifier: c.Hostname, NASAddress: c.L2TP.BindAddress,
		Window: c.DAE.Window, RequireTimestamp: c.DAE.RequireTimestamp, Several: c.DAE.Several,
		Policy: table, Sessions: e, Log: log,
	}
	switch {
	case c.DAE.Address.IsValid():
		cfg.Listen = netip.AddrPortFrom(c.DAE.Address, c.DAE.Port)
	case c.L2TP.BindAddress.IsValid():
		cfg.Listen = netip.AddrPortFrom(c.L2TP.BindAddress, c.DAE.Port)
	}
	s, err := dae.Listen(cfg)
	if err != nil {
		return nil, fmt.Errorf("radius_dae_port: %w", err)
	}
	return s, nil
}

// daeClients are who may change and disconnect sessions: those of the dae_client
// commands, and the RADIUS servers unless configured otherwise.
func daeClients(c *config.Config) []dae.Client {
	var out []dae.Client
	for _, x := range c.DAE.Clients {
		out = append(out, dae.Client{
			Name: x.Name, Sources: x.Addresses, Secret: []byte(x.Secret.Reveal()),
			MessageAuthenticator: daeRule(x.MessageAuthenticator), Intercept: x.Intercept,
		})
	}
	if !c.DAE.Servers {
		return out
	}
	seen := map[netip.Addr]bool{}
	for _, g := range c.ServerGroups() {
		for _, s := range g.Servers {
			a := s.Address.Unmap()
			if seen[a] {
				continue
			}
			seen[a] = true
			out = append(out, dae.Client{
				Name: "server " + a.String(), Sources: []netip.Prefix{netip.PrefixFrom(a, a.BitLen())},
				Secret: []byte(s.Secret.Reveal()), MessageAuthenticator: daeRule(s.MessageAuthenticator),
			})
		}
	}
	return out
}

func daeRule(a config.Auto) dae.Requirement {
	switch a {
	case config.Yes:
		return dae.RequireAlways
	case config.No:
		return dae.RequireNever
	}
	return dae.RequireOnceSeen
}

// reloadDAE puts the clients of a new configuration in place, and returns what the
// operator should know.
func (d *daemon) reloadDAE(c *config.Config) (notes []string, err error) {
	clients := daeClients(c)
	if d.dae != nil {
		return nil, d.dae.Reload(clients)
	}
	if c.DAE.Port != 0 && len(clients) > 0 {
		notes = append(notes, "radius_dae_port is opened at the next start")
	}
	return notes, nil
}

// RadiusClients are those that may change sessions by RADIUS.
func (b *backend) RadiusClients() []api.RadiusClient {
	if b.d.dae == nil {
		return nil
	}
	var out []api.RadiusClient
	for _, v := range b.d.dae.Clients() {
		out = append(out, api.RadiusClient{
			Name: v.Name, Sources: v.Sources, Signs: v.Signs, Intercept: v.Intercept,
			Requests: v.Requests, Refused: v.Refused, Discarded: v.Discarded,
		})
	}
	return out
}
