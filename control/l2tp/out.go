package l2tp

// Out collects what a tunnel wants done. The owner carries it out in the order
// of the fields: first every datagram is sent, in order, to the tunnel's peer;
// then the events are acted on, in order. It is reused: Reset forgets the
// contents and keeps the memory, so nothing in it may be kept past a Reset.
type Out struct {
	// Send holds whole L2TP control messages (UDP payloads).
	Send   [][]byte
	Events []Event

	// What follows is for counters and traces only.

	// Sent holds the type of each message in Send.
	Sent []MessageType
	// Received holds the types of the messages that were acted on, and Discarded
	// the others: every control message given to Receive ends in one of them, at
	// once or, when it came out of order, once the gap before it is filled.
	Received  []MessageType
	Discarded []Discard
	// Resent is how many of Send are repetitions, and VendorAVPs and IgnoredAVPs how
	// many attributes of the messages received have a vendor, and say nothing to us.
	Resent, VendorAVPs, IgnoredAVPs int

	// Trace, set by the owner, asks for Steps; it outlives a Reset.
	Trace bool
	Steps []Step

	by    string // what is being worked on, for Steps
	arena []byte // backs Send
}

// Discard is a control message that was not acted on.
type Discard struct {
	Type   MessageType
	Reason DiscardReason
}

// Reset empties o.
func (o *Out) Reset() {
	clear(o.Events) // they point to calls
	o.Send, o.Events, o.arena = o.Send[:0], o.Events[:0], o.arena[:0]
	o.Sent, o.Received, o.Discarded = o.Sent[:0], o.Received[:0], o.Discarded[:0]
	o.Resent, o.VendorAVPs, o.IgnoredAVPs = 0, 0, 0
	if o.Trace {
		clear(o.Steps)
		o.by = ""
	}
	o.Steps = o.Steps[:0]
}

// sent notes that what was appended to the arena from start on is a datagram.
func (o *Out) sent(start int, t MessageType) {
	// A later growth of the arena leaves the bytes of earlier datagrams where they
	// are, so that these slices stay valid.
	o.Send = append(o.Send, o.arena[start:len(o.arena):len(o.arena)])
	o.Sent = append(o.Sent, t)
}

func (o *Out) count(t MessageType, reason DiscardReason) {
	if reason == NotDiscarded {
		o.Received = append(o.Received, t)
		return
	}
	o.Discarded = append(o.Discarded, Discard{t, reason})
}

// EventKind says what happened.
type EventKind uint8

// The events. Every CallRequest and every successful PlaceCall is followed by
// exactly one CallDown of the same call, however it ends; TunnelGone is the last
// event of every tunnel.
const (
	// TunnelUp: the control connection is established.
	TunnelUp EventKind = iota + 1
	// TunnelClosing: it is cleared (StopCCN sent or received, or the peer does
	// not answer). Every call has been reported down before. The tunnel must
	// be kept, and its id not reused, until TunnelGone (section 5.7).
	TunnelClosing
	// TunnelGone: the retransmit cycle after the StopCCN is over.
	TunnelGone
	// CallRequest: ICRQ or OCRQ came. Answer with AcceptCall or RejectCall,
	// best in the same step: then the answer carries the acknowledgement.
	CallRequest
	// CallAccepted: the peer's session id is known (ICRP/OCRP came or was sent):
	// data may flow already.
	CallAccepted
	// CallUp: the call is established (ICCN or OCCN came or was sent).
	CallUp
	// CallDown: the call has ended; its id is free again. Result is what the
	// peer's CDN said or what we told the peer.
	CallDown
	// WANErrors: a WEN came. LinkInfo: an SLI came.
	WANErrors
	LinkInfo
)

// Event is one thing that happened to a tunnel or to a call in it.
type Event struct {
	Kind EventKind
	Call *Call // nil for the tunnel's own events
	// Result is set for TunnelClosing and CallDown.
	Result Result
	// Remote is true when the peer is the cause.
	Remote bool
	// WithTunnel is true for a CallDown that is caused by the end of the tunnel;
	// there is no CDN then.
	WithTunnel bool
	Errors     CallErrors // WANErrors
	ACCM       ACCM       // LinkInfo
}

// Result is the Result Code AVP (RFC 2661 section 4.4.2). The meaning of Code
// depends on whether it ends a call (CDN) or the control connection (StopCCN).
type Result struct {
	Code    uint16
	Error   uint16
	Message string
	// Disconnect is the PPP Disconnect Cause AVP of a CDN (RFC 3145); its zero
	// value means there is none.
	Disconnect DisconnectCause
}

// DisconnectCause is the PPP Disconnect Cause AVP (RFC 3145 section 2).
type DisconnectCause struct {
	Present   bool
	Code      uint16
	Protocol  uint16 // PPP protocol number
	Direction uint8  // 0 global, 1 at the peer, 2 local
	Message   string
}
