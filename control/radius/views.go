package radius

import "github.com/lnsd/lnsd/control/session"

// Servers shows each server once for each purpose, in the order of preference.
// Requests that wait for a server to be chosen are counted at the first.
func (c *Client) Servers() []session.AuthServerView {
	var views []session.AuthServerView
	for _, m := range []*pump{c.auth, c.acct} {
		if m == nil {
			continue
		}
		now := m.clock()
		m.mu.Lock()
		for i, s := range m.x.servers {
			v := s.view(now, m.x.purpose)
			v.Group = c.cfg.Group
			if i == 0 {
				v.Queued = len(m.intake)
			}
			views = append(views, v)
		}
		m.mu.Unlock()
	}
	return views
}

// Counts are the client's counters since the start.
func (c *Client) Counts() []session.Count {
	n := &c.counts
	out := []session.Count{
		{Name: "radius_auth_accepts", Value: n.accepts.Load()},
		{Name: "radius_auth_rejects", Value: n.rejects.Load()},
		{Name: "radius_auth_challenges", Value: n.challenges.Load()},
		{Name: "radius_auth_unusable_accepts", Value: n.unusable.Load()},
		{Name: "radius_auth_unsendable", Value: n.unsendable.Load()},
		{Name: "radius_auth_unavailable", Value: n.unavailable.Load()},
		{Name: "radius_auth_attributes_ignored", Value: n.ignored.Load()},
		{Name: "radius_acct_delivered", Value: n.acctAnswered.Load()},
		{Name: "radius_acct_undelivered", Value: n.acctFailed.Load()},
		{Name: "radius_acct_lost", Value: n.acctLost.Load()},
		{Name: "radius_acct_interim_refused", Value: n.interimRefused.Load()},
	}
	for _, m := range []*pump{c.auth, c.acct} {
		if m != nil {
			out = append(out, m.totals()...)
		}
	}
	return out
}

// totals sums up an exchange's servers.
func (m *pump) totals() []session.Count {
	var sent, retries, timeouts, bad uint64
	var inFlight, sockets int
	m.mu.Lock()
	for _, s := range m.x.servers {
		sent += s.sent
		retries += s.retries
		timeouts += s.timeouts
		bad += s.badAnswers
		inFlight += s.inFlight
		sockets += len(s.sockets)
	}
	late := m.x.late
	m.mu.Unlock()
	prefix := "radius_" + m.x.purpose.String() + "_"
	return []session.Count{
		{Name: prefix + "requests", Value: sent},
		{Name: prefix + "retries", Value: retries},
		{Name: prefix + "timeouts", Value: timeouts},
		{Name: prefix + "bad_answers", Value: bad},
		{Name: prefix + "late_answers", Value: late},
		{Name: prefix + "queue_full", Value: m.full.Load()},
		{Name: prefix + "queued", Value: uint64(len(m.intake))},
		{Name: prefix + "in_flight", Value: uint64(inFlight)},
		{Name: prefix + "sockets", Value: uint64(sockets)},
	}
}
