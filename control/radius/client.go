package radius

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand/v2"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"layeh.com/radius"

	"github.com/lnsd/lnsd/control/radius/policy"
	"github.com/lnsd/lnsd/control/session"
)

// Client asks RADIUS servers about subscribers and tells them about sessions. It
// is safe for concurrent use.
type Client struct {
	cfg    Config
	env    environment
	opener *opener
	log    *limited
	done   func(*session.AuthRequest, *session.AuthResult)
	policy *policy.Table
	// auth and acct are nil when no server has a port for the purpose.
	auth, acct *pump
	counts     counts
}

// environment is what a client takes from its surroundings besides sockets.
type environment struct {
	clock func() time.Time
	// secret fills b with unpredictable bytes.
	secret func(b []byte)
	// number returns a number in [0, 1), for jitter.
	number func() float64
}

// counts are the client's own counters; those of the servers are in their views.
type counts struct {
	accepts, rejects, challenges, unavailable, unusable, unsendable atomic.Uint64
	acctAnswered, acctFailed, acctLost, interimRefused              atomic.Uint64
	ignored                                                         atomic.Uint64
}

// New returns a running client; Close ends it. done receives the answer to each
// request that Authenticate took, exactly once, from a goroutine of the client's
// that must not be held up.
//
// The error says everything that is wrong with the configuration.
func New(cfg Config, done func(*session.AuthResult)) (*Client, error) {
	return newClient(cfg, func(_ *session.AuthRequest, r *session.AuthResult) { done(r) }, systemEnvironment())
}

func systemEnvironment() environment {
	return environment{
		clock:  time.Now,
		secret: func(b []byte) { crand.Read(b) }, // never fails
		number: mrand.Float64,
	}
}

func newClient(cfg Config, done func(*session.AuthRequest, *session.AuthResult), env environment) (*Client, error) {
	cfg = cfg.withDefaults()
	if err := cfg.validate(); err != nil {
		return nil, err
	}
	table, err := policy.New(cfg.Policy)
	if err != nil {
		return nil, err
	}
	c := &Client{cfg: cfg, env: env, done: done, policy: table, log: newLimited(cfg.Log)}
	c.opener = &opener{source: cfg.Source, min: cfg.PortMin, max: cfg.PortMax}
	auth := newPump(c, authentication, c.requests().packets(authentication), cfg.AuthQueue)
	auth.answered, auth.failed = c.authAnswered, c.authFailed
	acct := newPump(c, accounting, c.requests().packets(accounting), cfg.AcctQueue)
	acct.answered, acct.failed = c.acctAnswered, c.acctFailed
	if len(auth.x.servers) > 0 {
		c.auth = auth
		go auth.run()
	}
	if len(acct.x.servers) > 0 {
		c.acct = acct
		go acct.run()
	}
	return c, nil
}

// requests returns an encoder of its own for one exchange.
func (c *Client) requests() *requests {
	return &requests{cfg: &c.cfg, random: c.env.secret, attrs: newAttributes()}
}

// Authenticate asks about a subscriber. It does not block; false means that the
// queue is full, or the client closing, and no answer will come. q is not changed
// and must not be until it is answered.
func (c *Client) Authenticate(q *session.AuthRequest) bool { return c.authenticate(q, "") }

// authenticate asks under another name than the subscriber's own, if user is not "".
func (c *Client) authenticate(q *session.AuthRequest, user string) bool {
	return c.auth != nil && c.auth.put(&request{auth: q, user: user, giveUp: c.env.clock().Add(c.cfg.AuthTimeout)})
}

// Account queues a record for the accounting server. It does not block; false
// means that the record was refused, because the queue is full, or nearly full
// and the record an interim one, or the client closing. rec is not changed and
// must not be.
func (c *Client) Account(rec *session.AcctRecord) bool { return c.account(rec, "") }

// account accounts under another name than the record's, if user is not "".
func (c *Client) account(rec *session.AcctRecord, user string) bool {
	if c.acct == nil {
		return false
	}
	if rec.Kind == session.AcctInterim && len(c.acct.intake) > cap(c.acct.intake)/4*3 {
		c.counts.interimRefused.Add(1)
		return false
	}
	return c.acct.put(&request{acct: rec, user: user, giveUp: c.env.clock().Add(c.cfg.AcctTimeout)})
}

// On tells the accounting server that the NAS has started and that sessions it
// still holds as open are over (RFC 2866 section 5.1): not to be sent after a
// restart that kept its sessions. id is an accounting id of its own, unique like
// a session's. The result is as in Account.
func (c *Client) On(id string, at time.Time) bool { return c.nas(acctOn, id, at) }

// Off tells the accounting server that the NAS goes down and ends all sessions.
func (c *Client) Off(id string, at time.Time) bool { return c.nas(acctOff, id, at) }

func (c *Client) nas(kind session.AcctKind, id string, at time.Time) bool {
	return c.Account(&session.AcctRecord{Kind: kind, At: at, Call: session.CallInfo{AcctSessionID: id}})
}

// Close takes no more requests, waits until the accounting records that it holds
// have been delivered or ctx ends, and stops. Subscribers that still wait are
// answered with Unavailable. The error says how many records were lost.
func (c *Client) Close(ctx context.Context) error {
	if c.auth != nil {
		now, cancel := context.WithCancel(ctx)
		cancel()
		c.auth.close(now)
	}
	if c.acct == nil {
		return nil
	}
	before := c.counts.acctLost.Load()
	c.acct.close(ctx)
	if lost := c.counts.acctLost.Load() - before; lost > 0 {
		return fmt.Errorf("radius: %d accounting records not delivered", lost)
	}
	return nil
}

// authAnswered decodes a verified answer and hands it on.
func (c *Client) authAnswered(r *request, b []byte) {
	res, ignored := decodeReply(c.policy, r.auth, b)
	if len(ignored) > 0 {
		c.counts.ignored.Add(uint64(len(ignored)))
		c.log.info("RADIUS attributes without effect", zap.String("user", r.auth.User), zap.Strings("attributes", ignored))
	}
	switch {
	case res.Verdict == session.Accept:
		c.counts.accepts.Add(1)
	case radius.Code(b[atCode]) == radius.CodeAccessAccept:
		c.counts.unusable.Add(1)
		c.log.warn("RADIUS accept not usable", zap.String("user", r.auth.User), zap.String("cause", res.Cause))
	case radius.Code(b[atCode]) == radius.CodeAccessChallenge:
		c.counts.challenges.Add(1)
	default:
		c.counts.rejects.Add(1)
	}
	c.done(r.auth, res)
}

// authFailed answers a request that no server did, or that could not be sent.
func (c *Client) authFailed(r *request, err error) {
	res := &session.AuthResult{Ref: r.auth.Ref, Verdict: session.Unavailable, Cause: err.Error()}
	if errors.Is(err, errNoAnswer) || errors.Is(err, errClosing) {
		c.counts.unavailable.Add(1)
	} else {
		// These credentials cannot be put into a packet.
		c.counts.unsendable.Add(1)
		res.Verdict = session.Reject
	}
	c.done(r.auth, res)
}

func (c *Client) acctAnswered(r *request, _ []byte) {
	c.counts.acctAnswered.Add(1)
	if c.cfg.Accounted != nil {
		c.cfg.Accounted(r.acct, nil)
	}
}

// acctFailed is told of a record that was not delivered. Where nobody else takes
// care of it, it goes to the log as a whole: somebody may have to bill from it.
func (c *Client) acctFailed(r *request, err error) {
	if c.cfg.Accounted != nil {
		if !errors.Is(err, errNoAnswer) && !errors.Is(err, errClosing) {
			err = fmt.Errorf("%w: %w", ErrUnsendable, err)
		}
		c.counts.acctFailed.Add(1)
		c.cfg.Accounted(r.acct, err)
		return
	}
	c.counts.acctLost.Add(1)
	rec := r.acct
	c.cfg.Log.Warn("accounting record lost", zap.Error(err),
		zap.Uint8("kind", uint8(rec.Kind)), zap.String("acct_session_id", rec.Call.AcctSessionID),
		zap.String("user", rec.User), zap.Time("at", rec.At), zap.Duration("duration", rec.Duration),
		zap.Uint64("up_bytes", rec.Counters.UpBytes), zap.Uint64("down_bytes", rec.Counters.DownBytes))
}
