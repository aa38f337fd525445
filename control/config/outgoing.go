package config

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Outgoing holds what concerns the tunnels and calls that begin here.
type Outgoing struct {
	Tunnels []Tunnel // in the order of the file
	Calls   []Call
	// DenyLocal opens no tunnels and places no calls, DenyRemote lets no peer open
	// tunnels.
	DenyLocal, DenyRemote bool
	// TunnelWait and CallWait are the longest waits between two attempts.
	TunnelWait, CallWait time.Duration
}

// Tunnel is one that the operator wants to be opened.
type Tunnel struct {
	Object
	Peer      netip.Addr
	Effective *Effective
}

// Call is one that the operator wants in a tunnel.
type Call struct {
	Object
	Tunnel    string
	Effective *Effective
}

// Said is what the commands said of an object, to tell one version from another. It may
// hold secrets.
func (o *Object) Said() Secret {
	var w strings.Builder
	for _, g := range o.Given {
		fmt.Fprintf(&w, "%q %q ", g.Key, g.Value.Reveal())
	}
	return Secret(w.String())
}

// CallsIn are the calls that are wanted in a tunnel.
func (c *Config) CallsIn(tunnel string) (out []Call) {
	for _, x := range c.Outgoing.Calls {
		if x.Tunnel == tunnel {
			out = append(out, x)
		}
	}
	return out
}

func tunnelBase(t *Tunnel) *Object { return &t.Object }
func callBase(c *Call) *Object     { return &c.Object }

// tunnelKeys is the table of what a tunnel command can say: whom it leads to, the names
// of profiles, and all that a tunnel profile can.
func tunnelKeys() []ProfileKey {
	profile := link(TunnelLayer)
	profile.Alias = append(profile.Alias, "profile", "profile_name")
	own := []ProfileKey{
		{Name: "dest_ipaddr", Help: "Address of the peer.", apply: func(e *Effective, s string) (err error) {
			e.Dial.Peer, err = peerAddress(s)
			return err
		}},
		profile,
	}
	return overlaid(own, tunnelProfileKeys())
}

func peerAddress(s string) (netip.Addr, error) {
	a, err := address(false).parse(s)
	if err == nil && (!a.IsValid() || a.IsLoopback()) {
		err = fmt.Errorf("must be the address of another host")
	}
	return a, err
}

// callKeys is the table of what a session command can say.
func callKeys() []ProfileKey {
	profile := link(SessionLayer)
	profile.Alias = append(profile.Alias, "profile", "profile_name")
	own := []ProfileKey{
		{Name: "tunnel", Alias: []string{"tunnel_name"}, Help: "Name of the tunnel that it is placed in.", apply: func(_ *Effective, s string) error {
			_, err := named("name", maxString).parse(s)
			return err
		}},
		profile,
	}
	return overlaid(own, sessionProfileKeys())
}

// overlaid puts keys before others, of which those of the same names are left out.
func overlaid(own, others []ProfileKey) []ProfileKey {
	out := slices.Clone(own)
	for _, k := range others {
		if findProfileKey(own, k.Name) == nil {
			out = append(out, k)
		}
	}
	return out
}

func outgoingCommands() []Command {
	return []Command{
		{Name: "tunnel", Help: "Open a tunnel to a peer.", Keys: keysOf(tunnelKeys()), run: (*builder).tunnel, Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the tunnel."},
			{Name: "KEY VALUE", Type: "tunnel", Help: "What holds for it; the command may be repeated.", Rest: true},
		}},
		{Name: "session", Help: "Place a call in a tunnel that is opened from here.", Keys: keysOf(callKeys()), run: (*builder).call, Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the session."},
			{Name: "KEY VALUE", Type: "session", Help: "What holds for it; the command may be repeated.", Rest: true},
		}},
	}
}

func outgoingSettings() []Setting {
	return []Setting{
		row("deny_local_tunnel_creates", boolean(), func(c *Config) *bool { return &c.Outgoing.DenyLocal }, "no", Live,
			"Open no tunnels from here and place no calls; those that are up live on."),
		row("deny_remote_tunnel_creates", boolean(), func(c *Config) *bool { return &c.Outgoing.DenyRemote }, "no", Live,
			"Refuse the tunnels that peers open; those that are up live on."),
		row("tunnel_persist_pend_timeout", seconds(time.Second, day), func(c *Config) *time.Duration { return &c.Outgoing.TunnelWait }, "300", NewOnly,
			"Longest wait before a persistent tunnel is opened again, which attempts that fail approach from 5 seconds on."),
		row("session_persist_pend_timeout", seconds(time.Second, day), func(c *Config) *time.Duration { return &c.Outgoing.CallWait }, "60", NewOnly,
			"Longest wait before a persistent session is placed again, likewise."),
	}
}

// tunnel runs "tunnel NAME KEY VALUE...".
func (b *builder) tunnel(args []token) {
	if t := object(b, &b.c.Outgoing.Tunnels, tunnelBase, objectKeysOf[Tunnel](tunnelKeys()), func() Tunnel { return Tunnel{} }, args); t != nil {
		b.mark("tunnel", args[0])
		b.warnIdle(tunnelKeys(), args)
	}
}

// call runs "session NAME KEY VALUE...".
func (b *builder) call(args []token) {
	if c := object(b, &b.c.Outgoing.Calls, callBase, objectKeysOf[Call](callKeys()), func() Call { return Call{} }, args); c != nil {
		b.mark("session", args[0])
		b.warnIdle(callKeys(), args)
	}
}

// finishOutgoing puts together what holds for the tunnels and calls, now that all
// profiles are read.
func (b *builder) finishOutgoing() {
	tunnels := b.c.Outgoing.Tunnels
	for i := range tunnels {
		t := &tunnels[i]
		pos := b.seen["tunnel "+t.Name]
		e, err := b.c.outgoing(t, nil)
		switch {
		case err != nil:
			b.fail(pos, "", "tunnel %s: %v", t.Name, err)
			continue
		case !e.Dial.Peer.IsValid():
			b.fail(pos, "tunnel "+t.Name+" dest_ipaddr ADDRESS", "tunnel %s has no dest_ipaddr", t.Name)
		case e.Dial.Source.IsValid() && e.Dial.Source.Is4() != e.Dial.Peer.Is4():
			b.fail(pos, "", "tunnel %s: src_ipaddr and dest_ipaddr are of different versions of IP", t.Name)
		case !e.Dial.Peer.Is4() && !b.c.L2TP.BindAddress6.IsValid():
			b.fail(pos, "set bind_address6 ::", "tunnel %s: bind_address6 is needed to reach a peer over IPv6", t.Name)
		case e.LAC.Challenge && e.LAC.Secret == "":
			b.fail(pos, "give it a secret, or auth_mode none", "tunnel %s is to challenge its peer but has no secret", t.Name)
		case e.Config.L2TP.RetryInterval > e.Config.L2TP.RetryCap:
			b.fail(pos, "", "tunnel %s: retry_timeout must not be above l2tp_retry_cap", t.Name)
		}
		t.Effective, t.Peer = e, e.Dial.Peer
	}
	for i := range b.c.Outgoing.Calls {
		b.finishCall(&b.c.Outgoing.Calls[i])
	}
}

func (b *builder) finishCall(c *Call) {
	pos := b.seen["session "+c.Name]
	c.Tunnel = c.value("tunnel", "tunnel_name")
	t := findObject(b.c.Outgoing.Tunnels, tunnelBase, c.Tunnel)
	if t == nil {
		b.fail(pos, "tunnel NAME dest_ipaddr ADDRESS makes one", "session %s: there is no tunnel %s", c.Name, printable(c.Tunnel))
		return
	}
	e, err := b.c.outgoing(t, c)
	if err != nil {
		b.fail(pos, "", "session %s: %v", c.Name, err)
		return
	}
	c.Effective = e
	wanted := map[Role]string{RoleLAC: "laic", RoleLNS: "lnoc"}[e.Dial.Role]
	if e.Call.Type != "" && e.Call.Type != wanted {
		b.fail(pos, "", "session %s can't be of type %s: calls that begin here are %s in a tunnel of role %s; %s", c.Name, e.Call.Type, wanted, e.Dial.Role,
			"lnic and laoc calls are begun by the peer, and the tunnel's role says which end we are")
	}
	for _, p := range e.Call.Routes {
		if p.Contains(e.Dial.Peer) {
			b.fail(pos, "", "session %s: the route %s would lead tunnel %s into itself", c.Name, p, t.Name)
		}
	}
	if e.Dial.Role == RoleLNS && len(e.Call.Routes) > 0 {
		b.fail(pos, "", "session %s: routes are for sessions of tunnels with role lac; a subscriber's come from the authentication", c.Name)
	}
}

// value is the last of what was said under one of some names, "" for nothing.
func (o *Object) value(names ...string) string {
	for _, g := range slices.Backward(o.Given) {
		if slices.Contains(names, g.Key) {
			return g.Value.Reveal()
		}
	}
	return ""
}

// outgoing is what holds for a tunnel, or for a call in it.
func (c *Config) outgoing(t *Tunnel, call *Call) (*Effective, error) {
	named := links{}
	nameIn := func(o *Object, keys []ProfileKey) {
		for _, g := range o.Given {
			if k := findProfileKey(keys, g.Key); k != nil && k.isLink {
				named[k.Link] = g.Value.Reveal()
			}
		}
	}
	nameIn(&t.Object, tunnelKeys())
	if call != nil {
		nameIn(&call.Object, callKeys())
	}
	e, err := c.resolve(named)
	if err != nil {
		return nil, err
	}
	if err := e.takeObject("tunnel "+t.Name, &t.Object, tunnelKeys()); err != nil {
		return nil, err
	}
	if call != nil {
		if err := e.takeObject("session "+call.Name, &call.Object, callKeys()); err != nil {
			return nil, err
		}
	}
	e.finish()
	return e, nil
}

// OutgoingViews are the tunnels, or with call the calls, as profiles are shown.
func (c *Config) OutgoingViews(command string) (out []ProfileView) {
	view := func(o *Object, keys []ProfileKey, e *Effective) {
		v := ProfileView{Name: o.Name, effective: e}
		for _, g := range o.Given {
			k := findProfileKey(keys, g.Key)
			v.Values = append(v.Values, shownValue(g, k == nil || k.Secret, command+" "+o.Name))
		}
		out = append(out, v)
	}
	switch command {
	case "tunnel":
		for i := range c.Outgoing.Tunnels {
			t := &c.Outgoing.Tunnels[i]
			view(&t.Object, tunnelKeys(), t.Effective)
		}
	case "session":
		for i := range c.Outgoing.Calls {
			x := &c.Outgoing.Calls[i]
			view(&x.Object, callKeys(), x.Effective)
		}
	}
	return out
}

func (o *Outgoing) render(w *strings.Builder, hide bool) {
	for i := range o.Tunnels {
		renderObject(w, "tunnel", &o.Tunnels[i].Object, objectKeysOf[Tunnel](tunnelKeys()), hide)
	}
	for i := range o.Calls {
		renderObject(w, "session", &o.Calls[i].Object, objectKeysOf[Call](callKeys()), hide)
	}
}

func (o *Outgoing) holdsSecrets() bool {
	return slices.ContainsFunc(o.Tunnels, func(t Tunnel) bool { return t.value("secret", "l2tp_secret") != "" }) ||
		slices.ContainsFunc(o.Calls, func(c Call) bool { return c.value("user_password", "password") != "" })
}
