package hooks

import (
	"github.com/lnsd/lnsd/control/session"
)

// Authenticator is who knows the subscribers.
type Authenticator interface {
	Authenticate(*session.AuthRequest) bool
}

// login is what plugins see of a subscriber that logs in, and change.
type login struct {
	request  *session.AuthRequest
	user     string
	password []byte
	refuse   bool
	allowed  bool
	message  string
	grant    session.Change
}

// pending is a login between its question and its answer.
type pending struct {
	request *session.AuthRequest
	user    string // as it was authenticated
	result  *session.AuthResult
}

// before is the chain in front of an authenticator.
type before struct{ *Chain }

// Before puts the chain in front of a, whose answers are to go to AuthDone. It is called
// once, before the first login.
func (c *Chain) Before(a Authenticator) Authenticator {
	c.inner = a
	return before{c}
}

// Authenticate takes a request, or returns false when there are too many.
func (b before) Authenticate(r *session.AuthRequest) bool {
	c := b.Chain
	p := &pending{request: r, user: r.User}
	if c.interested(PostAuth) || c.interested(RadiusResponse) || c.interested(PreAuth) {
		c.remember(p)
	}
	if !c.interested(PreAuth) {
		if !c.inner.Authenticate(r) {
			c.take(r.Ref)
			return false
		}
		return true
	}
	select {
	case c.logins <- p:
		return true
	default:
		c.full.Add(1)
		c.take(r.Ref)
		return false
	}
}

func (c *Chain) remember(p *pending) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pending[p.request.Ref] = p
}

func (c *Chain) take(ref session.Ref) *pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[ref]
	delete(c.pending, ref)
	return p
}

// AuthDone takes the authenticator's answer.
func (c *Chain) AuthDone(r *session.AuthResult) {
	p := c.take(r.Ref)
	if p == nil || r.Verdict == session.Unavailable {
		c.cfg.Done(r)
		return
	}
	p.result = r
	select {
	case c.results <- p:
	default:
		// What the plugins would have said is not known.
		c.full.Add(1)
		c.cfg.Done(&session.AuthResult{Ref: r.Ref, Verdict: session.Unavailable, Cause: "too many logins wait for plugins"})
	}
}

// work serves logins. Answers come first: their subscribers have waited longer.
func (c *Chain) work() {
	for {
		select {
		case <-c.stop:
			return
		case p := <-c.results:
			c.cfg.Done(c.after(p))
		case p := <-c.logins:
			c.begin(p)
		}
	}
}

// begin asks the plugins, and then the authenticator.
func (c *Chain) begin(p *pending) {
	r := p.request
	l := &login{request: r, user: r.User, password: r.Password}
	verdict := c.run(&call{event: PreAuth, login: l})
	if verdict == Error || l.refuse {
		c.refused.Add(1)
		c.take(r.Ref)
		c.cfg.Done(refusal(r.Ref, l, verdict))
		return
	}
	if l.user != r.User || string(l.password) != string(r.Password) {
		c.changed.Add(1)
		next := *r
		next.User, next.Password = l.user, l.password
		p.user, r = l.user, &next
	}
	if !c.inner.Authenticate(r) {
		c.take(r.Ref)
		c.cfg.Done(&session.AuthResult{Ref: r.Ref, Verdict: session.Unavailable, Cause: "the queue of logins is full"})
	}
}

// refusal is the answer to a login that plugins do not let through: no by a plugin's own
// word, unavailable where one failed.
func refusal(ref session.Ref, l *login, v Verdict) *session.AuthResult {
	r := &session.AuthResult{Ref: ref, Verdict: session.Reject, Message: l.message, Cause: "refused by a plugin"}
	if v == Error && !l.refuse {
		r.Verdict, r.Cause = session.Unavailable, "a plugin failed"
	}
	return r
}

// after shows the plugins the answer, and returns what becomes of it.
func (c *Chain) after(p *pending) *session.AuthResult {
	r := p.result
	l := &login{request: p.request, user: p.user, allowed: r.Verdict == session.Accept, message: r.Message}
	if l.allowed {
		for _, pair := range r.Profile.Pairs {
			if c.run(&call{event: RadiusResponse, login: l, pair: pair}) == Error {
				c.refused.Add(1)
				return refusal(r.Ref, l, Error)
			}
		}
	}
	if c.run(&call{event: PostAuth, login: l}) == Error {
		c.refused.Add(1)
		return refusal(r.Ref, l, Error)
	}
	switch accepted := r.Verdict == session.Accept; {
	case accepted && !l.allowed:
		c.refused.Add(1)
		return &session.AuthResult{Ref: r.Ref, Verdict: session.Reject, Message: l.message, Cause: "refused by a plugin"}
	case !l.allowed:
		next := *r
		next.Message = l.message
		return &next
	case !accepted && p.request.Method == session.AuthMSCHAPv2:
		// Its client wants a proof that only the authenticator could give.
		return r
	}
	return c.granted(p, l)
}

// granted is the answer to a login that was let in, with what the plugins granted.
func (c *Chain) granted(p *pending, l *login) *session.AuthResult {
	next := *p.result
	if next.Verdict != session.Accept {
		next.Verdict, next.Profile = session.Accept, session.Profile{Local: true}
		c.changed.Add(1)
	}
	next.Message = l.message
	f := &next.Profile
	if f.User == "" && p.user != p.request.User {
		f.User = p.user
	}
	f.Services = l.grant.Services(f.Services)
	if t := l.grant.SessionTimeout; t != nil {
		f.SessionTimeout = *t
	}
	if t := l.grant.IdleTimeout; t != nil {
		f.IdleTimeout = *t
	}
	return &next
}
