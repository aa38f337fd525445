package config

import (
	"fmt"
	"slices"
	"strings"
)

// Layer is a kind of profile. Each inherits what it does not say from the profile
// "default" of its kind, and that from the settings.
type Layer uint8

// The layers, from what is taken last to what is taken first.
const (
	PPPLayer Layer = iota
	SessionLayer
	TunnelLayer
	PeerLayer
)

// Layers are all of them.
func Layers() []Layer { return []Layer{PeerLayer, TunnelLayer, SessionLayer, PPPLayer} }

// String is the first word of the layer's command.
func (l Layer) String() string { return [...]string{"ppp", "session", "tunnel", "peer"}[l] }

// Command is that of the layer's profiles.
func (l Layer) Command() string { return l.String() + "_profile" }

// DefaultProfile is the name that is reserved in each layer: what holds where no other
// profile is named.
const DefaultProfile = "default"

// Profile is what one command says of tunnels, sessions or PPP. Profiles of peers are
// LACs.
type Profile struct {
	Object
	Layer Layer
}

// ProfileKey is one row of the table of what profiles can say.
type ProfileKey struct {
	// Name is that of OpenL2TP, Alias other names of it.
	Name  string
	Alias []string
	Help  string
	// Setting is what it stands for; empty where Note says why it has no effect, Refused
	// why it can't be had, or Link which profile it names.
	Setting       string
	Note, Refused string
	Link          Layer // with isLink
	isLink        bool
	Secret        bool
	// translate makes the setting's value of the profile's; nil: they are the same.
	translate func(string) (string, error)
	// apply is for what is more than a setting.
	apply func(*Effective, string) error
	// words are the values of keys that are not settings.
	words []string
}

// ProfileKeys returns the table for a layer.
func ProfileKeys(l Layer) []ProfileKey {
	switch l {
	case TunnelLayer:
		return tunnelProfileKeys()
	case SessionLayer:
		return sessionProfileKeys()
	case PPPLayer:
		return pppProfileKeys()
	}
	return peerProfileKeys()
}

func profileCommands() []Command {
	var out []Command
	for _, l := range Layers() {
		c := Command{Name: l.Command(), Help: "Define a profile of " + map[Layer]string{
			PeerLayer: "peers: which LACs, and what holds for them.", TunnelLayer: "tunnels, for peers to name.",
			SessionLayer: "sessions, for peers and tunnels to name.", PPPLayer: "PPP links, for peers, tunnels and sessions to name.",
		}[l], Keys: profileKeyArgs(l), Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the profile; default holds where no other is named."},
			{Name: "KEY VALUE", Type: "profile", Help: "What the profile says; the command may be repeated.", Rest: true, Optional: true},
		}}
		if c.run = (func(b *builder, args []token) { b.profile(l, args) }); l == PeerLayer {
			c.run = func(b *builder, args []token) { b.peer(args) }
		}
		out = append(out, c)
	}
	return out
}

func profileKeyArgs(l Layer) (out []Arg) {
	if l == PeerLayer {
		return lacKeyArgs()
	}
	return keysOf(ProfileKeys(l))
}

// keysOf are keys as arguments of their command.
func keysOf(keys []ProfileKey) (out []Arg) {
	for _, k := range keys {
		out = append(out, Arg{Name: k.Name, Help: k.Help, Words: k.words, Secret: k.Secret})
	}
	return out
}

// findProfileKey looks a key up by any of its names.
func findProfileKey(keys []ProfileKey, name string) *ProfileKey {
	for i := range keys {
		if k := &keys[i]; k.Name == name || slices.Contains(k.Alias, name) {
			return k
		}
	}
	return nil
}

// profileObjectKeys are the keys as the commands of objects take them: each is tried on a
// configuration of its own.
func profileObjectKeys(l Layer) []objectKey[Profile] { return objectKeysOf[Profile](ProfileKeys(l)) }

func objectKeysOf[T any](keys []ProfileKey) []objectKey[T] {
	var out []objectKey[T]
	for _, k := range keys {
		for _, name := range append([]string{k.Name}, k.Alias...) {
			out = append(out, objectKey[T]{name: name, help: k.Help, secret: k.Secret, parse: func(_ *T, s string) (string, error) {
				if k.Refused != "" {
					return "", fmt.Errorf("is refused: %s", k.Refused)
				}
				return s, k.put(newEffective(Default("")), s)
			}})
		}
	}
	return out
}

// put sets what the key says.
func (k *ProfileKey) put(e *Effective, value string) error {
	switch {
	case k.isLink:
		_, err := named("profile name", maxString).parse(value)
		return err
	case k.apply != nil:
		return k.apply(e, value)
	case k.Setting == "":
		return checkText(value, maxString)
	}
	if k.translate != nil {
		var err error
		if value, err = k.translate(value); err != nil {
			return err
		}
	}
	return e.set(k.Setting, value)
}

func profileBase(p *Profile) *Object { return &p.Object }

// profile runs "LAYER_profile NAME KEY VALUE...".
func (b *builder) profile(l Layer, args []token) {
	list := b.c.Profiles[l]
	p := object(b, &list, profileBase, profileObjectKeys(l), func() Profile { return Profile{Layer: l} }, args)
	if b.c.Profiles == nil {
		b.c.Profiles = map[Layer][]Profile{}
	}
	b.c.Profiles[l] = list
	b.mark(l.Command(), args[0])
	if p == nil {
		return
	}
	b.warnIdle(ProfileKeys(l), args)
}

// warnIdle warns of what is said without effect.
func (b *builder) warnIdle(keys []ProfileKey, args []token) {
	for rest := args[1:]; len(rest) > 1; rest = rest[2:] {
		if k := findProfileKey(keys, rest[0].text); k != nil && k.Note != "" {
			b.warn(b.at(rest[0]), "%s has no effect: %s", rest[0].text, k.Note)
		}
	}
}

// peer runs "peer_profile NAME KEY VALUE...", which is a lac command by another name.
func (b *builder) peer(args []token) {
	before := len(b.lacs)
	if len(args) > 1 {
		b.lac(args)
	} else {
		b.draft(args[0].text, b.at(args[0]))
	}
	for _, d := range b.lacs {
		if d.name != args[0].text {
			continue
		}
		if len(b.lacs) == before && !d.peer && !d.broken {
			b.fail(b.at(args[0]), "", "%s is the name of a lac command already", printable(d.name))
			d.broken = true
		}
		d.peer = true
	}
	b.mark(PeerLayer.Command(), args[0])
}

// renderProfiles writes the commands of all but the peers.
func (c *Config) renderProfiles(w *strings.Builder, hide bool) {
	for _, l := range []Layer{PPPLayer, SessionLayer, TunnelLayer} {
		for i := range c.Profiles[l] {
			p := &c.Profiles[l][i]
			if len(p.Given) == 0 {
				w.WriteString(l.Command() + " " + quoted(p.Name) + "\n")
				continue
			}
			renderObject(w, l.Command(), &p.Object, profileObjectKeys(l), hide)
		}
	}
}

// Profile finds a profile; nil where there is none. Those of peers are among the LACs.
func (c *Config) Profile(l Layer, name string) *Profile {
	list := c.Profiles[l]
	return findObject(list, profileBase, name)
}

// checkProfiles finds names of profiles that are not there.
func (b *builder) checkProfiles() {
	for _, l := range []Layer{TunnelLayer, SessionLayer} {
		for _, p := range b.c.Profiles[l] {
			for _, g := range p.Given {
				k := findProfileKey(ProfileKeys(l), g.Key)
				if k != nil && k.isLink && b.c.Profile(k.Link, g.Value.Reveal()) == nil && g.Value.Reveal() != DefaultProfile {
					b.fail(b.seen[l.Command()+" "+p.Name], "", "%s %s names the %s profile %s, which is not there",
						l.Command(), p.Name, k.Link, printable(g.Value.Reveal()))
				}
			}
		}
	}
}

// ProfileView is a profile as it may be shown.
type ProfileView struct {
	Name      string
	Values    []Value // that it says itself; secrets are hidden
	layer     Layer
	lac       *LAC       // of a peer
	effective *Effective // of a tunnel or a call
}

// ProfileViews are the profiles of one command.
func (c *Config) ProfileViews(command string) (out []ProfileView) {
	if command == PeerLayer.Command() {
		for _, l := range c.lacs(true) {
			keys, v := LACKeys(), ProfileView{Name: l.Name, layer: PeerLayer, lac: &l}
			for _, g := range l.Given {
				k, _ := findKey(keys, g.Key)
				v.Values = append(v.Values, shownValue(g, k.Secret, l.Title()))
			}
			out = append(out, v)
		}
		return out
	}
	for _, l := range []Layer{TunnelLayer, SessionLayer, PPPLayer} {
		if l.Command() != command {
			continue
		}
		keys := ProfileKeys(l)
		for _, p := range c.Profiles[l] {
			v := ProfileView{Name: p.Name, layer: l}
			for _, g := range p.Given {
				k := findProfileKey(keys, g.Key)
				v.Values = append(v.Values, shownValue(g, k == nil || k.Secret, l.String()+" profile "+p.Name))
			}
			out = append(out, v)
		}
	}
	return out
}

func shownValue(g LACText, secret bool, source string) Value {
	v := Value{g.Key, g.Value.Reveal(), source}
	if secret {
		v.Value = hidden
	}
	return v
}

// Effective are all values that hold with the profile, inherited ones included.
func (v ProfileView) Effective(c *Config) []Value {
	switch {
	case v.lac != nil:
		return v.lac.Values()
	case v.effective != nil:
		return append(v.effective.Values(), v.effective.own...)
	}
	e, err := c.resolve(links{v.layer: v.Name})
	if err != nil {
		return nil // it was checked with the configuration
	}
	return e.Values()
}

// Words writes words as a command, so that each is read as one.
func Words(ws ...string) string { return join(ws) }
