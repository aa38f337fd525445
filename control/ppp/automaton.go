package ppp

import "time"

// automaton is the state of one control protocol's option negotiation automaton
// (RFC 1661 section 4). What its actions do is the layer's business.
type automaton struct {
	state state
	// id is the Identifier of our last Configure-Request or Terminate-Request.
	id uint8
	// answered is true once that request has had its valid reply: a repeat of the
	// reply is then out of sequence and silently discarded (section 4.3).
	answered bool
	// restart is the Restart counter.
	restart uint8
	// naksSent counts Configure-Naks sent since the last Configure-Ack sent
	// (Max-Failure); naksReceived those received since the last Ack received.
	naksSent, naksReceived uint8
	// timer is when the Restart timer expires, from the link's epoch; 0 when it
	// is not running.
	timer time.Duration
}

// transit applies ev: it changes the state and returns the actions to do. legal
// is false for an event that cannot occur in the state; then nothing changes
// (RFC 1661 section 4.4, Illegal-Event).
func (a *automaton) transit(ev event) (do actions, legal bool) {
	t := &transitions[ev][a.state]
	if t.do&illegal != 0 {
		return 0, false
	}
	a.state = t.next
	// RFC 1661 section 4.1: the timer is stopped when entering a state in which
	// it is not running.
	if !a.state.timed() {
		a.timer = 0
	}
	return t.do, true
}

// timed reports whether the Restart timer runs in the state: those with TO events.
func (s state) timed() bool { return s >= closing && s <= ackSent }

// negotiating reports whether a Configure-Request would be answered in s.
func (s state) negotiating() bool { return s == stopped || s >= reqSent }

func increment(n *uint8) {
	if *n < 255 {
		*n++
	}
}
