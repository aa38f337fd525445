package l2tp

// Call is one call (session) in a tunnel. Its exported fields are read-only for
// other packages.
type Call struct {
	LocalID, PeerID uint16
	// Incoming is true for ICRQ calls, false for OCRQ calls.
	Incoming bool
	// Params is what the peer told us (or we told it) in ICRQ, ICCN, OCRQ, OCCN;
	// the fields of the later message are filled in when it comes. The owner may
	// set it to nil once it has taken what it needs.
	Params *CallParams

	state callState
}

// CallParams are the AVPs of a call's set-up (RFC 2661 sections 4.4.4 and 4.4.5).
// Byte slices are copies.
type CallParams struct {
	Serial             uint32
	BearerType         uint32
	FramingType        uint32
	PhysicalChannel    uint32
	HasPhysicalChannel bool
	CalledNumber       string
	CallingNumber      string
	SubAddress         string
	MinBPS, MaxBPS     uint32
	TxSpeed, RxSpeed   uint32 // bit/s, the LAC's view; RxSpeed = TxSpeed when absent
	PrivateGroup       string
	SequencingRequired bool
	Line               LineInfo
	Proxy              ProxyState
}

// ProxyState is what a LAC negotiated and learnt on our behalf (section 4.4.5).
type ProxyState struct {
	// Option lists of Configure-Requests, without code, id and length.
	InitialReceived, LastSent, LastReceived []byte
	// AuthType: 0 absent, 1 text, 2 CHAP, 3 PAP, 4 none, 5 MS-CHAPv1.
	AuthType      uint16
	AuthName      string
	AuthChallenge []byte
	AuthID        uint8
	AuthResponse  []byte
}

// LineInfo holds the access line AVPs of RFC 5515 (vendor 3561).
type LineInfo struct {
	CircuitID, RemoteID string
	// Rates in kbit/s (the AVPs have bit/s, or kbit/s in an older form); 0 is
	// absent.
	ActualUp, ActualDown uint32
	// Values are the numbers of the AVPs 129 to 142, by type less 129, as received:
	// rates in bit/s, no more than 32 bits hold, delays in ms; 0 is absent.
	Values [14]uint32
	// Loop is the Access Loop Encapsulation, 3 octets or none; Interworking tells an
	// IWF Session AVP.
	Loop         []byte
	Interworking bool
}

// CallErrors is the Call Errors AVP of a WEN (section 4.4.6).
type CallErrors struct {
	CRC, Framing, HardwareOverruns, BufferOverruns, Timeouts, Alignment uint32
}

// ACCM is the ACCM AVP of an SLI (section 4.4.6).
type ACCM struct{ Send, Receive uint32 }

// callState is the state of a call (RFC 2661 section 7.4 and 7.5).
type callState uint8

const (
	// callRequested is the RFC's idle while the owner decides on a request.
	callRequested callState = iota
	callWaitTunnel
	callWaitReply
	callWaitConnect
	callWaitCSAnswer
	callEstablished
	callDown
)

var callStateNames = [...]string{
	callRequested:    "idle",
	callWaitTunnel:   "wait-tunnel",
	callWaitReply:    "wait-reply",
	callWaitConnect:  "wait-connect",
	callWaitCSAnswer: "wait-cs-answer",
	callEstablished:  "established",
	callDown:         "down",
}

func (s callState) String() string { return callStateNames[s] }

// Up reports whether the call is established.
func (c *Call) Up() bool { return c.state == callEstablished }

// State is the RFC's name of the call's state.
func (c *Call) State() string { return c.state.String() }

// params returns Params, made anew if the owner has taken them.
func (c *Call) params() *CallParams {
	if c.Params == nil {
		c.Params = new(CallParams)
	}
	return c.Params
}
