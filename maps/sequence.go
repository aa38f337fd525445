package maps

import "sync/atomic"

// Sequence is a session's data sequence numbers (RFC 2661 section 5.4), in memory
// that the program counts in too. The lower 16 bits of each are what is on the wire.
type Sequence struct {
	Send   atomic.Uint32 // next number to send
	Expect atomic.Uint32 // one above the highest received
}

// Sequence returns the numbers of the session in slot, for as long as the maps are
// open; nil for a slot that does not exist. They are the caller's to set before a
// session with FlagSequence and FlagNumbered is installed there.
func (m *Maps) Sequence(slot uint32) *Sequence {
	if slot == 0 || slot > m.cfg.Sessions {
		return nil
	}
	return &m.numbers.values[slot]
}
