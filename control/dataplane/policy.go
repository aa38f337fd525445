package dataplane

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/session"
	"github.com/lnsd/lnsd/maps"
)

// eligible says whether XDP can forward a session. The others are left to the
// slow path as a whole: only the main table is understood.
func (c *Config) eligible(r *session.Record) bool {
	if len(r.Prefixes6) > 0 && !c.IPv6 {
		return false
	}
	return r.VRF == 0 && (r.Address.Is4() || len(r.Prefixes6) > 0) &&
		(r.Local.Addr().Is4() && r.Peer.Addr().Is4() || c.Outer6 && r.Local.Addr().Is6() && r.Peer.Addr().Is6())
}

// The burst of a rate that names none: a second, and no fewer packets than TCP needs
// to go on where the rate is low.
const (
	defaultBurst = time.Second
	leastBurst   = 16 * 1500 // bytes
)

// limit turns a rate into what the maps hold.
func limit(r session.Rate) maps.Limit {
	if !r.Limited() {
		return maps.Limit{}
	}
	time := func(bytes float64) time.Duration {
		return time.Duration(min(bytes*8/float64(r.Bits), maps.MaxBurst.Seconds()) * float64(time.Second))
	}
	l := maps.Limit{Bits: r.Bits, Burst: max(defaultBurst, time(leastBurst))}
	if r.Burst > 0 {
		l.Burst = max(time(float64(r.Burst)), maps.MinBurst)
	}
	return l
}

// entry turns a record into what the maps hold.
func (c *Config) entry(r *session.Record) maps.Session {
	p := maps.Policy{
		Vrf:           r.VRF,
		TunnelId:      r.TunnelID,
		SessionId:     r.SessionID,
		PeerTunnelId:  r.PeerTunnelID,
		PeerSessionId: r.PeerSessionID,
		LocalPort:     r.Local.Port(),
		PeerPort:      r.Peer.Port(),
		Mtu:           r.MTU,
		ClampMss:      r.ClampMSS,
		OuterTos:      r.Framing.DSCP.Value << 2,
		Magic:         r.LocalMagic,
		// Whatever is installed has its network layer up, and so LCP opened.
		Flags: maps.FlagEcho,
	}
	if c.PacketLimit > 0 {
		p.Flags |= maps.FlagPacketLimit
	}
	if r.Framing.ECN {
		p.Flags |= maps.FlagECN
	}
	if r.Framing.DSCP.Copy {
		p.Flags |= maps.FlagCopyDSCP
	}
	if r.Address.Is4() {
		p.Address = r.Address.As4()
	}
	if r.Framing.Length {
		p.Flags |= maps.FlagLength
	}
	if r.Framing.Sequence {
		p.Flags |= maps.FlagSequence | maps.FlagNumbered
	}
	if r.Framing.AddressControl {
		p.Flags |= maps.FlagAddressControl
	}
	if r.Framing.CompressProtocol {
		p.Flags |= maps.FlagPFC
	}
	if c.UDPChecksum {
		p.Flags |= maps.FlagUDPChecksum
	}
	if c.DontFragment {
		p.Flags |= maps.FlagDontFragment
	}
	if r.Peer.Addr().Is4() {
		p.Local, p.Peer = r.Local.Addr().As4(), r.Peer.Addr().As4()
	}
	s := maps.Session{Slot: r.Slot, Policy: p, Prefixes6: r.Prefixes6}
	if v := r.Services; v != nil {
		s.Up, s.Down = limit(v.Up), limit(v.Down)
		s.FilterUp, s.FilterDown = v.FilterUp, v.FilterDown
		if v.Intercept.IsValid() {
			s.Policy.Flags |= maps.FlagIntercept
		}
		if v.Garden != "" {
			s.Policy.Flags |= maps.FlagGarden
		}
	}
	if r.Peer.Addr().Is6() {
		s.Local6, s.Peer6 = r.Local.Addr(), r.Peer.Addr()
	}
	if r.Peer.Addr().Is6() {
		s.Local6, s.Peer6 = r.Local.Addr(), r.Peer.Addr()
	}
	for _, route := range r.Routes {
		if route.IsValid() && route.Addr().Is4() {
			s.Routes = append(s.Routes, netip.PrefixFrom(route.Addr(), route.Bits()).Masked())
		}
	}
	return s
}
