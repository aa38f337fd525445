package l2tp

import "time"

// StepKind is a kind of Step.
type StepKind uint8

// The kinds.
const (
	// StepTunnel and StepCall are transitions of the state machines.
	StepTunnel StepKind = iota + 1
	StepCall
	// StepReceived is what became of a message's Ns; StepAcked an Nr that moved.
	StepReceived
	StepAcked
	// StepSent and StepResent are messages given to the network.
	StepSent
	StepResent
)

// Step is one thing that a tunnel did inside, for traces. It is noted only where
// Out.Trace is set.
type Step struct {
	Kind StepKind
	Call *Call // StepCall
	// From and To are states, and By is what brought the transition about: the name of
	// a message, "timer", or "" for the owner.
	From, To, By string

	// The rest is the channel's.
	Type    MessageType
	Verdict string // StepReceived
	Ns, Nr  uint16
	// Unacked and Queued messages, and the windows, after the step.
	Unacked, Queued  int
	Cwnd, PeerWindow uint16
	// Retries and Interval are of a StepResent.
	Retries  int
	Interval time.Duration
}

// become changes the state of the control connection.
func (t *Tunnel) become(s TunnelState, out *Out) {
	if out.Trace && s != t.state {
		out.Steps = append(out.Steps, Step{Kind: StepTunnel, From: t.state.String(), To: s.String(), By: out.by})
	}
	t.state = s
}

// become changes the state of a call.
func (c *Call) become(s callState, out *Out) {
	out.callStep(c, s)
	c.state = s
}

func (o *Out) callStep(c *Call, s callState) {
	if o.Trace && s != c.state {
		o.Steps = append(o.Steps, Step{Kind: StepCall, Call: c, From: c.state.String(), To: s.String(), By: o.by})
	}
}

// step notes one of the channel's.
func (c *channel) step(kind StepKind, typ MessageType, ns, nr uint16, out *Out) *Step {
	out.Steps = append(out.Steps, Step{
		Kind: kind, Type: typ, Ns: ns, Nr: nr, Unacked: c.sent, Queued: len(c.queue) - c.sent,
		Cwnd: c.cwnd, PeerWindow: c.window, Retries: c.retries, Interval: c.interval,
	})
	return &out.Steps[len(out.Steps)-1]
}

var verdictNames = [...]string{
	deliver: "in order", duplicate: "duplicate", hold: "held, one before it is missing", tooFar: "dropped, beyond the window",
}
