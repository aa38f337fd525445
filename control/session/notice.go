package session

import (
	"net/netip"
	"time"
)

// NoticeKind says what happened to a tunnel or a session.
type NoticeKind uint8

// The kinds.
const (
	TunnelUp NoticeKind = iota + 1
	TunnelDown
	SessionUp
	SessionDown
	// SessionFailed: a session ended before it was up.
	SessionFailed
	SessionChanged
	// LoginFailed: the authenticator said no, or nothing.
	LoginFailed
	// TunnelRefused: an SCCRQ got a StopCCN, or no answer. CallRefused: a request for a
	// call got a CDN before it was a session.
	TunnelRefused
	CallRefused
	// SessionCreated and TunnelCreated are the beginnings of what may come up or fail.
	// They are for plugins, and not among NoticeKinds.
	SessionCreated
	TunnelCreated
	noticeKinds
)

var noticeNames = [noticeKinds]string{
	TunnelUp: "tunnel-up", TunnelDown: "tunnel-down", SessionUp: "session-up", SessionDown: "session-down",
	SessionFailed: "session-failed", SessionChanged: "session-changed", LoginFailed: "login-failed",
	TunnelRefused: "tunnel-refused", CallRefused: "call-refused",
	SessionCreated: "session-created", TunnelCreated: "tunnel-created",
}

func (k NoticeKind) String() string {
	if k > 0 && k < noticeKinds {
		return noticeNames[k]
	}
	return "unknown"
}

// NoticeKinds are the kinds that are told to everybody.
func NoticeKinds() []NoticeKind {
	kinds := make([]NoticeKind, 0, noticeKinds-1)
	for k := NoticeKind(1); k.Public(); k++ {
		kinds = append(kinds, k)
	}
	return kinds
}

// Public reports whether a kind is told to everybody.
func (k NoticeKind) Public() bool { return k > 0 && k < SessionCreated }

// Notice is one thing that happened, for those who follow what the daemon does. It
// holds nothing of interceptions.
type Notice struct {
	At   time.Time
	Kind NoticeKind
	// Ref is of the session; of a tunnel only its TunnelID is set.
	Ref
	// Slot, User, Address and AcctSessionID are of a session.
	Slot          uint32
	User          string
	Address       netip.Addr
	AcctSessionID string
	LAC           netip.AddrPort
	LACName       string
	// Since is when a session's call came, and Took how long its stages of set-up took,
	// in microseconds.
	Since time.Time
	Took  [StageAll]uint32
	// Stage is where a failure happened: "tunnel" or the name of a Stage.
	Stage string
	// Detail says why, or what was changed.
	Detail string
}
