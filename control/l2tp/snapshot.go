package l2tp

import "time"

// Snapshot is what must be known of an established tunnel so that another process
// goes on with it: its ids and where its reliable channel stands. It is a plain value;
// its calls are apart, see RestoreCall.
//
// What was received and not acted on is not in it: the peer has no acknowledgement
// for it and sends it again (RFC 2661 section 5.8).
type Snapshot struct {
	ID, PeerID uint16
	Peer       PeerInfo
	// Una is the Ns of the first of Queue, Nr what is expected next.
	Una, Nr uint16
	// Queue are the messages that the peer has not acknowledged; the first Sent of
	// them were sent at least once.
	Queue []QueuedMessage
	Sent  int
}

// QueuedMessage is a message on its way to the peer, complete but for Ns and Nr.
type QueuedMessage struct {
	Type MessageType
	B    []byte
}

// Mark changes whenever Snapshot does.
type Mark struct {
	una, nr      uint16
	queued, sent int
	state        TunnelState
}

// Mark tells whether a snapshot taken earlier is still true.
func (t *Tunnel) Mark() Mark {
	return Mark{t.ch.una, t.ch.nr, len(t.ch.queue), t.ch.sent, t.state}
}

// Snapshot returns what another process needs; ok is false unless the tunnel is
// established. It shares memory with the tunnel, until that is used again.
func (t *Tunnel) Snapshot() (s Snapshot, ok bool) {
	if t.state != Established || t.gone {
		return Snapshot{}, false
	}
	s = Snapshot{ID: t.id, PeerID: t.peerID, Peer: t.peer, Una: t.ch.una, Nr: t.ch.nr, Sent: t.ch.sent}
	for _, m := range t.ch.queue {
		s.Queue = append(s.Queue, QueuedMessage{m.typ, m.b})
	}
	return s, true
}

// Restore makes a tunnel that goes on from a snapshot. Its Deadline is due at once:
// what the peer may not have got is sent again, or an acknowledgement that shows where
// we stand. It returns nil for what no Snapshot has returned.
func Restore(cfg *Config, s *Snapshot, random func([]byte), now time.Time) *Tunnel {
	if s.ID == 0 || s.PeerID == 0 || s.Sent < 0 || s.Sent > len(s.Queue) {
		return nil
	}
	t := NewTunnel(cfg, s.ID, random)
	t.peerID, t.peer, t.state, t.proven, t.heard = s.PeerID, s.Peer, Established, true, now
	if n := s.Peer.ReceiveWindow; n > 0 {
		t.ch.setPeerWindow(n)
	}
	t.ch.una, t.ch.nr, t.ch.sent = s.Una, s.Nr, s.Sent
	for _, m := range s.Queue {
		if len(m.B) < controlHeaderLen {
			return nil
		}
		t.ch.enqueue(m.B, m.Type)
	}
	t.ch.ackDue, t.ackBy = true, now
	return t
}

// RestoreCall adds an established call to a restored tunnel; nil when an id is taken
// or 0.
func (t *Tunnel) RestoreCall(localID, peerID uint16) *Call {
	if localID == 0 || peerID == 0 || t.calls.byID[localID] != nil || t.calls.byPeer[peerID] != nil {
		return nil
	}
	c := &Call{Incoming: true, state: callEstablished}
	t.calls.addID(c, localID)
	t.calls.addPeer(c, peerID)
	t.calls.live++
	return c
}
