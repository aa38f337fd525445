package session

import (
	"net/netip"
	"time"
)

// Story is what is remembered of a session, a tunnel or an attempt at one.
type Story struct {
	Ref
	Slot          uint32
	User          string
	AcctSessionID string
	LAC           netip.AddrPort
	LACName       string
	// State is "up", "ended" or "failed".
	State string
	// Stage is where it failed: "tunnel" or a Stage's name; "" if it did not.
	Stage string
	// Reason is why it failed or ended, Check what to look at.
	Reason, Check string
	Events        []StoryEvent
	// Repeated is how often the same has failed since, in the same way.
	Repeated uint64
}

// StoryEvent is one thing that happened.
type StoryEvent struct {
	At           time.Time
	What, Detail string
}
