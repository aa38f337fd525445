package engine

import (
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// noticeOf is what the observer is told of an event. The reasons of a set-up that
// failed come with its end, those of a login on their own too.
var noticeOf = [...]session.NoticeKind{
	session.Up:              session.SessionUp,
	session.AuthFailed:      session.LoginFailed,
	session.AuthUnavailable: session.LoginFailed,
	session.Altered:         session.SessionChanged,
	session.Down:            session.SessionDown,
}

// tell tells the observer what happened to a session.
func (s *Shard) tell(c *call, e *session.Event) {
	if int(e.Kind) >= len(noticeOf) || noticeOf[e.Kind] == 0 {
		return
	}
	n := session.Notice{
		At: s.now, Kind: noticeOf[e.Kind], Ref: c.s.Ref(), Slot: c.s.Slot(), User: c.s.User(),
		LAC: c.tun.peer, LACName: c.tun.name, Detail: e.Detail,
	}
	if e.Kind == session.Down {
		n.Detail = e.End.Reason
		if !e.WasUp {
			n.Kind, n.Stage = session.SessionFailed, e.Stage.String()
		}
	}
	n.Since, n.Took = c.s.Setup()
	r := c.s.Record()
	n.Address, n.AcctSessionID = r.Address, r.AcctSessionID
	s.e.ports.Observer.Observe(n)
}

// tellCreated tells the observer of a session that begins.
func (s *Shard) tellCreated(c *call) {
	s.e.ports.Observer.Observe(session.Notice{
		At: s.now, Kind: session.SessionCreated, Ref: c.s.Ref(), Slot: c.s.Slot(), LAC: c.tun.peer, LACName: c.tun.name,
	})
}

// tellTunnel is tell for a tunnel.
func (s *Shard) tellTunnel(t *tunnel, kind session.NoticeKind, detail string) {
	n := session.Notice{
		At: s.now, Kind: kind, Ref: session.Ref{TunnelID: t.id()}, LAC: t.peer, LACName: t.name, Detail: detail,
	}
	if kind == session.TunnelDown && t.upSince.IsZero() {
		n.Stage = "tunnel" // it was never up
	}
	s.e.ports.Observer.Observe(n)
}

// tellStranger tells of an attempt to open a tunnel that comes to nothing.
func (s *Shard) tellStranger(p *packet, name string, kind session.NoticeKind, detail string) {
	s.e.ports.Observer.Observe(session.Notice{At: s.now, Kind: kind, LAC: p.peer, LACName: name, Stage: "tunnel", Detail: detail})
}

// tellCall tells of a call that was refused before it became a session.
func (s *Shard) tellCall(t *tunnel, r l2tp.Result) {
	s.e.ports.Observer.Observe(session.Notice{
		At: s.now, Kind: session.CallRefused, Ref: session.Ref{TunnelID: t.id()}, LAC: t.peer, LACName: t.name,
		Stage: session.StageCall.String(), Detail: or(r.Message, l2tp.CDNText(r.Code)),
	})
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}
