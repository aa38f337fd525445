package radius

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// RouterConfig is what a Router is made with.
type RouterConfig struct {
	// Groups are the server groups, each with a Config.Group of its own. Names that
	// no realm rule sends elsewhere belong to the first.
	Groups []Config
	Realms []Realm
	// DefaultRealm is the realm of names without one, for the choice of a rule; "" is
	// none.
	DefaultRealm string
	Down         Down

	Log *zap.Logger
}

// Router chooses the server group for each subscriber by its realm, and answers in
// the place of a group of which no server does. Groups share nothing: one that is
// down holds nobody up in another. It is safe for concurrent use.
type Router struct {
	clients []*Client
	groups  map[string]*Client
	realms  realms
	down    *fallback
	log     *limited
	done    func(*session.AuthResult)

	refused atomic.Uint64
	// answers counts the goroutines that answer without a server; gate keeps new ones
	// out once the router is closing.
	answers sync.WaitGroup
	gate    sync.RWMutex
	closing bool
}

// NewRouter returns a running router; Close ends it. done is as in New.
func NewRouter(cfg RouterConfig, done func(*session.AuthResult)) (*Router, error) {
	if len(cfg.Groups) == 0 {
		return nil, errors.New("radius: no server group")
	}
	if cfg.Log == nil {
		cfg.Log = zap.NewNop()
	}
	r := &Router{groups: map[string]*Client{}, log: newLimited(cfg.Log), done: done}
	var err error
	if r.down, err = newFallback(cfg.Down); err != nil {
		return nil, err
	}
	for _, g := range cfg.Groups {
		if r.groups[g.Group] != nil {
			r.stop()
			return nil, errors.New("radius: server group " + g.Group + " is there twice")
		}
		c, err := newClient(g, r.answered, systemEnvironment())
		if err != nil {
			r.stop()
			return nil, err
		}
		r.clients = append(r.clients, c)
		r.groups[g.Group] = c
	}
	r.groups[""] = r.clients[0]
	if r.realms, err = newRealms(cfg.Realms, cfg.DefaultRealm, r.groups); err != nil {
		r.stop()
		return nil, err
	}
	return r, nil
}

// stop ends what was started when a later part is unusable.
func (r *Router) stop() {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	_ = r.Close(ctx) // nothing was taken yet
}

// Authenticate is as Client's.
func (r *Router) Authenticate(q *session.AuthRequest) bool {
	r.gate.RLock()
	defer r.gate.RUnlock()
	if r.closing {
		return false
	}
	n := splitName(q.User)
	rule := r.realms.find(n)
	if rule.Refuse {
		r.refused.Add(1)
		r.later(func() {
			r.done(&session.AuthResult{Ref: q.Ref, Verdict: session.Reject, Cause: "the realm is not served here"})
		})
		return true
	}
	if r.groups[rule.Group].authenticate(q, rule.sent(q.User, n, q.Method)) {
		return true
	}
	// As good as no answer, and no reason to be harder.
	r.later(func() {
		r.answered(q, &session.AuthResult{Ref: q.Ref, Verdict: session.Unavailable, Cause: "the queue is full"})
	})
	return true
}

// later runs f on a goroutine: an answer must not come before Authenticate returns, to
// a caller that holds what the answer needs.
func (r *Router) later(f func()) { r.answers.Go(f) }

// answered takes a server's answer, or the lack of one, and hands it on as it is to be.
func (r *Router) answered(q *session.AuthRequest, res *session.AuthResult) {
	if r.ends() {
		r.done(res) // not the time to let anybody in
		return
	}
	res, why := r.down.judge(q, res, time.Now())
	if why != "" {
		r.log.warn("RADIUS is down: subscriber answered without it", zap.String("user", q.User), zap.String("as", why))
	}
	r.done(res)
}

// Account is as Client's; the record goes to the group that its subscriber belongs to.
func (r *Router) Account(rec *session.AcctRecord) bool {
	login := rec.Login
	if login == "" {
		login = rec.User
	}
	n := splitName(login)
	rule := r.realms.find(n)
	user := rec.User
	if user == login {
		// A name that the server gave stays as it is (RFC 2865 section 5.1).
		user = rule.sent(login, n, rec.Method)
	}
	return r.groups[rule.Group].account(rec, user)
}

// On and Off are as Client's, for every group.
func (r *Router) On(id string, at time.Time) bool {
	ok := true
	for _, c := range r.clients {
		ok = c.On(id, at) && ok
	}
	return ok
}

// Off is described at On.
func (r *Router) Off(id string, at time.Time) bool {
	ok := true
	for _, c := range r.clients {
		ok = c.Off(id, at) && ok
	}
	return ok
}

func (r *Router) ends() bool {
	r.gate.RLock()
	defer r.gate.RUnlock()
	return r.closing
}

// Close is as Client's, for every group at once.
func (r *Router) Close(ctx context.Context) error {
	r.gate.Lock()
	r.closing = true
	r.gate.Unlock()
	errs := make([]error, len(r.clients))
	var group sync.WaitGroup
	for i, c := range r.clients {
		group.Go(func() { errs[i] = c.Close(ctx) })
	}
	group.Wait()
	r.answers.Wait()
	return errors.Join(errs...)
}

// Servers shows the servers of each group.
func (r *Router) Servers() []session.AuthServerView {
	var views []session.AuthServerView
	for _, c := range r.clients {
		views = append(views, c.Servers()...)
	}
	return views
}

// Counts are the sums over the groups, and what was answered without a server.
func (r *Router) Counts() []session.Count {
	var sums []session.Count
	at := map[string]int{}
	for _, c := range r.clients {
		for _, n := range c.Counts() {
			i, ok := at[n.Name]
			if !ok {
				i = len(sums)
				at[n.Name] = i
				sums = append(sums, session.Count{Name: n.Name})
			}
			sums[i].Value += n.Value
		}
	}
	sums = append(sums, session.Count{Name: "radius_realm_refused", Value: r.refused.Load()})
	return append(sums, r.down.counts()...)
}
