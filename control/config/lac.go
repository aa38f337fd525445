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
