package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/lnsd/lnsd/control/acl"
)

// maxFaults ends the reading of a file that is something else altogether.
const maxFaults = 20

// Options are what the text of a startup-config does not say itself.
type Options struct {
	// HostName is used where the file sets none.
	HostName string
	// Pool is the text of the ip_pool file, named PoolFile in errors.
	Pool, PoolFile string
	// Files is copied to the result.
	Files Files
}

// Default returns the configuration of an empty file.
func Default(hostName string) *Config { return defaults(Settings(), hostName) }

func defaults(settings []Setting, hostName string) *Config {
	c := &Config{Hostname: hostName}
	for _, s := range settings {
		if s.Default == "" {
			continue
		}
		if err := s.parse(c, s.Default); err != nil {
			// A table that contradicts itself is found by any test at all.
			panic("config: default of " + s.Name + " " + err.Error())
		}
	}
	return c
}

// Parse checks the text of a startup-config, which errors call file. The error is
// of type Errors and names every fault; the warnings are valid even then.
func Parse(file, text string, o Options) (*Config, []Warning, error) {
	b := newBuilder(file, o)
	n := 0
	for line := range strings.Lines(text) {
		n++
		b.line(n, strings.TrimRight(line, "\r\n"))
		if len(b.errs) >= maxFaults {
			return nil, b.warnings, b.errs
		}
	}
	if o.PoolFile != "" {
		b.poolFile(o.PoolFile, o.Pool)
	}
	single := len(b.errs)
	b.finish()
	for _, e := range b.errs[single:] {
		e.Whole = true
	}
	if len(b.errs) > 0 {
		// Some faults are seen only at the end; the reader goes by the file.
		slices.SortStableFunc(b.errs, func(x, y *Error) int { return b.order(x.Pos, y.Pos) })
		return nil, b.warnings, b.errs
	}
	return b.c, b.warnings, nil
}

// builder is the state of one reading.
type builder struct {
	c        *Config
	pos      Pos // of the command at hand
	settings map[string]Setting
	commands map[string]Command
	legacy   legacy
	// seen is where each setting was given, for faults that come of several.
	seen     map[string]Pos
	lacs     []*lacDraft
	prefixes []poolPrefix // of all pools, as given
	given    map[poolPrefix]bool
	pools    map[string]int // index in c.Pools
	lists    []*acl.List
	rules    *acl.List // that permit and deny belong to, nil for none
	warnings []Warning
	errs     Errors
}

func newBuilder(file string, o Options) *builder {
	settings := Settings()
	b := &builder{
		c: defaults(settings, o.HostName), pos: Pos{File: file},
		settings: map[string]Setting{}, commands: map[string]Command{},
		legacy: newLegacy(), seen: map[string]Pos{},
		given: map[poolPrefix]bool{}, pools: map[string]int{},
	}
	b.c.Files = o.Files
	for _, s := range settings {
		b.settings[s.Name] = s
	}
	for _, c := range Commands() {
		b.commands[c.Name] = c
	}
	return b
}

func (b *builder) fail(pos Pos, hint, format string, args ...any) {
	b.errs = append(b.errs, &Error{Pos: pos, Message: fmt.Sprintf(format, args...), Hint: hint})
}

func (b *builder) warn(pos Pos, format string, args ...any) {
	b.warnings = append(b.warnings, Warning{pos, fmt.Sprintf(format, args...)})
}

func (b *builder) at(t token) Pos { return Pos{b.pos.File, b.pos.Line, t.col} }

// order compares places as they are read: the ip_pool file after the other.
func (b *builder) order(x, y Pos) int {
	rank := func(p Pos) int {
		if p.File == b.pos.File {
			return 0
		}
		return 1
	}
	return cmp.Or(rank(x)-rank(y), cmp.Compare(x.Line, y.Line), cmp.Compare(x.Col, y.Col))
}

// line reads one line of the startup-config.
func (b *builder) line(n int, line string) {
	b.pos.Line = n
	toks, err := words(line)
	if err != nil {
		err.File, err.Line = b.pos.File, n
		b.errs = append(b.errs, err)
		return
	}
	if len(toks) == 0 {
		return
	}
	cmd, ok := b.commands[toks[0].text]
	if !cmd.within {
		b.rules = nil
	}
	if ok {
		b.command(cmd, toks)
		return
	}
	if b.legacyCommand(toks) {
		return
	}
	b.unknownCommand(toks[0])
}

func (b *builder) command(cmd Command, toks []token) {
	args := toks[1:]
	for i, a := range cmd.Args {
		if i >= len(args) && a.Optional {
			break
		}
		if i >= len(args) {
			end := Pos{b.pos.File, b.pos.Line, toks[len(toks)-1].col}
			b.fail(end, "usage: "+cmd.Usage(), "%s is missing", a.Name)
			return
		}
		if len(a.Words) > 0 && !slices.Contains(a.Words, args[i].text) {
			b.fail(b.at(args[i]), "usage: "+cmd.Usage(), "must be %s here", strings.Join(a.Words, " or "))
			return
		}
	}
	if n := len(cmd.Args); len(args) > n && !cmd.Args[n-1].Rest {
		hint := "put a value with blanks in quotes"
		if args[n].text != "" && strings.ContainsAny(args[n].text[:1], "#!") {
			hint = "a comment stands on a line of its own"
		}
		b.fail(b.at(args[n]), hint, "nothing more can follow here")
		return
	}
	cmd.run(b, args)
}

// unknownCommand does not repeat the word unless it is near a known one: a broken
// line may begin with a secret.
func (b *builder) unknownCommand(t token) {
	if _, ok := b.settings[t.text]; ok {
		b.fail(b.at(t), "did you mean \"set "+t.text+" VALUE\"?", "%s is a setting, not a command", t.text)
		return
	}
	var names []string
	for _, c := range Commands() {
		if !c.within {
			names = append(names, c.Name)
		}
	}
	hint := "commands are " + strings.Join(names, ", ")
	if n := nearest(t.text, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.at(t), hint, "unknown command")
}

// set runs "set NAME VALUE".
func (b *builder) set(args []token) {
	name, value := args[0], args[1]
	s, ok := b.settings[name.text]
	if !ok {
		if !b.legacySetting(name, value) {
			b.unknownSetting(name)
		}
		return
	}
	canonical := s.Name
	if s.Alias != "" {
		canonical = s.Alias
	}
	b.seen[canonical] = b.at(value)
	if err := s.parse(b.c, value.text); err != nil {
		b.fail(b.at(value), b.valueHint(s, value.text), "%s %v", s.Name, err)
	}
}

func (b *builder) valueHint(s Setting, value string) string {
	if s.Secret || len(s.Words) == 0 || strings.Contains(value, ",") {
		return ""
	}
	if n := nearest(strings.ToLower(value), s.Words); n != "" {
		return "did you mean " + n + "?"
	}
	return ""
}

func (b *builder) unknownSetting(name token) {
	var names []string
	for _, s := range Settings() {
		names = append(names, s.Name)
	}
	hint := ""
	if n := nearest(name.text, names); n != "" {
		hint = "did you mean " + n + "?"
	}
	b.fail(b.at(name), hint, "unknown setting %s", printable(name.text))
}

// printable shortens and quotes what a user wrote, for an error text.
func printable(s string) string {
	const limit = 40
	if len(s) > limit {
		s = s[:limit] + "..."
	}
	return fmt.Sprintf("%q", s)
}
