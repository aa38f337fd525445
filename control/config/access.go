package config

import (
	"errors"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/acl"
)

// accessList runs "ip access-list KIND NAME", which the permit and deny commands that
// follow belong to. A list that is named again goes on.
func (b *builder) accessList(family acl.Family, args []token) {
	kind, name := acl.Standard, args[2]
	if args[1].text == acl.Extended.String() {
		kind = acl.Extended
	}
	if err := acl.CheckName(name.text); err != nil {
		b.fail(b.at(name), "", "NAME %v", err)
		// Its rules have a place, to be checked like others.
		b.rules = &acl.List{Family: family, Kind: kind}
		return
	}
	for i, l := range b.lists {
		if l.Name != name.text || l.Family != family {
			continue
		}
		if l.Kind != kind {
			b.fail(b.at(args[1]), "", "access list %s was begun as %v", name.text, l.Kind)
		}
		b.rules = b.lists[i]
		return
	}
	b.rules = &acl.List{Name: name.text, Family: family, Kind: kind}
	if len(acl.Sets(b.accessLists())) >= acl.MaxLists && !b.hasAccessList(name.text) {
		b.fail(b.at(name), "", "there are more than %d access lists", acl.MaxLists)
		return
	}
	b.lists = append(b.lists, b.rules)
}

// rule runs "permit ..." and "deny ...".
func (b *builder) rule(verdict string, args []token) {
	l := b.rules
	here := Pos{b.pos.File, b.pos.Line, 1}
	if l == nil {
		b.fail(here, "begin with \"ip access-list extended NAME\"", "%s belongs to no access list", verdict)
		return
	}
	words := []string{verdict}
	for _, t := range args {
		words = append(words, t.text)
	}
	r, err := l.Rule(words)
	var fault *acl.Error
	switch {
	case errors.As(err, &fault):
		b.ruleFault(fault, args)
	case len(l.Rules) == acl.MaxRules:
		b.fail(here, "", "access list %s has more than %d rules", l.Name, acl.MaxRules)
	default:
		l.Rules = append(l.Rules, r)
	}
}

// ruleFault points to the word that is wrong, of which the first is the verdict.
func (b *builder) ruleFault(fault *acl.Error, args []token) {
	at, hint := args[len(args)-1], ""
	if fault.Word >= 1 && fault.Word <= len(args) {
		at = args[fault.Word-1]
		if n := nearest(strings.ToLower(at.text), fault.Known); n != "" {
			hint = "did you mean " + n + "?"
		}
	}
	b.fail(b.at(at), hint, "%s", fault.Message)
}

func (b *builder) hasAccessList(name string) bool {
	return slices.ContainsFunc(b.lists, func(l *acl.List) bool { return l.Name == name })
}

// accessLists are the lists as far as they are read.
func (b *builder) accessLists() []acl.List {
	var lists []acl.List
	for _, l := range b.lists {
		lists = append(lists, *l)
	}
	return lists
}

// accessListArgs are the arguments of the command that begins a list.
func accessListArgs() []Arg {
	return []Arg{
		{Name: "access-list", Type: "word", Words: []string{"access-list"}},
		{Name: "KIND", Type: "word", Words: []string{acl.Standard.String(), acl.Extended.String()}},
		{Name: "NAME", Type: "name", Help: "Name of the list, as Filter-Id gives it."},
	}
}

func accessListCommands() []Command {
	rule := []Arg{{Name: "RULE", Type: "rule", Help: "Addresses, and in an extended list protocol, ports and flags.", Rest: true}}
	list := func(f acl.Family) func(*builder, []token) {
		return func(b *builder, args []token) { b.accessList(f, args) }
	}
	verdict := func(v string) func(*builder, []token) {
		return func(b *builder, args []token) { b.rule(v, args) }
	}
	return []Command{
		{Name: "ip", Help: "Begin an access list for IPv4.", run: list(acl.IPv4), Args: accessListArgs()},
		{Name: "ipv6", Help: "Begin an access list for IPv6.", run: list(acl.IPv6), Args: accessListArgs()},
		{Name: "permit", Help: "Add a rule to the access list: what matches may pass.", run: verdict("permit"), Args: rule, within: true},
		{Name: "deny", Help: "Add a rule to the access list: what matches is dropped.", run: verdict("deny"), Args: rule, within: true},
	}
}

// renderLists writes lists as commands.
func renderLists(w *strings.Builder, lists []acl.List) {
	for i := range lists {
		l := &lists[i]
		w.WriteString(l.Command() + "\n")
		for _, r := range l.Rules {
			w.WriteString(" " + l.Text(r) + "\n")
		}
	}
}
