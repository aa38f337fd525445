package config

import (
	"slices"
	"strings"
)

// lacDraft is a lac command, perhaps of several lines, before the settings that it
// inherits from are all known.
type lacDraft struct {
	name  string
	pos   Pos
	given []lacGiven
	peer  bool // by a peer_profile command
	// broken drafts have had their error; what follows from it says nothing new.
	broken bool
}

type lacGiven struct {
	key   LACKey
	value string
	pos   Pos
}

// lac runs "lac NAME KEY VALUE...".
func (b *builder) lac(args []token) {
	name, err := named("name", 64).parse(args[0].text)
	if err != nil {
		b.fail(b.at(args[0]), "", "NAME %v", err)
		return
	}
	d, faults := b.draft(name, b.at(args[0])), len(b.errs)
	defer func() { d.broken = d.broken || len(b.errs) > faults }()
	keys := LACKeys()
	for rest := args[1:]; len(rest) > 0; rest = rest[2:] {
		key, ok := findKey(keys, rest[0].text)
		if !ok {
			b.unknownKey(keys, rest[0])
			return
		}
		if len(rest) == 1 {
			b.fail(b.at(rest[0]), "", "the value of %s is missing", key.Name)
			return
		}
		if !key.Many && d.has(key.Name) {
			b.fail(b.at(rest[0]), "", "%s is given twice for lac %s", key.Name, name)
			return
		}
		d.given = append(d.given, lacGiven{key, rest[1].text, b.at(rest[1])})
	}
}

func findKey(keys []LACKey, name string) (LACKey, bool) {
	name = strings.TrimSuffix(name, "_name") // as OpenL2TP names profiles
	for _, k := range keys {
		if k.Name == name {
			return k, true
		}
	}
	return LACKey{}, false
}

// unknownKey does not repeat the word: behind a missing key it may be a secret.
func (b *builder) unknownKey(keys []LACKey, t token) {
	var names []string
	for _, k := range keys {
		names = append(names, k.Name)
	}
	hint := "one of " + strings.Join(names, ", ")
	if n := nearest(t.text, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.at(t), hint, "unknown key in a lac command")
}

func (b *builder) draft(name string, pos Pos) *lacDraft {
	for _, d := range b.lacs {
		if d.name == name {
			return d
		}
	}
	d := &lacDraft{name: name, pos: pos}
	b.lacs = append(b.lacs, d)
	return d
}

func (d *lacDraft) has(key string) bool {
	for _, g := range d.given {
		if g.key.Name == key {
			return true
		}
	}
	return false
}

// finishLACs turns the drafts into policies, now that all settings are read.
func (b *builder) finishLACs() {
	b.checkProfiles()
	base := &lacDraft{}
	for _, d := range b.lacs {
		if d.peer && d.name == DefaultProfile && !d.broken {
			base = d
		}
	}
	if e := b.effective(base, &lacDraft{pos: base.pos}); e != nil {
		b.c.UnknownPeer = e
	}
	if base.peer {
		b.c.DefaultPeer = b.finishLAC(base, base)
	}
	for _, d := range b.lacs {
		if d.broken || d == base {
			continue
		}
		if l := b.finishLAC(base, d); l != nil {
			b.checkLAC(d, l)
			b.c.LACs = append(b.c.LACs, *l)
		}
	}
}

// effective is what holds for a peer with what it inherits.
func (b *builder) effective(base, d *lacDraft) *Effective {
	named := links{}
	for _, x := range []*lacDraft{base, d} {
		for _, g := range x.given {
			for _, layer := range []Layer{TunnelLayer, SessionLayer, PPPLayer} {
				if g.key.Name == layer.Command() {
					named[layer] = g.value
				}
			}
		}
	}
	e, err := b.c.resolve(named)
	if err != nil {
		b.fail(d.pos, "", "%s: %v", printable(d.name), err)
		return nil
	}
	if p := e.LAC.Pool; p != "" && !b.hasPool(p) {
		b.fail(d.pos, "", "a profile names pool %s, which has none", printable(p))
	}
	apart := []string{"address", "hostname"}
	for _, x := range []*lacDraft{base, d} {
		e.layer = (&LAC{Name: x.name, Peer: x.peer}).Title()
		for _, g := range x.given {
			if slices.Contains(apart, g.key.Name) {
				continue
			}
			if _, err := g.key.parse(&e.LAC, g.value); err != nil {
				continue // it is said of the draft itself
			}
			if s := lacSettings()[g.key.Name]; s != "" {
				e.said(s)
			}
		}
		// A secret of its own is there to be checked, as the global one is.
		if x.has("secret") && !x.has("challenge") {
			e.LAC.Challenge = e.Config.L2TP.Challenge.Or(e.LAC.Secret != "")
		}
		if x == d && base == d {
			break
		}
	}
	return e
}

// finishLAC makes a policy of a draft; nil where that can't be.
func (b *builder) finishLAC(base, d *lacDraft) *LAC {
	e := b.effective(base, d)
	if e == nil {
		return nil
	}
	l := e.LAC
	l.Name, l.Peer, l.Addresses, l.HostName = d.name, d.peer, nil, ""
	for _, g := range d.given {
		scratch := l
		if g.key.Many {
			scratch = LAC{}
			scratch.Addresses = l.Addresses
		}
		text, err := g.key.parse(&scratch, g.value)
		if err != nil {
			b.fail(g.pos, "", "%s %v", g.key.Name, err)
			continue
		}
		l.Addresses = scratch.Addresses
		if g.key.Name == "hostname" {
			l.HostName = scratch.HostName
		}
		l.Given = append(l.Given, LACText{g.key.Name, Secret(text)})
	}
	e.LAC = l
	l.Effective = e
	return &l
}

// checkLAC finds what is wrong with a policy as a whole.
func (b *builder) checkLAC(d *lacDraft, l *LAC) {
	if l.Challenge && l.Secret == "" {
		b.fail(d.pos, "give it a secret, or challenge no", "lac %s is to be challenged but has no secret", d.name)
	}
	if !d.has("address") && !d.has("hostname") {
		b.fail(d.pos, "", "lac %s has neither address nor hostname", d.name)
	}
	if l.Pool != "" && d.has("pool") && !b.hasPool(l.Pool) {
		b.fail(d.pos, "", "lac %s takes addresses from pool %s, which has none", d.name, printable(l.Pool))
	}
	for key, pool := range map[string]string{"ipv6_pool": l.Pool6, "ipv6_pd_pool": l.PDPool} {
		if d.has(key) && !b.c.HasPool6(pool) {
			b.fail(d.pos, "", "lac %s takes prefixes from pool %s, which has none", d.name, printable(pool))
		}
	}
}
