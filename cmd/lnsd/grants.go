package main

import (
	"errors"
	"fmt"
	"net/netip"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"golang.org/x/time/rate"

	"github.com/lnsd/lnsd/control/acl"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/garden"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/tun"
)

// grants knows which services can be had: access lists and gardens that are defined
// and in working order.
type grants struct {
	log     *zap.Logger
	limit   *rate.Limiter // of log lines, which every login can cause
	gardens *garden.Gardens
	known   atomic.Pointer[knownFilters]
	// Logins with an access list that is not there.
	ignored, refused atomic.Uint64
}

// knownFilters are the names of access lists, and what is to be done about others.
type knownFilters struct {
	names map[string]bool
	rule  config.UnknownFilter
}

func newGrants(c *config.Config, gardens *garden.Gardens, log *zap.Logger) *grants {
	g := &grants{log: log, gardens: gardens, limit: rate.NewLimiter(rate.Every(time.Second), 5)}
	g.reload(c)
	return g
}

func (g *grants) reload(c *config.Config) {
	known := &knownFilters{names: map[string]bool{}, rule: c.Sessions.UnknownFilter}
	for i := range c.AccessLists {
		known.names[c.AccessLists[i].Name] = true
	}
	g.known.Store(known)
}

// Check says why services can't be had.
func (g *grants) Check(s *session.Services) error {
	if s == nil {
		return nil
	}
	known := g.known.Load()
	for _, name := range []string{s.FilterUp, s.FilterDown} {
		if name != "" && !known.names[name] {
			return fmt.Errorf("no access list %s", name)
		}
	}
	if s.Garden == "" {
		return nil
	}
	return g.gardens.Check(s.Garden)
}

// admit adapts the answer to a login to what there is. An access list that is not
// defined is left out or turns the login down, as configured; without the garden that
// it asks for nobody gets in, since what it is to be kept from would be open.
func (g *grants) admit(r *session.AuthResult) *session.AuthResult {
	s := r.Profile.Services
	if r.Verdict != session.Accept || s == nil {
		return r
	}
	known := g.known.Load()
	if lost := func(name string) bool { return name != "" && !known.names[name] }; lost(s.FilterUp) || lost(s.FilterDown) {
		if known.rule == config.UnknownFilterRefuse {
			g.refused.Add(1)
			return refusal(r, session.Reject, "an access list that is granted is not defined")
		}
		g.ignored.Add(1)
		if g.limit.Allow() {
			g.log.Warn("an access list that is granted is not defined, and left out",
				zap.String("user", r.Profile.User), zap.String("up", s.FilterUp), zap.String("down", s.FilterDown))
		}
		next, services := *r, *s
		for _, name := range []*string{&services.FilterUp, &services.FilterDown} {
			if lost(*name) {
				*name = ""
			}
		}
		next.Profile.Services = &services
		if services == (session.Services{}) {
			next.Profile.Services = nil
		}
		r = &next
	}
	if err := g.Check(r.Profile.Services); err != nil {
		if g.limit.Allow() {
			g.log.Warn("a login is refused: its walled garden can't be had", zap.String("user", r.Profile.User), zap.Error(err))
		}
		verdict := session.Unavailable
		if errors.Is(err, garden.ErrUnknown) {
			verdict = session.Reject
		}
		return refusal(r, verdict, err.Error())
	}
	return r
}

func refusal(r *session.AuthResult, v session.Verdict, why string) *session.AuthResult {
	return &session.AuthResult{Ref: r.Ref, Verdict: v, Cause: why}
}

func (g *grants) counts() []session.Count {
	return []session.Count{
		{Name: "filter_unknown_ignored", Value: g.ignored.Load()},
		{Name: "filter_unknown_refused", Value: g.refused.Load()},
	}
}

// gardenConfig translates what the configuration says of walled gardens.
func gardenConfig(c *config.Config, slow tun.Config, device string) garden.Config {
	g := garden.Config{
		Gardens: gardens(c), Device: device, PortalPort: c.Gardens.PortalPort, Build: c.Files.BuildGarden,
	}
	for _, own := range []netip.Addr{slow.Address, slow.Address6} {
		if own.IsValid() && !own.IsUnspecified() {
			g.Own = append(g.Own, own)
		}
	}
	return g
}

func gardens(c *config.Config) []garden.Garden {
	var out []garden.Garden
	for _, g := range c.Gardens.List {
		out = append(out, garden.Garden{Name: g.Name, DNS: g.DNS, Portal: g.Portal, Allow: g.Allow})
	}
	return out
}

// setFilters puts the access lists in force in both paths, and returns what the
// operator should know of lists that stay although they are not configured.
func (d *daemon) setFilters(c *config.Config) (notes []string, err error) {
	sets := acl.Sets(c.AccessLists)
	d.slow.SetFilters(sets)
	left, err := d.fast.SetFilters(sets)
	for _, name := range left {
		notes = append(notes, fmt.Sprintf("access list %s is not configured any more; sessions that are held to it stay so", name))
	}
	return notes, err
}
