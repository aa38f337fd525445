package sim

import (
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/session"
)

// Notices is the observer. It checks that each session and tunnel comes up at most
// once and goes down once after that, as those who follow the events rely on.
type Notices struct {
	w        *World
	sessions map[session.Ref]bool // true: up
	tunnels  map[uint16]bool
	// Also is told the same, if it is there.
	Also engine.Observer
}

func newNotices(w *World) *Notices {
	return &Notices{w: w, sessions: make(map[session.Ref]bool), tunnels: make(map[uint16]bool)}
}

// Observe checks one notice.
func (n *Notices) Observe(x session.Notice) {
	if n.Also != nil {
		n.Also.Observe(x)
	}
	if !x.At.Equal(n.w.Now) {
		n.w.T.Errorf("%v of %v at %v, now is %v", x.Kind, x.Ref, x.At, n.w.Now)
	}
	wrong := func() { n.w.T.Errorf("unexpected %v of %v, slot %d", x.Kind, x.Ref, x.Slot) }
	switch x.Kind {
	case session.TunnelUp:
		if n.tunnels[x.TunnelID] {
			wrong()
		}
		n.tunnels[x.TunnelID] = true
	case session.TunnelDown:
		// One that was never up says that it is gone, too.
		delete(n.tunnels, x.TunnelID)
	case session.SessionUp:
		if n.sessions[x.Ref] || x.Slot == 0 {
			wrong()
		}
		n.sessions[x.Ref] = true
	case session.SessionDown:
		if !n.sessions[x.Ref] {
			wrong()
		}
		delete(n.sessions, x.Ref)
	case session.SessionFailed:
		if n.sessions[x.Ref] {
			wrong()
		}
	case session.SessionChanged:
		if !n.sessions[x.Ref] {
			wrong()
		}
	case session.TunnelRefused, session.CallRefused: // leave nothing behind
	case session.TunnelCreated, session.SessionCreated: // before any other of the same
		if n.tunnels[x.TunnelID] && x.Kind == session.TunnelCreated || n.sessions[x.Ref] && x.Kind == session.SessionCreated {
			wrong()
		}
	case session.LoginFailed: // a session may try again
	default:
		wrong()
	}
}
