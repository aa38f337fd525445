package config

import (
	"net/netip"

	"github.com/lnsd/lnsd/control/session"
)

// LAC is the policy for the LACs that a lac command names. What the command
// leaves out is inherited from the settings.
type LAC struct {
	// Name is the command's name for it; empty for LACs that none matches.
	Name string
	// Addresses are the LAC's source addresses; HostName is a glob (path.Match)
	// over its Host Name AVP, empty for any. The Host Name is no proof of identity
	// (RFC 2661 section 5.1.1): it only selects the secret that is.
	Addresses []netip.Prefix
	HostName  string

	Secret    Secret
	Challenge bool
	HideAVPs  bool
	// MTU is that of the outer path, in bytes.
	MTU uint16
	// MaxSessions bounds the sessions of one tunnel.
	MaxSessions int
	// Pool names the pool for sessions whose profile names none.
	Pool string
	// Pool6 and PDPool do the same for IPv6.
	Pool6, PDPool      string
	AuthTypes          []session.AuthMethod
	Renegotiate        Renegotiate
	Proxy              bool
	SendLength         bool
	SendAddressControl bool
	OuterDSCP          session.DSCP
	ECN                bool
	// Trace is what is traced into the log.
	Trace session.TraceMask

	// TunnelProfile, SessionProfile and PPPProfile name the profiles that it inherits from.
	TunnelProfile, SessionProfile, PPPProfile string
	// Peer tells that it was defined by a peer_profile command.
	Peer bool
	// effective is what it comes to with all that it inherits.
	Effective *Effective

	// Given is what the command said, to render it again.
	Given []LACText
}

// LACText is one key of a lac command with its value in canonical form, which is
// kept as a Secret since some are.
type LACText struct {
	Key   string
	Value Secret
}

// AllowsUnknown reports whether LACs that no lac command names are let in.
func (c *Config) AllowsUnknown() bool { return c.L2TP.AllowUnknown.Or(len(c.LACs) == 0) }

// Unknown is the policy for LACs that no lac command names.
func (c *Config) Unknown() LAC {
	if c.UnknownPeer == nil {
		return c.inherited()
	}
	l := c.UnknownPeer.LAC
	l.Effective = c.UnknownPeer
	return l
}

// Base is the configuration of the peer's tunnels and sessions: c with what profiles say
// in place of its settings.
func (l *LAC) Base(c *Config) *Config {
	if l.Effective == nil {
		return c
	}
	return l.Effective.Config
}

// Dial is what its profiles say of its tunnels beyond the settings.
func (l *LAC) Dial() Dial {
	if l.Effective == nil {
		return newDial()
	}
	return l.Effective.Dial
}

// Values are the values that its tunnels and sessions are made with, and where each is
// from.
func (l *LAC) Values() []Value {
	if l.Effective == nil {
		return nil
	}
	return l.Effective.Values()
}

// Title is what the peer is called where it is explained.
func (l *LAC) Title() string {
	switch {
	case l.Name == "":
		return "unknown"
	case l.Peer:
		return "peer profile " + l.Name
	}
	return "lac " + l.Name
}

// inherited is the policy that the settings make.
func (c *Config) inherited() LAC {
	return LAC{
		Secret:             c.L2TP.Secret,
		Challenge:          c.L2TP.Challenge.Or(c.L2TP.Secret != ""),
		HideAVPs:           c.L2TP.HideAVPs,
		MTU:                c.L2TP.MTU,
		MaxSessions:        c.Limits.SessionsPerTunnel,
		AuthTypes:          c.PPP.AuthTypes,
		Renegotiate:        c.PPP.Renegotiate,
		Proxy:              c.PPP.Proxy,
		SendLength:         c.L2TP.SendLength,
		SendAddressControl: c.PPP.SendAddressControl,
		OuterDSCP:          c.L2TP.OuterDSCP,
		ECN:                c.L2TP.ECN,
		Pool6:              c.IPv6.Pool,
		PDPool:             c.IPv6.PDPool,
	}
}
