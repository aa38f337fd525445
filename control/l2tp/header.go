// Package l2tp is the L2TPv2 protocol of RFC 2661 without any input or output:
// bytes, calls and a clock go in, bytes and events come out.
package l2tp

// Header is a parsed L2TP header, control or data (RFC 2661 section 3.1).
type Header struct {
	Flags               uint16 // the first 16 bits as received, see the Flag constants
	Length              uint16 // of the whole message; the datagram's length when L is 0
	TunnelID, SessionID uint16 // assigned by the receiver of the packet
	Ns, Nr              uint16 // valid when FlagSequence is set
}

// Bits of the first header word.
const (
	FlagControl  uint16 = 0x8000 // T
	FlagLength   uint16 = 0x4000 // L
	FlagSequence uint16 = 0x0800 // S
	FlagOffset   uint16 = 0x0200 // O
	FlagPriority uint16 = 0x0100 // P
	VersionMask  uint16 = 0x000F
)

// ParseHeader parses the header of datagram b and returns it with what follows:
// the AVPs of a control message, or the PPP frame of a data message (offset
// padding skipped, bytes beyond Length cut off). body aliases b. The error is one
// of the package's Err values and never allocates.
func ParseHeader(b []byte) (h Header, body []byte, err error) { panic("skeleton") }

// AppendDataHeader appends a data header. payload is the number of bytes that
// will follow; it is used when length is true. With sequence, ns goes into the
// header (Nr is 0, section 5.4).
func AppendDataHeader(dst []byte, tunnelID, sessionID uint16, length, sequence bool, ns uint16, payload int) []byte {
	panic("skeleton")
}

// PeekSCCRQ reads what must be known before a tunnel can be made: the peer's Host
// Name, which selects the secret, and its Assigned Tunnel ID, which tells a
// repeated SCCRQ from a new one (section 5.8; neither may be hidden). ok is false
// when body is not a well-formed SCCRQ.
func PeekSCCRQ(body []byte) (hostName []byte, assignedID uint16, ok bool) { panic("skeleton") }

// PeerInfo is what the peer said of itself when the tunnel was set up.
type PeerInfo struct {
	HostName, VendorName    string
	Firmware                uint16
	FramingCaps, BearerCaps uint32
	ReceiveWindow           uint16
	TieBreaker              [8]byte
	HasTieBreaker           bool
}

// TunnelState is the state of the control connection (section 7.2.1).
type TunnelState uint8

// The states; Closing is ours: the StopCCN is sent or acknowledged and repeats
// of it are still answered.
const (
	Idle TunnelState = iota
	WaitCtlReply
	WaitCtlConn
	Established
	Closing
)

func (s TunnelState) String() string { panic("skeleton") }

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
