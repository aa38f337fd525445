package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"
)

// branch is one word of the commands that a shell knows.
type branch struct {
	word, help string
	aliases    []string
	// whole words are not to be shortened: what ends the daemon is not entered by a slip.
	whole    bool
	children []*branch
	// A node that is a command has one of these.
	cmd     *command
	builtin func(ctx context.Context, args []string)
	args    []arg // of builtin
}

// resolved is a command line whose abbreviations are written out.
type resolved struct {
	*branch
	words, args []string
}

// tree is the commands of modeExec, for who is enabled or is not.
func (s *shell) tree() *branch {
	root := &branch{}
	for _, c := range s.app(nil).commands() {
		if c.host && !s.env.OnHost || !s.enabled && isPrivileged(c.words) {
			continue
		}
		n := root.at(strings.Fields(c.words))
		n.cmd, n.help, n.whole = &c, c.help, c.words == "shutdown"
		if c.alias != "" {
			n.aliases = append(n.aliases, c.alias)
		}
	}
	for _, b := range s.builtins() {
		n := root.at(strings.Fields(b.words))
		n.builtin, n.help, n.args = b.run, b.help, b.args
	}
	root.sort()
	return root
}

// isPrivileged reports whether a command is for who has entered "enable".
func isPrivileged(words string) bool {
	first, _, _ := strings.Cut(words, " ")
	return !slices.Contains([]string{"show", "uptime", "watch", "top", "explain"}, first)
}

// builtin is a command of the shell itself.
type builtin struct {
	words, help string
	args        []arg
	run         func(ctx context.Context, args []string)
}

func (s *shell) builtins() []builtin {
	leave := func(context.Context, []string) { s.ended = true }
	all := []builtin{
		{"help", "Say how the shell is used", nil, s.usage},
		{"exit", "Leave the shell", nil, leave},
		{"quit", "Leave the shell", nil, leave},
		{"logout", "Leave the shell", nil, leave},
		{"end", "Go back to the commands that show", nil, func(context.Context, []string) {}},
		{"terminal length", "Set how many lines are shown at once; 0 shows all", []arg{{"LINES", false, kind{check: lengthCheck}}}, s.terminalLength},
		{"clear counters", "Count from now on, on this terminal", nil, s.clearCounters},
	}
	if !s.enabled {
		return append(all, builtin{"enable", "Turn on the commands that change things", nil, s.enable})
	}
	if s.env.Intercept != nil && !s.intercept {
		all = append(all, builtin{"enable intercept", "Take the right to intercept", nil, s.enableIntercept})
	}
	return append(all,
		builtin{"disable", "Turn off the commands that change things", nil, s.disable},
		builtin{"configure terminal", "Change the configuration", nil, s.enterConfig},
		builtin{"debug", "Print to this terminal what happens, or a trace of some categories", []arg{{"CATEGORIES", true, categoriesKind()}}, s.startDebug},
		builtin{"no debug", "Print it no more", []arg{{"CATEGORIES", true, categoriesKind()}}, func(context.Context, []string) { s.undebug() }},
	)
}

// at is the node of some words, made if need be.
func (n *branch) at(words []string) *branch {
	for _, w := range words {
		i := slices.IndexFunc(n.children, func(c *branch) bool { return c.word == w })
		if i < 0 {
			help := groupHelp(w)
			n.children = append(n.children, &branch{word: w, help: help})
			i = len(n.children) - 1
		}
		n = n.children[i]
	}
	return n
}

func (n *branch) sort() {
	slices.SortFunc(n.children, func(a, b *branch) int { return strings.Compare(a.word, b.word) })
	for _, c := range n.children {
		c.sort()
	}
}

func (n *branch) isCommand() bool { return n.cmd != nil || n.builtin != nil }

// arguments are what the command takes.
func (n *branch) arguments() []arg {
	switch {
	case n.cmd == nil:
		return n.args
	case n.cmd.arg != nil:
		return []arg{*n.cmd.arg}
	}
	return n.cmd.args
}

// match are the children that a word may stand for: the one of that name, or all that
// begin with it.
func (n *branch) match(word string) []*branch {
	var begin []*branch
	for _, c := range n.children {
		if c.word == word || slices.Contains(c.aliases, word) {
			return []*branch{c}
		}
		if word != "" && !c.whole && strings.HasPrefix(c.word, word) {
			begin = append(begin, c)
		}
	}
	return begin
}

// descend follows words as long as they name children. It returns where it came to, the
// words written out, and those that are left.
func (n *branch) descend(words []string) (*branch, []string, []string, error) {
	var full []string
	for i, w := range words {
		found := n.match(w)
		if len(found) > 1 && i+1 < len(words) {
			found = continued(found, words[i+1])
		}
		switch {
		case len(found) == 1:
			n, full = found[0], append(full, found[0].word)
			continue
		case len(found) > 1 && !n.isCommand():
			return nil, nil, nil, fmt.Errorf("ambiguous command: %s may be %s", strings.Join(words[:i+1], " "), names(found))
		}
		return n, full, words[i:], nil
	}
	return n, full, nil, nil
}

// continued are those of several that the next word can follow, as "conf t" can only be
// "configure terminal"; all of them if that does not tell.
func continued(found []*branch, next string) []*branch {
	var out []*branch
	for _, c := range found {
		takes := len(c.match(next)) > 0
		for _, a := range c.arguments() {
			takes = takes || a.kind.check == nil || a.kind.check(next) == nil
			break
		}
		if takes {
			out = append(out, c)
		}
	}
	if len(out) == 0 {
		return found
	}
	return out
}

func names(ns []*branch) string {
	var out []string
	for _, n := range ns {
		out = append(out, n.word)
	}
	return strings.Join(out, ", ")
}

// resolve finds the command of a line.
func (n *branch) resolve(words []string) (*resolved, error) {
	at, full, rest, err := n.descend(words)
	switch {
	case err != nil:
		return nil, err
	case !at.isCommand() && len(rest) > 0:
		return nil, fmt.Errorf("unknown command: %s (? shows what there is)", strings.Join(append(full, rest[0]), " "))
	case !at.isCommand():
		return nil, fmt.Errorf("incomplete command: %s what? It takes %s", strings.Join(full, " "), names(at.children))
	}
	if at.builtin != nil {
		if err := at.checkBuiltin(rest); err != nil {
			return nil, err
		}
	}
	return &resolved{at, full, rest}, nil
}

func (n *branch) checkBuiltin(args []string) error {
	if len(args) > len(n.args) {
		return fmt.Errorf("%s: nothing more can follow", n.word)
	}
	for i, a := range n.args {
		switch {
		case i >= len(args) && !a.optional:
			return fmt.Errorf("%s is missing", a.name)
		case i < len(args) && a.kind.check != nil:
			if err := a.kind.check(args[i]); err != nil {
				return fmt.Errorf("%s: %w", a.name, err)
			}
		}
	}
	return nil
}
