package l2tp

import "time"

// Role says which end of the control connection a tunnel is.
type Role uint8

// The roles.
const (
	// LNS terminates PPP; LAC carries it to the LNS. Both may initiate the
	// tunnel, and both may place calls (RFC 2661 section 2.1).
	LNS Role = iota
	LAC
)

// Config is what a tunnel is set up with. It is not changed afterwards and may
// be shared by any number of tunnels.
type Config struct {
	Role       Role
	HostName   string // our Host Name AVP, required
	VendorName string
	Firmware   uint16
	// Secret authenticates the tunnel and hides AVPs; empty means neither.
	Secret []byte
	// Challenge makes us challenge the peer; it needs a Secret.
	Challenge bool
	// HideAVPs hides the AVPs that may be hidden in what we send.
	HideAVPs bool
	// ReceiveWindow is what we advertise, in messages; at least 1.
	ReceiveWindow uint16
	// HelloInterval is the silence after which we send a HELLO; 0 never sends.
	HelloInterval time.Duration
	// RetryInterval is the first retransmission delay, which doubles up to
	// RetryCap (at least 8 s, RFC 2661 section 5.8); after MaxRetries without
	// an answer the tunnel is gone.
	RetryInterval, RetryCap time.Duration
	MaxRetries              int
	// EstablishTimeout ends a control connection, or a call, that is not
	// established in that time.
	EstablishTimeout time.Duration
	// FramingCaps and BearerCaps are the capability AVPs (section 4.4.3).
	FramingCaps, BearerCaps uint32
}

// Tunnel is one control connection and the calls in it (RFC 2661 section 7). It
// is not safe for concurrent use: one goroutine owns it.
//
// Every method that may cause an effect takes the time and an Out, and appends
// to Out. After any call Deadline may have changed.
type Tunnel struct{}

// NewTunnel returns an idle tunnel. id is our tunnel id (not 0), random reads
// unpredictable bytes for challenges, tie breakers and random vectors.
func NewTunnel(cfg *Config, id uint16, random func([]byte)) *Tunnel { panic("skeleton") }

// Open initiates the control connection: SCCRQ is sent.
func (t *Tunnel) Open(now time.Time, out *Out) { panic("skeleton") }

// Receive takes one control datagram from the peer, a whole L2TP message from the
// flags on. h is its parsed header, body what follows. The caller has found the
// tunnel by h.TunnelID or, for an SCCRQ, has just made it (see PeekSCCRQ), and
// has checked the source address.
func (t *Tunnel) Receive(now time.Time, h Header, body []byte, out *Out) { panic("skeleton") }

// Heard notes that a data packet of the tunnel was received: it counts as life
// for the HELLO interval (section 5.5).
func (t *Tunnel) Heard(now time.Time) { panic("skeleton") }

// Timer does what is due at now. Deadline is when to call it next; the zero time
// means never.
func (t *Tunnel) Timer(now time.Time, out *Out) { panic("skeleton") }
func (t *Tunnel) Deadline() time.Time           { panic("skeleton") }

// Close sends StopCCN with the given result, reports CallDown for each call and
// then TunnelClosing; TunnelGone follows when the retransmit cycle is over.
func (t *Tunnel) Close(now time.Time, r Result, out *Out) { panic("skeleton") }

// PlaceCall starts an incoming call (from a LAC: ICRQ) or an outgoing call (from
// an LNS: OCRQ). id is our session id.
func (t *Tunnel) PlaceCall(now time.Time, id uint16, p *CallParams, out *Out) (*Call, error) {
	panic("skeleton")
}

// AcceptCall answers a CallRequest event: the call gets our session id and ICRP
// (or OCRP) is sent. RejectCall answers it with CDN.
func (t *Tunnel) AcceptCall(now time.Time, c *Call, id uint16, out *Out) { panic("skeleton") }
func (t *Tunnel) RejectCall(now time.Time, c *Call, r Result, out *Out)  { panic("skeleton") }

// HangUp sends CDN and ends the call: CallDown is reported, with the given result.
func (t *Tunnel) HangUp(now time.Time, c *Call, r Result, out *Out) { panic("skeleton") }

// SendSLI tells the LAC the ACCMs that LCP agreed on (section 6.14, from an LNS);
// SendWEN reports line errors (section 6.13, from a LAC).
func (t *Tunnel) SendSLI(now time.Time, c *Call, m ACCM, out *Out)       { panic("skeleton") }
func (t *Tunnel) SendWEN(now time.Time, c *Call, e CallErrors, out *Out) { panic("skeleton") }

// Call returns the call with our session id, nil if there is none. Calls counts
// those that are not down.
func (t *Tunnel) Call(id uint16) *Call { panic("skeleton") }
func (t *Tunnel) Calls() int           { panic("skeleton") }

// ID is our tunnel id, PeerID the peer's (0 until known), Peer what the peer
// said of itself, State its state, Stats the reliable channel's state and counts.
func (t *Tunnel) ID() uint16          { panic("skeleton") }
func (t *Tunnel) PeerID() uint16      { panic("skeleton") }
func (t *Tunnel) Peer() *PeerInfo     { panic("skeleton") }
func (t *Tunnel) State() TunnelState  { panic("skeleton") }
func (t *Tunnel) Stats() ChannelStats { panic("skeleton") }
