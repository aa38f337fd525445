package ppp

import "time"

// Snapshot is what must be known of a link in the network phase so that another
// process goes on with it and the peer notices nothing: options and Identifiers, and
// where each automaton stands. It is a plain value.
type Snapshot struct {
	Automata [numLayers]AutomatonSnapshot
	// LCP's options, ours and the peer's.
	Local, Peer                         LCPValues
	Refused                             uint8
	AuthRejected, MagicRejected, NoEcho bool

	IPCPLocal, IPCPPeer [4]byte
	Servers             [numServers][4]byte
	Wanted              uint8
	Addressless         bool

	IPv6CPLocal, IPv6CPPeer, IPv6CPGiven [8]byte
	IPv6CPWanted, IPv6CPRejected         bool

	AuthID, RejectID, EchoID uint8
	Text                     string
}

// AutomatonSnapshot is one automaton: its state by RFC 1661 section 4.1, and the
// Identifier of its last request.
type AutomatonSnapshot struct {
	State, ID                       uint8
	Answered                        bool
	Restart, NaksSent, NaksReceived uint8
}

// LCPValues are the LCP options of one direction.
type LCPValues struct {
	ACCM, Magic uint32
	MRU         uint16
	Auth        Auth
	PFC, ACFC   bool
}

// Snapshot returns what another process needs; ok is false while the link is not in
// the network phase: then it is not worth going on with.
func (l *Link) Snapshot() (s Snapshot, ok bool) {
	if l.phase != phaseNetwork || l.automata[lcp].state != opened {
		return Snapshot{}, false
	}
	for k, a := range l.automata {
		s.Automata[k] = AutomatonSnapshot{uint8(a.state), a.id, a.answered, a.restart, a.naksSent, a.naksReceived}
	}
	s.Local, s.Peer = l.lcp.local.exported(), l.lcp.peer.exported()
	s.Refused, s.AuthRejected, s.MagicRejected, s.NoEcho = l.lcp.refused, l.lcp.authRejected, l.lcp.magicRejected, l.noEcho
	s.IPCPLocal, s.IPCPPeer = l.ipcp.local, l.ipcp.peer
	for i, a := range l.ipcp.servers {
		s.Servers[i] = a
	}
	s.Wanted, s.Addressless = l.ipcp.wanted, l.ipcp.addressless
	s.IPv6CPLocal, s.IPv6CPPeer, s.IPv6CPGiven = l.ipv6cp.local, l.ipv6cp.peer, l.ipv6cp.given
	s.IPv6CPWanted, s.IPv6CPRejected = l.ipv6cp.wanted, l.ipv6cp.rejected
	s.AuthID, s.RejectID, s.EchoID = l.auth.id, l.rejectID, l.echoID
	s.Text = l.text
	return s, true
}

func (v lcpValues) exported() LCPValues {
	return LCPValues{v.accm, v.magic, v.mru, v.auth, v.pfc, v.acfc}
}

func (v LCPValues) values() lcpValues {
	return lcpValues{v.ACCM, v.Magic, v.MRU, v.Auth, v.PFC, v.ACFC}
}

// Restore makes a link that goes on from a snapshot, silently: what the peer may have
// missed it asks for again (RFC 1661 section 4.6). It returns nil for what no Snapshot
// has returned.
func Restore(cfg *Config, s *Snapshot, random func([]byte), now time.Time) *Link {
	l := NewLink(cfg, random)
	// Zero is no time on a link's clock.
	l.epoch = now.Add(-time.Second)
	at := now.Sub(l.epoch)
	for k, a := range s.Automata {
		if a.State >= uint8(numStates) {
			return nil
		}
		l.automata[k] = automaton{
			state: state(a.State), id: a.ID, answered: a.Answered, restart: a.Restart,
			naksSent: a.NaksSent, naksReceived: a.NaksReceived,
		}
		if l.automata[k].state.timed() {
			l.automata[k].timer = at + cfg.restartTimer()
		}
	}
	if l.automata[lcp].state != opened {
		return nil
	}
	l.phase = phaseNetwork
	l.lcp = lcpOptions{
		local: s.Local.values(), peer: s.Peer.values(), refused: s.Refused,
		authRejected: s.AuthRejected, magicRejected: s.MagicRejected,
	}
	l.noEcho = s.NoEcho
	l.ipcp = ipcpOptions{local: s.IPCPLocal, peer: s.IPCPPeer, wanted: s.Wanted, addressless: s.Addressless}
	for i, a := range s.Servers {
		l.ipcp.servers[i] = a
	}
	l.ipv6cp = ipv6cpOptions{
		local: s.IPv6CPLocal, peer: s.IPv6CPPeer, given: s.IPv6CPGiven,
		wanted: s.IPv6CPWanted, rejected: s.IPv6CPRejected,
	}
	l.auth = authentication{id: s.AuthID, state: authPassed, passed: true}
	l.rejectID, l.echoID, l.text = s.RejectID, s.EchoID, s.Text
	l.restoreTimers(step{now: at})
	return l
}

// restoreTimers starts what runs in the network phase. Whether the peer is still
// there shows within the usual time.
func (l *Link) restoreTimers(s step) {
	if d := l.env.cfg.Rechallenge; d > 0 && l.method().protocol() == ProtoCHAP {
		l.auth.timer = s.now + d
	}
	l.startEcho(s)
	if d := l.env.cfg.NetworkTimeout; d > 0 && l.automata[ipcp].state != opened && l.automata[ipv6cp].state != opened {
		l.networkLimit = s.now + d
	}
}
