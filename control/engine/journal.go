package engine

import (
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// What a peer depends on is written down before the messages of a step leave, so that
// another process can go on from wherever this one ends. Only what has changed is
// looked at, once a step, however often it changed.

// saved is what the journal has of a call.
type saved uint8

const (
	unsaved saved = iota
	savedCall
	savedSession
)

// journal is a shard's part in it.
type journal struct {
	tunnels []*tunnel // may have changed
	calls   []*call
	changes session.Durable
}

// noteTunnel remembers to look at a tunnel whose reliable channel may have moved.
func (s *Shard) noteTunnel(t *tunnel) {
	if s.e.ports.Journal == nil || t.noted || t.t.Mark() == t.mark {
		return
	}
	t.noted = true
	s.journal.tunnels = append(s.journal.tunnels, t)
}

// noteCall remembers to look at a session that has done something.
func (s *Shard) noteCall(c *call) {
	if s.e.ports.Journal == nil || c.noted {
		return
	}
	c.noted = true
	s.journal.calls = append(s.journal.calls, c)
}

// noteGone says that a call is over.
func (s *Shard) noteGone(c *call) {
	if c.saved != unsaved {
		s.journal.changes.CallsGone = append(s.journal.changes.CallsGone, c.id())
	}
	c.saved, c.over = unsaved, true
}

func (s *Shard) noteTunnelGone(t *tunnel) {
	if t.saved {
		s.journal.changes.TunnelsGone = append(s.journal.changes.TunnelsGone, t.id())
	}
	t.saved = false
}

func (c *call) id() session.CallID {
	ref := c.s.Ref()
	return session.CallID{TunnelID: ref.TunnelID, SessionID: ref.SessionID, PeerSessionID: c.call.PeerID}
}

// save writes down what has changed since the last time.
func (s *Shard) save() {
	j := &s.journal
	for _, t := range j.tunnels {
		t.noted = false
		s.saveTunnel(t)
	}
	for _, c := range j.calls {
		c.noted = false
		if !c.over {
			s.saveCall(c)
		}
	}
	clear(j.tunnels)
	clear(j.calls)
	j.tunnels, j.calls = j.tunnels[:0], j.calls[:0]
	if !j.changes.Empty() {
		s.e.ports.Journal.Write(&j.changes)
		j.changes.Reset()
	}
}

func (s *Shard) saveTunnel(t *tunnel) {
	if s.tunnels[t.id()] != t {
		return
	}
	t.mark = t.t.Mark()
	x, ok := t.t.Snapshot()
	if !ok {
		s.noteTunnelGone(t)
		return
	}
	v := session.TunnelSnapshot{
		Snapshot: x, Local: t.local, PeerAddr: t.peer, HostName: t.name, FirstID: t.key.id,
		Created: t.created, UpSince: t.upSince,
	}
	v.Outgoing = t.outgoing()
	if a := t.account; a != nil {
		v.Account, v.Usage = a.id, a.usage
	}
	s.journal.changes.Tunnels = append(s.journal.changes.Tunnels, v)
	t.saved = true
}

// saveCall writes a session that is worth going on with as a whole, and any other as
// a call that its peer has to be told about. While something is under way what was
// written before holds.
func (s *Shard) saveCall(c *call) {
	v, ok := c.s.Snapshot(s.e.ports.Forwarder, s.volatile(c.s.Slot()))
	switch {
	case ok:
		if c.wish != nil {
			v.Placed = c.wish.cfg.Name
		}
		s.journal.changes.Sessions = append(s.journal.changes.Sessions, v)
		c.saved = savedSession
	case c.saved == unsaved, c.saved == savedSession && c.s.IsEnding():
		s.journal.changes.Calls = append(s.journal.changes.Calls, c.id())
		c.saved = savedCall
	}
}

func (s *Shard) volatile(slot uint32) session.Counters {
	if f := s.e.ports.Volatile; f != nil {
		return f(slot)
	}
	return session.Counters{}
}

// noteVolatile remembers to look at a session of which this process has counted
// packets since it was last written down: they would be missing from the account if
// the process was killed. It is called when a timer of the session is due, which is
// every few seconds.
func (s *Shard) noteVolatile(c *call) {
	if c.saved != savedSession || s.e.ports.Volatile == nil {
		return
	}
	v := s.e.ports.Volatile(c.s.Slot())
	if n := uint32(v.UpPackets + v.DownPackets); n != c.counted {
		c.counted = n
		s.noteCall(c)
	}
}

// Checkpoint writes down every session as it is, with what this process alone has
// counted. The engine must have been stopped.
func (e *Engine) Checkpoint() {
	if e.ports.Journal == nil {
		return
	}
	for _, s := range e.shards {
		for _, c := range s.sorted(nil) {
			s.noteCall(c)
			if len(s.journal.calls) >= applyBatch {
				s.save()
			}
		}
		for _, t := range s.tunnels {
			s.noteTunnel(t)
		}
		s.save()
	}
}

// restarted is the CDN for calls whose session the process before has not finished.
var restarted = l2tp.Result{Code: l2tp.CDNTemporary, Message: "server was restarted"}
