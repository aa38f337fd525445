package hooks

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/hooks/hookv1"
	"github.com/lnsd/lnsd/control/session"
)

// ask puts a call into the words of hookv1, and the answer back.
func (p *process) ask(ctx context.Context, c *call) (hookv1.Verdict, error) {
	switch c.event {
	case PreAuth:
		return p.preAuth(ctx, c.login)
	case PostAuth:
		return p.postAuth(ctx, c.login)
	case RadiusResponse:
		r, err := p.hook.RadiusResponse(ctx, &hookv1.RadiusResponseRequest{
			Session: sessionOf(c.login), Key: c.pair.Key, Value: c.pair.Value,
		})
		if err == nil {
			err = c.login.give(r.Grant)
		}
		return r.GetVerdict(), err
	case Timer:
		r, err := p.hook.Timer(ctx, &hookv1.TimerRequest{UnixMilliseconds: c.at.UnixMilli()})
		return r.GetVerdict(), err
	case Control:
		r, err := p.hook.Control(ctx, &hookv1.ControlRequest{Words: c.words})
		c.reply = r.GetText()
		return r.GetVerdict(), err
	}
	n := &c.notice
	s := &hookv1.Session{
		Sid: n.Slot, TunnelId: uint32(n.TunnelID), SessionId: uint32(n.SessionID), User: n.User,
		AcctSessionId: n.AcctSessionID, Lac: n.LAC.String(), LacName: n.LACName,
	}
	if n.Address.IsValid() {
		s.Address = n.Address.String()
	}
	r, err := p.hook.Happened(ctx, &hookv1.HappenedRequest{
		Event: hookv1.Event(c.event), UnixMilliseconds: c.at.UnixMilli(), Session: s, Detail: n.Detail,
	})
	return r.GetVerdict(), err
}

func (p *process) preAuth(ctx context.Context, l *login) (hookv1.Verdict, error) {
	r, err := p.hook.PreAuth(ctx, &hookv1.PreAuthRequest{Session: sessionOf(l), Method: methodOf(l), Password: l.password})
	if err != nil {
		return 0, err
	}
	if r.User != nil {
		l.user = *r.User
	}
	if r.Password != nil {
		l.password = r.Password
	}
	if r.Refuse {
		l.refuse, l.message = true, r.Message
	}
	return r.Verdict, nil
}

func (p *process) postAuth(ctx context.Context, l *login) (hookv1.Verdict, error) {
	r, err := p.hook.PostAuth(ctx, &hookv1.PostAuthRequest{Session: sessionOf(l), Method: methodOf(l), Allowed: l.allowed})
	if err != nil {
		return 0, err
	}
	if err := l.give(r.Grant); err != nil {
		return 0, err
	}
	if r.Allowed != nil {
		l.allowed = *r.Allowed
	}
	if r.Message != "" {
		l.message = r.Message
	}
	return r.Verdict, nil
}

func sessionOf(l *login) *hookv1.Session {
	r := l.request
	return &hookv1.Session{
		TunnelId: uint32(r.TunnelID), SessionId: uint32(r.SessionID), User: l.user,
		AcctSessionId: r.Call.AcctSessionID, Lac: addrText(r.Call.LAC), LacName: r.Call.LACName,
		CallingNumber: r.Call.CallingNumber, CalledNumber: r.Call.CalledNumber,
	}
}

func addrText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func methodOf(l *login) hookv1.Method {
	switch l.request.Method {
	case session.AuthPAP:
		return hookv1.Method_METHOD_PAP
	case session.AuthCHAP:
		return hookv1.Method_METHOD_CHAP
	case session.AuthMSCHAPv2:
		return hookv1.Method_METHOD_MSCHAPV2
	}
	return hookv1.Method_METHOD_UNSPECIFIED
}

// give takes what a plugin grants over what those before it did, or nothing of it when
// no session could have it.
func (l *login) give(g *hookv1.Grant) error {
	if g == nil {
		return nil
	}
	next := l.grant
	rate := func(bits *uint64) *session.Rate {
		if bits == nil {
			return nil
		}
		return &session.Rate{Bits: *bits}
	}
	seconds := func(n *uint32) *time.Duration {
		if n == nil {
			return nil
		}
		d := time.Duration(*n) * time.Second
		return &d
	}
	over(&next.Up, rate(g.UpBits))
	over(&next.Down, rate(g.DownBits))
	over(&next.FilterUp, g.FilterUp)
	over(&next.FilterDown, g.FilterDown)
	over(&next.Garden, g.Garden)
	over(&next.SessionTimeout, seconds(g.SessionTimeout))
	over(&next.IdleTimeout, seconds(g.IdleTimeout))
	if err := next.Validate(); err != nil {
		return fmt.Errorf("its grant can't be had: %w", err)
	}
	l.grant = next
	return nil
}

// verdictOf is what an answer says: a verdict of some later version is no yes.
func verdictOf(v hookv1.Verdict) Verdict {
	switch v {
	case hookv1.Verdict_VERDICT_OK:
		return OK
	case hookv1.Verdict_VERDICT_STOP:
		return Stop
	}
	return Error
}

// over replaces a grant where there is another.
func over[T any](field **T, value *T) {
	if value != nil {
		*field = value
	}
}
