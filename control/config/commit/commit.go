package commit

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
)

// Options are how a commit is made.
type Options struct {
	By, Comment string
	// Confirm is the time after which the commit undoes itself unless it is confirmed;
	// 0 never.
	Confirm time.Duration
	// Force disconnects what the change can't spare, and overwrites what others have
	// written to the startup-config.
	Force bool
	// Volatile leaves the startup-config as it is.
	Volatile bool
}

// Commit puts the candidate in force.
func (m *Manager) Commit(ctx context.Context, o Options) (Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.edited() {
		m.candidate = nil
		return Report{Notes: []string{"there is nothing to commit"}}, nil
	}
	if m.candidate.from != m.text && !o.Force {
		return Report{}, fmt.Errorf("%w: what is in force has changed since the candidate was begun: discard it, or use force", ErrRefused)
	}
	r, err := m.put(ctx, m.candidate.text, m.candidate.edits, o)
	if err == nil {
		m.candidate = nil
	}
	return r, err
}

// Change commits commands by themselves, and makes them to the candidate, too.
func (m *Manager) Change(ctx context.Context, lines []string, o Options) (Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.change(ctx, edits{lines: together(lines)}, o)
}

// ChangeLines is Change with lines that say themselves what they are part of.
func (m *Manager) ChangeLines(ctx context.Context, lines []config.Line, o Options) (Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.change(ctx, edits{lines: lines}, o)
}

func (m *Manager) change(ctx context.Context, made edits, o Options) (Report, error) {
	text, err := made.on(m.text)
	if err != nil {
		return Report{}, err
	}
	next := m.candidate
	if m.edited() {
		draft, err := made.on(m.candidate.text)
		if err != nil {
			return Report{}, fmt.Errorf("in the candidate: %w", err)
		}
		next = &candidate{text: draft, edits: m.candidate.edits}
	}
	r, err := m.put(ctx, text, made, o)
	if err != nil {
		return r, err
	}
	if m.candidate = next; next != nil {
		next.from = m.text
	}
	return r, nil
}

// Rollback commits what was in force so many commits ago.
func (m *Manager) Rollback(ctx context.Context, steps int, o Options) (Report, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	entries, err := m.archive.list()
	if err != nil {
		return Report{}, err
	}
	// What is in force is the last entry, unless it was never archived.
	at := len(entries) - 1 - steps
	if m.number == 0 {
		at++
	}
	if steps < 1 || at < 0 {
		return Report{}, fmt.Errorf("%w: there is no configuration %d commits ago", ErrNothing, steps)
	}
	text, err := m.archive.text(entries[at].Number)
	if err != nil {
		return Report{}, err
	}
	if o.Comment == "" {
		o.Comment = fmt.Sprintf("back to %d", entries[at].Number)
	}
	return m.put(ctx, text, edits{whole: true}, o)
}

// put makes text what is in force. The order keeps the disk right whenever it ends: the
// commits and what undoes them are written before the startup-config is, and the
// startup-config is the last that changes.
func (m *Manager) put(ctx context.Context, text string, made edits, o Options) (Report, error) {
	c, notes, err := m.load(text)
	if err != nil {
		return Report{}, err
	}
	made = m.since.then(made)
	if !o.Volatile {
		if text, err = m.merged(text, made, o.Force); err != nil {
			return Report{}, err
		}
	}
	impact, err := m.c.Target.Check(ctx, c)
	if err != nil {
		return Report{}, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	if impact != (Impact{}) && !o.Force {
		return Report{}, fmt.Errorf("%w: it would disconnect %d sessions of %d tunnels: force does so", ErrRefused, impact.Sessions, impact.Tunnels)
	}
	t := trial{m: m, was: m.pending}
	if o.Volatile {
		return t.apply(ctx, c, text, made, notes, o)
	}
	if err := m.begin(); err != nil {
		return Report{}, fmt.Errorf("the configuration in force can't be kept: %w", err)
	}
	if err := t.announce(text, c.Management.ArchiveSize, o); err != nil {
		return Report{}, t.undo(err)
	}
	return t.apply(ctx, c, text, made, notes, o)
}

// trial is one commit on its way.
type trial struct {
	m      *Manager
	was    *pending
	number uint64 // 0: it is not archived
}

// announce writes to the archive what is to come.
func (t *trial) announce(text string, keep int, o Options) error {
	m := t.m
	t.number = m.number + 1
	if o.Confirm > 0 {
		p := &pending{File: m.c.File, Number: t.number, Back: m.number, Until: m.c.Now().Add(o.Confirm)}
		if t.was != nil {
			p.Back = t.was.Back // what was never confirmed is nothing to go back to
		}
		if err := m.archive.setPending(p); err != nil {
			return err
		}
		m.pending = p
	}
	// What a commit goes back to must outlast it.
	return m.archive.add(Entry{Number: t.number, Time: m.c.Now().UTC(), By: o.By, Comment: o.Comment}, text, max(keep, 2))
}

// undo takes back what was announced.
func (t *trial) undo(err error) error {
	t.m.pending = t.was
	return errors.Join(err, t.m.archive.setPending(t.was), t.m.archive.drop(t.number))
}

// apply puts c in force, and writes the startup-config.
func (t *trial) apply(ctx context.Context, c *config.Config, text string, made edits, notes []string, o Options) (Report, error) {
	m := t.m
	r := Report{Number: t.number, Changes: config.Diff(m.running, c), Notes: notes}
	if o.Volatile {
		r.Notes = append(notes, restarts(m.running, c)...)
	}
	did, more, err := m.c.Target.Apply(ctx, c, o.Force)
	if err != nil {
		err = fmt.Errorf("%w: %w", ErrRefused, err)
		if t.number == 0 {
			return Report{}, err
		}
		return Report{}, t.undo(err)
	}
	r.Notes, r.Impact = append(r.Notes, more...), did
	if o.Volatile {
		m.text, m.running, m.since = text, c, made
		return r, nil
	}
	if err := WriteFile(m.c.File, text, newMode); err != nil {
		// What can't be written must not be in force: a restart would take it back.
		_, _, again := m.c.Target.Apply(ctx, m.running, false)
		return Report{}, t.undo(errors.Join(fmt.Errorf("the startup-config can't be written: %w", err), again))
	}
	m.text, m.file, m.running, m.number, m.since = text, text, c, t.number, edits{}
	if o.Confirm == 0 && t.was != nil {
		m.pending = nil // a commit that stays is built on the one before
		if err := m.archive.setPending(nil); err != nil {
			r.Notes = append(r.Notes, "the commit before may still be undone: "+err.Error())
		}
	}
	if m.pending != nil {
		r.UndoneAt = m.pending.Until
	}
	m.rouse()
	m.c.Log.Info("configuration committed", zap.Uint64("commit", r.Number), zap.String("by", o.By),
		zap.String("comment", o.Comment), zap.Time("undone_at", r.UndoneAt), zap.Int("sessions_dropped", did.Sessions))
	return r, nil
}

// begin archives what is in force where that was not done yet.
func (m *Manager) begin() error {
	if m.number != 0 {
		return nil
	}
	entries, err := m.archive.list()
	if err != nil {
		return err
	}
	e := Entry{Number: 1, Time: m.c.Now().UTC(), By: "startup", Comment: "as found in the file"}
	if n := len(entries); n > 0 {
		e.Number = entries[n-1].Number + 1
	}
	if err := m.archive.add(e, m.text, m.running.Management.ArchiveSize+1); err != nil {
		return err
	}
	m.number = e.Number
	return nil
}

// Confirm keeps the commit that waits for it.
func (m *Manager) Confirm() (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.pending == nil {
		return 0, fmt.Errorf("%w: no commit waits to be confirmed", ErrNothing)
	}
	if err := m.archive.setPending(nil); err != nil {
		return 0, err
	}
	n := m.pending.Number
	m.pending = nil
	m.rouse()
	m.c.Log.Info("configuration confirmed", zap.Uint64("commit", n))
	return n, nil
}

// Reload puts in force what the startup-config says now. Nothing is disconnected by it:
// there is nobody to ask.
func (m *Manager) Reload(ctx context.Context, by string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b, err := os.ReadFile(m.c.File)
	if err != nil {
		return nil, err
	}
	text := string(b)
	c, notes, err := m.load(text)
	if err != nil {
		return nil, err
	}
	impact, err := m.c.Target.Check(ctx, c)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrRefused, err)
	}
	_, more, err := m.c.Target.Apply(ctx, c, false)
	if err != nil {
		return nil, err
	}
	notes = append(append(notes, more...), restarts(m.running, c)...)
	if impact != (Impact{}) {
		notes = append(notes, fmt.Sprintf("%d sessions of %d tunnels go on that the configuration does not provide for", impact.Sessions, impact.Tunnels))
	}
	if n := len(m.since.lines); n > 0 || m.since.whole {
		notes = append(notes, fmt.Sprintf("%d changes that were not written are gone", n))
	}
	if text != m.text {
		notes = append(notes, m.record(c, text, by)...)
	}
	m.running, m.text, m.file, m.since = c, text, text, edits{}
	return notes, nil
}

// record makes a commit of a file that was written by others. That it can't be archived
// is no reason to refuse it.
func (m *Manager) record(c *config.Config, text, by string) (notes []string) {
	entries, err := m.archive.list()
	if err == nil && len(entries) == 0 {
		return nil // nobody has ever committed here: nothing is kept until somebody does
	}
	if err == nil {
		err = m.begin()
	}
	if err == nil {
		err = m.archive.add(Entry{Number: m.number + 1, Time: m.c.Now().UTC(), By: by, Comment: "read from the file"}, text, c.Management.ArchiveSize)
	}
	if err != nil {
		m.number = 0
		return []string{"the configuration is in force but not kept for rollback: " + err.Error()}
	}
	m.number++
	return nil
}

func (m *Manager) rouse() {
	select {
	case m.wake <- struct{}{}:
	default:
	}
}

// Run undoes commits that are not confirmed in time, until ctx ends.
func (m *Manager) Run(ctx context.Context) error {
	for {
		m.mu.Lock()
		p := m.pending
		m.mu.Unlock()
		timer := time.NewTimer(time.Hour)
		if p != nil {
			timer.Reset(max(0, p.Until.Sub(m.c.Now())))
		}
		select {
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		case <-m.wake:
		case <-timer.C:
			m.expire(ctx)
		}
		timer.Stop()
	}
}

// expire undoes the commit that waits, if its time has come.
func (m *Manager) expire(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.pending
	if p == nil || m.c.Now().Before(p.Until) {
		return
	}
	text, err := m.archive.text(p.Back)
	if err == nil {
		// Sessions that only the commit provided for are what was on trial.
		_, err = m.put(ctx, text, edits{whole: true}, Options{By: "timer", Comment: fmt.Sprintf("%d was not confirmed", p.Number), Force: true})
	}
	if err != nil {
		// Trying again at once would not help; the operator must see to it.
		m.c.Log.Error("a commit that was not confirmed could not be undone", zap.Uint64("commit", p.Number), zap.Error(err))
		m.pending = nil
		return
	}
	m.c.Log.Warn("a commit was not confirmed and is undone", zap.Uint64("commit", p.Number), zap.Uint64("back_to", p.Back))
}

// Recover undoes, before a start, a commit whose time ran out while no daemon was there,
// or that can't be loaded. It returns what it did, "" for nothing.
func Recover(file string, now time.Time, load func(text string) error) (string, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return "", nil // the start says it better
	}
	a := archive{config.Peek(string(b), "config_archive")}
	p, err := a.pending()
	if err != nil || p == nil || p.File != file {
		return "", err
	}
	fault := load(string(b))
	if now.Before(p.Until) && fault == nil {
		return "", nil
	}
	text, err := a.text(p.Back)
	if err != nil {
		return "", fmt.Errorf("the commit to go back to: %w", err)
	}
	if err := WriteFile(file, text, 0o640); err != nil {
		return "", err
	}
	if err := a.setPending(nil); err != nil {
		return "", err
	}
	return fmt.Sprintf("commit %d was not confirmed: the configuration is again that of commit %d", p.Number, p.Back), nil
}
