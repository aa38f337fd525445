package main

import (
	"net/netip"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// outgoing translates the tunnels that are opened from here, and the calls in them.
func outgoing(c *config.Config, ipv6 bool) []engine.Outgoing {
	var out []engine.Outgoing
	for i := range c.Outgoing.Tunnels {
		t := &c.Outgoing.Tunnels[i]
		e := t.Effective
		lac := e.LAC
		lac.Effective = e
		o := engine.Outgoing{
			Name:        t.Name,
			Local:       netip.AddrPortFrom(localAddress(c, e), c.L2TP.Port),
			Peer:        netip.AddrPortFrom(t.Peer, e.Dial.Port),
			L2TP:        dialConfig(e, lac),
			Session:     sessionConfig(e.Config, lac, ipv6),
			Said:        t.Said().Reveal(),
			Persist:     e.Dial.Persist,
			Retry:       e.Dial.Wait,
			IdleTimeout: e.Dial.IdleTimeout,
			MaxSessions: lac.MaxSessions,
			Trace:       e.Dial.Trace,
		}
		o.Session.Peer = "tunnel " + t.Name
		for _, call := range c.CallsIn(t.Name) {
			o.Calls = append(o.Calls, outgoingCall(call, ipv6))
		}
		out = append(out, o)
	}
	return out
}

// localAddress is where a tunnel is opened from. The unspecified address leaves it to
// the kernel's routes.
func localAddress(c *config.Config, e *config.Effective) netip.Addr {
	bound, any := c.L2TP.BindAddress, netip.IPv4Unspecified()
	if !e.Dial.Peer.Is4() {
		bound, any = c.L2TP.BindAddress6, netip.IPv6Unspecified()
	}
	for _, a := range []netip.Addr{e.Dial.Source, bound} {
		if a.IsValid() && !a.IsUnspecified() {
			return a
		}
	}
	return any
}

func dialConfig(e *config.Effective, lac config.LAC) *l2tp.Config {
	t := tunnelConfig(e.Config, lac)
	t.TieBreaker = e.Dial.TieBreaker
	if e.Dial.Role == config.RoleLAC {
		t.Role = l2tp.LAC
	}
	return t
}

func outgoingCall(call config.Call, ipv6 bool) engine.OutgoingCall {
	e := call.Effective
	lac := e.LAC
	lac.Effective = e
	s := sessionConfig(e.Config, lac, ipv6)
	s.Peer = "session " + call.Name + " of tunnel " + call.Tunnel
	if e.Dial.Role == config.RoleLAC {
		asClient(s, e.Call)
	}
	return engine.OutgoingCall{
		Name: call.Name, Session: s, Params: callParams(e.Call.Params), Said: call.Said().Reveal(),
		Persist: e.Call.Persist, Retry: e.Call.Wait,
	}
}

// asClient makes ours the client's end of the link: it is the peer that authenticates us
// and gives addresses. IPv6 is not asked for.
func asClient(s *session.Config, p config.Placing) {
	link := *s.PPP
	link.Client, link.User, link.Password = true, p.User, p.Password.Reveal()
	link.IPv6CP, link.IPv6CPPassive, link.Rechallenge, link.AuthOptional = false, false, 0, false
	if len(link.Auth) == 0 {
		link.Auth = []ppp.Auth{ppp.CHAPMD5, ppp.MSCHAPv2, ppp.PAP}
	}
	s.PPP, s.IPv6, s.Routes = &link, nil, p.Routes
	s.IgnoreProxy, s.Throttle = true, session.Rate{}
}

func callParams(p config.CallParams) l2tp.CallParams {
	return l2tp.CallParams{
		CalledNumber: p.CalledNumber, CallingNumber: p.CallingNumber, SubAddress: p.SubAddress, PrivateGroup: p.PrivateGroup,
		FramingType: p.FramingType, BearerType: p.BearerType, MinBPS: p.MinBPS, MaxBPS: p.MaxBPS,
		TxSpeed: p.TxSpeed, RxSpeed: p.RxSpeed, SequencingRequired: p.SequencingRequired,
	}
}
