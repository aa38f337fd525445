package config

import (
	"net/netip"
	"path"
	"strings"

	"github.com/lnsd/lnsd/control/session"
)

// LAC is the policy for the LACs that a lac command names. What the command
// leaves out is inherited from the settings.
type LAC struct {
	// Name is the command's name for it; empty for LACs that none matches.
	Name string
	// Addresses are the LAC's source addresses; HostName is a glob over its Host
	// Name AVP ("*" and "?", case-insensitive), empty for any.
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
	Pool               string
	AuthTypes          []session.AuthMethod
	Renegotiate        Renegotiate
	Proxy              bool
	SendLength         bool
	SendAddressControl bool

	// given is what the command said, to render it again.
	given []lacText
}

// lacText is one key of a lac command with its value in canonical form. Any value
// is kept as a Secret, so that printing a policy cannot show one.
type lacText struct {
	key   string
	value Secret
}

// Match returns the policy for a LAC with the given source address and Host Name
// AVP: that of the first lac command which fits, else that of the settings alone
// where unknown LACs are allowed. Without either ok is false and the LAC is to be
// ignored. The Host Name is no proof of identity (RFC 2661 section 5.1.1); it only
// selects the secret that is.
func (c *Config) Match(addr netip.Addr, hostName string) (lac LAC, ok bool) {
	addr = addr.Unmap()
	for i := range c.LACs {
		if c.LACs[i].matches(addr, hostName) {
			return c.LACs[i], true
		}
	}
	return c.Unknown(), c.AllowsUnknown()
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
	}
}

func (l *LAC) matches(addr netip.Addr, hostName string) bool {
	if l.HostName != "" {
		// The pattern was checked when it was read.
		ok, err := path.Match(strings.ToLower(l.HostName), strings.ToLower(hostName))
		if err != nil || !ok {
			return false
		}
	}
	for _, p := range l.Addresses {
		if p.Contains(addr) {
			return true
		}
	}
	return len(l.Addresses) == 0
}
