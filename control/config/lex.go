package config

import (
	"fmt"
	"strings"
)

// token is one word of a line and the column, from 1, where it begins.
type token struct {
	text string
	col  int
}

// words splits a line at blanks. A part between " or ' is taken as it is, blanks
// and the other quote included; there are no escapes. Quoted and bare parts that
// touch make one word, so that every text can be written. A line whose first
// character is # or ! is a comment.
func words(line string) ([]token, *Error) {
	var out []token
	for i := 0; i < len(line); {
		if isBlank(line[i]) {
			i++
			continue
		}
		if len(out) == 0 && (line[i] == '#' || line[i] == '!') {
			return nil, nil
		}
		text, end, err := word(line, i)
		if err != nil {
			return nil, err
		}
		out = append(out, token{text, i + 1})
		i = end
	}
	return out, nil
}

func isBlank(c byte) bool { return c == ' ' || c == '\t' }

// word reads the word that begins at i and returns where it ends.
func word(line string, i int) (text string, end int, err *Error) {
	var b strings.Builder
	for i < len(line) && !isBlank(line[i]) {
		quote := line[i]
		if quote != '"' && quote != '\'' {
			b.WriteByte(quote)
			i++
			continue
		}
		n := strings.IndexByte(line[i+1:], quote)
		if n < 0 {
			return "", 0, &Error{Pos: Pos{Col: i + 1}, Message: fmt.Sprintf("the quote %c is not closed", quote)}
		}
		b.WriteString(line[i+1 : i+1+n])
		i += n + 2
	}
	return b.String(), i, nil
}

// quoted writes s so that word reads it back: bare where that is plain to see,
// else between quotes.
func quoted(s string) string {
	switch {
	case s != "" && !strings.ContainsAny(s, " \t\"'#!,"):
		return s
	case !strings.Contains(s, `"`):
		return `"` + s + `"`
	case !strings.Contains(s, `'`):
		return `'` + s + `'`
	}
	// Both quotes occur: each run without " goes between ", and each " between '.
	var b strings.Builder
	for i, part := range strings.Split(s, `"`) {
		if i > 0 {
			b.WriteString(`'"'`)
		}
		if part != "" {
			b.WriteString(`"` + part + `"`)
		}
	}
	return b.String()
}
