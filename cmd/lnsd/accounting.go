package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/api"
	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/dataplane"
	"github.com/lnsd/lnsd/control/radius"
	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/control/spool"
	"github.com/lnsd/lnsd/control/usage"
)

// accounting is where accounting records go:
//
//	engine ─▶ usage files
//	       └▶ spool ─▶ RADIUS client ─ outcome ─▶ spool
//
// Parts that are not configured are nil.
type accounting struct {
	log   *zap.Logger
	spool *spool.Spool
	usage *usage.Writer
	// usageDir is where usage writes.
	usageDir string
	// recovered is how many accounts of an earlier process were closed.
	recovered int
	started   atomic.Bool
}

// openAccounting reads what earlier processes could not deliver. The number of this
// start for the accounting ids is the one that is given, unless an earlier start had it.
func openAccounting(c *config.Config, now time.Time, given uint32, log *zap.Logger) (a *accounting, epoch uint32, err error) {
	a, epoch = &accounting{log: log, usageDir: c.Accounting.Dir}, given
	if c.Accounting.Dir != "" {
		a.usage = usage.New(usage.Config{
			Dir: c.Accounting.Dir, HostName: c.Hostname, Endpoint: bindAddress(c),
			Started: now, Origin: c.Accounting.Origin, Log: log,
		})
	}
	if !c.RADIUS.Accounting || len(c.RADIUS.Servers()) == 0 {
		return a, epoch, nil
	}
	cfg := spool.Config{Dir: c.Accounting.Spool, MaxBytes: int64(c.Accounting.SpoolSize) << 20, Sync: c.Accounting.Sync, Log: log}
	if cfg.Sync == 0 {
		cfg.Sync = -1 // the spool takes 0 for "not given"
	}
	if a.spool, err = spool.Open(cfg); err != nil {
		return nil, 0, err
	}
	if epoch, err = a.spool.Epoch(epoch); err != nil {
		return nil, 0, errors.Join(err, a.spool.Close())
	}
	return a, epoch, nil
}

// Account implements engine.Accountant.
func (a *accounting) Account(r *session.AcctRecord) bool {
	if a.spool != nil && !a.spool.Account(r) {
		return false
	}
	if a.usage != nil {
		a.usage.Account(r)
	}
	return true
}

// delivered is told by the RADIUS client what became of a record.
func (a *accounting) delivered(r *session.AcctRecord, err error) {
	if a.spool == nil {
		return
	}
	if errors.Is(err, radius.ErrUnsendable) {
		err = fmt.Errorf("%w: %w", spool.ErrUndeliverable, err)
	}
	a.spool.Delivered(r, err)
}

// recover closes the accounts of sessions that an earlier process had and this one
// does not go on with. left are those that were still in the data plane, trace tells
// of those that had just been taken out.
func (a *accounting) recover(left []dataplane.Left, trace func(slot uint32) (dataplane.Left, bool), goesOn func(acctSessionID string) bool, now time.Time) error {
	if a.spool == nil {
		return nil
	}
	counted := make(map[uint32]*dataplane.Left, len(left))
	for i := range left {
		counted[left[i].Slot] = &left[i]
	}
	var err error
	a.recovered, err = a.spool.Recover(func(last *session.AcctRecord, alive time.Time) *session.AcctRecord {
		if goesOn(last.Call.AcctSessionID) {
			return nil
		}
		if l := counted[last.Slot]; l != nil && isOf(l, last) {
			return closing(last, &l.Counters, now)
		}
		if l, ok := trace(last.Slot); ok && isOf(&l, last) {
			return closing(last, &l.Counters, alive)
		}
		return closing(last, nil, alive)
	})
	if a.recovered > 0 {
		a.log.Warn("accounts of an earlier process were closed", zap.Int("accounts", a.recovered), zap.Int("in_data_plane", len(left)))
	}
	return err
}

func isOf(l *dataplane.Left, r *session.AcctRecord) bool {
	return l.TunnelID == r.TunnelID && l.SessionID == r.SessionID &&
		l.PeerTunnelID == r.Call.PeerTunnelID && l.PeerSession == r.Call.PeerSessionID && l.Address == r.Address
}

// closing makes the Stop, as of ended, for a session that nobody ended. counted is
// exact where the data plane still has it; nil after a restart of the host: then what
// is known for sure is the last record, and that the earlier process lived until then.
func closing(last *session.AcctRecord, counted *session.Counters, ended time.Time) *session.AcctRecord {
	began := last.At.Add(-last.Duration)
	stop := *last
	stop.Kind, stop.Cause, stop.At = last.Kind.End(), session.CauseNASReboot, ended
	if counted != nil {
		c := *counted
		if last.Base != nil {
			c = c.Beyond(*last.Base)
		}
		stop.Counters = last.Counters.Most(c)
	}
	stop.Duration = max(stop.At.Sub(began), last.Duration)
	return &stop
}

// start begins to deliver.
func (a *accounting) start(client *radius.Router) {
	if a.spool != nil {
		a.started.Store(true)
		a.spool.Start(client.Account)
	}
}

func (a *accounting) counts() []session.Count {
	if a.spool == nil {
		return nil
	}
	return a.spool.Counts()
}

// drain waits until what is queued is delivered, as long as ctx lasts. What is left
// is sent after the next start.
func (a *accounting) drain(ctx context.Context) {
	if !a.started.Load() {
		return
	}
	if left := a.spool.Drain(ctx); left > 0 {
		a.log.Warn("accounting records wait for the next start", zap.Int("records", left))
	}
}

func (a *accounting) close() error {
	if a.spool == nil {
		return nil
	}
	return a.spool.Close()
}

// Accounting returns how accounting records are kept and delivered.
func (b *backend) Accounting(ctx context.Context) (api.AccountingState, error) {
	a := b.d.accounting
	s := api.AccountingState{UsageDir: a.usageDir}
	for _, v := range b.d.subscribers.servers() {
		if v.Purpose == "acct" {
			s.Servers = append(s.Servers, v)
		}
	}
	if a.spool == nil {
		return s, nil
	}
	p, err := a.spool.State(ctx)
	s.Enabled, s.Spool = true, api.AccountingSpool(p)
	return s, err
}
