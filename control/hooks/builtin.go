package hooks

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// builtIn is a plugin that is part of lnsd: what it wants, and what it does.
type builtIn struct {
	wants eventSet
	do    func(ctx context.Context, c *call) (Verdict, error)
}

func (b *builtIn) events() eventSet { return b.wants }
func (b *builtIn) view(v *View)     { v.BuiltIn, v.State = true, "running" }
func (b *builtIn) close()           {}

func (b *builtIn) call(ctx context.Context, c *call) (Verdict, error) { return b.do(ctx, c) }

// builtIn makes one of lnsd's own plugins, which have the names of l2tpns'.
func (c *Chain) builtIn(name string) (hook, error) {
	switch name {
	case "autosnoop":
		return &builtIn{setOf(RadiusResponse), autosnoop}, nil
	case "autothrottle":
		return &builtIn{setOf(RadiusResponse), c.autothrottle}, nil
	case "garden":
		if c.settings.Load().Garden == "" {
			return nil, errNoGarden
		}
		return &builtIn{setOf(PostAuth), c.garden}, nil
	case "stripdomain":
		return &builtIn{setOf(PreAuth), stripdomain}, nil
	case "sessionctl":
		return &builtIn{setOf(Control), c.sessionctl}, nil
	}
	return nil, ErrUnknown
}

var errNoGarden = errors.New("there is no walled garden: define one by a garden command")

// BuiltIns are the names of lnsd's own plugins.
func BuiltIns() []string {
	return []string{"autosnoop", "autothrottle", "garden", "sessionctl", "stripdomain"}
}

// autosnoop obeys "intercept=ADDRESS:PORT" and "intercept=no".
func autosnoop(_ context.Context, c *call) (Verdict, error) {
	if c.pair.Key != "intercept" {
		return OK, nil
	}
	to, err := netip.ParseAddrPort(c.pair.Value)
	if err == nil || c.pair.Value == "no" {
		c.login.grant.Intercept = &to
	}
	return OK, nil
}

// autothrottle obeys "throttle=yes|no|KBIT" and Cisco's "service-policy input|output KBIT".
func (c *Chain) autothrottle(_ context.Context, x *call) (Verdict, error) {
	g, value := &x.login.grant, x.pair.Value
	if strings.HasPrefix(x.pair.Key, "lcp:interface-config") {
		f := strings.Fields(value)
		if len(f) != 3 || f[0] != "service-policy" {
			return OK, nil
		}
		rate, ok := kbit(f[2])
		switch {
		case ok && f[1] == "input":
			g.Up = &rate
		case ok && f[1] == "output":
			g.Down = &rate
		}
		return OK, nil
	}
	if x.pair.Key != "throttle" {
		return OK, nil
	}
	rate, ok := kbit(value)
	switch {
	case value == "yes" && c.settings.Load().Throttle.Limited():
		rate, ok = c.settings.Load().Throttle, true
	case value == "no":
		rate, ok = session.Rate{}, true
	}
	if ok {
		g.Up, g.Down = &rate, &rate
	}
	return OK, nil
}

func kbit(s string) (session.Rate, bool) {
	n, err := strconv.ParseUint(s, 10, 32)
	return session.Rate{Bits: n * 1000}, err == nil
}

// garden lets in whom the authenticator has refused, into the walled garden.
func (c *Chain) garden(_ context.Context, x *call) (Verdict, error) {
	if name := c.settings.Load().Garden; !x.login.allowed && name != "" {
		x.login.allowed, x.login.grant.Garden = true, &name
	}
	return OK, nil
}

// stripdomain takes "@DOMAIN" off the name.
func stripdomain(_ context.Context, c *call) (Verdict, error) {
	if i := strings.LastIndexByte(c.login.user, '@'); i > 0 {
		c.login.user = c.login.user[:i]
	}
	return OK, nil
}

// sessionctl ends sessions: "drop USER|SID", or "kill", which is the same: subscribers
// are always told.
func (c *Chain) sessionctl(ctx context.Context, x *call) (Verdict, error) {
	if len(x.words) < 2 || (x.words[0] != "drop" && x.words[0] != "kill") {
		x.reply = "usage: drop USER|SID, kill USER|SID"
		return Error, nil
	}
	who := session.Selector{User: x.words[1]}
	if sid, err := strconv.ParseUint(x.words[1], 10, 32); err == nil && sid > 0 {
		who = session.Selector{Slot: uint32(sid)}
	}
	n, err := c.cfg.Sessions.EndSessions(ctx, who)
	if err != nil {
		x.reply = err.Error()
		return Error, nil
	}
	x.reply = fmt.Sprintf("%d sessions ended", n)
	return Stop, nil
}
