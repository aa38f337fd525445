package session

import (
	"net/netip"
	"time"

	"github.com/lnsd/lnsd/control/ppp"
)

// A session whose PPP link is the client's end is one that an operator has placed as
// a LAC: the peer authenticates us and gives us an address. To the forwarding path it
// is a session like others: the peer's address, and the prefixes behind it, stand where
// the subscriber's would. Nobody is billed for it.

// clientEnd are the addresses of such a link; remote is the session's own, unless that
// is another session's.
type clientEnd struct{ own, remote netip.Addr }

// is reports whether another negotiation has led to the same addresses; outer is where
// the tunnel leads to.
func (c *clientEnd) is(own, remote, outer netip.Addr) bool {
	if remote == outer {
		remote = netip.Addr{}
	}
	return c != nil && *c == clientEnd{own, remote}
}

// isClient reports whether ours is the client's end of the link.
func (s *Session) isClient() bool { return s.cfg.PPP.Client }

// CallAccepted tells the session the peer's id, from when on data may flow. It is for
// calls that we have placed; others know it from the beginning.
func (s *Session) CallAccepted(peerSessionID uint16) { s.setup.PeerSessionID = peerSessionID }

// clientUp takes what IPCP has agreed on: our address, and the peer's.
func (s *Session) clientUp(now time.Time, v ppp.IPv4, out *Out) {
	switch {
	case s.state >= stateClosing:
	case s.verified && s.client.is(v.Local, v.Peer, s.setup.Tunnel.Peer.Addr()):
		// IPCP was negotiated anew, with the same outcome.
		s.ipv4 = true
		s.refresh(now, out)
	case s.verified:
		s.close(now, administrative(CauseNASRequest, "the peer has given another address"), out)
	case len(s.cfg.Routes) == 0 && v.Peer == s.setup.Tunnel.Peer.Addr():
		s.close(now, administrative(CauseNASRequest, "the peer's address is the one that the tunnel leads to: only a route can be reached through it"), out)
	case !v.Peer.IsValid() && len(s.cfg.Routes) == 0:
		s.close(now, administrative(CauseNASRequest, "the peer has no address, and no route leads to it"), out)
	default:
		s.user, s.method = s.cfg.PPP.User, AuthMethod(s.link.Negotiated().Auth)
		if v.Peer == s.setup.Tunnel.Peer.Addr() {
			v.Peer = netip.Addr{} // else the tunnel's own packets would go into it
		}
		s.client, s.verified, s.asking = &clientEnd{v.Local, v.Peer}, true, true
		s.auth = s.throttled(newGrant(&AuthResult{Profile: Profile{Routes: s.cfg.Routes, DNS: v.DNS, NBNS: v.NBNS}}))
		// The name is one that the peer knows: it is none of our subscribers', and
		// must neither end their sessions nor be ended by them.
		out.Claim = append(out.Claim, Claim{
			Duplicates: AllowDuplicates, VRF: s.cfg.VRF, Address: v.Peer, NoAddress: !v.Peer.IsValid(),
		})
	}
}

// clientClaimed takes the answer to the claim for the peer's address. Several calls to
// one peer have the same there: all but the first reach only what their routes lead to.
func (s *Session) clientClaimed(now time.Time, c ClaimResult, out *Out) {
	if c.Outcome != Granted && len(s.cfg.Routes) == 0 {
		s.claimFailed(c.Outcome, out)
		s.close(now, administrative(CauseNASRequest, "the peer's address "+s.client.remote.String()+" is another session's: "+c.Outcome.String()), out)
		return
	}
	s.address = netip.Addr{}
	if c.Outcome == Granted {
		s.address = c.Address
	}
	s.enter(now, stateNCP, out)
	s.ipv4 = true
	s.refresh(now, out)
}

// OwnAddress is the address that the peer has given us; the zero Addr in all sessions
// but those of which ours is the client's end.
func (s *Session) OwnAddress() netip.Addr {
	if s.client == nil {
		return netip.Addr{}
	}
	return s.client.own
}
