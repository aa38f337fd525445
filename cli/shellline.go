package cli

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// splitWords splits a line at blanks. Between " or ' it is taken as it is; parts that
// touch make one word, as in the configuration file.
func splitWords(line string) ([]string, error) {
	var words []string
	var b strings.Builder
	quote, in := rune(0), false
	for _, r := range line {
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			b.WriteRune(r)
		case r == '"' || r == '\'':
			quote, in = r, true
		case r == ' ' || r == '\t':
			if in {
				words, in = append(words, b.String()), false
				b.Reset()
			}
		default:
			b.WriteRune(r)
			in = true
		}
	}
	if quote != 0 {
		return nil, fmt.Errorf("the quote %c is not closed", quote)
	}
	if in {
		words = append(words, b.String())
	}
	return words, nil
}

// filterVerbs are what can stand behind a "|".
func filterVerbs() []*branch {
	return []*branch{
		{word: "begin", help: "Show what comes from the first line on that matches a regular expression"},
		{word: "count", help: "Count the lines, those that match a regular expression if there is one"},
		{word: "exclude", help: "Show the lines that do not match a regular expression"},
		{word: "include", help: "Show the lines that match a regular expression"},
	}
}

// filter is one "| VERB REGEXP".
type filter struct {
	verb    string
	pattern *regexp.Regexp // nil: every line, of count alone
}

// splitPipes takes the filters off a line. A "|" is one where blanks stand around it and
// a verb follows; others are part of regular expressions.
func splitPipes(line string) (string, []filter, error) {
	parts := pipes(line)
	var filters []filter
	for _, p := range parts[1:] {
		f, err := parseFilter(p)
		if err != nil {
			return "", nil, err
		}
		filters = append(filters, f)
	}
	return parts[0], filters, nil
}

// pipes splits a line where filters begin.
func pipes(line string) []string {
	var parts []string
	start := 0
	quote := byte(0)
	for i := 0; i < len(line); i++ {
		switch c := line[i]; {
		case quote != 0:
			if c == quote {
				quote = 0
			}
		case (c == '"' || c == '\'') && len(parts) == 0:
			// Behind the first filter quotes are characters of the expressions.
			quote = c
		case c == '|' && (len(parts) == 0 || i > 0 && line[i-1] == ' ' && startsFilter(line[i+1:])):
			parts = append(parts, line[start:i])
			start = i + 1
		}
	}
	return append(parts, line[start:])
}

func startsFilter(rest string) bool {
	word, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	// Behind an expression a verb has three letters or more: "a | b" is one.
	return strings.HasPrefix(rest, " ") && len(word) >= 3 && len(matchVerb(word)) == 1
}

func matchVerb(word string) []*branch { return (&branch{children: filterVerbs()}).match(word) }

func parseFilter(text string) (filter, error) {
	word, expression, _ := strings.Cut(strings.TrimSpace(text), " ")
	verbs := matchVerb(word)
	if len(verbs) != 1 {
		return filter{}, errors.New("behind | stands include, exclude, begin or count, and a regular expression")
	}
	f := filter{verb: verbs[0].word}
	expression = strings.TrimSpace(expression)
	if n := len(expression); n >= 2 && (expression[0] == '"' || expression[0] == '\'') && expression[n-1] == expression[0] {
		expression = expression[1 : n-1]
	}
	if expression == "" {
		if f.verb == "count" {
			return f, nil
		}
		return filter{}, fmt.Errorf("| %s needs a regular expression", f.verb)
	}
	var err error
	if f.pattern, err = regexp.Compile(expression); err != nil {
		return filter{}, fmt.Errorf("| %s: %s is not a regular expression", f.verb, expression)
	}
	return f, nil
}
