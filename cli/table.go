package cli

import (
	"fmt"
	"io"
	"strings"

	"github.com/lnsd/lnsd/control/api/rows"
)

// column is one of a table's. Widths are fixed, since rows are printed as they
// come; a value that is too wide moves the rest of its row.
type column struct {
	title string
	width int
	right bool // aligned to the right
}

// table prints rows under a heading.
type table struct {
	w       io.Writer
	columns []column
	begun   bool
}

// row prints one row, and the heading before the first. Cells are escaped.
func (t *table) row(cells ...string) error {
	if err := t.head(); err != nil {
		return err
	}
	for i, c := range cells {
		cells[i] = escape(c)
	}
	return t.line(cells)
}

// head prints the heading unless it was printed.
func (t *table) head() error {
	if t.begun {
		return nil
	}
	t.begun = true
	titles := make([]string, len(t.columns))
	for i, c := range t.columns {
		titles[i] = c.title
	}
	return t.line(titles)
}

func (t *table) line(cells []string) error {
	_, err := fmt.Fprintln(t.w, t.text(cells))
	return err
}

func (t *table) text(cells []string) string {
	columns := make([]rows.Column, len(t.columns))
	for i, c := range t.columns {
		columns[i] = rows.Column{Title: c.title, Width: c.width, Right: c.right}
	}
	return rows.Line(columns, cells)
}

// field is one line of a detailed view.
type field struct{ name, value string }

// fields prints a detailed view: names, aligned values.
func fields(w io.Writer, fs []field) error {
	width := 0
	for _, f := range fs {
		width = max(width, len(f.name))
	}
	for _, f := range fs {
		line := fmt.Sprintf("%-*s  %s", width+1, f.name+":", escape(f.value))
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " ")); err != nil {
			return err
		}
	}
	return nil
}
