package config

import (
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// Garden is a walled garden: where subscribers are who may reach a few things only.
type Garden struct {
	Name string
	// DNS are the name servers that all questions go to, at most one of each family.
	DNS []netip.Addr
	// Portal is where web pages are redirected to, with %u for the page that was asked
	// for; "" redirects none.
	Portal string
	// Allow are the destinations that can be reached.
	Allow []netip.Prefix
}

// Gardens holds the walled gardens and who goes into them.
type Gardens struct {
	List []Garden // in the order of the file
	// Reject is the garden of those whom the authentication refuses, "" for none.
	Reject string
	// Account keeps an account of sessions in gardens, too.
	Account bool
	// PortalPort is the TCP port that the portal's redirections are made on.
	PortalPort uint16
}

// GardenKey is one row of the table of what a garden command can say.
type GardenKey struct {
	Name, Type, Help string
	// Many means that the key may be given several times and adds up.
	Many bool

	parse func(*Garden, string) error
}

// GardenKeys returns the table of what a garden command can say.
func GardenKeys() []GardenKey {
	return []GardenKey{
		{Name: "dns", Type: "address", Many: true, parse: (*Garden).addDNS,
			Help: "Name server that all DNS questions go to; one for IPv4 and one for IPv6."},
		{Name: "portal", Type: "URL", parse: (*Garden).setPortal,
			Help: "Where web pages (TCP port 80) are redirected to; %u in it is the page that was asked for."},
		{Name: "allow", Type: "prefix", Many: true, parse: (*Garden).addAllow,
			Help: "Destination that can be reached."},
	}
}

func (g *Garden) addDNS(s string) error {
	a, err := netip.ParseAddr(s)
	if err != nil || a.Zone() != "" || a.Is4In6() || a.IsUnspecified() || a.IsMulticast() {
		return fmt.Errorf("must be an IP address")
	}
	for _, other := range g.DNS {
		if other.Is4() == a.Is4() {
			return fmt.Errorf("is given twice for one version of IP")
		}
	}
	g.DNS = append(g.DNS, a)
	return nil
}

func (g *Garden) setPortal(s string) error {
	u, err := url.Parse(strings.ReplaceAll(s, "%u", ""))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || len(s) > maxPortal {
		return fmt.Errorf("must be a URL of http or https")
	}
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return fmt.Errorf("must be of visible ASCII characters")
		}
	}
	if g.Portal != "" {
		return fmt.Errorf("is given twice")
	}
	g.Portal = s
	return nil
}

// maxPortal bounds a portal's URL, in bytes.
const maxPortal = 1000

func (g *Garden) addAllow(s string) error {
	p, err := netip.ParsePrefix(s)
	if a, bad := netip.ParseAddr(s); bad == nil {
		p, err = netip.PrefixFrom(a, a.BitLen()), nil
	}
	switch {
	case err != nil || p.Addr().Zone() != "" || p.Addr().Is4In6():
		return fmt.Errorf("must be an IP address or prefix")
	case p != p.Masked():
		return fmt.Errorf("has bits set beyond its length: %v is meant", p.Masked())
	case slices.Contains(g.Allow, p):
		return fmt.Errorf("is given twice")
	}
	g.Allow = append(g.Allow, p)
	return nil
}

// maxGardenName leaves room for what nftables' names add to it.
const maxGardenName = 20

func checkGardenName(s string) error {
	ok := s != "" && s != "none" && len(s) <= maxGardenName
	for _, c := range []byte(s) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || c == '_' || c == '-')
	}
	if !ok {
		return fmt.Errorf("must be 1 to %d letters, digits, - and _", maxGardenName)
	}
	return nil
}

// garden runs "garden NAME [KEY VALUE...]".
func (b *builder) garden(args []token) {
	name := args[0].text
	if err := checkGardenName(name); err != nil {
		b.fail(b.at(args[0]), "", "NAME %v", err)
		return
	}
	g := b.findGarden(name)
	keys := GardenKeys()
	for rest := args[1:]; len(rest) > 0; rest = rest[2:] {
		at := slices.IndexFunc(keys, func(k GardenKey) bool { return k.Name == rest[0].text })
		if at < 0 {
			b.unknownGardenKey(keys, rest[0])
			return
		}
		if len(rest) == 1 {
			b.fail(b.at(rest[0]), "", "the value of %s is missing", rest[0].text)
			return
		}
		if err := keys[at].parse(g, rest[1].text); err != nil {
			b.fail(b.at(rest[1]), "", "%s %v", rest[0].text, err)
		}
	}
}

// findGarden returns the garden of a name, which a further command adds to.
func (b *builder) findGarden(name string) *Garden {
	list := &b.c.Gardens.List
	for i := range *list {
		if (*list)[i].Name == name {
			return &(*list)[i]
		}
	}
	*list = append(*list, Garden{Name: name})
	return &(*list)[len(*list)-1]
}

func (b *builder) unknownGardenKey(keys []GardenKey, t token) {
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	hint := "one of " + strings.Join(names, ", ")
	if n := nearest(t.text, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.at(t), hint, "unknown key in a garden command")
}

// maxGardens bounds the rules that packets are tried against.
const maxGardens = 64

// checkGardens makes sure that gardens that settings name are there.
func (b *builder) checkGardens() {
	g := &b.c.Gardens
	if len(g.List) > maxGardens {
		b.fail(Pos{File: b.pos.File}, "", "there are more than %d gardens", maxGardens)
	}
	if slices.ContainsFunc(g.List, func(x Garden) bool { return x.Portal != "" }) &&
		!b.c.L2TP.BindAddress.IsValid() && !b.c.SlowPath.Address.IsValid() {
		b.warn(Pos{File: b.pos.File}, "a garden's portal needs an address of ours: set bind_address or iftun_address")
	}
	b.needGarden("reject_garden", g.Reject)
	b.needGarden("radius_down_garden", b.c.AAA.Down.Garden)
}

// needGarden refuses a setting that names a garden which is not there.
func (b *builder) needGarden(setting, name string) {
	g := &b.c.Gardens
	if name == "" || g.Has(name) {
		return
	}
	var names []string
	for _, garden := range g.List {
		names = append(names, garden.Name)
	}
	hint := "define it by a garden command"
	if n := nearest(name, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.where(setting), hint, "there is no garden %s", printable(name))
}

// Usual is the garden of those of whom it is said only that they belong in one: that
// of the refused, or else the first.
func (g *Gardens) Usual() string {
	if g.Reject == "" && len(g.List) > 0 {
		return g.List[0].Name
	}
	return g.Reject
}

// Has reports whether there is a garden of that name.
func (g *Gardens) Has(name string) bool {
	return slices.ContainsFunc(g.List, func(x Garden) bool { return x.Name == name })
}

// gardenName is the name of a garden, or none.
func gardenName() kind[string] {
	return kind[string]{
		name: "garden's name|none", words: nil,
		parse: func(s string) (string, error) {
			if s == "none" {
				return "", nil
			}
			return s, checkGardenName(s)
		},
		format: func(s string) string {
			if s == "" {
				return "none"
			}
			return s
		},
	}
}

func gardenCommands() []Command {
	return []Command{{
		Name: "garden", Help: "Define a walled garden.", run: (*builder).garden, Keys: gardenKeyArgs(), Args: []Arg{
			{Name: "NAME", Type: "name", Help: "Name of the garden."},
			{Name: "KEY VALUE", Type: "garden", Help: "What can be had there; the command may be repeated.", Rest: true, Optional: true},
		},
	}}
}

func gardenSettings() []Setting {
	return []Setting{
		row("reject_garden", gardenName(), func(c *Config) *string { return &c.Gardens.Reject }, "none", NewOnly,
			"Walled garden of subscribers whom the authentication refuses; none turns them away."),
		row("garden_accounting", boolean(), func(c *Config) *bool { return &c.Gardens.Account }, "no", NewOnly,
			"Keep accounts of sessions while they are in a walled garden."),
		row("garden_portal_port", number[uint16]("", 1, 65535), func(c *Config) *uint16 { return &c.Gardens.PortalPort }, "8065", Restart,
			"TCP port on which web pages asked for in a walled garden are redirected to its portal."),
	}
}

// render writes one command for the garden.
func (g *Garden) render(w *strings.Builder) {
	line := "garden " + g.Name
	for _, a := range g.DNS {
		line += " dns " + a.String()
	}
	if g.Portal != "" {
		line += " portal " + quoted(g.Portal)
	}
	for _, p := range g.Allow {
		line += " allow " + p.String()
	}
	w.WriteString(line + "\n")
}

// gardenKeyArgs are the keys as arguments of their command.
func gardenKeyArgs() []Arg {
	var out []Arg
	for _, k := range GardenKeys() {
		out = append(out, Arg{Name: k.Name, Type: k.Type, Help: k.Help, Many: k.Many})
	}
	return out
}
