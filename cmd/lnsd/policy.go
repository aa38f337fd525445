package main

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/config"
	"github.com/lnsd/lnsd/control/engine"
	"github.com/lnsd/lnsd/control/l2tp"
	"github.com/lnsd/lnsd/control/ppp"
	"github.com/lnsd/lnsd/control/session"
)

// Choices that no setting offers: nothing is gained by varying them.
const (
	vendorName   = "lnsd"
	maxTerminate = 2 // RFC 1661 section 4.6
	echoFailures = 3 // where idle_echo_timeout is too short to derive them
)

// enginePolicy translates the configuration into what the engine treats tunnels
// and sessions by. Each lac command becomes entries of its own, one a prefix.
func enginePolicy(c *config.Config, ipv6 bool) *engine.Policy {
	unknown := c.Unknown()
	base := unknown.Base(c)
	p := &engine.Policy{
		Session: sessionConfig(base, unknown, ipv6),
		Limits: engine.Limits{
			Tunnels:           c.Limits.Tunnels,
			TunnelsPerPeer:    c.Limits.TunnelsPerLAC,
			HalfOpen:          c.Limits.HalfOpen,
			HalfOpenPerPeer:   c.Limits.HalfOpenPerLAC,
			Sessions:          c.Limits.Sessions,
			SessionsPerTunnel: c.Limits.SessionsPerTunnel,
		},
		OneTunnelPerLAC: c.L2TP.OneTunnelPerLAC,

		TunnelAccounting: c.RADIUS.TunnelAccounting,

		Outgoing:   outgoing(c, ipv6),
		DenyLocal:  c.Outgoing.DenyLocal,
		DenyRemote: c.Outgoing.DenyRemote,
	}
	if c.AllowsUnknown() {
		p.Default = tunnelConfig(base, unknown)
		p.DefaultIdle, p.DefaultTrace = unknown.Dial().IdleTimeout, unknown.Trace
	}
	for _, lac := range c.LACs {
		entry := engine.LAC{
			HostName:    lac.HostName,
			L2TP:        tunnelConfig(lac.Base(c), lac),
			Session:     sessionConfig(lac.Base(c), lac, ipv6),
			MaxSessions: lac.MaxSessions,
			IdleTimeout: lac.Dial().IdleTimeout,
			Trace:       lac.Trace,
		}
		prefixes := lac.Addresses
		if len(prefixes) == 0 {
			prefixes = []netip.Prefix{{}} // matches any source
		}
		for _, prefix := range prefixes {
			entry.Source = prefix
			p.LACs = append(p.LACs, entry)
		}
	}
	return p
}

func tunnelConfig(c *config.Config, lac config.LAC) *l2tp.Config {
	t := &l2tp.Config{
		Role:             l2tp.LNS,
		HostName:         c.Hostname,
		VendorName:       vendorName,
		Secret:           []byte(lac.Secret.Reveal()),
		Challenge:        lac.Challenge,
		HideAVPs:         lac.HideAVPs,
		ReceiveWindow:    c.L2TP.ReceiveWindow,
		HelloInterval:    c.L2TP.HelloInterval,
		RetryInterval:    c.L2TP.RetryInterval,
		RetryCap:         c.L2TP.RetryCap,
		MaxRetries:       c.L2TP.MaxRetries,
		EstablishTimeout: c.L2TP.EstablishTimeout,
		BatchAcks:        true,
		FramingCaps:      lac.Dial().FramingCaps,
		BearerCaps:       lac.Dial().BearerCaps,
	}
	if c.L2TP.NoHello {
		t.HelloInterval = 0
	}
	return t
}

func sessionConfig(c *config.Config, lac config.LAC, ipv6 bool) *session.Config {
	local := c.Gateway()
	if !local.IsValid() {
		local = fallbackGateway
	}
	s := &session.Config{
		Peer:         lac.Title(),
		Values:       valuesOf(lac),
		PPP:          linkConfig(c, lac),
		LocalAddress: local,
		DNS:          c.DNS.Servers,
		NBNS:         c.DNS.NBNS,
		Pool:         lac.Pool,
		OuterMTU:     lac.MTU,
		DataLength:   lac.SendLength,
		DataSequence: c.L2TP.SendSequence,
		ClampMSS:     c.L2TP.ClampMSS,
		OuterDSCP:    lac.OuterDSCP,
		ECN:          lac.ECN,
		Duplicates:   c.Sessions.Duplicates,

		OmitAddressControl: !lac.SendAddressControl,

		SetupTimeout:    c.Sessions.SetupTimeout,
		SessionTimeout:  c.Sessions.SessionTimeout,
		IdleTimeout:     c.Sessions.IdleTimeout,
		InterimInterval: c.RADIUS.Interim,

		RejectGarden:  c.Gardens.Reject,
		AccountGarden: c.Gardens.Account,
		Throttle:      throttleRate(c),
	}
	if s.Pool == "" {
		s.Pool = config.DefaultPool
	}
	if ipv6 {
		s.IPv6 = sessionConfig6(c, lac)
	}
	return s
}

func valuesOf(lac config.LAC) []session.Value {
	var out []session.Value
	for _, v := range lac.Values() {
		out = append(out, session.Value(v))
	}
	return out
}

// fallbackGateway is our address in IPCP when nothing configured gives one: from
// the documentation range, since the far end of a point-to-point link need not be
// reachable, only different from the subscriber's.
var fallbackGateway = netip.MustParseAddr("192.0.2.1")

func linkConfig(c *config.Config, lac config.LAC) *ppp.Config {
	l := &ppp.Config{
		MRU:            config.MRU(lac.MTU),
		ACFC:           c.PPP.ACFC,
		PFC:            c.PPP.PFC,
		Name:           c.Hostname,
		Rechallenge:    c.PPP.Rechallenge,
		EchoInterval:   c.PPP.EchoTimeout,
		EchoFailures:   echoFailures,
		RestartTimer:   c.PPP.RestartTimer,
		MaxConfigure:   c.PPP.MaxConfigure,
		MaxTerminate:   maxTerminate,
		MaxFailure:     c.PPP.MaxFailure,
		AuthTimeout:    c.Sessions.SetupTimeout,
		NetworkTimeout: c.Sessions.SetupTimeout,
		IPv6CP:         true,
		IPv6CPPassive:  true,
	}
	if n := failures(c.PPP.EchoTimeout, c.PPP.IdleEchoTimeout); n > 0 {
		l.EchoFailures = n
	}
	switch {
	case !lac.Proxy || lac.Renegotiate == config.RenegotiateAlways:
		l.Renegotiate = ppp.Always
	case lac.Renegotiate == config.RenegotiateNever:
		l.Renegotiate = ppp.Never
	default:
		l.Renegotiate = ppp.OnMismatch
	}
	for _, m := range lac.AuthTypes {
		switch m {
		case session.AuthPAP:
			l.Auth = append(l.Auth, ppp.PAP)
		case session.AuthCHAP:
			l.Auth = append(l.Auth, ppp.CHAPMD5)
		case session.AuthMSCHAPv2:
			l.Auth = append(l.Auth, ppp.MSCHAPv2)
		}
	}
	return l
}

// failures is how many echoes in a row may stay unanswered so that a silent link is
// down after idle: echo_timeout and idle_echo_timeout say it in seconds.
func failures(echo, idle time.Duration) int {
	if echo <= 0 {
		return 0
	}
	return int((idle + echo - 1) / echo)
}
