package cli

import (
	"context"
	"fmt"
	"strings"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/api/lnsv1"
)

// enterConfig begins "configure terminal".
func (s *shell) enterConfig(ctx context.Context, _ []string) {
	g, err := s.readGrammar(ctx)
	if err != nil {
		text, _ := explain(err, "")
		s.say("%% %s", text)
		return
	}
	s.mode, s.grammar = modeConfig, g
	s.say("Each line is in force at once; \"write memory\" keeps it for the next start. exit or ^Z leaves.")
}

func (s *shell) readGrammar(ctx context.Context) (g *lnsv1.GrammarReply, err error) {
	a := s.app(nil)
	err = a.callFor(ctx, completionTimeout*5, func(ctx context.Context, c *api.Client) (err error) {
		g, err = c.Grammar(ctx, &lnsv1.GrammarRequest{})
		return err
	})
	return g, err
}

// leaveConfig says what did not come into force, if there is any.
func (s *shell) leaveConfig() {
	for _, l := range s.pending {
		s.say("%% not in force: %s", l.Text)
	}
	s.mode, s.grammar, s.within, s.pending = modeExec, nil, "", nil
}

// configWords are the shell's own words among the commands of the configuration.
func configWords() []*branch {
	return []*branch{
		{word: "do", help: "Carry out a command that shows"},
		{word: "end", help: "Leave the configuration"},
		{word: "exit", help: "Leave the access list, or the configuration"},
		{word: "no", help: "Take back what a command says"},
	}
}

// configTree is the first words of the configuration's commands.
func (s *shell) configTree() *branch {
	root := &branch{children: configWords()}
	for _, c := range s.grammar.Commands {
		root.children = append(root.children, &branch{word: c.Name, help: c.Help})
	}
	root.sort()
	return root
}

// configLine carries out a line of the configuration.
func (s *shell) configLine(ctx context.Context, text string) {
	text, err := s.expand(text)
	if err != nil {
		s.say("%% %v", err)
		return
	}
	first, rest, _ := strings.Cut(text, " ")
	switch first {
	case "end":
		s.leaveConfig()
	case "exit":
		if s.within != "" {
			s.within = ""
			return
		}
		s.leaveConfig()
	case "do":
		s.execLine(ctx, rest)
	default:
		s.configure(ctx, text)
	}
}

// expand writes out the abbreviations at the beginning of a line: the command, and the
// name of a setting. What follows stays as it was entered, with its quotes.
func (s *shell) expand(text string) (string, error) {
	root := s.configTree()
	word, rest, _ := strings.Cut(text, " ")
	full, err := one(root, word)
	if err != nil {
		return "", err
	}
	rest = strings.TrimLeft(rest, " ")
	switch full {
	case "no":
		if rest == "" {
			return "", fmt.Errorf("no what?")
		}
		inner, err := s.expand(rest)
		return "no " + inner, err
	case "set":
		name, value, more := strings.Cut(rest, " ")
		settings := &branch{}
		for _, x := range s.grammar.Settings {
			settings.children = append(settings.children, &branch{word: x.Name})
		}
		found := settings.match(name)
		switch {
		case len(found) > 1:
			return "", fmt.Errorf("ambiguous setting: %s may be %s", name, names(found))
		case len(found) == 1:
			name = found[0].word
		}
		// A name that is not in the table may be one of l2tpns', which the daemon knows.
		rest = name
		if more {
			rest += " " + value
		}
	}
	if rest == "" {
		return full, nil
	}
	return full + " " + rest, nil
}

// one is the only word that another stands for. What no word begins with is left for
// the daemon to judge.
func one(n *branch, word string) (string, error) {
	switch found := n.match(word); len(found) {
	case 0:
		return word, nil
	case 1:
		return found[0].word, nil
	default:
		return "", fmt.Errorf("ambiguous command: %s may be %s", word, names(found))
	}
}

// configure sends a line to the daemon, with those that wait for it.
func (s *shell) configure(ctx context.Context, text string) {
	command := s.grammarCommand(strings.TrimPrefix(text, "no "))
	line := &lnsv1.ConfigLine{Text: text}
	switch {
	case command.GetWithin():
		line.Within = s.within
	case strings.HasPrefix(text, "no "):
		s.within = ""
	default:
		s.within = ""
		if s.hasParts(command.GetName()) {
			s.within = text
		}
	}
	lines := append(s.pending, line)
	var reply *lnsv1.ConfigureReply
	a := s.app(nil)
	err := a.call(ctx, func(ctx context.Context, c *api.Client) (err error) {
		reply, err = c.Configure(ctx, &lnsv1.ConfigureRequest{Lines: lines})
		return err
	})
	switch {
	case err != nil:
		s.within = line.Within
		message, _ := explain(err, a.where())
		s.say("%% %s", message)
	case !reply.Applied:
		s.pending = lines
		for _, m := range reply.Missing {
			s.say("%% not yet in force: %s", m)
		}
	default:
		s.pending = nil
		for _, n := range reply.Notes {
			s.say("%% %s", n)
		}
	}
}

// grammarCommand is the configuration's command that a line begins with, nil for none.
func (s *shell) grammarCommand(text string) *lnsv1.GrammarCommand {
	first, _, _ := strings.Cut(text, " ")
	for _, c := range s.grammar.Commands {
		if c.Name == first {
			return c
		}
	}
	return nil
}

// hasParts reports whether lines that follow a command can be part of it: it is so for
// those that begin an access list.
func (s *shell) hasParts(name string) bool { return name == "ip" || name == "ipv6" }
