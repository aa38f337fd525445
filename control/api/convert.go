package api

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/lnsd/lnsd/control/api/lnsv1"
	"github.com/lnsd/lnsd/control/session"
)

func statusMessage(s Status, now time.Time) *lnsv1.StatusReply {
	m := &lnsv1.StatusReply{
		Version: s.Version, HostName: s.HostName, Started: stamp(s.Started), Now: stamp(now),
		Sessions: uint64(s.Sessions), SessionsUp: uint64(s.SessionsUp),
		Tunnels: uint64(s.Tunnels), TunnelsEstablished: uint64(s.TunnelsEstablished),
		Draining: s.Draining, Load: s.Load[:],
		Traffic: &lnsv1.Traffic{
			UpBits: s.Traffic.UpBits, DownBits: s.Traffic.DownBits,
			UpPackets: s.Traffic.UpPackets, DownPackets: s.Traffic.DownPackets,
		},
	}
	for _, i := range s.Interfaces {
		m.Interfaces = append(m.Interfaces, &lnsv1.Interface{Name: i.Name, Mode: i.Mode})
	}
	for _, cpu := range s.SpreadCPUs {
		m.SpreadCpus = append(m.SpreadCpus, uint32(cpu))
	}
	return m
}

// sessionMessage shows a session; intercept says whether an interception may be seen.
func sessionMessage(v *session.View, now time.Time, intercept bool) *lnsv1.SessionInfo {
	var services session.Services
	if v.Services != nil {
		services = *v.Services
	}
	return &lnsv1.SessionInfo{
		Sid: v.Slot, TunnelId: uint32(v.TunnelID), SessionId: uint32(v.SessionID),
		PeerTunnelId: uint32(v.PeerTunnelID), PeerSessionId: uint32(v.PeerSessionID),
		State: v.State, User: utf8Text(v.User), UserVerified: v.UserVerified, AuthMethod: methodText(v.Method),
		Address: addrText(v.Address), Routes: prefixTexts(v.Routes), Dns: addrTexts(v.DNS[:]), Vrf: v.VRF,
		Lac: portText(v.LAC), LacName: utf8Text(v.LACName),
		CallingNumber: utf8Text(v.Calling), CalledNumber: utf8Text(v.Called), CallSerial: v.CallSerial,
		TxSpeed: v.TxSpeed, RxSpeed: v.RxSpeed, AcctSessionId: utf8Text(v.AcctSessionID),
		Opened: stamp(v.Opened), UpSince: stamp(v.UpSince),
		Counters: &lnsv1.Counters{
			UpPackets: v.Counters.UpPackets, UpBytes: v.Counters.UpBytes,
			DownPackets: v.Counters.DownPackets, DownBytes: v.Counters.DownBytes,
			UpDropped: v.Counters.UpDropped, DownDropped: v.Counters.DownDropped,
			LastSeen:   stamp(v.Counters.LastSeen),
			UpPackets6: v.Counters.UpPackets6, UpBytes6: v.Counters.UpBytes6,
			DownPackets6: v.Counters.DownPackets6, DownBytes6: v.Counters.DownBytes6,
		},
		SessionTimeout: int64(v.SessionTimeout), IdleTimeout: int64(v.IdleTimeout),
		InterimInterval: int64(v.InterimInterval),
		Framing: &lnsv1.Framing{
			Length: v.Framing.Length, Sequence: v.Framing.Sequence,
			AddressControl: v.Framing.AddressControl, CompressProtocol: v.Framing.CompressProtocol,
		},
		Mru: uint32(v.MRU), Mtu: uint32(v.MTU), LocalMagic: v.LocalMagic, PeerMagic: v.PeerMagic,
		Services: servicesMessage(v.Services, intercept), Intercepted: intercept && services.Intercept.IsValid(),
		Throttled: services.Up.Limited() || services.Down.Limited(), Gardened: services.Garden != "",
		FastPath: v.FastPath, Ipv6: v.IPv6 != nil, Network6: networkMessage(v), Now: stamp(now),
	}
}

func networkMessage(v *session.View) *lnsv1.Network6 {
	n := v.IPv6
	if n == nil {
		return nil
	}
	m := &lnsv1.Network6{
		InterfaceId: interfaceText(n.InterfaceID), Prefixes: prefixTexts(n.Prefixes), Delegated: prefixTexts(n.Delegated),
		Addresses: addrTexts(n.Addresses), Routes: prefixTexts(n.Routes), Dns: addrTexts(n.DNS),
	}
	for _, l := range v.Leases6 {
		m.Leases = append(m.Leases, &lnsv1.Lease6{Prefix: l.Prefix.String(), Until: stamp(l.Until)})
	}
	return m
}

// interfaceText writes an interface identifier as the last half of an address.
func interfaceText(id [8]byte) string {
	var parts []string
	for i := 0; i < len(id); i += 2 {
		parts = append(parts, strconv.FormatUint(uint64(id[i])<<8|uint64(id[i+1]), 16))
	}
	return strings.Join(parts, ":")
}

func tunnelMessage(v *session.TunnelView, now time.Time) *lnsv1.TunnelInfo {
	t := &v.Transport
	return &lnsv1.TunnelInfo{
		TunnelId: uint32(v.TunnelID), PeerTunnelId: uint32(v.PeerTunnelID), State: v.State,
		Local: portText(v.Local), Peer: portText(v.Peer),
		HostName: utf8Text(v.HostName), VendorName: utf8Text(v.VendorName), Firmware: uint32(v.Firmware),
		Sessions: uint64(v.Sessions), Created: stamp(v.Created), Now: stamp(now),
		Transport: &lnsv1.Transport{
			Ns: uint32(t.Ns), Nr: uint32(t.Nr), PeerNs: uint32(t.PeerNs), PeerNr: uint32(t.PeerNr),
			Window: uint32(t.Window), PeerWindow: uint32(t.PeerWindow),
			Cwnd: uint32(t.Cwnd), Ssthresh: uint32(t.Ssthresh),
			Queued: uint64(t.Queued), Unacked: uint64(t.Unacked),
			Sent: t.Sent, Received: t.Received, ZlbSent: t.ZLBSent, ZlbReceived: t.ZLBReceived,
			HelloSent: t.HelloSent, HelloReceived: t.HelloRecv,
			Retransmits: t.Retransmits, Duplicates: t.Duplicates,
			OutOfOrderHeld: t.OutOfOrderHeld, OutOfWindow: t.OutOfWindow,
		},
	}
}

func poolMessage(v *session.PoolView) *lnsv1.Pool {
	return &lnsv1.Pool{
		Name: utf8Text(v.Name), Prefixes: prefixTexts(v.Prefixes),
		Size: uint64(v.Size), Used: uint64(v.Used), Reserved: uint64(v.Reserved), Length: uint32(v.Length),
	}
}

func leaseMessage(v *session.LeaseView, now time.Time) *lnsv1.Lease {
	address := addrText(v.Address)
	if v.Prefix.IsValid() {
		address = v.Prefix.String()
	}
	return &lnsv1.Lease{
		Pool: utf8Text(v.Pool), Address: address, InUse: v.InUse,
		TunnelId: uint32(v.Ref.TunnelID), SessionId: uint32(v.Ref.SessionID),
		User: utf8Text(v.User), Since: stamp(v.Since), Now: stamp(now),
	}
}

func serverMessage(v *session.AuthServerView) *lnsv1.RadiusServer {
	return &lnsv1.RadiusServer{
		Name: v.Name, Purpose: v.Purpose, State: v.State, DeadUntil: stamp(v.DeadUntil),
		InFlight: uint64(v.InFlight), Queued: uint64(v.Queued), Sent: v.Sent, Retries: v.Retries,
		Accepts: v.Accepts, Rejects: v.Rejects, Responses: v.Responses, Timeouts: v.Timeouts,
		BadAnswers: v.BadAnswers, RttP50: int64(v.RTT50), RttP99: int64(v.RTT99),
		MessageAuthenticator: v.MessageAuthenticator,
		Group:                v.Group, Priority: uint32(v.Priority), Weight: uint32(v.Weight),
		StatusSent: v.StatusSent, StatusAnswers: v.StatusAnswers,
	}
}

// stamp is t as the schema has it: 0 for never.
func stamp(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

func addrText(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

// addrTexts leaves out addresses that are not set.
func addrTexts(as []netip.Addr) []string {
	var out []string
	for _, a := range as {
		if a.IsValid() {
			out = append(out, a.String())
		}
	}
	return out
}

func portText(a netip.AddrPort) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func prefixTexts(ps []netip.Prefix) []string {
	var out []string
	for _, p := range ps {
		out = append(out, p.String())
	}
	return out
}

func methodText(m session.AuthMethod) string {
	switch m {
	case session.AuthPAP:
		return "pap"
	case session.AuthCHAP:
		return "chap"
	case session.AuthMSCHAPv2:
		return "mschapv2"
	default:
		return "none"
	}
}
