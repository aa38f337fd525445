package tcpsim

import "time"

// Acknowledgements wait for a second segment, or this long (Linux: TCP_DELACK_MIN).
const delayedAck = 40 * time.Millisecond

// receiver is the other end of a flow.
type receiver struct {
	flow    *flow
	next    int // the first segment that it does not have
	beyond  map[int]bool
	pending bool // a segment is not acknowledged yet
	timer   uint64
}

// segment takes one that has arrived.
func (r *receiver) segment(seq int) {
	if seq < r.next || r.beyond[seq] {
		r.ack(seq)
		return
	}
	if seq > r.next {
		r.beyond[seq] = true
		r.ack(seq)
		return
	}
	filled := len(r.beyond) > 0
	for r.next++; r.beyond[r.next]; r.next++ {
		delete(r.beyond, r.next)
	}
	r.flow.world.result.Bytes[r.flow.number] = uint64(r.next) * Payload
	// The first segments, and those that fill a hole, are acknowledged at once
	// (RFC 5681 section 4.2).
	if r.pending || filled || r.next <= 32 {
		r.ack(seq)
		return
	}
	r.pending = true
	r.timer++
	timer := r.timer
	r.flow.world.after(delayedAck, func() {
		if r.pending && timer == r.timer {
			r.ack(seq)
		}
	})
}

// ack tells the sender what has arrived, the segment seq last.
func (r *receiver) ack(seq int) {
	r.pending = false
	r.timer++
	next := r.next
	r.flow.world.after(r.flow.world.RTT/2, func() { r.flow.acked(next, seq) })
}
