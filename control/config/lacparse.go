package config

import "strings"

// lacDraft is a lac command, perhaps of several lines, before the settings that it
// inherits from are all known.
type lacDraft struct {
	name  string
	pos   Pos
	given []lacGiven
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
	for _, d := range b.lacs {
		if d.broken {
			continue
		}
		l := b.c.Unknown()
		l.Name = d.name
		for _, g := range d.given {
			text, err := g.key.parse(&l, g.value)
			if err != nil {
				b.fail(g.pos, "", "%s %v", g.key.Name, err)
				continue
			}
			l.Given = append(l.Given, LACText{g.key.Name, Secret(text)})
		}
		// A secret of its own is there to be checked, as the global one is.
		if d.has("secret") && !d.has("challenge") {
			l.Challenge = b.c.L2TP.Challenge.Or(l.Secret != "")
		}
		if l.Challenge && l.Secret == "" {
			b.fail(d.pos, "give it a secret, or challenge no", "lac %s is to be challenged but has no secret", d.name)
		}
		if !d.has("address") && !d.has("hostname") {
			b.fail(d.pos, "", "lac %s has neither address nor hostname", d.name)
		}
		if l.Pool != "" && !b.hasPool(l.Pool) {
			b.fail(d.pos, "", "lac %s takes addresses from pool %s, which has none", d.name, printable(l.Pool))
		}
		for key, pool := range map[string]string{"ipv6_pool": l.Pool6, "ipv6_pd_pool": l.PDPool} {
			if d.has(key) && !b.c.HasPool6(pool) {
				b.fail(d.pos, "", "lac %s takes prefixes from pool %s, which has none", d.name, printable(pool))
			}
		}
		b.c.LACs = append(b.c.LACs, l)
	}
}
