package commit

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	// candidate is nil while nothing is edited.
	candidate *candidate
	pending   *pending
	wake      chan struct{} // the pending commit is another one
}

type candidate struct {
	text string
	base uint64 // what was in force when it was begun
	from string // its text
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
	if text, err = config.Edit(text, lines); err != nil {
		return false, nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if m.candidate == nil {
		m.candidate = &candidate{base: m.number, from: m.text}
	}
	m.candidate.text = text
	_, ws, err := m.c.Load(text)
	for _, w := range ws {
		warnings = append(warnings, w.String())
	}
	if err != nil {
		warnings = append(warnings, "as it is, it can't be committed: "+err.Error())
	}
	return m.edited(), warnings, nil
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
	return Report{Changes: config.Diff(m.running, c), Notes: append(notes, restarts(m.running, c)...), Impact: impact}, nil
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

// Save writes what is in force to the startup-config. Comments that were written there
// meanwhile stay; commands that were must not be lost, unless force is set.
func (m *Manager) Save(force bool) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.save(force)
}

func (m *Manager) save(force bool) error {
	text, err := m.merged(m.text, force)
	if err != nil {
		return err
	}
	if err := WriteFile(m.c.File, text, 0o640); err != nil {
		return err
	}
	m.text, m.file = text, text
	return nil
}

// merged is the text that the startup-config gets so that it means the same as text.
func (m *Manager) merged(text string, force bool) (string, error) {
	b, err := os.ReadFile(m.c.File)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return "", err
	}
	onDisk := string(b)
	if err != nil || onDisk == m.file || onDisk == text {
		return text, nil
	}
	read, _, err := m.c.Load(onDisk)
	before, _, errBefore := m.c.Load(m.file)
	if err != nil || errBefore != nil || read.Running() != before.Running() {
		if force {
			return text, nil
		}
		return "", fmt.Errorf("%w: %s was changed by others: reload takes their changes, force overwrites them", ErrRefused, m.c.File)
	}
	out := config.Merge(onDisk, text)
	want, _, err := m.c.Load(text)
	if err != nil {
		return "", err
	}
	if got, _, err := m.c.Load(out); err != nil || got.Running() != want.Running() {
		// The order of commands matters, and the file has another: the comments that
		// were added go.
		return text, nil
	}
	return out, nil
}

// Lines is a text as lines.
func Lines(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.TrimSuffix(text, "\n"), "\n")
}
