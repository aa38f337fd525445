// Package inventory reads the table of what operators of other LNS know, and where it is
// here.
package inventory

import (
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
)

// File is the table, in the tree of the sources.
const File = "test/docs/testdata/inventory.txt"

// Row is one thing that is known elsewhere.
type Row struct {
	ID, Title string
	Items     []Item
}

func (r Row) String() string { return r.ID + " (" + r.Title + ")" }

// Item is one thing here that the row is about. Kinds are described in the table.
type Item struct {
	Kind, What string
	Line       int
}

var head = regexp.MustCompile(`^([A-Z][0-9]+) (.+)$`)

// Read reads a table.
func Read(file string) ([]Row, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	var rows []Row
	n := 0
	for line := range strings.Lines(string(b)) {
		n++
		line = strings.TrimRight(line, " \n")
		m := head.FindStringSubmatch(line)
		switch {
		case line == "" || line[0] == '#':
		case m != nil:
			rows = append(rows, Row{ID: m[1], Title: m[2]})
		case strings.HasPrefix(line, "  ") && len(rows) > 0:
			kind, what, _ := strings.Cut(strings.TrimSpace(line), " ")
			r := &rows[len(rows)-1]
			r.Items = append(r.Items, Item{kind, what, n})
		default:
			return nil, fmt.Errorf("%s:%d: neither a row nor a line of one", file, n)
		}
	}
	return rows, nil
}

// Counters are the counters of a table, those of daemons with RADIUS servers if asked for.
func Counters(rows []Row, radius bool) (names []string) {
	for _, r := range rows {
		for _, i := range r.Items {
			if (i.Kind == "counter" || radius && i.Kind == "with-radius") && !slices.Contains(names, i.What) {
				names = append(names, i.What)
			}
		}
	}
	return names
}
