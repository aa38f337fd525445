package config

import (
	"fmt"
	"strings"
)

// Pos is a place in a file; lines and columns count from 1, columns in bytes. A
// zero Line means the file as a whole.
type Pos struct {
	File      string
	Line, Col int
}

// String returns "file:line:column", as editors understand it.
func (p Pos) String() string {
	if p.Line == 0 {
		return p.File
	}
	return fmt.Sprintf("%s:%d:%d", p.File, p.Line, p.Col)
}

// Error is one fault in a file. It never holds the value of a secret.
type Error struct {
	Pos
	Message string
	// Hint says what was perhaps meant; it may be empty.
	Hint string
	// Whole: every line is right by itself; it is together that they are not.
	Whole bool
}

// Error returns the place, what is wrong there, and the hint.
func (e *Error) Error() string {
	s := e.Pos.String() + ": " + e.Message
	if e.Hint != "" {
		s += " (" + e.Hint + ")"
	}
	return s
}

// Errors are all faults found in one reading, in the order of the file.
type Errors []*Error

// Error returns one line for each fault.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Warning is something accepted that will not do what its writer may expect.
type Warning struct {
	Pos
	Message string
}

// String returns the place and the message.
func (w Warning) String() string { return w.Pos.String() + ": " + w.Message }
