package commit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
)

// Impact is what putting a configuration in force takes with it.
type Impact struct {
	Sessions, Tunnels int
}

// Target is what a configuration is for. Its methods are called one at a time.
type Target interface {
	// Check says what Apply would do. An error is why it can't be done.
	Check(context.Context, *config.Config) (Impact, error)
	// Apply puts c in force, or leaves everything as it was and returns an error. It
	// disconnects what Check has named only if drop is set. notes are for the operator.
	Apply(ctx context.Context, c *config.Config, drop bool) (did Impact, notes []string, err error)
}

// Config is what a Manager is made with.
type Config struct {
	// File is the startup-config.
	File   string
	Target Target
	// Load checks a text as that of File.
	Load func(text string) (*config.Config, []config.Warning, error)
	Now  func() time.Time // nil: time.Now
	Log  *zap.Logger
}

// Errors that are the operator's to deal with.
var (
	// ErrNothing: there is nothing to confirm, undo or go back to.
	ErrNothing = errors.New("nothing to do")
	// ErrRefused: it takes force.
	ErrRefused = errors.New("refused")
)

// Manager keeps what is in force and the candidate. Its methods may be called from any
// goroutine.
type Manager struct {
	c       Config
	archive archive

	mu      sync.Mutex
	running *config.Config
	text    string // of what is in force
	file    string // what File held when it was read or written last
	number  uint64 // of the commit in force; 0 while there is none
	// since are the commands that led from file to text; whole: there was more than
	// commands.
	since edits
	// candidate is nil while nothing is edited.
	candidate *candidate
	pending   *pending
	wake      chan struct{} // the pending commit is another one
}

type candidate struct {
	text string
	from string // what was in force when it was begun
	edits
}

// edits are commands that lead from one text to another, so that they can be made to a
// third; whole says that the text was replaced, and commands do not tell how.
type edits struct {
	lines []config.Line
	whole bool
}

func (e edits) then(f edits) edits {
	return edits{append(slices.Clone(e.lines), f.lines...), e.whole || f.whole}
}

// New makes a manager of what was loaded at the start, and goes on with what an earlier
// process has left: see Recover.
func New(c Config, running *config.Config, text string) *Manager {
	if c.Now == nil {
		c.Now = time.Now
	}
	m := &Manager{
		c: c, archive: archive{running.Management.Archive}, running: running, text: text, file: text,
		wake: make(chan struct{}, 1),
	}
	entries, err := m.archive.list()
	if err != nil {
		c.Log.Warn("the earlier configurations can't be read", zap.Error(err))
	}
	if n := len(entries); n > 0 {
		m.number = entries[n-1].Number
		if old, err := m.archive.text(m.number); err != nil || old != text {
			// The file was changed while no daemon ran. It becomes a commit with the next
			// one: a start that writes could fail for it.
			m.number = 0
		}
	}
	if p, err := m.archive.pending(); err != nil {
		c.Log.Warn("a commit that waits to be confirmed can't be read", zap.Error(err))
	} else if p != nil && p.File == c.File {
		m.pending = p
	}
	return m
}

// Running is the configuration in force.
func (m *Manager) Running() *config.Config {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.running
}

// Text is that of the configuration in force.
func (m *Manager) Text() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.text
}

// Candidate returns its text, and whether it differs from what is in force.
func (m *Manager) Candidate() (text string, edited bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.draft(), m.edited()
}

func (m *Manager) draft() string {
	if m.candidate == nil {
		return m.text
	}
	return m.candidate.text
}

func (m *Manager) edited() bool { return m.candidate != nil && m.candidate.text != m.text }

// Edit carries out commands on the candidate, all or none; replace, unless nil, takes its
// place first. The warnings are those of the whole candidate, which need not be right yet.
func (m *Manager) Edit(replace *string, lines []string) (edited bool, warnings []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text := m.draft()
	if replace != nil {
		if config.HidesSecrets(*replace) {
			return false, nil, fmt.Errorf("%w: the secrets are hidden in this text", ErrRefused)
		}
		text = *replace
	}
	made := edits{lines: together(lines), whole: replace != nil}
	if text, err = made.on(text); err != nil {
		return false, nil, err
	}
	_, ws, err := m.c.Load(text)
	for _, w := range ws {
		warnings = append(warnings, w.String())
	}
	var faults config.Errors
	switch {
	case errors.As(err, &faults) && !slices.ContainsFunc(faults, func(f *config.Error) bool { return !f.Whole }):
		// Each line is right; what they lack together may follow.
		warnings = append(warnings, "as it is, it can't be committed: "+err.Error())
	case err != nil:
		return false, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if m.candidate == nil {
		m.candidate = &candidate{from: m.text}
	}
	m.candidate.text, m.candidate.edits = text, m.candidate.then(made)
	return m.edited(), warnings, nil
}

// together puts the rules of access lists to their lists.
func together(lines []string) (out []config.Line) {
	within := ""
	for _, text := range lines {
		l := config.Line{Text: text}
		switch f := strings.Fields(strings.TrimPrefix(strings.TrimSpace(text), "no ")); {
		case len(f) == 0:
		case f[0] == "permit" || f[0] == "deny":
			l.Within = within
		default:
			within = strings.TrimSpace(text)
		}
		out = append(out, l)
	}
	return out
}

// on makes the edits to a text.
func (e edits) on(text string) (string, error) {
	for _, l := range e.lines {
		var err error
		if text, err = config.Edit(text, l); err != nil {
			return "", fmt.Errorf("%w: %w", ErrRefused, err)
		}
	}
	return text, nil
}

// Discard makes the candidate what is in force.
func (m *Manager) Discard() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.candidate = nil
}

// Diff compares what is in force with the candidate, or with commit number of.
func (m *Manager) Diff(of *uint64) (lines []string, changes []config.Change, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	other := m.draft()
	if of != nil {
		if other, err = m.archive.text(*of); err != nil {
			return nil, nil, fmt.Errorf("%w: there is no commit %d", ErrNothing, *of)
		}
	}
	lines = config.DiffLines(m.text, other)
	// What can't be read has lines to be shown all the same.
	if c, _, err := m.c.Load(other); err == nil {
		changes = config.Diff(m.running, c)
	}
	return lines, changes, nil
}

// Report is what a commit would do, or has done.
type Report struct {
	// Number is that of the commit; 0 where there was nothing to change.
	Number  uint64
	Changes []config.Change
	Notes   []string
	Impact  Impact
	// UndoneAt is when it is undone; zero: it stays.
	UndoneAt time.Time
}

// Check says what a commit of the candidate would do.
func (m *Manager) Check(ctx context.Context) (Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, notes, err := m.load(m.draft())
	if err != nil {
		return Report{}, err
	}
	impact, err := m.c.Target.Check(ctx, c)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return Report{Changes: config.Diff(m.running, c), Notes: notes, Impact: impact}, nil
}

func (m *Manager) load(text string) (c *config.Config, notes []string, err error) {
	c, warnings, err := m.c.Load(text)
	for _, w := range warnings {
		notes = append(notes, w.String())
	}
	if err != nil {
		return nil, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	return c, notes, nil
}

// restarts are the changes that wait for a start.
func restarts(from, to *config.Config) (notes []string) {
	for _, change := range config.Diff(from, to) {
		if change.Apply == config.Restart {
			notes = append(notes, change.Name+" has changed and takes effect at the next start")
		}
	}
	return notes
}

// History returns the commits, the newest first, and the one that waits to be confirmed
// with the time at which it is undone.
func (m *Manager) History() (entries []Entry, waiting uint64, until time.Time, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if entries, err = m.archive.list(); err != nil {
		return nil, 0, time.Time{}, err
	}
	for i, j := 0, len(entries)-1; i < j; i, j = i+1, j-1 {
		entries[i], entries[j] = entries[j], entries[i]
	}
	if m.pending != nil {
		waiting, until = m.pending.Number, m.pending.Until
	}
	return entries, waiting, until, nil
}

// CommitText is the text of a commit.
func (m *Manager) CommitText(n uint64) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	text, err := m.archive.text(n)
	if err != nil {
		return "", fmt.Errorf("%w: there is no commit %d", ErrNothing, n)
	}
	return text, nil
}

// Save writes what is in force to the startup-config, and archives it. Comments that were
// written there meanwhile stay; commands that were must not be lost, unless force is set.
// It returns how many changes were written.
func (m *Manager) Save(by string, force bool) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := len(m.since.lines)
	text, err := m.merged(m.text, m.since, force)
	if err != nil {
		return 0, err
	}
	if err := m.begin(); err != nil {
		return 0, err
	}
	if err := m.keep(text, Entry{By: by, Comment: "written"}); err != nil {
		return 0, err
	}
	if err := WriteFile(m.c.File, text, newMode); err != nil {
		return 0, err
	}
	m.text, m.file, m.since = text, text, edits{}
	return n, nil
}

// keep archives a text that is in force, if it is not the last one that was archived.
func (m *Manager) keep(text string, e Entry) error {
	if old, err := m.archive.text(m.number); err == nil && old == text {
		return nil
	}
	e.Number, e.Time = m.number+1, m.c.Now().UTC()
	if err := m.archive.add(e, text, m.running.Management.ArchiveSize); err != nil {
		return err
	}
	m.number = e.Number
	return nil
}

// newMode is that of a startup-config that was not there.
const newMode = 0o640

// merged is what the startup-config is to hold so that it means what text does, which
// has come of it by the edits.
func (m *Manager) merged(text string, made edits, force bool) (string, error) {
	b, err := os.ReadFile(m.c.File)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	onDisk := string(b)
	if err != nil || force || onDisk == m.file || onDisk == text {
		return text, nil
	}
	refusal := fmt.Errorf("%w: %s was changed by another hand: reload takes those changes, force overwrites them", ErrRefused, m.c.File)
	read, _, err := m.c.Load(onDisk)
	before, _, errBefore := m.c.Load(m.file)
	if err != nil || errBefore != nil || read.Running() != before.Running() {
		return "", refusal
	}
	// Comments alone were changed.
	out, err := made.on(onDisk)
	if made.whole || err != nil {
		return text, nil
	}
	want, _, err := m.c.Load(text)
	if err != nil {
		return "", err
	}
	if got, _, err := m.c.Load(out); err != nil || got.Running() != want.Running() {
		return text, nil
	}
	return out, nil
}
