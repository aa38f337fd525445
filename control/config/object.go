package config

import (
	"strings"
)

// Object is what commands of the form "COMMAND NAME KEY VALUE..." have in common.
type Object struct {
	Name string
	// Given is what the commands said, to render it again.
	Given []LACText
}

// An objectKey is one key of such a command.
type objectKey[T any] struct {
	name, help string
	secret     bool
	// parse sets the value and returns it as it is to be rendered.
	parse func(*T, string) (string, error)
}

func objectRow[T, V any](name string, k kind[V], at func(*T) *V, help string) objectKey[T] {
	return objectKey[T]{name: name, help: help, parse: func(o *T, s string) (string, error) {
		v, err := k.parse(s)
		if err != nil {
			return "", err
		}
		*at(o) = v
		return k.format(v), nil
	}}
}

func secretKey[T any](k objectKey[T]) objectKey[T] { k.secret = true; return k }

// object runs "COMMAND NAME KEY VALUE..." for the list of one command's objects. The
// command may be repeated for a name; what it says adds up. fresh makes an object with
// what holds where the command is silent.
func object[T any](b *builder, list *[]T, base func(*T) *Object, keys []objectKey[T], fresh func() T, args []token) *T {
	name, err := named("name", maxString).parse(args[0].text)
	if err != nil {
		b.fail(b.at(args[0]), "", "NAME %v", err)
		return nil
	}
	o := findObject(*list, base, name)
	if o == nil {
		next := fresh()
		base(&next).Name = name
		*list = append(*list, next)
		o = &(*list)[len(*list)-1]
	}
	for rest := args[1:]; len(rest) > 0; rest = rest[2:] {
		key := findObjectKey(keys, rest[0].text)
		switch {
		case key == nil:
			b.unknownObjectKey(objectNames(keys), rest[0])
			return o
		case len(rest) == 1:
			b.fail(b.at(rest[0]), "", "the value of %s is missing", key.name)
			return o
		case base(o).has(key.name):
			b.fail(b.at(rest[0]), "", "%s is given twice for %s", key.name, printable(name))
			return o
		}
		text, err := key.parse(o, rest[1].text)
		if err != nil {
			b.fail(b.at(rest[1]), "", "%s %v", key.name, err)
			return o
		}
		base(o).Given = append(base(o).Given, LACText{key.name, Secret(text)})
	}
	return o
}

func findObject[T any](list []T, base func(*T) *Object, name string) *T {
	for i := range list {
		if base(&list[i]).Name == name {
			return &list[i]
		}
	}
	return nil
}

func findObjectKey[T any](keys []objectKey[T], name string) *objectKey[T] {
	for i := range keys {
		if keys[i].name == name {
			return &keys[i]
		}
	}
	return nil
}

func objectNames[T any](keys []objectKey[T]) (names []string) {
	for _, k := range keys {
		names = append(names, k.name)
	}
	return names
}

// unknownObjectKey does not repeat the word: behind a missing key it may be a secret.
func (b *builder) unknownObjectKey(names []string, t token) {
	hint := "one of " + strings.Join(names, ", ")
	if n := nearest(t.text, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.at(t), hint, "unknown key")
}

func (o *Object) has(key string) bool {
	for _, g := range o.Given {
		if g.Key == key {
			return true
		}
	}
	return false
}

// renderObject writes one command for the object. A hidden secret gets a line of its
// own, for the rest to be usable as it is.
func renderObject[T any](w *strings.Builder, command string, o *Object, keys []objectKey[T], hide bool) {
	line, given := command+" "+quoted(o.Name), 0
	for _, g := range o.Given {
		if hide && findObjectKey(keys, g.Key).secret {
			w.WriteString("# " + command + " " + quoted(o.Name) + " " + g.Key + " " + hidden + "\n")
			continue
		}
		line += " " + g.Key + " " + quoted(g.Value.Reveal())
		given++
	}
	if given > 0 {
		w.WriteString(line + "\n")
	}
}

// keyArgs are the keys as arguments of their command.
func keyArgs[T any](keys []objectKey[T]) []Arg {
	var out []Arg
	for _, k := range keys {
		out = append(out, Arg{Name: k.name, Help: k.help, Secret: k.secret})
	}
	return out
}

// Names are the names that the configuration has for one command, such as those of all
// LACs for "lac".
func (c *Config) Names(command string) (names []string) {
	switch command {
	case "pool":
		for _, p := range c.Pools {
			names = append(names, p.Name)
		}
	case "pool6":
		for _, p := range c.Pools6 {
			names = append(names, p.Name)
		}
	case "lac", PeerLayer.Command():
		for _, l := range c.lacs(command != "lac") {
			names = append(names, l.Name)
		}
	case TunnelLayer.Command(), SessionLayer.Command(), PPPLayer.Command():
		for _, l := range Layers() {
			for _, p := range c.Profiles[l] {
				if l.Command() == command {
					names = append(names, p.Name)
				}
			}
		}
	case "tunnel":
		for i := range c.Outgoing.Tunnels {
			names = append(names, c.Outgoing.Tunnels[i].Name)
		}
	case "session":
		for i := range c.Outgoing.Calls {
			names = append(names, c.Outgoing.Calls[i].Name)
		}
	case "garden":
		for i := range c.Gardens.List {
			names = append(names, c.Gardens.List[i].Name)
		}
	case "radius_server":
		for i := range c.AAA.Servers {
			names = append(names, c.AAA.Servers[i].Name)
		}
	case "realm":
		for i := range c.AAA.Realms {
			names = append(names, c.AAA.Realms[i].Name)
		}
	case "rate_profile":
		for i := range c.AAA.Profiles {
			names = append(names, c.AAA.Profiles[i].Name)
		}
	case "dae_client":
		for i := range c.DAE.Clients {
			names = append(names, c.DAE.Clients[i].Name)
		}
	}
	return names
}
