package session

import (
	"slices"
	"strconv"
	"time"
)

// segment is the part of a session's life that one account covers. A session that
// never moves into or out of a garden has one, its whole life, and no segment.
type segment struct {
	// number counts the session's accounts, 0 while there was none; it is part of
	// the id from the second on.
	number int
	since  time.Time
	base   Counters // what was counted before
}

// acctSessionID is the id of the account that is open, or was last. Each account
// has its own (RFC 2866 section 5.5).
func (s *Session) acctSessionID() string {
	if s.segment == nil || s.segment.number <= 1 {
		return s.setup.AcctSessionID
	}
	return s.setup.AcctSessionID + "-" + strconv.Itoa(s.segment.number)
}

// AccountID is the accounting id of the account that is open, or was last.
func (s *Session) AccountID() string { return s.acctSessionID() }

// inAccount is the part of the counters that belongs to the account.
func (s *Session) inAccount(c Counters) Counters {
	if s.segment == nil {
		return c
	}
	return c.Sub(s.segment.base)
}

// accountSince is when the account began.
func (s *Session) accountSince() time.Time {
	if s.segment == nil {
		return s.time(s.upSince)
	}
	return s.segment.since
}

// mayAccount says whether what is done now goes on an account: a garden is no
// service that anybody pays for, unless configured otherwise.
func (s *Session) mayAccount() bool {
	if s.isClient() {
		return false // it is us who are the customer
	}
	return s.auth.Profile.Services.garden() == "" || s.cfg.AccountGarden
}

// openAccount sends the Start.
func (s *Session) openAccount(now time.Time, out *Out) {
	s.accounted = true
	s.interimAt = s.nextInterim(now)
	out.Account = append(out.Account, s.account(AcctStart, now))
}

// closeAccount sends the Stop; c is what the session has counted in all.
func (s *Session) closeAccount(at time.Time, c Counters, cause TerminateCause, out *Out) {
	s.accounted = false
	s.interimAt = 0
	r := s.account(AcctStop, at)
	r.Counters, r.Cause = s.inAccount(c), cause
	if s.end != nil && len(s.end.Class) > 0 {
		r.Class = slices.Concat(r.Class, s.end.Class)
	}
	out.Account = append(out.Account, r)
}

// moveGarden keeps accounts apart that are of different service. It returns whether
// the session left its garden for the open.
func (s *Session) moveGarden(now time.Time, from, to string, r Reader, out *Out) (left bool) {
	if from == to {
		return false
	}
	counted := s.traffic(r)
	last := 0
	if s.segment != nil {
		last = s.segment.number
	} else if s.accounted {
		last = 1
	}
	if s.accounted {
		// The service ends, not the session: neither the user nor an error did it.
		s.closeAccount(now, counted, CauseNASRequest, out)
	}
	if s.segment == nil {
		s.segment = &segment{number: last}
	}
	if s.mayAccount() {
		s.segment = &segment{number: last + 1, since: now, base: counted}
		s.openAccount(now, out)
	}
	return to == ""
}
