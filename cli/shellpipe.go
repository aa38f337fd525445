package cli

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"
)

// filterWriter puts whole lines through filters.
type filterWriter struct {
	w       io.Writer
	stages  []stage
	partial []byte
}

// stage is a filter at work.
type stage struct {
	filter
	begun bool
	count int
}

func newFilterWriter(w io.Writer, filters []filter) *filterWriter {
	f := &filterWriter{w: w}
	for _, x := range filters {
		f.stages = append(f.stages, stage{filter: x})
	}
	return f
}

// Write takes text; it writes the lines that pass.
func (f *filterWriter) Write(b []byte) (int, error) {
	if len(f.stages) == 0 {
		return f.w.Write(b)
	}
	n := len(b)
	for {
		i := bytes.IndexByte(b, '\n')
		if i < 0 {
			f.partial = append(f.partial, b...)
			return n, nil
		}
		line := string(f.partial) + string(b[:i])
		f.partial, b = f.partial[:0], b[i+1:]
		if err := f.line(line); err != nil {
			return n - len(b), err
		}
	}
}

func (f *filterWriter) line(line string) error {
	if !passes(f.stages, line) {
		return nil
	}
	_, err := fmt.Fprintln(f.w, line)
	return err
}

func passes(stages []stage, line string) bool {
	for i := range stages {
		if !stages[i].pass(line) {
			return false
		}
	}
	return true
}

func (s *stage) pass(line string) bool {
	matches := s.pattern == nil || s.pattern.MatchString(line)
	switch s.verb {
	case "include":
		return matches
	case "exclude":
		return !matches
	case "begin":
		s.begun = s.begun || matches
		return s.begun
	}
	if matches {
		s.count++
	}
	return false
}

// finish writes what only the end of the text tells: counts.
func (f *filterWriter) finish() error {
	if len(f.partial) > 0 {
		line := string(f.partial)
		f.partial = nil
		if err := f.line(line); err != nil {
			return err
		}
	}
	for i := range f.stages {
		if f.stages[i].verb != "count" {
			continue
		}
		if line := fmt.Sprint(f.stages[i].count); passes(f.stages[i+1:], line) {
			if _, err := fmt.Fprintln(f.w, line); err != nil {
				return err
			}
		}
	}
	return nil
}

// errPagerQuit is an operator who has seen enough.
var errPagerQuit = errors.New("enough lines")

// pager stops when the screen is full.
type pager struct {
	w     io.Writer
	keys  *keyboard
	size  func() (width, height int)
	off   bool
	quit  func() // ends the command
	ended bool
	lines int // on the screen since it stopped last
}

const morePrompt = "--More--"

// Write writes text line by line.
func (p *pager) Write(b []byte) (int, error) {
	n := 0
	for line := range strings.Lines(string(b)) {
		if p.ended {
			return n, errPagerQuit
		}
		width, height := p.size()
		if !p.off && width > 0 && height > 1 {
			rows := 1 + max(0, utf8.RuneCountInString(strings.TrimSuffix(line, "\n"))-1)/width
			if p.lines > 0 && p.lines+rows > height-1 && !p.more(height) {
				p.ended = true
				p.quit()
				return n, errPagerQuit
			}
			p.lines += rows
		}
		if _, err := io.WriteString(p.w, line); err != nil {
			return n, err
		}
		n += len(line)
	}
	return n, nil
}

// more waits for a key: Enter shows a line more, q and ^C no more, others a page.
func (p *pager) more(height int) bool {
	if _, err := io.WriteString(p.w, morePrompt); err != nil {
		return false
	}
	key, err := p.keys.key()
	// The prompt goes as it came.
	if _, werr := io.WriteString(p.w, "\r"+strings.Repeat(" ", len(morePrompt))+"\r"); err != nil || werr != nil {
		return false
	}
	switch key {
	case 'q', 'Q', keyInterrupt:
		return false
	case '\r', '\n':
		p.lines = height - 2
	default:
		p.lines = 0
	}
	return true
}
