// Package hooks runs plugins at what happens to tunnels, sessions and logins: those of
// lnsd's own, and the operator's, which are processes of their own (hookv1). Nothing here
// is waited for by a shard: logins pass through on the way to and from the authenticator,
// everything else is told from bounded queues. A plugin that crashes is started again, one
// that hangs is ended, and what becomes of its logins meanwhile is its own setting.
package hooks

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// Event is something that plugins are asked about, or told of.
type Event uint8

// The events; their values are those of hookv1.Event.
const (
	PreAuth Event = iota + 1
	PostAuth
	RadiusResponse
	Timer
	Control
	NewSession
	KillSession
	SessionCreated
	SessionUp
	SessionDown
	SessionModified
	TunnelCreated
	TunnelUp
	TunnelDown
	events
)

var eventNames = [events]string{
	PreAuth: "pre_auth", PostAuth: "post_auth", RadiusResponse: "radius_response", Timer: "timer", Control: "control",
	NewSession: "new_session", KillSession: "kill_session",
	SessionCreated: "session_created", SessionUp: "session_up", SessionDown: "session_down", SessionModified: "session_modified",
	TunnelCreated: "tunnel_created", TunnelUp: "tunnel_up", TunnelDown: "tunnel_down",
}

func (e Event) String() string { return eventNames[e] }

// eventSet is a set of events.
type eventSet uint32

func setOf(list ...Event) (s eventSet) {
	for _, e := range list {
		s |= 1 << e
	}
	return s
}

func (s eventSet) has(e Event) bool { return s&(1<<e) != 0 }

func (s eventSet) names() (names []string) {
	for e := Event(1); e < events; e++ {
		if s.has(e) {
			names = append(names, e.String())
		}
	}
	return names
}

// Verdict is what a plugin says of an event. OK goes on with the next one; the others
// end the chain, Error as a failure.
type Verdict uint8

// The verdicts.
const (
	OK Verdict = iota
	Stop
	Error
)

// Settings are what a reload may change.
type Settings struct {
	// Externals can be loaded besides those of our own.
	Externals []External
	// Load are the plugins that are loaded, in the order in which they are asked.
	Load []string
	// Garden is where the refused are put by the plugin "garden"; Throttle the rate of
	// "throttle=yes".
	Garden   string
	Throttle session.Rate
}

// Config is what does not change.
type Config struct {
	// Socket is the management socket, which plugins are told of.
	Socket string
	// Sessions ends sessions for "sessionctl".
	Sessions Sessions
	// Done takes the answers to logins, as they are in the end.
	Done func(*session.AuthResult)
	Log  *zap.Logger
}

// Sessions ends the sessions of a user, or the one with a SID, and returns their number.
type Sessions interface {
	EndSessions(ctx context.Context, x session.Selector) (int, error)
}

// External is a plugin that is a program of its own.
type External struct {
	Name, Path string
	// Timeout bounds each call; 0 is DefaultTimeout.
	Timeout time.Duration
	// Closed: while it can't be asked logins are refused; else they go on without it.
	Closed bool
}

// DefaultTimeout bounds a call where nothing is said.
const DefaultTimeout = time.Second

// hook is one plugin. Its calls come from several goroutines at once.
type hook interface {
	// events are those that it wants.
	events() eventSet
	// call asks about c and changes c.login or c.reply. An error is that there is no
	// answer, and then it has changed nothing.
	call(ctx context.Context, c *call) (Verdict, error)
	// view fills in what is shown of it.
	view(*View)
	close()
}

// link is a hook in the chain.
type link struct {
	hook
	name    string
	closed  bool
	timeout time.Duration

	calls, stopped, errors, failures, timeouts atomic.Uint64
}

// call is one event on its way through the chain.
type call struct {
	event  Event
	at     time.Time
	login  *login         // PreAuth, PostAuth, RadiusResponse
	pair   session.Pair   // RadiusResponse
	notice session.Notice // sessions and tunnels
	words  []string       // Control
	reply  string
}

// Chain is the plugins that are loaded. Its methods may be called from any goroutine.
type Chain struct {
	cfg      Config
	links    atomic.Pointer[[]*link]
	settings atomic.Pointer[Settings]

	changing sync.Mutex // held while links and settings are replaced

	logins  chan *pending
	results chan *pending
	notices chan session.Notice

	mu      sync.Mutex
	pending map[session.Ref]*pending

	inner Authenticator
	stop  chan struct{}
	wg    sync.WaitGroup

	full, missed, refused, changed atomic.Uint64
}

// Bounds of what waits for plugins.
const (
	loginWorkers = 32
	loginQueue   = 4096
	noticeQueue  = 8192
)

// New makes a chain that is empty and works, until Reload gives it plugins; Close ends
// it.
func New(cfg Config) *Chain {
	c := &Chain{
		cfg:    cfg,
		logins: make(chan *pending, loginQueue), results: make(chan *pending, loginQueue),
		notices: make(chan session.Notice, noticeQueue),
		pending: make(map[session.Ref]*pending), stop: make(chan struct{}),
	}
	c.links.Store(&[]*link{})
	c.settings.Store(&Settings{})
	for range loginWorkers {
		c.wg.Go(c.work)
	}
	c.wg.Go(c.tell)
	c.wg.Go(c.tick)
	return c
}

// Close ends the plugins.
func (c *Chain) Close() error {
	close(c.stop)
	c.wg.Wait()
	c.changing.Lock()
	defer c.changing.Unlock()
	var ending sync.WaitGroup
	for _, l := range *c.links.Load() {
		ending.Go(l.close)
	}
	ending.Wait()
	c.links.Store(&[]*link{})
	return nil
}

// interested reports whether anybody wants an event.
func (c *Chain) interested(e Event) bool {
	// What an external plugin wants is known once it runs, so each is asked anew.
	for _, l := range *c.links.Load() {
		if l.events().has(e) {
			return true
		}
	}
	return false
}

// run asks the hooks in their order.
func (c *Chain) run(x *call) Verdict {
	for _, l := range *c.links.Load() {
		if !l.events().has(x.event) {
			continue
		}
		v, err := l.ask(x)
		switch {
		case err != nil && l.closed:
			return Error
		case err != nil:
			continue
		case v == Stop:
			l.stopped.Add(1)
			return Stop
		case v == Error:
			l.errors.Add(1)
			return Error
		}
	}
	return OK
}

// ask asks one hook within its time.
func (l *link) ask(x *call) (Verdict, error) {
	ctx, cancel := context.WithTimeout(context.Background(), l.timeout)
	defer cancel()
	l.calls.Add(1)
	v, err := l.call(ctx, x)
	if err != nil {
		l.failures.Add(1)
		if ctx.Err() != nil {
			l.timeouts.Add(1)
		}
	}
	return v, err
}

// tell tells of what has happened, in its order.
func (c *Chain) tell() {
	for {
		select {
		case <-c.stop:
			return
		case n := <-c.notices:
			for _, e := range eventsOf(n.Kind) {
				c.run(&call{event: e, at: n.At, notice: n})
			}
		}
	}
}

// tick tells the time. A second that a plugin took too long for is left out.
func (c *Chain) tick() {
	t := time.NewTicker(time.Second)
	defer t.Stop()
	for {
		select {
		case <-c.stop:
			return
		case now := <-t.C:
			c.run(&call{event: Timer, at: now})
		}
	}
}

// Observe takes what has happened to a tunnel or a session.
func (c *Chain) Observe(n session.Notice) {
	if !slices.ContainsFunc(eventsOf(n.Kind), c.interested) {
		return
	}
	select {
	case c.notices <- n:
	default:
		c.missed.Add(1)
	}
}

// eventsOf are the events that a notice stands for.
func eventsOf(k session.NoticeKind) []Event {
	switch k {
	case session.SessionCreated:
		return []Event{SessionCreated}
	case session.SessionUp:
		return []Event{SessionUp, NewSession}
	case session.SessionDown:
		return []Event{KillSession, SessionDown}
	case session.SessionFailed:
		return []Event{SessionDown}
	case session.SessionChanged:
		return []Event{SessionModified}
	case session.TunnelCreated:
		return []Event{TunnelCreated}
	case session.TunnelUp:
		return []Event{TunnelUp}
	case session.TunnelDown:
		return []Event{TunnelDown}
	}
	return nil
}
