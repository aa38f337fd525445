package session

import "time"

// PacketCopy is a copy of a subscriber's packet, made by either path for somebody
// who looks on.
type PacketCopy struct {
	At   time.Time
	Slot uint32
	// TunnelID and SessionID are the session's: its slot may be another's by now.
	TunnelID, SessionID uint16
	// Up: the subscriber has sent it.
	Up bool
	// Outer: Packet begins with the outer IP header; else it is the subscriber's.
	Outer bool
	// Slow: the slow path has carried it.
	Slow bool
	// Reason is why the path did not send it on, "" if it did.
	Reason string
	// Length is that of the packet, of which Packet may be the first bytes.
	Length int
	// Packet is valid only during the call.
	Packet []byte
}
