// Package engine owns every tunnel and session that lives. Shards, each one
// goroutine, hold them with their PPP links and timers; what shards must share
// (names, addresses, slots) is in one small directory. The outer world is reached
// through the ports in this file, and reaches the engine through Inboxes:
//
//	udp ──Packet──▶ ┌───────┐ ──Send──▶ udp
//	radius ─AuthDone▶ inbox ─▶ shard ──Authenticate, Account──▶ radius
//	dataplane ─Programmed▶ └──────┘ ──Apply──▶ dataplane
package engine

import (
	"net/netip"

	"github.com/lnsd/lnsd/control/session"
)

// Authenticator asks whoever knows the subscribers. It must not block.
type Authenticator interface {
	// Authenticate takes a request, which is answered once through
	// Inboxes.AuthDone, or returns false when its queue is full.
	Authenticate(*session.AuthRequest) bool
}

// Accountant delivers accounting records. It must not block.
type Accountant interface {
	// Account takes a record for good, or returns false when its queue is full.
	Account(*session.AcctRecord) bool
}

// Forwarder is the path of the subscribers' packets.
type Forwarder interface {
	// Apply takes operations; each is answered once through Inboxes.Programmed,
	// and those of one session take effect in their order. The slice is valid
	// only during the call.
	Apply([]session.ProgramOp)
	// Counters reads a session's counters without a system call or a lock that
	// could be held for long.
	Counters(slot uint32) session.Counters
}

// Gate keeps from us what is for none of our tunnels, or not from its peer. A
// tunnel's messages come through between TunnelUp, which precedes the first word to
// the peer, and TunnelGone. Neither may block; the shards call it at once.
type Gate interface {
	TunnelUp(id uint16, peer netip.AddrPort)
	TunnelGone(id uint16)
}

// Sender sends datagrams; each shard has its own.
type Sender interface {
	// Send copies b into the batch of datagrams from local to peer.
	Send(local, peer netip.AddrPort, b []byte)
	// Flush hands the batch to the network.
	Flush()
}

// ServiceChecker knows which services can be had: a filter or a garden must exist.
type ServiceChecker interface {
	// Check says why s, which may be nil, can't be had. It must not block.
	Check(s *session.Services) error
}

// Auditor hears of every start and end of an interception. It must not block.
type Auditor interface {
	Intercepted(session.Interception)
}

// Journal keeps what another process needs to go on where this one ends.
type Journal interface {
	// Write keeps changes, whatever becomes of this process. It must not block for
	// long: the shards' messages wait for it. d is not kept. Any shard may call it.
	Write(d *session.Durable)
}

// Observer hears of what becomes of tunnels and sessions, in the order in which it
// happens to each. It must not block.
type Observer interface {
	Observe(session.Notice)
}

// Ports are what the engine is wired to. Send has one Sender for each shard; Gate,
// Services, Auditor, Observer, Tracer and Tap are nil where there is none.
type Ports struct {
	Authenticator Authenticator
	Accountant    Accountant
	Forwarder     Forwarder
	Gate          Gate
	Services      ServiceChecker
	Auditor       Auditor
	Observer      Observer
	Tracer        Tracer
	Tap           Tap
	Send          []Sender
	// Journal is nil where the end of the process is the end of the sessions.
	Journal Journal
	// Volatile returns the part of a slot's counters that ends with this process; nil
	// where there is none.
	Volatile func(slot uint32) session.Counters
}

// anyService takes every change as it comes; the forwarding path may still refuse.
type anyService struct{}

func (anyService) Check(*session.Services) error { return nil }

// noAuditor is deaf.
type noAuditor struct{}

func (noAuditor) Intercepted(session.Interception) {}

// noObserver looks away.
type noObserver struct{}

func (noObserver) Observe(session.Notice) {}

// openGate lets everything through.
type openGate struct{}

func (openGate) TunnelUp(uint16, netip.AddrPort) {}
func (openGate) TunnelGone(uint16)               {}
