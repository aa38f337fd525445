package cli

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// choice is something that can stand at a place of a line. Those whose word is in angle
// brackets describe what can; they are not completed.
type choice struct{ word, help string }

// key answers Tab and ?, the keys that the line editor does not know.
func (s *shell) key(ctx context.Context, line string, pos int, key rune) (string, int, bool) {
	before := line[:pos]
	switch key {
	case '?':
		if strings.Count(before, `"`)%2 == 1 {
			return "", 0, false
		}
		s.help(ctx, before)
		return line, pos, true
	case '\t':
		done := s.complete(ctx, before)
		return done + line[pos:], len(done), true
	}
	return "", 0, false
}

// help prints what can stand where the cursor is.
func (s *shell) help(ctx context.Context, before string) {
	choices, _ := s.choices(ctx, before)
	width := 0
	for _, c := range choices {
		width = max(width, min(len(c.word), 32))
	}
	fmt.Fprintf(s.term, "\n")
	if len(choices) == 0 {
		s.say("%% nothing fits here")
	}
	for _, c := range choices {
		fmt.Fprintf(s.term, "  %s\n", strings.TrimRight(fmt.Sprintf("%-*s  %s", width, escape(c.word), escape(c.help)), " "))
	}
}

// complete returns the line up to the cursor with what can follow in one way only.
func (s *shell) complete(ctx context.Context, before string) string {
	choices, word := s.choices(ctx, before)
	var words []string
	for _, c := range choices {
		if !strings.HasPrefix(c.word, "<") {
			words = append(words, c.word)
		}
	}
	common := commonPrefix(words)
	if len(common) < len(word) || len(words) == 0 {
		return before
	}
	done := before[:len(before)-len(word)] + quoteWord(common)
	switch {
	case len(words) == 1:
		return done + " "
	case common == word:
		s.help(ctx, before)
	}
	return done
}

func quoteWord(w string) string {
	if strings.ContainsAny(w, " \t") {
		return `"` + w + `"`
	}
	return w
}

func commonPrefix(words []string) string {
	if len(words) == 0 {
		return ""
	}
	p := words[0]
	for _, w := range words[1:] {
		for !strings.HasPrefix(w, p) {
			p = p[:len(p)-1]
		}
	}
	return p
}

// choices are what can stand at the end of a line, and the word that stands there yet.
func (s *shell) choices(ctx context.Context, before string) ([]choice, string) {
	parts := pipes(before)
	if len(parts) > 1 {
		return filterChoices(parts[len(parts)-1])
	}
	words, err := splitWords(before)
	if err != nil {
		return nil, ""
	}
	last := ""
	if len(words) > 0 && !strings.HasSuffix(before, " ") {
		words, last = words[:len(words)-1], words[len(words)-1]
	}
	if s.mode == modeConfig {
		return s.configChoices(ctx, words, last), last
	}
	return s.execChoices(ctx, words, last), last
}

func filterChoices(text string) ([]choice, string) {
	text = strings.TrimLeft(text, " ")
	word, _, more := strings.Cut(text, " ")
	if more {
		return []choice{{"<REGEXP>", "A regular expression"}}, ""
	}
	return nodeChoices(filterVerbs(), word), word
}

func nodeChoices(ns []*branch, prefix string) (out []choice) {
	for _, n := range ns {
		if strings.HasPrefix(n.word, prefix) {
			out = append(out, choice{n.word, n.help})
		}
	}
	return out
}

// execChoices are those of the commands.
func (s *shell) execChoices(ctx context.Context, words []string, last string) []choice {
	at, _, rest, err := s.tree().descend(words)
	if err != nil {
		return nil
	}
	var out []choice
	if len(rest) == 0 {
		out = nodeChoices(at.children, last)
	} else if !at.isCommand() {
		return nil
	}
	args := at.arguments()
	if len(rest) < len(args) {
		out = append(out, s.argChoices(ctx, args[len(rest)], last)...)
	}
	if at.isCommand() && last == "" {
		if len(rest) >= len(args) || args[len(rest)].optional {
			out = append(out, choice{"<Enter>", at.help})
		}
		if at.cmd != nil && strings.HasPrefix(at.cmd.words, "show") {
			out = append(out, choice{"|", "Filter what is shown"})
		}
	}
	return out
}

// argChoices describes an argument and offers the values that there are.
func (s *shell) argChoices(ctx context.Context, g arg, last string) []choice {
	var out []choice
	if last == "" {
		out = append(out, choice{"<" + strings.Trim(g.name, "<>") + ">", ""})
	}
	if g.kind.complete == nil {
		return out
	}
	var words []string
	a := s.app(nil)
	err := a.callFor(ctx, completionTimeout, func(ctx context.Context, c *api.Client) (err error) {
		words, err = g.kind.complete(ctx, c, last)
		return err
	})
	if err != nil {
		return out
	}
	slices.Sort(words)
	for _, w := range words {
		word, remark, _ := strings.Cut(w, "\t")
		out = append(out, choice{word, remark})
	}
	return out
}

// configChoices are those of the configuration's commands.
func (s *shell) configChoices(ctx context.Context, words []string, last string) []choice {
	root := s.configTree()
	no := false
	for len(words) > 0 {
		first, err := one(root, words[0])
		if err != nil {
			return nil
		}
		switch first {
		case "no":
			no, words = true, words[1:]
			continue
		case "do":
			return s.execChoices(ctx, words[1:], last)
		}
		command := s.grammarCommand(first)
		if command == nil {
			return nil
		}
		if command.Name == "set" {
			return s.settingChoices(words[1:], last, no)
		}
		return commandChoices(command, words[1:], last)
	}
	out := nodeChoices(root.children, last)
	if s.within == "" {
		out = slices.DeleteFunc(out, func(c choice) bool { return s.grammarCommand(c.word).GetWithin() })
	}
	return out
}

// commandChoices goes by the arguments of a command of the configuration.
func commandChoices(c *lnsv1.GrammarCommand, words []string, last string) (out []choice) {
	i := min(len(words), max(0, len(c.Args)-1))
	if len(c.Args) == 0 || len(words) > i && !c.Args[i].Rest {
		return nil
	}
	a := c.Args[i]
	switch {
	case a.Rest && len(c.Keys) > 0 && (len(words)-i)%2 == 0:
		for _, k := range c.Keys {
			if strings.HasPrefix(k.Name, last) {
				out = append(out, choice{k.Name, k.Help})
			}
		}
		return out
	case a.Rest && len(c.Keys) > 0:
		key := words[len(words)-1]
		for _, k := range c.Keys {
			if k.Name == key {
				return valueChoices("<VALUE>", k.Help, k.Words, last)
			}
		}
		return nil
	}
	return valueChoices("<"+a.Name+">", a.Help, append(a.Words, a.Known...), last)
}

func valueChoices(what, help string, words []string, last string) (out []choice) {
	if last == "" && help != "" {
		out = append(out, choice{what, help})
	}
	for _, w := range words {
		if strings.HasPrefix(w, last) {
			out = append(out, choice{w, ""})
		}
	}
	return out
}

// settingChoices are those of "set NAME VALUE", with what is in force.
func (s *shell) settingChoices(words []string, last string, no bool) (out []choice) {
	if len(words) == 0 {
		for _, x := range s.grammar.Settings {
			if strings.HasPrefix(x.Name, last) {
				out = append(out, choice{x.Name, x.Help})
			}
		}
		return out
	}
	for _, x := range s.grammar.Settings {
		if x.Name != words[0] || len(words) > 1 || no {
			continue
		}
		help := x.Type
		for _, more := range []string{x.Unit, x.Range} {
			if more != "" {
				help += ", " + more
			}
		}
		help += fmt.Sprintf("; now %s, %s unless set; takes effect: %s", or(x.Value, "none"), or(x.DefaultValue, "none"), x.Apply)
		return valueChoices("<VALUE>", help, x.Words, last)
	}
	return nil
}
