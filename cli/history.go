package cli

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
)

// historyLines is how many lines are kept.
const historyLines = 500

// fileHistory keeps the lines in a file that its owner alone can read. What does not
// get into the file is still there until the shell ends.
type fileHistory struct {
	path  string
	lines []string // the oldest first
}

// secretLine finds lines that hold a secret.
var secretWords = regexp.MustCompile(`(?i)\b(\w*secret|\w*password)\b`)

func openHistory() *fileHistory {
	home, err := os.UserHomeDir()
	if err != nil {
		return &fileHistory{}
	}
	h := &fileHistory{path: filepath.Join(home, ".lnsctl_history")}
	if text, err := os.ReadFile(h.path); err == nil {
		for line := range strings.Lines(string(text)) {
			h.lines = append(h.lines, strings.TrimRight(line, "\n"))
		}
		h.bound()
	}
	return h
}

func (h *fileHistory) bound() {
	if over := len(h.lines) - historyLines; over > 0 {
		h.lines = h.lines[over:]
	}
}

// Add keeps a line; blank ones, repetitions, secrets and "end", which ^Z sends, are not
// kept.
func (h *fileHistory) Add(line string) {
	line = strings.TrimSpace(line)
	if line == "" || line == "end" || len(h.lines) > 0 && h.lines[len(h.lines)-1] == line || secretWords.MatchString(line) {
		return
	}
	h.lines = append(h.lines, line)
	h.bound()
	h.save()
}

// save writes the file as a whole; that it fails is no reason to disturb the operator.
func (h *fileHistory) save() {
	if h.path == "" {
		return
	}
	f, err := os.CreateTemp(filepath.Dir(h.path), ".lnsctl_history-*")
	if err != nil {
		return
	}
	_, werr := f.WriteString(strings.Join(h.lines, "\n") + "\n")
	if cerr := f.Close(); werr != nil || cerr != nil || os.Rename(f.Name(), h.path) != nil {
		os.Remove(f.Name())
	}
}

// Len is how many lines there are.
func (h *fileHistory) Len() int { return len(h.lines) }

// At is a line, the newest being 0.
func (h *fileHistory) At(i int) string { return h.lines[len(h.lines)-1-i] }
