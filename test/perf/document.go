package perf

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
)

// The part of docs/performance.md between these lines is written by the tool.
const (
	beginMark = "<!-- lnsbench: begin -->"
	endMark   = "<!-- lnsbench: end -->"
)

// The files that Document writes to.
const (
	documentName = "performance.md"
	plotName     = "performance.svg"
)

// Document puts the tables between the marks of performance.md in dir, and draws the
// plot beside it.
func (r *Report) Document(dir string) error {
	name := filepath.Join(dir, documentName)
	old, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	var tables strings.Builder
	if err := r.WriteTables(&tables); err != nil {
		return err
	}
	page, err := between(string(old), "\n![Packets per second over the number of sessions]("+plotName+")\n\n"+tables.String()+"\n")
	if err != nil {
		return err
	}
	var plot bytes.Buffer
	if err := r.WritePlot(&plot); err != nil {
		return err
	}
	return errors.Join(
		os.WriteFile(filepath.Join(dir, plotName), plot.Bytes(), 0o644),
		os.WriteFile(name, []byte(page), 0o644),
	)
}

// between replaces what stands between the marks.
func between(page, text string) (string, error) {
	head, rest, ok := strings.Cut(page, beginMark+"\n")
	_, tail, ok2 := strings.Cut(rest, endMark)
	if !ok || !ok2 {
		return "", errors.New("the document lacks the line " + beginMark + " or " + endMark)
	}
	return head + beginMark + "\n" + text + endMark + tail, nil
}
