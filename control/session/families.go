package session

import "time"

// A session has two families of addresses, of which each comes and goes by its own
// NCP (RFC 1661 section 3.7). The session is in the forwarding path while either is
// up; when one joins or leaves, its record is replaced.

// served reports whether there is anything to forward.
func (s *Session) served() bool { return s.ipv4 || s.six.ready() }

// refresh makes the forwarding path follow a change of the families.
func (s *Session) refresh(now time.Time, out *Out) {
	switch {
	case s.state >= stateClosing, s.install == removing:
		// The answer to a removal looks at the families again.
	case !s.served():
		// Only the packets stop; the link and the accounting go on, and an NCP may
		// open again.
		if s.install == installing || s.install == installed {
			s.become(stateNCP, out)
			s.remove(out)
		}
	case s.install == absent:
		s.program(now, out)
	case s.install == installed && !s.updating && (s.changing == nil || s.changing.phase == applied):
		s.updating = true
		s.measure()
		s.reprogram(out)
	default:
		s.stale = true // until what is under way is answered
	}
}

// IsRefreshing reports whether the forwarding path has yet to follow a change of the
// families.
func (s *Session) IsRefreshing() bool { return s.updating || s.stale }

// updated takes the answer to a replacement that refresh asked for.
func (s *Session) updated(now time.Time, p *Programmed, out *Out) {
	s.updating = false
	switch {
	case p.Err == nil:
		s.joined(now, out)
	case s.six.ready():
		// What is installed now is not certain. IPv4 has been served, so IPv6 is
		// what there is no room for; without it the record fits as it did before.
		out.Events = append(out.Events, Event{Kind: ProgramFailed, Err: p.Err})
		s.six.refused = true
		s.farewell(out)
		if !s.ipv4 {
			s.close(now, s.busyEnd(CauseNASError, "no room in the forwarding path"), out)
			return
		}
		s.stale = true
	default:
		out.Events = append(out.Events, Event{Kind: ProgramFailed, Err: p.Err})
		s.close(now, s.busyEnd(CauseNASError, "no room in the forwarding path"), out)
		return
	}
	s.catchUp(now, out)
}

// catchUp asks for what had to wait.
func (s *Session) catchUp(now time.Time, out *Out) {
	if s.stale {
		s.stale = false
		s.refresh(now, out)
	}
}

// joined acts on a record that was confirmed: the subscriber hears of its prefixes,
// and the accountant, at once, of those that came after the Start.
func (s *Session) joined(now time.Time, out *Out) {
	s.advertise(now, out)
	if s.six.ready() && !s.told6 {
		s.told6 = true
		if s.accounted {
			s.interimAt = s.moment(now)
		}
	}
}
