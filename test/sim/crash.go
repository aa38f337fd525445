package sim

import (
	"bytes"
	"strconv"
	"sync"

	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// Journal keeps what the next engine goes on with.
type Journal struct {
	mu       sync.Mutex
	tunnels  map[uint16]session.TunnelSnapshot
	sessions map[[2]uint16]*session.Snapshot
	calls    map[[2]uint16]session.CallID
	order    [][2]uint16 // of sessions and calls as they came, for a run that can be repeated
}

func newJournal() *Journal {
	return &Journal{
		tunnels: make(map[uint16]session.TunnelSnapshot), sessions: make(map[[2]uint16]*session.Snapshot),
		calls: make(map[[2]uint16]session.CallID),
	}
}

// Write implements engine.Journal.
func (j *Journal) Write(d *session.Durable) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, t := range d.Tunnels {
		queue := make([]l2tp.QueuedMessage, len(t.Queue))
		for i, m := range t.Queue { // it is the tunnel's memory
			queue[i] = l2tp.QueuedMessage{Type: m.Type, B: bytes.Clone(m.B)}
		}
		t.Queue = queue
		j.tunnels[t.ID] = t
	}
	for _, c := range d.Calls {
		key := [2]uint16{c.TunnelID, c.SessionID}
		delete(j.sessions, key)
		j.calls[key] = c
		j.order = append(j.order, key)
	}
	for _, s := range d.Sessions {
		key := [2]uint16{s.TunnelID, s.SessionID}
		delete(j.calls, key)
		j.sessions[key] = s
		j.order = append(j.order, key)
	}
	for _, c := range d.CallsGone {
		delete(j.sessions, [2]uint16{c.TunnelID, c.SessionID})
		delete(j.calls, [2]uint16{c.TunnelID, c.SessionID})
	}
	for _, id := range d.TunnelsGone {
		delete(j.tunnels, id)
	}
}

// has reports whether another engine would go on with the account.
func (j *Journal) has(account string) bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, v := range j.sessions {
		id := v.AcctSessionID
		if v.Account > 1 { // as the session names its second account, and later ones
			id += "-" + strconv.Itoa(v.Account)
		}
		if v.Accounted && id == account {
			return true
		}
	}
	return false
}

// state is everything that lives.
func (j *Journal) state() *session.Durable {
	d := &session.Durable{}
	for id := range 1 << 16 {
		if t, ok := j.tunnels[uint16(id)]; ok {
			d.Tunnels = append(d.Tunnels, t)
		}
	}
	seen := make(map[[2]uint16]bool)
	for _, key := range j.order {
		if seen[key] {
			continue
		}
		seen[key] = true
		if s := j.sessions[key]; s != nil {
			d.Sessions = append(d.Sessions, s)
		} else if c, ok := j.calls[key]; ok {
			d.Calls = append(d.Calls, c)
		}
	}
	return d
}

// Crash ends the engine between two events, as kill -9 would, and another one goes on
// with what is in the journal. The forwarding path lives on; what nobody goes on with
// is taken out of it, and its account closed.
func (w *World) Crash() engine.Restored {
	w.T.Helper()
	w.epoch++
	w.In = engine.NewInboxes(w.In.Shards())
	clear(w.Gate.tunnels)
	clear(w.armed)
	w.Forward.stalled = nil
	var err error
	if w.Engine, err = w.make(); err != nil {
		w.T.Fatal(err)
	}
	r := w.Engine.Restore(w.Now, w.Journal.state())
	kept := make(map[session.Ref]bool)
	clear(w.Forward.slow) // it was a part of the process
	for _, rec := range r.Records {
		kept[rec.Ref] = true
		w.Forward.slow[rec.Ref] = true
		if !w.Forward.has(rec.Ref) {
			w.T.Errorf("%v is restored as installed, and is not", rec.Ref)
		}
	}
	live := make(map[session.Ref]bool)
	for _, s := range w.Engine.Shards() {
		s.Each(func(x *session.Session) { live[x.Ref()] = true })
	}
	for ref := range w.Notices.sessions {
		if !live[ref] {
			delete(w.Notices.sessions, ref)
		}
	}
	for id := range w.Notices.tunnels {
		if _, ok := r.Tunnels[id]; !ok {
			delete(w.Notices.tunnels, id)
		}
	}
	w.closeAccounts(kept, r.Accounts)
	w.settle()
	w.Check()
	return r
}

// closeAccounts is what the data plane and the accounting spool do for sessions that
// ended with their engine.
func (w *World) closeAccounts(kept map[session.Ref]bool, goesOn map[string]bool) {
	for ref, rec := range w.Forward.records {
		if !kept[ref] {
			w.Forward.apply(&session.ProgramOp{Remove: true, Record: rec})
		}
	}
	for id, x := range w.Acct.accounts {
		if x.stop != nil || goesOn[id] {
			continue
		}
		if w.Forward.installs[x.start.Ref] > 1 {
			// What earlier installs counted was in the engine's memory alone.
			w.Forward.gardened[x.start.Ref] = true
		}
		stop := *x.start
		stop.Kind, stop.Cause, stop.Counters = session.AcctStop, session.CauseNASReboot, w.Forward.traces[x.start.Ref]
		w.Acct.take(&stop)
		w.Recovered++
	}
}
