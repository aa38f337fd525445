package main

import (
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/radius"
	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// routerConfig translates what the configuration says of RADIUS.
func routerConfig(c *config.Config, groups []config.ServerGroup, log *zap.Logger) radius.RouterConfig {
	down := c.AAA.Down
	r := radius.RouterConfig{
		DefaultRealm: c.AAA.DefaultRealm,
		Down: radius.Down{
			Action: radius.DownAction(down.Action), Garden: down.Garden, Grace: down.Grace, Entries: down.Entries,
			TrustLine: down.Line, Session: down.Session,
		},
		Log: log,
	}
	for _, g := range groups {
		r.Groups = append(r.Groups, groupConfig(c, g, log))
	}
	for _, realm := range c.AAA.Realms {
		rule := radius.Realm{Pattern: realm.Name, Group: realm.Group, Strip: realm.Strip, Refuse: realm.Refuse}
		if rule.Pattern == "none" {
			rule.Pattern = ""
		}
		r.Realms = append(r.Realms, rule)
	}
	return r
}

// groupConfig is one client's: that of a group of servers.
func groupConfig(c *config.Config, g config.ServerGroup, log *zap.Logger) radius.Config {
	r := radius.Config{
		Group:   g.Name,
		PortMin: c.RADIUS.BindMin, PortMax: c.RADIUS.BindMax,
		NASIdentifier:     c.Hostname,
		NASPortType:       c.AAA.PortType,
		RequestCUI:        c.AAA.RequestCUI,
		InitialRetransmit: c.RADIUS.Timeout,
		DeadTime:          c.RADIUS.DeadTime,
		Policy:            policyConfig(c),
		Log:               log,
	}
	if c.L2TP.BindAddress.IsValid() {
		r.NASAddress = c.L2TP.BindAddress
	}
	// A silent server must not cost a subscriber more than a second try: the next one
	// is asked soon after that. With one server, or none that answers, the request is
	// given up after the configured repetitions, each after twice the wait before.
	r.FailoverAfter = 5 * c.RADIUS.Timeout / 4
	var patience time.Duration
	for wait, i := c.RADIUS.Timeout, 0; i <= c.RADIUS.Retries; wait, i = 2*wait, i+1 {
		patience += wait
	}
	r.AuthTimeout = min(max(patience, time.Duration(len(g.Servers)+1)*r.FailoverAfter), c.Sessions.SetupTimeout)
	if r.DeadTime == 0 {
		r.DeadTime = time.Nanosecond // the client takes 0 for "not given"
	}
	for _, s := range g.Servers {
		r.Servers = append(r.Servers, radius.Server{
			Addr: s.Address, AuthPort: s.AuthPort, AcctPort: s.AcctPort, Secret: []byte(s.Secret.Reveal()),
			Priority: s.Priority, Weight: s.Weight, StatusServer: s.StatusServer,
			MessageAuthenticator: authenticatorRule(s.MessageAuthenticator),
		})
	}
	return r
}

func authenticatorRule(a config.Auto) radius.RequireMessageAuthenticator {
	switch a {
	case config.Yes:
		return radius.RequireYes
	case config.No:
		return radius.RequireNo
	}
	return radius.RequireAuto
}

// policyConfig is what the servers' attributes mean, in logins and in changes.
func policyConfig(c *config.Config) policy.Config {
	p := policy.Config{
		Presets:            c.AAA.Presets,
		Strict:             c.AAA.Strict,
		IgnoreMalformed:    c.AAA.IgnoreMalformed,
		ZeroTimeoutRejects: c.Sessions.KillTimedOut,
		Garden:             c.Gardens.Usual(),
		Throttle:           throttleRate(c),
		Intercept:          c.Intercept.Target(),
	}
	for _, m := range c.AAA.Maps {
		p.Rules = append(p.Rules, policy.Rule{
			Attribute: policy.Attribute{Vendor: m.Vendor, Type: m.Type, Pair: m.Pair},
			Target:    policy.Target(m.Target), Unit: policy.Unit(m.Unit), Integer: m.Integer,
		})
	}
	for _, f := range c.AAA.FilterIDs {
		p.FilterIDs = append(p.FilterIDs, policy.FilterID{
			Pattern: f.Pattern, Target: policy.Target(f.Target), Value: f.Value, Unit: policy.Unit(f.Unit),
		})
	}
	for _, r := range c.AAA.Profiles {
		p.Profiles = append(p.Profiles, policy.RateProfile{
			Name: r.Name,
			Up:   session.Rate{Bits: r.Up, Burst: r.UpBurst}, Down: session.Rate{Bits: r.Down, Burst: r.DownBurst},
		})
	}
	return p
}
