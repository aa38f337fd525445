package session

import (
	"net/netip"
	"time"
)

// TapLayer says what was tapped.
type TapLayer uint8

// The layers.
const (
	// TapControl: an L2TP control message, from its header on.
	TapControl TapLayer = iota + 1
	// TapPPP: a PPP frame without the L2TP header before it, never with a user's
	// packet.
	TapPPP
)

// Tapped is a message that the daemon received or sends, for those who look on. It
// is whole: passwords and proofs of them are still in it.
type Tapped struct {
	At    time.Time
	Layer TapLayer
	// Sent: the daemon sends it; else it was received.
	Sent bool
	// Ref is of the session, with the tunnel's id alone where the message is of no
	// session, or not known to be: a request for a call comes before its session, and
	// tells itself by PeerSessionID.
	Ref
	// PeerSessionID is the id that the peer gave to the session, 0 if not known.
	PeerSessionID uint16
	// Slot, User and Calling are of the session, as far as they are known by now.
	Slot          uint32
	User, Calling string
	Local, Peer   netip.AddrPort
	LACName       string
	// Data is valid only during the call.
	Data []byte
}
