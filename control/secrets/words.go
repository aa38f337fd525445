package secrets

import "fmt"

// maxWord is the longest word accepted, in bytes. pppd cuts longer ones off at
// 1023 (MAXWORDLEN), which would make a wrong secret out of a right one.
const maxWord = 1023

// word is one word of a secrets file.
type word struct {
	// text has its quotes and escapes resolved. It aliases the file's bytes when
	// the word had neither.
	text []byte
	// first is true for the first word of a line.
	first bool
	line  int
}

// scanner splits a secrets file into words under pppd's rules: white space and
// an unquoted # end a word, " and ' quote, and a backslash escapes as in C.
type scanner struct {
	file string
	b    []byte
	at   int
	line int
	// fresh is true until a word has been read from the current line.
	fresh bool
}

func newScanner(file string, b []byte) *scanner {
	return &scanner{file: file, b: b, line: 1, fresh: true}
}

func (s *scanner) errorf(line int, format string, args ...any) error {
	return &SyntaxError{File: s.file, Line: line, Reason: fmt.Sprintf(format, args...)}
}

// next returns the next word; ok is false at the end of the file.
func (s *scanner) next() (w word, ok bool, err error) {
	s.skip()
	if s.at == len(s.b) {
		return word{}, false, nil
	}
	w = word{first: s.fresh, line: s.line}
	s.fresh = false
	if w.text, err = s.word(); err != nil {
		return word{}, false, err
	}
	if len(w.text) > maxWord {
		return word{}, false, s.errorf(w.line, "word of %d bytes: at most %d", len(w.text), maxWord)
	}
	return w, true, nil
}

// skip passes over white space, comments and line continuations.
func (s *scanner) skip() {
	for s.at < len(s.b) {
		switch c := s.b[s.at]; {
		case c == '\n':
			s.at++
			s.line++
			s.fresh = true
		case isSpace(c):
			s.at++
		case c == '#':
			for s.at < len(s.b) && s.b[s.at] != '\n' {
				s.at++
			}
		case c == '\\' && s.at+1 < len(s.b) && s.b[s.at+1] == '\n':
			s.at += 2
			s.line++
		default:
			return
		}
	}
}

// word reads the word that starts here. Words without quotes and escapes, nearly
// all of them, are returned in place.
func (s *scanner) word() ([]byte, error) {
	start := s.at
	for s.at < len(s.b) {
		c := s.b[s.at]
		if c == '\\' || c == '"' || c == '\'' {
			return s.wordQuoted(append([]byte(nil), s.b[start:s.at]...))
		}
		if isSpace(c) || c == '#' {
			break
		}
		if c == 0 {
			return nil, s.errorf(s.line, "zero byte")
		}
		s.at++
	}
	return s.b[start:s.at:s.at], nil
}

// wordQuoted goes on with a word in which a quote or a backslash was met.
func (s *scanner) wordQuoted(out []byte) ([]byte, error) {
	quote, opened := byte(0), 0
	for s.at < len(s.b) {
		c := s.b[s.at]
		switch {
		case c == '\\':
			var err error
			if out, err = s.escape(out); err != nil {
				return nil, err
			}
			continue
		case c == 0:
			return nil, s.errorf(s.line, "zero byte")
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0 && c == '\n':
			// pppd would go on to the next line and take the rest of the file
			// for a secret; a forgotten quote is far likelier.
			return nil, s.errorf(opened, "quote %c is not closed on its line", quote)
		case quote != 0:
			out = append(out, c)
		case c == '"' || c == '\'':
			quote, opened = c, s.line
		case isSpace(c) || c == '#':
			return out, nil
		default:
			out = append(out, c)
		}
		s.at++
	}
	if quote != 0 {
		return nil, s.errorf(opened, "quote %c is not closed on its line", quote)
	}
	return out, nil
}

// escape reads a backslash and what follows it.
func (s *scanner) escape(out []byte) ([]byte, error) {
	s.at++
	if s.at == len(s.b) {
		return nil, s.errorf(s.line, "the file ends after a backslash")
	}
	c := s.b[s.at]
	s.at++
	switch c {
	case '\n':
		s.line++
		return out, nil
	case 'a':
		c = '\a'
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 's':
		c = ' '
	case 't':
		c = '\t'
	case 'v':
		c = '\v'
	case '0', '1', '2', '3', '4', '5', '6', '7':
		return s.number(out, uint(c-'0'), 8, 2)
	case 'x':
		if s.at == len(s.b) || digit(s.b[s.at]) >= 16 {
			return nil, s.errorf(s.line, `\x is not followed by a hexadecimal digit`)
		}
		return s.number(out, 0, 16, 2)
	}
	return append(out, c), nil
}

// number reads up to most further digits of a numeric escape.
func (s *scanner) number(out []byte, value, base uint, most int) ([]byte, error) {
	for ; most > 0 && s.at < len(s.b) && digit(s.b[s.at]) < base; most-- {
		value = value*base + digit(s.b[s.at])
		s.at++
	}
	if value == 0 {
		return nil, s.errorf(s.line, "zero byte")
	}
	if value > 0xff {
		return nil, s.errorf(s.line, "escape %#o is more than one byte", value)
	}
	return append(out, byte(value)), nil
}

// digit is the value of a hexadecimal digit, or 16 for any other byte.
func digit(c byte) uint {
	switch {
	case c >= '0' && c <= '9':
		return uint(c - '0')
	case c >= 'a' && c <= 'f':
		return uint(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return uint(c-'A') + 10
	}
	return 16
}

// isSpace is isspace of the C locale, which pppd goes by.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }
