package config

import (
	"fmt"
	"maps"
	"slices"
	"time"
)

// Effective is what holds for the tunnels and sessions of one peer: the settings with
// what its profiles say in their place.
type Effective struct {
	// Config is the configuration with the profiles' values for its settings.
	Config *Config
	LAC    LAC
	// sources says which layer set a value, by the setting's name.
	sources map[string]string
	layer   string // that is taken at the moment

	// Dial and Call are what is said of tunnels and calls beyond the settings.
	Dial   Dial
	Call   Placing
	own    []Value // of Dial and Call, as shown
	speeds [2]uint32

	pool         string
	echoFailures int // 0: idle_echo_timeout holds
}

// Value is one value with where it is from.
type Value struct {
	Name, Value, Source string
}

func newEffective(c *Config) *Effective {
	copied := *c
	// What a peer has is nothing of this.
	copied.LACs, copied.Profiles, copied.UnknownPeer = nil, nil, nil
	copied.Plugins = Plugins{}
	copied.Outgoing.Tunnels, copied.Outgoing.Calls = nil, nil
	copied.Files.Text = ""
	return &Effective{Config: &copied, sources: map[string]string{}, Dial: newDial(), Call: newPlacing()}
}

func (e *Effective) said(setting string) { e.sources[setting] = e.layer }

// set gives a setting its value for this peer.
func (e *Effective) set(name, value string) error {
	for _, s := range Settings() {
		if s.Name == name {
			if err := s.parse(e.Config, value); err != nil {
				return err
			}
			e.said(name)
			return nil
		}
	}
	return fmt.Errorf("stands for %s, which is no setting", name)
}

// links are the names of profiles that hold for a peer.
type links map[Layer]string

// Resolve returns what holds with these profiles; "" is what the layer before names, and
// default where none does.
func (c *Config) Resolve(tunnel, session, ppp string) (*Effective, error) {
	return c.resolve(links{TunnelLayer: tunnel, SessionLayer: session, PPPLayer: ppp})
}

func (c *Config) resolve(given links) (*Effective, error) {
	e, named := newEffective(c), maps.Clone(given)
	layers := []Layer{TunnelLayer, SessionLayer, PPPLayer}
	// What a layer names holds for those below it, unless a layer above has named another.
	for _, l := range layers {
		for _, name := range []string{named[l], DefaultProfile} {
			p := c.Profile(l, name)
			if name == "" {
				continue
			}
			if p == nil {
				if name != DefaultProfile {
					return nil, fmt.Errorf("there is no %s profile %s", l, name)
				}
				continue
			}
			for _, g := range p.Given {
				if k := findProfileKey(ProfileKeys(l), g.Key); k != nil && k.isLink && named[k.Link] == "" {
					named[k.Link] = g.Value.Reveal()
				}
			}
		}
	}
	for _, l := range slices.Backward(layers) {
		for _, name := range slices.Compact([]string{DefaultProfile, named[l]}) {
			if p := c.Profile(l, name); p != nil {
				if err := e.take(p); err != nil {
					return nil, err
				}
			}
		}
	}
	e.finish()
	return e, nil
}

// says notes the value of something beyond the settings.
func (e *Effective) says(name, value string) {
	if name == "user_password" {
		value = hidden
	}
	e.own = slices.DeleteFunc(e.own, func(v Value) bool { return v.Name == name })
	e.own = append(e.own, Value{name, value, e.layer})
}

// take takes what a profile says.
func (e *Effective) take(p *Profile) error {
	return e.takeObject(p.Layer.String()+" profile "+p.Name, &p.Object, ProfileKeys(p.Layer))
}

// takeObject takes what an object says that has such keys.
func (e *Effective) takeObject(layer string, o *Object, keys []ProfileKey) error {
	e.layer = layer
	for _, g := range o.Given {
		k := findProfileKey(keys, g.Key)
		if k == nil {
			continue
		}
		if err := k.put(e, g.Value.Reveal()); err != nil {
			return fmt.Errorf("%s: %s %w", e.layer, g.Key, err)
		}
	}
	return nil
}

// finish makes the policy of it.
func (e *Effective) finish() {
	if p := &e.Config.PPP; e.echoFailures > 0 {
		p.IdleEchoTimeout = time.Duration(e.echoFailures) * p.EchoTimeout
	}
	e.LAC = e.Config.inherited()
	e.LAC.Pool = e.pool
	e.LAC.Trace = e.Dial.Trace
	if e.speeds != [2]uint32{} {
		e.Call.Params.TxSpeed, e.Call.Params.RxSpeed = e.speeds[0], e.speeds[1]
	}
	if e.Dial.Wait == 0 {
		e.Dial.Wait = e.Config.Outgoing.TunnelWait
	}
	if e.Call.Wait == 0 {
		e.Call.Wait = e.Config.Outgoing.CallWait
	}
}

// lacSettings are the settings that keys of a lac command stand for.
func lacSettings() map[string]string {
	return map[string]string{
		"secret": "l2tp_secret", "challenge": "l2tp_challenge", "hide_avps": "hide_avps", "mtu": "l2tp_mtu",
		"max_sessions": "max_sessions_per_tunnel", "pool": "pool", "ipv6_pool": "ipv6_pool", "ipv6_pd_pool": "ipv6_pd_pool",
		"authtypes": "radius_authtypes", "renegotiation": "lcp_renegotiation", "proxy": "ppp_proxy", "outer_dscp": "outer_dscp",
		"ecn": "ecn", "send_length": "l2tp_send_length", "send_address_control": "ppp_send_address_control",
	}
}

// Values are all values that tunnels and sessions are made with, in the order of the
// settings, and where each is from. Secrets are hidden.
func (e *Effective) Values() []Value {
	initial := Default("")
	initial.Hostname = ""
	var out []Value
	for _, s := range effectiveSettings() {
		v := Value{Name: s.Name, Value: s.Shown(e.Config), Source: "default"}
		if s.format(e.Config) != s.format(initial) {
			v.Source = "set " + s.Name
		}
		if from := e.sources[s.Name]; from != "" {
			v.Source = from
		}
		for key, setting := range lacSettings() {
			if k, ok := findKey(LACKeys(), key); ok && setting == s.Name && k.show != nil {
				v.Value = k.show(&e.LAC)
			}
		}
		out = append(out, v)
	}
	pool := Value{"pool", e.LAC.Pool, "default"}
	if from := e.sources["pool"]; from != "" {
		pool.Source = from
	}
	if pool.Value == "" {
		pool.Value = DefaultPool
	}
	return append(out, pool)
}

// effectiveSettings are those that hold for tunnels and sessions from their beginning.
func effectiveSettings() []Setting {
	apart := []string{"allow_unknown_lacs", "one_tunnel_per_lac", "max_tunnels", "max_tunnels_per_lac", "max_half_open",
		"max_half_open_per_lac", "radius_tunnel_accounting"}
	var out []Setting
	for _, group := range [][]Setting{l2tpSettings(), pppSettings(), dnsSettings(), ipv6Settings(), sessionSettings(), radiusSettings(), gardenSettings(), limitSettings(), systemSettings()} {
		for _, s := range group {
			if s.Apply == NewOnly && s.Alias == "" && !slices.Contains(apart, s.Name) {
				out = append(out, s)
			}
		}
	}
	return out
}

// Format keeps the secrets in it from every way of printing.
func (e *Effective) Format(s fmt.State, _ rune) { fmt.Fprint(s, "effective values") }
