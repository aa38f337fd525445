package engine

import (
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// carry carries out what a session wants, in the order that session.Out states,
// until it wants nothing more. What goes into the tunnel (CDN, SLI) waits in
// s.tout for pump, which every caller's caller runs.
func (s *Shard) carry(c *call) {
	o := &s.sout
	for {
		if o.Any() {
			s.noteCall(c)
		}
		if s.tracing {
			s.traceOut(c)
		}
		for _, b := range o.Send {
			s.tapSent(c, b)
			s.send.Send(c.tun.local, c.tun.peer, b)
		}
		for _, m := range o.LinkInfo {
			c.tun.t.SendSLI(s.now, c.call, m, &s.tout)
		}
		claim, decided := s.claim(c)
		claim6, decided6 := s.claim6(c)
		refused := s.authenticate()
		s.ops = append(s.ops, o.Program...)
		for _, r := range o.Account {
			s.account(r)
			s.accountLink(c.tun, r)
		}
		for i := range o.Interceptions {
			s.e.ports.Auditor.Intercepted(o.Interceptions[i])
		}
		keep := false
		for _, r := range o.Changed {
			keep = s.changed(c, r) || keep
		}
		for _, r := range o.HangUp {
			if !s.shutdown { // then the StopCCN ends all calls at once
				c.tun.t.HangUp(s.now, c.call, r, &s.tout)
			}
		}
		for _, x := range o.Stages {
			s.times.stage(x)
		}
		for i := range o.Events {
			s.note(c, &o.Events[i])
		}
		done := o.Done
		o.Reset()
		switch {
		case done:
			s.forget(c)
			return
		case keep:
			c.settled(c.s.Settle(s.now, true, s.e.ports.Forwarder, o))
		case decided:
			if s.tracing {
				s.traceAnswer(c, "claim: %v, address %s", claim.Outcome, addressText(claim.Address))
			}
			c.s.Claimed(s.now, claim, o)
		case decided6: // never together with the other claim, which comes before the NCPs
			c.s.Claimed6(s.now, &claim6, o)
		case refused != nil:
			c.s.Authenticated(s.now, refused, o)
		default:
			s.timers.set(c, c.s.Deadline())
			return
		}
	}
}

// claim asks the directory; decided is false when there is nothing to tell the
// session now.
func (s *Shard) claim(c *call) (r session.ClaimResult, decided bool) {
	for i := range s.sout.Claim { // there is one at most
		r, decided = s.dir.claim(c.s.Slot(), &s.sout.Claim[i], s.now)
	}
	return r, decided
}

// claim6 is claim for IPv6.
func (s *Shard) claim6(c *call) (r session.ClaimResult6, decided bool) {
	for i := range s.sout.Claim6 { // there is one at most
		r, decided = s.dir.claim6(c.s.Slot(), &s.sout.Claim6[i], s.now)
	}
	return r, decided
}

// authenticate hands over a request. If it is not taken, the answer is known.
func (s *Shard) authenticate() (refused *session.AuthResult) {
	for _, r := range s.sout.Authenticate { // there is one at most
		s.counts.add(authRequests)
		if !s.e.ports.Authenticator.Authenticate(r) {
			s.counts.add(authQueueFull)
			refused = &session.AuthResult{Ref: r.Ref, Verdict: session.Unavailable, Cause: "queue full"}
		}
	}
	return refused
}

// account hands over a record. Where another process may go on with the session, one
// that closes its account waits until the journal knows that the session is over: a
// process that died between the two would leave an account that is closed, and a
// session that goes on and closes it once more. The other way round the account is
// found open, and closed by that process.
func (s *Shard) account(r *session.AcctRecord) {
	s.counts.add(acctRecords)
	if r.Kind.Ends() && s.e.ports.Journal != nil {
		s.closing = append(s.closing, r)
		return
	}
	s.handOver(r)
}

// closeAccounts hands over the records of this step that close accounts.
func (s *Shard) closeAccounts() {
	for _, r := range s.closing {
		s.handOver(r)
	}
	clear(s.closing)
	s.closing = s.closing[:0]
}

// handOver gives a record to the accountant, after those that wait.
func (s *Shard) handOver(r *session.AcctRecord) {
	if len(s.backlog) == 0 && s.e.ports.Accountant.Account(r) {
		return
	}
	s.counts.add(acctQueueFull)
	if r.Kind == session.AcctInterim {
		return // the next one makes up for it
	}
	// Bounded by the sessions there are: each has one Start and one Stop.
	s.backlog = append(s.backlog, r)
	if s.retryAt.IsZero() {
		s.retryAt = s.now.Add(accountRetry)
	}
}

// accountRetry is the pause before records are offered again.
const accountRetry = 100 * time.Millisecond

func (s *Shard) retryAccounting() {
	if s.retryAt.IsZero() || s.now.Before(s.retryAt) {
		return
	}
	n := 0
	for n < len(s.backlog) && s.e.ports.Accountant.Account(s.backlog[n]) {
		n++
	}
	rest := copy(s.backlog, s.backlog[n:])
	clear(s.backlog[rest:])
	s.backlog = s.backlog[:rest]
	s.retryAt = time.Time{}
	if rest > 0 {
		s.retryAt = s.now.Add(accountRetry)
	}
}

// note counts, logs and tells what happened to a session.
func (s *Shard) note(c *call, e *session.Event) {
	s.tell(c, e)
	switch e.Kind {
	case session.Up:
		s.counts.add(sessionsUp)
		r := c.s.Record()
		s.log.Info("session up", append(s.sessionFields(c),
			addressField(r.Address), zap.Stringers("prefixes6", r.Prefixes6), zap.Uint16("mtu", r.MTU), zap.String("acct", r.AcctSessionID))...)
	case session.AuthFailed:
		s.counts.add(authRejected)
		s.warn(gateAuth, "authentication failed", append(s.sessionFields(c), zap.String("cause", e.Detail))...)
	case session.AuthUnavailable:
		s.counts.add(authUnavailable)
		s.warn(gateAuth, "no answer to authentication", append(s.sessionFields(c), zap.String("cause", e.Detail))...)
	case session.ClaimFailed:
		s.counts.add(claimCounters[e.Claim])
		s.warn(gateClaim, "no address for session", append(s.sessionFields(c), zap.String("cause", e.Detail))...)
	case session.ProgramFailed:
		s.counts.add(programFailed)
		s.warn(gateProgram, "forwarding path refused", append(s.sessionFields(c), zap.Error(e.Err))...)
	case session.Down:
		if p := c.wish; p != nil {
			p.reason, p.wasUp = e.End.Reason, e.WasUp
		}
		s.noteDown(c, e)
	case session.Altered:
		s.noteAltered(c, e)
	}
}

var claimCounters = [...]counter{
	session.DuplicateUser: duplicateLogins,
	session.AddressInUse:  addressInUse,
	session.PoolEmpty:     poolExhausted,
	session.NoSuchPool:    poolExhausted,
	session.BadAddress:    addressInUse,
}

func (s *Shard) noteAltered(c *call, e *session.Event) {
	s.counts.add(sessionsChanged)
	s.log.Info("session changed", append(s.sessionFields(c), zap.String("what", e.Detail), zap.String("by", e.By))...)
	if e.LeftGarden && c.s.Policy().Duplicates == session.KickOld {
		s.dir.kickOthers(c.s.Slot())
	}
}

func (s *Shard) noteDown(c *call, e *session.Event) {
	fields := append(s.sessionFields(c), zap.String("reason", e.End.Reason),
		zap.Uint8("cause", uint8(e.End.Cause)))
	if e.WasUp {
		s.times.ended(e.Open, e.Idle)
		s.counts.add(sessionsDown)
		s.log.Info("session down", fields...)
		return
	}
	s.counts.add(sessionsFailed)
	s.accountFailure(c, e)
	s.warn(gateSetup, "session not established", fields...)
}

func (s *Shard) sessionFields(c *call) []zap.Field {
	ref := c.s.Ref()
	fields := make([]zap.Field, 0, 12)
	return append(fields, zap.Uint16("tunnel", ref.TunnelID), zap.Uint16("session", ref.SessionID),
		zap.Uint32("slot", c.s.Slot()), zap.String("user", c.s.User()),
		zap.String("lac", c.tun.name))
}

// addressField names a subscriber's IPv4 address, which it need not have.
func addressField(a netip.Addr) zap.Field {
	if !a.IsValid() {
		return zap.Skip()
	}
	return zap.Stringer("address", a)
}
