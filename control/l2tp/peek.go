package l2tp

import "encoding/binary"

// PeekSCCRQ reads what must be known before a tunnel can be made: the peer's Host
// Name, which selects the secret, and its Assigned Tunnel ID, which tells a
// repeated SCCRQ from a new one (section 5.8). A Host Name is never hidden; an
// Assigned Tunnel ID may be, and is 0 here then. ok is false when body is not a
// well-formed SCCRQ. hostName aliases body.
func PeekSCCRQ(body []byte) (hostName []byte, assignedID uint16, ok bool) {
	if t, ok := PeekType(body); !ok || t != SCCRQ {
		return nil, 0, false
	}
	hostName, ok = peekAVP(body, avpHostName)
	if !ok {
		return nil, 0, false
	}
	id, ok := peekAVP(body, avpAssignedTunnelID)
	if !ok {
		return nil, 0, false
	}
	if id != nil {
		assignedID = binary.BigEndian.Uint16(id)
	}
	return hostName, assignedID, true
}

// PeekStopCCN reads the Assigned Tunnel ID, the sender's own, of a StopCCN. It
// finds the tunnel when the header's tunnel id is 0, the sender not having learnt
// ours (section 4.4.3). ok is false when body is no StopCCN or the id is hidden.
func PeekStopCCN(body []byte) (assignedID uint16, ok bool) {
	if t, ok := PeekType(body); !ok || t != StopCCN {
		return 0, false
	}
	id, ok := peekAVP(body, avpAssignedTunnelID)
	if !ok || id == nil {
		return 0, false
	}
	return binary.BigEndian.Uint16(id), true
}

// PeekAssignedSession reads the Assigned Session ID of a message, the sender's own;
// 0 when there is none, or it is hidden.
func PeekAssignedSession(body []byte) uint16 {
	id, ok := peekAVP(body, avpAssignedSessionID)
	if !ok || id == nil {
		return 0
	}
	return binary.BigEndian.Uint16(id)
}

// PeekTieBreaker reads the Tie Breaker of an SCCRQ, for CompareTieBreakers.
func PeekTieBreaker(body []byte) (tie [8]byte, ok bool) {
	v, ok := peekAVP(body, avpTieBreaker)
	if !ok || v == nil {
		return tie, false
	}
	return [8]byte(v), true
}

// peekAVP finds the first AVP of the given id. v is nil when it is hidden. ok is
// false when there is none, it is malformed, or the body ends irregularly.
func peekAVP(body []byte, id avpID) (v []byte, ok bool) {
	spec, found := &avpTable[id], false
	for len(body) > 0 {
		var a rawAVP
		if a, body, ok = nextAVP(body); !ok {
			return nil, false
		}
		if found || a.vendor != spec.vendor || a.typ != spec.typ || a.flags&avpReserved != 0 {
			continue
		}
		found = true
		if a.flags&avpHidden != 0 {
			if spec.hide == hideNever {
				return nil, false
			}
			continue
		}
		if !spec.valid(a.value) {
			return nil, false
		}
		v = a.value
	}
	return v, found
}

// TieResult is the outcome of a collision of two SCCRQs.
type TieResult uint8

// The outcomes.
const (
	// TieNone: neither side wants a single tunnel; both tunnels are opened.
	TieNone TieResult = iota
	// TieWon: our tunnel goes on; the peer's SCCRQ is ignored.
	TieWon
	// TieLost: ours is discarded (Discard); the peer's SCCRQ is answered.
	TieLost
	// TieEqual: both are discarded.
	TieEqual
)

// CompareTieBreakers decides which tunnel stands when an SCCRQ comes from a peer
// to which we have an SCCRQ outstanding (RFC 2661 section 4.4.3). A nil tie
// breaker is an absent one.
func CompareTieBreakers(ours, peers *[8]byte) TieResult {
	switch {
	case ours == nil && peers == nil:
		return TieNone
	case peers == nil:
		return TieWon
	case ours == nil:
		return TieLost
	}
	// The lower value wins.
	a, b := binary.BigEndian.Uint64(ours[:]), binary.BigEndian.Uint64(peers[:])
	switch {
	case a < b:
		return TieWon
	case a > b:
		return TieLost
	}
	return TieEqual
}
