package session

import (
	"encoding/binary"
	"time"
)

// Deadline is when Timer is to be called next; the zero time means never.
func (s *Session) Deadline() time.Time {
	var d time.Time
	if s.link != nil {
		d = s.link.Deadline()
	}
	if s.six != nil && s.six.router != nil {
		if t := s.six.router.Deadline(); d.IsZero() || t.Before(d) {
			d = t
		}
	}
	var first moment
	for _, m := range [...]moment{s.setupBy, s.expireAt, s.idleAt, s.interimAt, s.retryAt, s.hurryAt} {
		if m != 0 && (first == 0 || m < first) {
			first = m
		}
	}
	if t := s.time(first); first != 0 && (d.IsZero() || t.Before(d)) {
		d = t
	}
	return d
}

// moment is a time since the session was opened, in nanoseconds, and one more; 0 is
// none. A session has many, most of them none.
type moment int64

func (s *Session) moment(t time.Time) moment { return max(moment(t.Sub(s.opened))+1, 1) }

// time is the zero time for none.
func (s *Session) time(m moment) time.Time {
	if m == 0 {
		return time.Time{}
	}
	return s.opened.Add(time.Duration(m - 1))
}

func (s *Session) due(m moment, now time.Time) bool { return m != 0 && m <= s.moment(now) }

func due(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// Timer does what is due at now.
func (s *Session) Timer(now time.Time, r Reader, out *Out) {
	if s.due(s.retryAt, now) {
		s.retryAt = 0
		s.remove(out)
	}
	if s.due(s.hurryAt, now) {
		s.hurryAt = 0
		s.hurry(out)
	}
	if s.due(s.setupBy, now) {
		e := administrative(CauseServiceUnavailable, "set-up timed out")
		s.close(now, e, out)
	}
	if s.due(s.expireAt, now) {
		s.close(now, administrative(CauseSessionTimeout, "session timeout"), out)
	}
	if s.due(s.idleAt, now) {
		s.checkIdle(now, r, out)
	}
	if s.due(s.interimAt, now) {
		s.interim(now, r, out)
	}
	s.speak(now, out)
	if s.link != nil && due(s.link.Deadline(), now) {
		s.noteTraffic(now, r)
		s.link.Timer(now, &out.ppp)
		s.pump(now, out)
	}
}

// startTimers sets the timers of a session that has just come up.
func (s *Session) startTimers(now time.Time) {
	s.armSessionTimeout()
	if d := s.idleTimeout(); d > 0 {
		s.idleAt = s.moment(now.Add(d))
	}
}

// armSessionTimeout counts from the network up, also when the limit came later.
func (s *Session) armSessionTimeout() {
	s.expireAt = 0
	if d := orDefault(s.auth.Profile.SessionTimeout, s.cfg.SessionTimeout); d > 0 {
		s.expireAt = s.upSince + moment(d)
	}
}

// rearmIdle looks at once: by a shorter limit the session may have been idle for
// long enough.
func (s *Session) rearmIdle(now time.Time) {
	s.idleAt = 0
	if s.idleTimeout() > 0 {
		s.idleAt = s.moment(now)
	}
}

// interim reports what the account has so far.
func (s *Session) interim(now time.Time, r Reader, out *Out) {
	if x := s.changing; s.updating || x != nil && x.phase != applied {
		// Counters may be moving from one forwarding path to the other.
		s.interimAt = s.moment(now.Add(interimRetry))
		return
	}
	s.interimAt = s.nextInterim(now)
	a := s.account(AcctInterim, now)
	a.Counters = s.inAccount(s.traffic(r))
	out.Account = append(out.Account, a)
}

func (s *Session) idleTimeout() time.Duration {
	return orDefault(s.auth.Profile.IdleTimeout, s.cfg.IdleTimeout)
}

func orDefault(d, def time.Duration) time.Duration {
	if d > 0 {
		return d
	}
	return def
}

// checkIdle ends the session if no user packet passed for long enough; otherwise
// it looks again when that could be so.
func (s *Session) checkIdle(now time.Time, r Reader, out *Out) {
	last := s.traffic(r).LastSeen
	if up := s.time(s.upSince); last.Before(up) {
		last = up
	}
	s.idleAt = s.moment(last.Add(s.idleTimeout()))
	if s.due(s.idleAt, now) {
		s.close(now, administrative(CauseIdleTimeout, "idle timeout"), out)
	}
}

// nextInterim is an interval ahead, less a random tenth: sessions that came up
// together must not report together for ever.
func (s *Session) nextInterim(now time.Time) moment {
	d := s.cfg.InterimInterval
	if p := s.auth.Profile.InterimInterval; p > 0 {
		d = max(p, minInterim)
	}
	if d <= 0 {
		return 0
	}
	var b [2]byte
	s.random(b[:])
	return s.moment(now.Add(d - d/10*time.Duration(binary.BigEndian.Uint16(b[:]))/65536))
}

// traffic is the session's counters over all its installs.
func (s *Session) traffic(r Reader) Counters {
	if s.install != installed {
		return s.counted()
	}
	return s.counted().Add(r.Counters(s.setup.Slot))
}

// noteTraffic tells the link when the subscriber's packets passed since last
// time, or its echoes were answered without us: whoever sends needs no echo of
// ours to show life.
func (s *Session) noteTraffic(now time.Time, r Reader) {
	if s.install != installed {
		return
	}
	c := r.Counters(s.setup.Slot)
	if c.UpPackets != s.seenUp || c.PeerSeen != s.seenPeer {
		s.seenUp, s.seenPeer = c.UpPackets, c.PeerSeen
		s.link.Heard(now)
	}
}

// View shows the session to an operator.
func (s *Session) View(r Reader) View {
	t := s.setup.Tunnel
	v := View{
		Ref: s.setup.Ref, Slot: s.setup.Slot,
		PeerTunnelID: t.PeerID, PeerSessionID: s.setup.PeerSessionID,
		State: stateNames[s.state], User: s.accountingUser(), UserVerified: s.verified,
		Method: s.method, Address: s.address, Own: s.OwnAddress(), VRF: s.cfg.VRF,
		LAC: t.Peer, LACName: t.LACName, Calling: s.call.calling, Called: s.call.called,
		CallSerial: s.call.serial, TxSpeed: s.call.txSpeed, RxSpeed: s.call.rxSpeed,
		AcctSessionID: s.acctSessionID(), Opened: s.opened,
		Peer: s.cfg.Peer, Values: s.cfg.Values,
		Counters: s.traffic(r), Framing: s.framing, MTU: s.mtu, FastPath: s.install == installed,
	}
	if s.started {
		v.UpSince = s.time(s.upSince)
	}
	if s.auth != nil {
		p := &s.auth.Profile
		o := s.offer()
		v.Origins, v.Local = p.Origins, p.Local
		v.Routes, v.DNS, v.Services = p.Routes, o.DNS, p.Services
		if s.isClient() {
			v.DNS = p.names().DNS // what we were told
		}
		v.SessionTimeout = orDefault(p.SessionTimeout, s.cfg.SessionTimeout)
		v.IdleTimeout = s.idleTimeout()
		v.InterimInterval = orDefault(p.InterimInterval, s.cfg.InterimInterval)
	}
	if s.six != nil && !s.six.refused {
		v.IPv6 = s.six.network
		if s.six.server != nil {
			v.Leases6 = s.six.server.Leases()
		}
	}
	if s.link != nil {
		n := s.link.Negotiated()
		v.MRU, v.LocalMagic, v.PeerMagic = n.MRU, n.LocalMagic, n.PeerMagic
	}
	return v
}
