package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Line is one command as an operator enters it. With "no" before it, it takes back what
// the command says.
type Line struct {
	// Within is the command that Text is a part of, such as "ip access-list standard A";
	// empty for commands that stand by themselves.
	Within string
	Text   string
}

// ErrNothing is a "no" that finds nothing to take back.
var ErrNothing = errors.New("there is no such command in the configuration")

// Edit changes the text of a startup-config by one command: it replaces the line that
// says otherwise, or adds one. All other lines stay as they are, comments included. The
// result is not checked; that is for Parse.
func Edit(text string, l Line) (string, error) {
	toks, fault := words(l.Text)
	switch {
	case fault != nil:
		return "", errors.New(fault.Message)
	case len(toks) == 0:
		return text, nil
	}
	args := make([]string, len(toks))
	for i, t := range toks {
		args[i] = t.text
	}
	e := &edit{commands: map[string]Command{}}
	for _, c := range Commands() {
		e.commands[c.Name] = c
	}
	e.read(text)
	if err := e.apply(l.Within, args); err != nil {
		return "", err
	}
	return e.text(), nil
}

// edit is a startup-config while it is changed.
type edit struct {
	commands map[string]Command
	lines    []editLine
}

// editLine is a line, with its words unless it is blank, a comment or broken.
type editLine struct {
	raw   string
	words []string
	// header is the line that this one is part of, -1 for none.
	header int
}

func (e *edit) read(text string) {
	for raw := range strings.Lines(text) {
		e.lines = append(e.lines, e.parse(strings.TrimRight(raw, "\r\n")))
	}
	e.number()
}

func (e *edit) parse(raw string) editLine {
	toks, err := words(raw)
	l := editLine{raw: raw}
	if err == nil {
		for _, t := range toks {
			l.words = append(l.words, t.text)
		}
	}
	return l
}

// number finds the header of each line.
func (e *edit) number() {
	header := -1
	for i := range e.lines {
		l := &e.lines[i]
		l.header = -1
		switch {
		case len(l.words) == 0:
		case e.commands[l.words[0]].within:
			l.header = header
		case isHeader(l.words):
			header = i
		default:
			header = -1
		}
	}
}

// isHeader reports whether commands can be part of this one.
func isHeader(w []string) bool { return len(w) > 1 && (w[0] == "ip" || w[0] == "ipv6") }

func (e *edit) text() string {
	var b strings.Builder
	for _, l := range e.lines {
		b.WriteString(l.raw + "\n")
	}
	return b.String()
}

func (e *edit) apply(within string, args []string) error {
	no := args[0] == "no"
	if no {
		args = args[1:]
	}
	if len(args) == 0 {
		return errors.New("no what?")
	}
	cmd, known := e.commands[args[0]]
	switch {
	case cmd.within && known:
		return e.part(within, args, no)
	case known && cmd.isObject() && no:
		return e.takeBack(cmd, args)
	case known && cmd.isObject():
		return e.object(cmd, args)
	case no && args[0] == "set" && len(args) > 2:
		return errors.New("usage: no set NAME")
	case no:
		return e.remove(e.matching(canonical(args)))
	case isHeader(args):
		if len(e.matching(args)) == 0 {
			e.add(args)
		}
		return nil
	}
	e.replace(canonical(args), cmd.keyed)
	return nil
}

// canonical names a setting by its first name, so that one way of writing it replaces
// the other.
func canonical(args []string) []string {
	if args[0] != "set" || len(args) < 2 {
		return args
	}
	settings := Settings()
	at := func(name string) int {
		return slices.IndexFunc(settings, func(s Setting) bool { return s.Name == name })
	}
	i := at(args[1])
	if i < 0 || settings[i].Alias == "" {
		return args
	}
	of := settings[at(settings[i].Alias)]
	if len(args) < 3 {
		return []string{"set", of.Name}
	}
	c := Default("")
	if settings[i].parse(c, args[2]) != nil {
		return args // it is refused when the whole is read
	}
	return []string{"set", of.Name, of.format(c)}
}

// isObject reports whether the command is of the form "COMMAND NAME KEY VALUE...".
func (c Command) isObject() bool {
	return len(c.Args) == 2 && c.Args[1].Rest && c.Args[1].Name == "KEY VALUE"
}

// matching are the lines that begin with these words.
func (e *edit) matching(w []string) (at []int) {
	for i, l := range e.lines {
		if len(w) > 0 && len(l.words) >= len(w) && l.header < 0 && slices.Equal(canonical(l.words)[:len(w)], w) {
			at = append(at, i)
		}
	}
	return at
}

// remove takes out lines, with what is part of them.
func (e *edit) remove(at []int) error {
	if len(at) == 0 {
		return ErrNothing
	}
	var kept []editLine
	for i, l := range e.lines {
		if !slices.Contains(at, i) && !slices.Contains(at, l.header) {
			kept = append(kept, l)
		}
	}
	e.lines = kept
	e.number()
	return nil
}

// replace puts a line in the place of the last with the same first words, of which
// there are keyed behind the command; 0 stands for the whole line.
func (e *edit) replace(args []string, keyed int) {
	n := len(args)
	if keyed > 0 {
		n = min(n, 1+keyed)
	}
	if at := e.matching(args[:n]); len(at) > 0 {
		e.put(at[len(at)-1], args)
		return
	}
	e.add(args)
}

// put writes a line anew, in the place and with the indent of what was there; a line
// that says the same already keeps its looks.
func (e *edit) put(i int, w []string) {
	old := e.lines[i]
	if slices.Equal(old.words, w) {
		return
	}
	indent := old.raw[:len(old.raw)-len(strings.TrimLeft(old.raw, " \t"))]
	e.lines[i].raw, e.lines[i].words = indent+join(w), w
}

func join(w []string) string {
	out := make([]string, len(w))
	for i, s := range w {
		out[i] = quoted(s)
	}
	return strings.Join(out, " ")
}

// add puts a new line behind those of its kind, or behind the comment that shows how it
// would be written.
func (e *edit) add(w []string) {
	at := len(e.lines)
	if w[0] == "set" && len(w) > 1 {
		for i, l := range e.lines {
			f := strings.Fields(strings.TrimLeft(strings.TrimSpace(l.raw), "#! "))
			if len(l.words) == 0 && len(f) > 2 && f[0] == "set" && f[1] == w[1] {
				at = i + 1
			}
		}
	} else if w[0] != "set" {
		for i, l := range e.lines {
			if len(l.words) > 0 && l.header < 0 && l.words[0] == w[0] && !isHeader(w) {
				at = i + 1
			}
		}
	}
	e.insert(at, editLine{raw: join(w), words: w})
}

func (e *edit) insert(at int, l editLine) {
	e.lines = slices.Insert(e.lines, at, l)
	e.number()
}

// part adds or takes away a command that is part of another.
func (e *edit) part(within string, args []string, no bool) error {
	header, _ := words(within)
	var w []string
	for _, t := range header {
		w = append(w, t.text)
	}
	at := e.matching(w)
	if len(w) == 0 || len(at) == 0 {
		return fmt.Errorf("%s belongs to no access list: begin with \"ip access-list extended NAME\"", args[0])
	}
	last := at[len(at)-1]
	for i, l := range e.lines {
		if !slices.Contains(at, l.header) {
			continue
		}
		last = max(last, i)
		if slices.Equal(l.words, args) {
			if no {
				e.lines = slices.Delete(e.lines, i, i+1)
				e.number()
			}
			return nil
		}
	}
	if no {
		return ErrNothing
	}
	e.insert(last+1, editLine{raw: " " + join(args), words: args})
	return nil
}
