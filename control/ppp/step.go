package ppp

// Step is a transition of one of the automata, for traces. It is noted only where
// Out.Trace is set.
type Step struct {
	Protocol        Protocol
	Event, From, To string
}

// eventNames and stateNames are those of RFC 1661 section 4.1.
var (
	eventNames = [numEvents]string{
		evUp: "Up", evDown: "Down", evOpen: "Open", evClose: "Close", evTOgood: "TO+", evTObad: "TO-",
		evRCRgood: "RCR+", evRCRbad: "RCR-", evRCA: "RCA", evRCN: "RCN", evRTR: "RTR", evRTA: "RTA",
		evRUC: "RUC", evRXJgood: "RXJ+", evRXJbad: "RXJ-", evRXR: "RXR",
	}
	stateNames = [numStates]string{
		initial: "Initial", starting: "Starting", closed: "Closed", stopped: "Stopped", closing: "Closing",
		stopping: "Stopping", reqSent: "Req-Sent", ackRcvd: "Ack-Rcvd", ackSent: "Ack-Sent", opened: "Opened",
	}
)

// step notes a transition. Events that change nothing are noted too: a timeout is one.
func (o *Out) step(k layer, ev event, from, to state) {
	o.Steps = append(o.Steps, Step{k.protocol(), eventNames[ev], stateNames[from], stateNames[to]})
}
