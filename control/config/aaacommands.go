package config

import (
	"fmt"
	"math"
	"net/netip"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// aaaCommands are the commands about RADIUS servers and what they send.
func aaaCommands() []Command {
	rest := func(what string) Arg {
		return Arg{Name: "KEY VALUE", Type: what, Help: "What holds for it; the command may be repeated.", Rest: true}
	}
	return []Command{
		{Name: "radius_server", Help: "Use a RADIUS server, alone or in a group. Keys: " + keyHelp(serverKeys()), run: (*builder).radiusServer, Keys: keyArgs(serverKeys()),
			Args: []Arg{{Name: "NAME", Type: "name", Help: "Name of the server."}, rest("server")}},
		{Name: "realm", Help: "Say what becomes of the names of a realm (a pattern with * and ?, none for names without). Keys: " + keyHelp(realmKeys()), run: (*builder).realm, Keys: keyArgs(realmKeys()),
			Args: []Arg{{Name: "PATTERN", Type: "pattern", Help: "The realm."}, rest("realm")}},
		{Name: "rate_profile", Help: "Name a pair of rates, for attributes that carry names of policies. Keys: " + keyHelp(rateKeys()), run: (*builder).rateProfile, Keys: keyArgs(rateKeys()),
			Args: []Arg{{Name: "NAME", Type: "name", Help: "Name of the profile."}, rest("rates")}},
		{Name: "radius_map", Help: "Say what an attribute means: " + strings.Join(mapTargets(), ", ") + ". UNIT is " + strings.Join(unitNames(), ", ") + "; integer tells a number from a text.", run: (*builder).radiusMap, keyed: 1,
			Args: []Arg{
				{Name: "ATTRIBUTE", Type: "attribute", Help: "Number, VENDOR.NUMBER, or pair:KEY for a Cisco-AVPair."},
				{Name: "TARGET [UNIT] [integer]", Type: "target", Help: "What it is for.", Rest: true},
			}},
		{Name: "filter_id", Help: "Say what Filter-Id values mean that match a regular expression; VALUE may hold $1. TARGET and UNIT are as in radius_map.", run: (*builder).filterID, keyed: 1,
			Args: []Arg{
				{Name: "REGEXP", Type: "regular expression", Help: "What the whole value must match."},
				{Name: "TARGET VALUE [UNIT]", Type: "target", Help: "What it is for.", Rest: true},
			}},
	}
}

func keyHelp[T any](keys []objectKey[T]) string {
	var parts []string
	for _, k := range keys {
		parts = append(parts, k.name+" ("+strings.TrimSuffix(k.help, ".")+")")
	}
	return strings.Join(parts, ", ") + "."
}

func serverKeys() []objectKey[RADIUSHost] {
	return []objectKey[RADIUSHost]{
		objectRow("address", address(false), func(s *RADIUSHost) *netip.Addr { return &s.Address }, "its address"),
		objectRow("auth_port", number[uint16]("", 0, 65535), func(s *RADIUSHost) *uint16 { return &s.AuthPort }, "1812 unless given, 0 for none"),
		objectRow("acct_port", number[uint16]("", 0, 65535), func(s *RADIUSHost) *uint16 { return &s.AcctPort }, "1813 unless given, 0 for none"),
		secretKey(objectRow("secret", secret(maxString), func(s *RADIUSHost) *Secret { return &s.Secret }, "radius_secret unless given")),
		objectRow("group", named("group name", 64), func(s *RADIUSHost) *string { return &s.Group }, "its group, default unless given"),
		objectRow("priority", number[int]("", 1, 1000), func(s *RADIUSHost) *int { return &s.Priority }, "the lowest number that is up is asked, 1 unless given"),
		objectRow("weight", number[int]("", 1, 1000), func(s *RADIUSHost) *int { return &s.Weight }, "share among those of its priority, 1 unless given"),
		objectRow("status_server", boolean(), func(s *RADIUSHost) *bool { return &s.StatusServer }, "ask by Status-Server before it is used again"),
		objectRow("message_authenticator", auto(), func(s *RADIUSHost) *Auto { return &s.MessageAuthenticator }, "as radius_message_authenticator"),
	}
}

func realmKeys() []objectKey[Realm] {
	return []objectKey[Realm]{
		objectRow("group", named("group name", 64), func(r *Realm) *string { return &r.Group }, "the server group to ask"),
		objectRow("strip", boolean(), func(r *Realm) *bool { return &r.Strip }, "send the name without the realm"),
		objectRow("refuse", boolean(), func(r *Realm) *bool { return &r.Refuse }, "reject without asking"),
	}
}

func rateKeys() []objectKey[RateProfile] {
	return []objectKey[RateProfile]{
		objectRow("up", rate(), func(p *RateProfile) *uint64 { return &p.Up }, "bit/s from the subscriber, with k, M or G"),
		objectRow("down", rate(), func(p *RateProfile) *uint64 { return &p.Down }, "bit/s to the subscriber"),
		objectRow("up_burst", byteCount(), func(p *RateProfile) *uint32 { return &p.UpBurst }, "bytes at once after a pause"),
		objectRow("down_burst", byteCount(), func(p *RateProfile) *uint32 { return &p.DownBurst }, "bytes at once after a pause"),
	}
}

func serverBase(s *RADIUSHost) *Object { return &s.Object }
func realmBase(r *Realm) *Object       { return &r.Object }
func rateBase(p *RateProfile) *Object  { return &p.Object }

func (b *builder) radiusServer(args []token) {
	object(b, &b.c.AAA.Servers, serverBase, serverKeys(), func() RADIUSHost {
		return RADIUSHost{AuthPort: 1812, AcctPort: 1813, Priority: 1, Weight: 1}
	}, args)
	b.mark("radius_server", args[0])
}

func (b *builder) realm(args []token) {
	if _, err := path.Match(args[0].text, ""); err != nil {
		b.fail(b.at(args[0]), "", "PATTERN must be a pattern of letters, * and ?")
		return
	}
	object(b, &b.c.AAA.Realms, realmBase, realmKeys(), func() Realm { return Realm{} }, args)
	b.mark("realm", args[0])
}

func (b *builder) rateProfile(args []token) {
	object(b, &b.c.AAA.Profiles, rateBase, rateKeys(), func() RateProfile { return RateProfile{} }, args)
}

// mark notes where an object was first given, for faults that come of several commands.
func (b *builder) mark(command string, name token) {
	if key := command + " " + name.text; b.seen[key] == (Pos{}) {
		b.seen[key] = b.at(name)
	}
}

// rate is a number of bit/s with a decimal prefix.
func rate() kind[uint64] {
	units := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'm': 1e6, 'G': 1e9, 'g': 1e9}
	const most = 100e12
	return kind[uint64]{
		name: "rate", unit: "bit/s",
		parse: func(s string) (uint64, error) {
			n, scale := s, 1.0
			if len(s) > 0 && units[s[len(s)-1]] != 0 {
				n, scale = s[:len(s)-1], units[s[len(s)-1]]
			}
			f, err := strconv.ParseFloat(n, 64)
			if err != nil || n == "" || strings.Trim(n, "0123456789.") != "" || f*scale > most {
				return 0, fmt.Errorf("must be a rate in bit/s, such as 512k, 20M or 1G, or 0 for no limit")
			}
			return uint64(math.Round(f * scale)), nil
		},
		format: func(v uint64) string {
			for _, u := range []struct {
				letter string
				scale  uint64
			}{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}} {
				if v != 0 && v%u.scale == 0 {
					return strconv.FormatUint(v/u.scale, 10) + u.letter
				}
			}
			return strconv.FormatUint(v, 10)
		},
	}
}

func byteCount() kind[uint32] {
	return kind[uint32]{
		name: "number", unit: "bytes",
		parse: func(s string) (uint32, error) {
			n, err := strconv.ParseUint(s, 10, 32)
			if err != nil {
				return 0, fmt.Errorf("must be a whole number of bytes")
			}
			return uint32(n), nil
		},
		format: func(v uint32) string { return strconv.FormatUint(uint64(v), 10) },
	}
}

// mapTargets are what an attribute can be for.
func mapTargets() []string {
	return []string{
		"rate_up", "rate_down", "rate", "rates_down_up", "rates_up_down", "profile", "profile_up", "profile_down",
		"filter", "filter_up", "filter_down", "garden", "intercept", "session_timeout", "idle_timeout", "interim_interval",
		"pool", "pool6", "pd_pool", "ignore", "refuse",
	}
}

func units() []choice[uint64] {
	return []choice[uint64]{{"bit", 1}, {"byte", 8}, {"kbit", 1e3}, {"mbit", 1e6}, {"gbit", 1e9}}
}

func unitNames() (names []string) {
	for _, u := range units() {
		names = append(names, u.text)
	}
	return names
}

func (b *builder) target(t token) (string, bool) {
	if slices.Contains(mapTargets(), t.text) {
		return t.text, true
	}
	hint := "one of " + strings.Join(mapTargets(), ", ")
	if n := nearest(t.text, mapTargets()); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.at(t), hint, "TARGET is not known")
	return "", false
}

// radiusMap runs "radius_map ATTRIBUTE TARGET [UNIT] [integer]".
func (b *builder) radiusMap(args []token) {
	m, err := parseAttribute(args[0].text)
	if err != nil {
		b.fail(b.at(args[0]), "", "ATTRIBUTE %v", err)
		return
	}
	var ok bool
	if m.Target, ok = b.target(args[1]); !ok {
		return
	}
	m.Unit = 1
	for _, t := range args[2:] {
		if t.text == "integer" {
			m.Integer = true
			continue
		}
		if m.Unit, err = enum(units()).parse(t.text); err != nil {
			b.fail(b.at(t), "", "UNIT %v, or integer", err)
			return
		}
	}
	if m.Integer && !slices.Contains([]string{"rate_up", "rate_down", "rate", "session_timeout", "idle_timeout", "interim_interval", "ignore", "refuse"}, m.Target) {
		b.fail(b.at(args[1]), "", "%s takes no integer", m.Target)
		return
	}
	b.c.AAA.Maps = append(b.c.AAA.Maps, m)
}

// parseAttribute reads "11", "14988.8" or "pair:KEY".
func parseAttribute(s string) (AttributeMap, error) {
	if key, ok := strings.CutPrefix(s, "pair:"); ok {
		if key == "" || strings.ContainsAny(key, "=,# ") {
			return AttributeMap{}, fmt.Errorf("must name a key behind pair:, without #N")
		}
		return AttributeMap{Vendor: 9, Type: 1, Pair: strings.ToLower(key)}, nil
	}
	vendor, number, ok := strings.Cut(s, ".")
	if !ok {
		vendor, number = "0", s
	}
	v, err := strconv.ParseUint(vendor, 10, 24)
	n, err2 := strconv.ParseUint(number, 10, 8)
	if err != nil || err2 != nil || n == 0 || ok && v == 0 || !ok && n == 26 {
		return AttributeMap{}, fmt.Errorf("must be a number, VENDOR.NUMBER or pair:KEY")
	}
	return AttributeMap{Vendor: uint32(v), Type: byte(n)}, nil
}

func (m AttributeMap) render() string {
	name := strconv.Itoa(int(m.Type))
	if m.Vendor != 0 {
		name = strconv.FormatUint(uint64(m.Vendor), 10) + "." + name
	}
	if m.Pair != "" {
		name = "pair:" + m.Pair
	}
	line := "radius_map " + quoted(name) + " " + m.Target
	if m.Unit != 1 {
		line += " " + enum(units()).format(m.Unit)
	}
	if m.Integer {
		line += " integer"
	}
	return line + "\n"
}

// filterID runs "filter_id REGEXP TARGET VALUE [UNIT]".
func (b *builder) filterID(args []token) {
	re, err := regexp.Compile("^(?:" + args[0].text + ")$")
	if err != nil || checkText(args[0].text, maxString) != nil {
		b.fail(b.at(args[0]), "", "REGEXP must be a regular expression")
		return
	}
	m := FilterIDMap{Pattern: re, Unit: 1}
	var ok bool
	if m.Target, ok = b.target(args[1]); !ok {
		return
	}
	if len(args) < 3 {
		b.fail(b.at(args[1]), "usage: filter_id REGEXP TARGET VALUE [UNIT]", "VALUE is missing")
		return
	}
	if m.Value, err = text(maxString).parse(args[2].text); err != nil {
		b.fail(b.at(args[2]), "", "VALUE %v", err)
		return
	}
	if len(args) > 3 {
		if m.Unit, err = enum(units()).parse(args[3].text); err != nil {
			b.fail(b.at(args[3]), "", "UNIT %v", err)
			return
		}
	}
	if len(args) > 4 {
		b.fail(b.at(args[4]), "", "nothing more can follow here")
		return
	}
	b.c.AAA.FilterIDs = append(b.c.AAA.FilterIDs, m)
}

func (m FilterIDMap) render() string {
	re := strings.TrimSuffix(strings.TrimPrefix(m.Pattern.String(), "^(?:"), ")$")
	line := "filter_id " + quoted(re) + " " + m.Target + " " + quoted(m.Value)
	if m.Unit != 1 {
		line += " " + enum(units()).format(m.Unit)
	}
	return line + "\n"
}

// render writes the commands of all of it.
func (a *AAA) render(w *strings.Builder, hide bool) {
	for i := range a.Servers {
		renderObject(w, "radius_server", &a.Servers[i].Object, serverKeys(), hide)
	}
	for i := range a.Realms {
		renderObject(w, "realm", &a.Realms[i].Object, realmKeys(), hide)
	}
	for i := range a.Profiles {
		renderObject(w, "rate_profile", &a.Profiles[i].Object, rateKeys(), hide)
	}
	for _, m := range a.Maps {
		w.WriteString(m.render())
	}
	for _, m := range a.FilterIDs {
		w.WriteString(m.render())
	}
}

// holdsSecrets reports whether a server has a secret of its own.
func (a *AAA) holdsSecrets() bool {
	return slices.ContainsFunc(a.Servers, func(s RADIUSHost) bool { return s.Object.has("secret") })
}

// checkAAA completes the servers and checks what names what.
func (b *builder) checkAAA() {
	a := &b.c.AAA
	for i := range a.Servers {
		s := &a.Servers[i]
		pos := b.seen["radius_server "+s.Name]
		if s.Secret == "" {
			s.Secret = b.c.RADIUS.Secret
		}
		if !s.Object.has("message_authenticator") {
			s.MessageAuthenticator = b.c.RADIUS.MessageAuthenticator
		}
		switch {
		case !s.Address.IsValid():
			b.fail(pos, "", "radius_server %s has no address", s.Name)
		case s.Secret == "":
			b.fail(pos, "give it a secret, or set radius_secret", "radius_server %s has no secret", s.Name)
		case s.AuthPort == 0 && s.AcctPort == 0:
			b.fail(pos, "", "radius_server %s has no port", s.Name)
		}
	}
	groups := b.c.ServerGroups()
	for _, r := range a.Realms {
		if r.Group != "" && !slices.ContainsFunc(groups, func(g ServerGroup) bool { return g.Name == r.Group }) {
			b.fail(b.seen["realm "+r.Name], "", "realm %s is for server group %s, which has no server", r.Name, r.Group)
		}
	}
	if a.Down.Action == DownGarden && a.Down.Garden == "" {
		b.fail(b.where("radius_down"), "set radius_down_garden", "radius_down garden needs the name of a garden")
	}
	if g := a.Down.Garden; g != "" && !slices.ContainsFunc(b.c.Gardens.List, func(x Garden) bool { return x.Name == g }) {
		b.fail(b.where("radius_down_garden"), "define it by a garden command", "there is no garden %s", printable(g))
	}
}
