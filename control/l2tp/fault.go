package l2tp

// reaction is what a faulty message costs. It is decided where the fault is
// found.
type reaction uint8

const (
	// reactNone: there is no fault.
	reactNone reaction = iota
	// reactIgnore: the message is acknowledged and forgotten.
	reactIgnore
	// reactClear ends what the message is about: its call with a CDN, or the
	// tunnel with a StopCCN.
	reactClear
	// reactClearTunnel ends the tunnel.
	reactClearTunnel
)

// fault is why a message cannot be used. Both CDN and StopCCN tell it to the peer
// with result 2 and the error code.
type fault struct {
	reaction  reaction
	errorCode uint16
	text      string
}

func (f *fault) result() Result {
	// CDNError and StopError are the same number.
	return Result{Code: StopError, Error: f.errorCode, Message: f.text}
}

// DiscardReason says why a control message was not acted on.
type DiscardReason uint8

// The reasons.
const (
	// NotDiscarded is the zero value: the message was acted on.
	NotDiscarded DiscardReason = iota
	// Duplicate: it had been received before; it was acknowledged again.
	Duplicate
	// OutOfWindow: it is further ahead than our receive window.
	OutOfWindow
	// Malformed: it could not be parsed, or has a bad, missing or unknown
	// mandatory AVP.
	Malformed
	// UnknownMessage: its type is not known.
	UnknownMessage
	// Unexpected: it is not legal in the state of its tunnel or call.
	Unexpected
	// UnknownCall: there is no such call, or not any more.
	UnknownCall
	// Unauthenticated: the challenge response is wrong or missing.
	Unauthenticated

	// DiscardReasons is how many there are, for tables indexed by reason.
	DiscardReasons = int(Unauthenticated) + 1
)

var discardNames = [DiscardReasons]string{
	NotDiscarded:    "none",
	Duplicate:       "duplicate",
	OutOfWindow:     "out_of_window",
	Malformed:       "malformed",
	UnknownMessage:  "unknown_message",
	Unexpected:      "unexpected",
	UnknownCall:     "unknown_call",
	Unauthenticated: "unauthenticated",
}

// String is a name fit for a log field or a metric label.
func (r DiscardReason) String() string {
	if int(r) < len(discardNames) {
		return discardNames[r]
	}
	return "unknown"
}
