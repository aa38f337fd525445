package session

import "sync/atomic"

// Sequence is where a session's data messages are numbered (RFC 2661 section 5.4) by
// all who send or receive some. The lower 16 bits of a word are what is on the wire,
// the upper ones count its rounds. The zero value is no place.
type Sequence struct {
	Send   *atomic.Uint32 // next number to send
	Expect *atomic.Uint32 // one above the highest received
}
