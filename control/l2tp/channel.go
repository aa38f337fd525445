package l2tp

import (
	"encoding/binary"
	"time"
)

// What RFC 2661 says when nothing is configured.
const (
	defaultWindow  = 4               // section 4.4.3
	defaultRetry   = 1 * time.Second // section 5.8
	minimalCap     = 8 * time.Second // section 5.8: "no less than 8 seconds"
	defaultRetries = 5               // section 5.8
)

// shortQueue is the length up to which a queue of messages is moved within its
// memory rather than cut off.
const shortQueue = 8

// ChannelStats is the state of the reliable channel and what it has counted.
type ChannelStats struct {
	Ns, Nr, PeerNs, PeerNr     uint16
	Window, PeerWindow         uint16
	Cwnd, Ssthresh             uint16
	Queued, Unacked            int
	Sent, Received             uint64
	ZLBSent, ZLBReceived       uint64
	HelloSent, HelloReceived   uint64
	Retransmits                uint64
	Duplicates, HeldOutOfOrder uint64
	OutOfWindow                uint64
}

// txMessage is a message on its way to the peer: complete but for Ns and Nr.
type txMessage struct {
	b   []byte
	typ MessageType
}

// rxMessage is a message that came before its turn.
type rxMessage struct {
	ns   uint16
	h    Header
	body []byte
}

// channel is the reliable control channel of section 5.8 with the congestion
// window of appendix A. Messages wait in queue until they are acknowledged:
//
//	queue:  acknowledged next | sent again or for the first time | not yet sent
//	        una ------------- una+next ----- una+sent -------------- ns
//
// After a timeout next goes back to una, and what had been sent is sent again as
// the window opens, unless an acknowledgement shows that it had arrived.
type channel struct {
	una   uint16 // Ns of queue[0]
	nr    uint16 // Ns expected next from the peer
	queue []txMessage
	next  int // how many of queue are in flight since the last timeout
	sent  int // how many of queue were ever sent; next <= sent

	window    uint16 // the peer's receive window
	rxWindow  uint16 // ours
	cwnd      uint16
	ssthresh  uint16
	cwndAcks  uint16 // acks since cwnd last grew, in congestion avoidance
	ackDue    bool   // something was received that no sent message acknowledges
	retries   int    // timeouts in a row
	interval  time.Duration
	deadline  time.Time // of the retransmission, when next > 0
	held      []rxMessage
	stats     ChannelStats
	retryBase time.Duration
	retryCap  time.Duration
	maxRetry  int
}

func newChannel(cfg *Config) channel {
	c := channel{
		window:    defaultWindow,
		rxWindow:  cfg.ReceiveWindow,
		cwnd:      1,
		ssthresh:  defaultWindow,
		retryBase: cfg.RetryInterval,
		retryCap:  max(cfg.RetryCap, minimalCap),
		maxRetry:  cfg.MaxRetries,
	}
	if c.rxWindow == 0 {
		c.rxWindow = defaultWindow
	}
	if c.retryBase <= 0 {
		c.retryBase = defaultRetry
	}
	if c.maxRetry <= 0 {
		c.maxRetry = defaultRetries
	}
	c.interval = c.retryBase
	return c
}

// setPeerWindow takes the peer's Receive Window Size.
func (c *channel) setPeerWindow(n uint16) {
	// Appendix A: SSTHRESH is initialised to the advertised window, CWND never
	// exceeds it.
	// Half the sequence space is the most that acknowledgements can tell apart.
	n = min(n, 0x7FFF)
	c.window, c.ssthresh = n, n
	c.cwnd = min(c.cwnd, n)
}

// cycle is a full retransmission cycle: 31 s with intervals of 1, 2, 4, 8, 16 s
// (section 5.7).
func (c *channel) cycle() time.Duration {
	var sum time.Duration
	for i, d := 0, c.retryBase; i < c.maxRetry; i++ {
		sum += d
		d = min(2*d, c.retryCap)
	}
	return sum
}

// enqueue adds a finished message, to be sent by transmit.
func (c *channel) enqueue(b []byte, t MessageType) {
	c.queue = append(c.queue, txMessage{b, t})
}

// dropUnsent forgets the messages that were never sent, dropAll every message.
func (c *channel) dropUnsent() { c.truncate(c.sent) }
func (c *channel) dropAll() {
	// What was sent has used its sequence numbers.
	c.una += uint16(c.sent)
	c.queue, c.next, c.sent = nil, 0, 0
}

func (c *channel) truncate(n int) {
	clear(c.queue[n:])
	c.queue = c.queue[:n]
}

// idle reports whether everything sent is acknowledged and nothing waits.
func (c *channel) idle() bool { return len(c.queue) == 0 }

// transmit sends what the window allows. Each message carries the Nr of now, also
// when it is sent again (section 5.8).
func (c *channel) transmit(now time.Time, out *Out) {
	limit := min(len(c.queue), int(min(c.cwnd, c.window)))
	if c.next >= limit {
		return
	}
	if c.next == 0 {
		c.deadline = now.Add(c.interval)
	}
	for ; c.next < limit; c.next++ {
		c.emit(c.next, out)
		c.sent = max(c.sent, c.next+1)
	}
}

// emit puts queue[i] into out and counts it.
func (c *channel) emit(i int, out *Out) {
	m := &c.queue[i]
	start := len(out.arena)
	out.arena = append(out.arena, m.b...)
	b := out.arena[start:]
	binary.BigEndian.PutUint16(b[offNs:], c.una+uint16(i))
	binary.BigEndian.PutUint16(b[offNr:], c.nr)
	out.sent(start, m.typ)
	c.ackDue = false
	c.stats.Sent++
	if i < c.sent {
		c.stats.Retransmits++
		out.Resent++
	}
	if m.typ == HELLO {
		c.stats.HelloSent++
	}
	if out.Trace {
		kind := StepSent
		if i < c.sent {
			kind = StepResent
		}
		c.step(kind, m.typ, c.una+uint16(i), c.nr, out)
	}
}

// sendZLB acknowledges without a message. Its Ns is that of the next message,
// which it does not use up (section 5.8).
func (c *channel) sendZLB(peerID uint16, out *Out) {
	start := len(out.arena)
	out.arena = appendControlHeader(out.arena, peerID, 0, c.una+uint16(c.sent), c.nr)
	out.sent(start, ZLB)
	c.ackDue = false
	c.stats.ZLBSent++
	if out.Trace {
		c.step(StepSent, ZLB, c.una+uint16(c.sent), c.nr, out)
	}
}

// timedOut reports whether the retransmission timer has run out.
func (c *channel) timedOut(now time.Time) bool {
	return c.next > 0 && !now.Before(c.deadline)
}

// retransmit goes back to the oldest message and sends it again. It returns false
// when that was tried often enough: the peer is lost.
func (c *channel) retransmit(now time.Time, out *Out) bool {
	if c.retries >= c.maxRetry {
		return false
	}
	c.retries++
	c.interval = min(2*c.interval, c.retryCap)
	// Appendix A: half of CWND is saved in SSTHRESH, CWND is set to one.
	c.ssthresh = max(c.cwnd/2, 1)
	c.cwnd, c.cwndAcks = 1, 0
	c.next = 0
	c.transmit(now, out)
	return true
}

// resend sends the oldest message again at once, without a timeout, if it is in
// flight.
func (c *channel) resend(out *Out) bool {
	if c.next == 0 {
		return false
	}
	c.emit(0, out)
	return true
}

// acknowledge takes the Nr of a received message.
func (c *channel) acknowledge(now time.Time, nr uint16) {
	c.stats.PeerNr = nr
	n := int(nr - c.una)
	// Old news, or an acknowledgement of what was never sent.
	if n == 0 || n > c.sent {
		return
	}
	c.pop(n)
	c.grow()
	// Progress: the back-off starts anew.
	c.retries, c.interval = 0, c.retryBase
	c.deadline = now.Add(c.interval)
}

func (c *channel) pop(n int) {
	if rest := len(c.queue) - n; rest <= shortQueue && cap(c.queue) <= 2*shortQueue {
		copy(c.queue, c.queue[n:])
		c.truncate(rest)
	} else {
		// A long queue is not moved for each acknowledgement, and when it has
		// become short its memory is given back.
		clear(c.queue[:n])
		c.queue = c.queue[n:]
		if rest <= shortQueue {
			c.queue = append([]txMessage(nil), c.queue...)
		}
	}
	c.una += uint16(n)
	c.sent -= n
	c.next = max(c.next-n, 0)
}

// grow opens the congestion window by one acknowledgement (appendix A).
func (c *channel) grow() {
	if c.cwnd >= c.window {
		return
	}
	if c.cwnd < c.ssthresh {
		c.cwnd++
		return
	}
	if c.cwndAcks++; c.cwndAcks >= c.cwnd {
		c.cwnd, c.cwndAcks = c.cwnd+1, 0
	}
}

// verdict says what becomes of a received message.
type verdict uint8

const (
	deliver   verdict = iota
	duplicate         // acknowledge again, do not deliver
	hold              // ahead of its turn; kept
	tooFar            // ahead of the window; dropped
)

// accept judges a received message, not a ZLB, by its Ns. A message to deliver
// counts as received from then on.
func (c *channel) accept(h Header, body []byte) verdict {
	ahead := h.Ns - c.nr
	switch {
	case ahead == 0:
		c.nr++
		c.ackDue = true
		c.stats.Received++
		c.stats.PeerNs = h.Ns
		return deliver
	case ahead >= 0x8000:
		// Section 5.8: the last received and the 32767 before it are duplicates,
		// which MUST be acknowledged.
		c.ackDue = true
		c.stats.Duplicates++
		return duplicate
	case ahead >= c.rxWindow:
		c.stats.OutOfWindow++
		return tooFar
	}
	for i := range c.held {
		if c.held[i].ns == h.Ns {
			c.stats.Duplicates++
			return duplicate
		}
	}
	c.held = append(c.held, rxMessage{h.Ns, h, append([]byte(nil), body...)})
	c.stats.HeldOutOfOrder++
	return hold
}

// release returns a held message whose turn has come.
func (c *channel) release() (m rxMessage, ok bool) {
	for i := range c.held {
		if c.held[i].ns == c.nr {
			m = c.held[i]
			last := len(c.held) - 1
			c.held[i], c.held[last] = c.held[last], rxMessage{}
			if c.held = c.held[:last]; last == 0 {
				c.held = nil
			}
			c.accept(m.h, m.body)
			return m, true
		}
	}
	return m, false
}

// snapshot is the state and the counts of now.
func (c *channel) snapshot() ChannelStats {
	s := c.stats
	s.Ns, s.Nr = c.una+uint16(c.sent), c.nr
	s.Window, s.PeerWindow = c.rxWindow, c.window
	s.Cwnd, s.Ssthresh = c.cwnd, c.ssthresh
	s.Queued, s.Unacked = len(c.queue)-c.sent, c.sent
	return s
}
