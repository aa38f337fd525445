package config

import "time"

// finish checks what several settings say together.
func (b *builder) finish() {
	b.checkPools()
	b.checkIPv6()
	b.finishLACs()
	b.finishOutgoing()
	b.checkGardens()
	b.c.AccessLists = b.accessLists()
	b.checkRADIUS()
	b.checkAAA()
	b.checkDAE()
	b.checkPlugins()
	b.checkTunnels()
	b.checkTimes()
	b.checkShell()
	b.checkIntercept()
	if l := b.c.Limits; l.SessionsPerTunnel > l.Sessions {
		if pos, ok := b.seen["max_sessions_per_tunnel"]; ok {
			b.warn(pos, "max_sessions_per_tunnel is above max_sessions (%d), which is reached first", l.Sessions)
		}
	}
}

func (b *builder) hasPool(name string) bool {
	_, ok := b.pools[name]
	return ok
}

// where is the place of the first of the settings that was given.
func (b *builder) where(names ...string) Pos {
	for _, n := range names {
		if pos, ok := b.seen[n]; ok {
			return pos
		}
	}
	return Pos{File: b.pos.File}
}

func (b *builder) checkRADIUS() {
	r := b.c.RADIUS
	servers := r.Servers()
	if len(servers) > 0 && r.Secret == "" {
		b.fail(b.where("primary_radius", "secondary_radius"), "set radius_secret", "RADIUS servers need a secret")
	}
	if len(servers) == 0 && len(b.c.AAA.Servers) == 0 && r.Accounting {
		b.fail(b.where("radius_accounting"), "set primary_radius", "radius_accounting needs a RADIUS server")
	}
	if (r.BindMin == 0) != (r.BindMax == 0) || r.BindMin > r.BindMax {
		b.fail(b.where("radius_bind_max", "radius_bind_min"), "set both, the lower first",
			"radius_bind_min and radius_bind_max must make a range")
	}
	if r.Interim > 0 && r.Interim < time.Minute {
		// RFC 2869 section 5.16: less than 60 s MUST NOT be used.
		b.fail(b.where("radius_interim"), "", "radius_interim must be 0 or at least 60 seconds")
	}
}

func (b *builder) checkTunnels() {
	t := b.c.L2TP
	if t.Challenge == Yes && t.Secret == "" && len(b.c.LACs) == 0 {
		b.fail(b.where("l2tp_challenge"), "set l2tp_secret", "l2tp_challenge needs a secret")
	}
	if t.Secret == "" && b.c.AllowsUnknown() {
		b.warn(b.where("allow_unknown_lacs"), "any LAC is let in without a secret: set l2tp_secret, or name the LACs by lac commands")
	}
	if t.RetryInterval > t.RetryCap {
		b.fail(b.where("l2tp_retry_interval", "l2tp_retry_cap"), "", "l2tp_retry_interval must not be above l2tp_retry_cap")
	}
}

func (b *builder) checkIntercept() {
	i := b.c.Intercept
	if named := i.Host.IsValid() && !i.Host.IsUnspecified(); named != (i.Port != 0) {
		b.fail(b.where("snoop_host", "snoop_port"), "set snoop_host and snoop_port", "snoop_host and snoop_port go together")
	}
}

func (b *builder) checkTimes() {
	p := b.c.PPP
	if p.IdleEchoTimeout > 0 && p.IdleEchoTimeout < p.EchoTimeout {
		b.fail(b.where("idle_echo_timeout", "echo_timeout"), "",
			"idle_echo_timeout must not be below echo_timeout: sessions would end before the first echo")
	}
}
