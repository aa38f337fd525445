package engine

import (
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/session"
)

// Accounting of tunnels and of the links in them (RFC 2867 section 3), where the
// policy asks for it. A tunnel that had a Start has a Stop, whatever the policy says
// by then, and so have its links.

// tunnelAccount is what a tunnel's accounting needs to know; nil without.
type tunnelAccount struct {
	id string
	// usage is the traffic of the sessions that have ended.
	usage session.Counters
}

func (s *Shard) tunnelRecord(t *tunnel, kind session.AcctKind, cause session.TerminateCause) *session.AcctRecord {
	r := &session.AcctRecord{
		Ref: session.Ref{TunnelID: t.id()}, Kind: kind, At: s.now, User: t.name, Cause: cause,
		Call: session.CallInfo{
			LAC: t.peer, LNS: t.local, LACName: t.name, LNSName: t.lac.L2TP.HostName, PeerTunnelID: t.t.PeerID(),
		},
	}
	if t.account != nil {
		r.Call.AcctSessionID = t.account.id
	}
	return r
}

func (s *Shard) accountTunnelUp(t *tunnel) {
	if !t.policy.TunnelAccounting {
		return
	}
	t.account = &tunnelAccount{id: acctID(s.e.epoch, s.dir.accountID())}
	s.account(s.tunnelRecord(t, session.AcctTunnelStart, 0))
}

// accountTunnelDown closes a tunnel's account once its last session has ended: until
// then their traffic is not complete.
func (s *Shard) accountTunnelDown(t *tunnel) {
	if t.account == nil || t.closedAt.IsZero() || t.sessions > 0 {
		return
	}
	r := s.tunnelRecord(t, session.AcctTunnelStop, t.cause)
	r.At, r.Duration = t.closedAt, t.closedAt.Sub(t.upSince)
	r.Counters = t.account.usage
	t.account = nil
	s.account(r)
}

// tunnelCause is why a tunnel ends, in the terms of RFC 2866 section 5.10.
func (s *Shard) tunnelCause(t *tunnel, e *l2tp.Event) session.TerminateCause {
	switch {
	case t.dropped:
		return session.CauseAdminReset
	case s.shutdown:
		return session.CauseNASReboot
	case e.Remote && e.Result.Code == l2tp.StopClear:
		return session.CauseHostRequest
	default:
		return session.CauseLostService
	}
}

// accountReject tells of a tunnel that was refused, or not established.
func (s *Shard) accountReject(t *tunnel, cause session.TerminateCause) {
	if !t.policy.TunnelAccounting {
		return
	}
	r := s.tunnelRecord(t, session.AcctTunnelReject, cause)
	r.Call.AcctSessionID = acctID(s.e.epoch, s.dir.accountID())
	s.account(r)
}

// accountLink repeats a session's Start and Stop as those of its link.
func (s *Shard) accountLink(t *tunnel, r *session.AcctRecord) {
	if t.account == nil || r.Kind == session.AcctInterim {
		return
	}
	link := *r
	link.Tunnel, link.Kind = t.account.id, session.AcctLinkStart
	if r.Kind == session.AcctStop {
		link.Kind = session.AcctLinkStop
		t.account.usage = t.account.usage.Add(r.Counters)
	}
	s.account(&link)
}

// accountFailure tells of a call that did not become a session.
func (s *Shard) accountFailure(c *call, e *session.Event) {
	if c.tun.account == nil {
		return
	}
	r := c.s.FailureRecord(s.now, e.End.Cause)
	r.Tunnel = c.tun.account.id
	s.account(r)
}
