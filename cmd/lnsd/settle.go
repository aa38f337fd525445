package main

import (
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/journal"
	"github.com/lnsd/lnsd/control/recordlog"
	"github.com/lnsd/lnsd/control/session"
)

// openJournal reads what an earlier daemon has left, where sessions are to outlive
// it. It returns the number of this start, which no earlier one had.
func (d *daemon) openJournal(c *config.Config) (epoch uint32, err error) {
	d.found, epoch = &session.Durable{}, uint32(d.started.Unix())
	dir := c.JournalDir()
	if dir == "" {
		return epoch, nil
	}
	j, found, err := journal.Open(journal.Config{Dir: dir, Log: d.log.Named("journal")})
	switch {
	case errors.Is(err, recordlog.ErrInUse):
		return 0, err
	case err != nil:
		// Serving subscribers matters more than serving them through the next restart.
		d.log.Error("a restart will end all sessions", zap.Error(err))
		return epoch, nil
	}
	d.journal, d.found = j, found
	d.closers = append(d.closers, j.Close)
	return j.Epoch(epoch), nil
}

// settle goes on with what an earlier daemon has left: its tunnels and sessions, while
// the data plane forwards their packets all the time. What there is no record of is
// taken out of the data plane, and its account closed with what it had counted to the
// last packet.
func (d *daemon) settle() error {
	now := time.Now()
	restored := d.engine.Restore(now, d.found)
	d.found = nil
	ops := make([]session.ProgramOp, len(restored.Records))
	for i, r := range restored.Records {
		ops[i] = session.ProgramOp{Record: r}
	}
	d.intercepts.Apply(ops)
	// The fast path has them; it is asked for what it lacks below.
	d.gardens.Apply(ops, d.slow.Apply, func([]session.ProgramOp) {})
	left, err := d.fast.Settle(restored.Records, restored.Tunnels)
	if err != nil {
		d.log.Warn("leftovers in the data plane", zap.Error(err))
	}
	if err := d.accounting.recover(left, d.fast.Trace, func(id string) bool { return restored.Accounts[id] }, now); err != nil {
		return err
	}
	d.gardens.Settle()
	// A start that fails from here on must leave the sessions to the next one.
	d.keep = len(restored.Tunnels) > 0
	if len(restored.Tunnels) > 0 || restored.Lost > 0 {
		d.log.Info("went on with what an earlier process has left", zap.Int("tunnels", len(restored.Tunnels)),
			zap.Int("sessions", restored.Sessions), zap.Int("lost", restored.Lost), zap.Duration("after", time.Since(d.started)))
	} else {
		d.subscribers.announce()
	}
	d.accounting.start(d.subscribers.radius)
	return nil
}

// leave ends the daemon and not the sessions: all that this process alone knows is
// written down once its shards rest.
func (d *daemon) leave() { d.engine.Checkpoint() }

// finish is the end of everything: nothing is left for a next process.
func (d *daemon) finish() error {
	d.fast.Forget()
	if d.journal == nil {
		return nil
	}
	return d.journal.Empty()
}

func (d *daemon) journalCounts() []session.Count {
	if d.journal == nil {
		return nil
	}
	return d.journal.Counts()
}
