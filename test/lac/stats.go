package lac

import (
	"fmt"
	"time"
)

// stats are what a worker counts. They belong to its goroutine until it has ended.
type stats struct {
	tunnelsUp, tunnelsFailed, tunnelsLost, tunnelsNow      int
	sessionsUp, sessionsFailed, sessionsLost, sessionsNow  int
	unstarted                                              int
	endedSessions, unansweredSessions                      int
	closedTunnels, unansweredTunnels                       int
	dialled                                                bool
	firstCall, lastUp                                      time.Duration
	tunnel, call, ppp, session, rtt                        *Histogram
	failures                                               failures
	strays                                                 uint64
	sent, sentBytes, received, receivedBytes               uint64
	duplicated, late, reordered, foreign, pings, fragments uint64
	behind                                                 uint64
	sent6, received6                                       uint64 // of sent and received
	wrong                                                  [faultCount]uint64
	icmpErrors                                             map[icmpKind]uint64
}

func newStats() stats {
	return stats{
		tunnel: &Histogram{}, call: &Histogram{}, ppp: &Histogram{}, session: &Histogram{}, rtt: &Histogram{},
		failures:   make(failures),
		icmpErrors: make(map[icmpKind]uint64),
	}
}

// merge adds what o counted.
func (s *stats) merge(o *stats) {
	for _, n := range []struct{ to, from *int }{
		{&s.tunnelsUp, &o.tunnelsUp}, {&s.tunnelsFailed, &o.tunnelsFailed},
		{&s.tunnelsLost, &o.tunnelsLost}, {&s.tunnelsNow, &o.tunnelsNow},
		{&s.sessionsUp, &o.sessionsUp}, {&s.sessionsFailed, &o.sessionsFailed},
		{&s.sessionsLost, &o.sessionsLost}, {&s.sessionsNow, &o.sessionsNow},
		{&s.unstarted, &o.unstarted},
		{&s.endedSessions, &o.endedSessions}, {&s.unansweredSessions, &o.unansweredSessions},
		{&s.closedTunnels, &o.closedTunnels}, {&s.unansweredTunnels, &o.unansweredTunnels},
	} {
		*n.to += *n.from
	}
	for _, n := range []struct{ to, from *uint64 }{
		{&s.strays, &o.strays}, {&s.sent, &o.sent}, {&s.sentBytes, &o.sentBytes},
		{&s.received, &o.received}, {&s.receivedBytes, &o.receivedBytes},
		{&s.duplicated, &o.duplicated}, {&s.late, &o.late}, {&s.reordered, &o.reordered},
		{&s.foreign, &o.foreign}, {&s.pings, &o.pings}, {&s.fragments, &o.fragments}, {&s.behind, &o.behind},
		{&s.sent6, &o.sent6}, {&s.received6, &o.received6},
	} {
		*n.to += *n.from
	}
	if o.dialled && (!s.dialled || o.firstCall < s.firstCall) {
		s.dialled, s.firstCall = true, o.firstCall
	}
	s.lastUp = max(s.lastUp, o.lastUp)
	s.tunnel.Merge(o.tunnel)
	s.call.Merge(o.call)
	s.ppp.Merge(o.ppp)
	s.session.Merge(o.session)
	s.rtt.Merge(o.rtt)
	s.failures.merge(o.failures)
	for i, n := range o.wrong {
		s.wrong[i] += n
	}
	for k, n := range o.icmpErrors {
		s.icmpErrors[k] += n
	}
}

// fill writes the counts into a report.
func (s *stats) fill(r *Report) {
	r.Tunnels.Up, r.Tunnels.Failed, r.Tunnels.Lost = s.tunnelsUp, s.tunnelsFailed, s.tunnelsLost
	r.Sessions.Up, r.Sessions.Failed, r.Sessions.Lost = s.sessionsUp, s.sessionsFailed, s.sessionsLost
	r.Sessions.Unstarted = s.unstarted
	if s.lastUp > s.firstCall {
		d := s.lastUp - s.firstCall
		r.Setup.Duration = Seconds(d)
		r.Setup.Rate = float64(s.sessionsUp) / d.Seconds()
	}
	r.Setup.Tunnel, r.Setup.Call = s.tunnel.Latency(), s.call.Latency()
	r.Setup.PPP, r.Setup.Session = s.ppp.Latency(), s.session.Latency()
	r.Failures = s.failures.sorted()
	r.Teardown.Sessions, r.Teardown.UnansweredSessions = s.endedSessions, s.unansweredSessions
	r.Teardown.Tunnels, r.Teardown.UnansweredTunnels = s.closedTunnels, s.unansweredTunnels
	r.Control.Strays = s.strays
}

// traffic reports the test packets of a period.
func (s *stats) traffic(t *Traffic, period time.Duration) *TrafficReport {
	r := &TrafficReport{
		Duration:  Seconds(period),
		Sent:      s.sent,
		SentBytes: s.sentBytes,
		Sent6:     s.sent6,
		Received6: s.received6,
		Received:  s.received, ReceivedBytes: s.receivedBytes,
		Duplicated: s.duplicated, Late: s.late, Reordered: s.reordered,
		Misdelivered: s.wrong[faultMisdelivery],
		Wrong:        make(map[string]uint64),
		Foreign:      s.foreign,
		Pings:        s.pings,
		Fragments:    s.fragments,
		Behind:       s.behind,
		Latency:      s.rtt.Latency(),
		verify:       t.Verify, oneWay: t.OneWay, maxLoss: t.MaxLoss,
	}
	for f, n := range s.wrong {
		if n > 0 && fault(f) != faultMisdelivery {
			r.Wrong[fault(f).String()] = n
		}
	}
	if len(s.icmpErrors) > 0 {
		r.ICMPErrors = make(map[string]uint64)
		for k, n := range s.icmpErrors {
			r.ICMPErrors[fmt.Sprintf("%d/%d", k.kind, k.code)] = n
		}
	}
	if seconds := period.Seconds(); seconds > 0 {
		r.SendRate, r.ReceiveRate = float64(s.sent)/seconds, float64(s.received)/seconds
	}
	if !t.OneWay {
		r.Lost = s.sent - s.received
		if s.sent > 0 {
			r.LossFraction = float64(r.Lost) / float64(s.sent)
		}
	}
	return r
}

// publish shows the worker's progress to others.
func (w *worker) publish() {
	st := &w.stats
	w.published.Lock()
	defer w.published.Unlock()
	w.published.Progress = Progress{
		Tunnels:  st.tunnelsNow,
		Sessions: st.sessionsNow,
		Pending:  w.dial.pending,
		Failed:   st.sessionsFailed,
		Lost:     st.sessionsLost,
		Sent:     st.sent,
		Received: st.received,

		failedTunnels: st.tunnelsFailed + st.tunnelsLost,
	}
}

// progress is what publish showed last.
func (w *worker) progress() Progress {
	w.published.Lock()
	defer w.published.Unlock()
	return w.published.Progress
}

// settled is how many sessions have come up or failed. A session that was lost has
// been up.
func (p *Progress) settled() int { return p.Sessions + p.Failed + p.Lost }

// add sums the workers' progress up.
func (p *Progress) add(o Progress) {
	p.Tunnels += o.Tunnels
	p.Sessions += o.Sessions
	p.Pending += o.Pending
	p.Failed += o.Failed
	p.Lost += o.Lost
	p.Sent += o.Sent
	p.Received += o.Received
	p.failedTunnels += o.failedTunnels
}
