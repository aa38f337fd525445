package hooks

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"go.uber.org/zap"

	"github.com/lnsd/lnsd/control/session"
)

// Errors of Load, Remove and Send.
var (
	ErrUnknown   = errors.New("there is no such plugin")
	ErrLoaded    = errors.New("it is loaded already")
	ErrNotLoaded = errors.New("it is not loaded")
	ErrNoControl = errors.New("it takes no commands")
	ErrNoAnswer  = errors.New("it does not answer")
)

// Load puts a plugin behind those that are loaded. One that is a program is started
// meanwhile: until it runs it is as one that fails.
func (c *Chain) Load(name string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	if c.find(name) != nil {
		return fmt.Errorf("plugin %s: %w", name, ErrLoaded)
	}
	l, err := c.make(c.settings.Load(), name)
	if err != nil {
		return err
	}
	next := append(slices.Clone(*c.links.Load()), l)
	c.links.Store(&next)
	return nil
}

// make makes a plugin, and starts it where it is a program.
func (c *Chain) make(s *Settings, name string) (*link, error) {
	l := &link{name: name, timeout: DefaultTimeout}
	if e, ok := s.external(name); ok {
		l.closed = e.Closed
		if e.Timeout > 0 {
			l.timeout = e.Timeout
		}
		l.hook = startExternal(e, c.cfg.Socket, c.cfg.Log.With(zap.String("plugin", name)))
		return l, nil
	}
	var err error
	if l.hook, err = c.builtIn(name); err != nil {
		return nil, fmt.Errorf("plugin %s: %w", name, err)
	}
	return l, nil
}

func (s *Settings) external(name string) (External, bool) {
	i := slices.IndexFunc(s.Externals, func(e External) bool { return e.Name == name })
	if i < 0 {
		return External{}, false
	}
	return s.Externals[i], true
}

// Remove takes a plugin out and ends it.
func (c *Chain) Remove(name string) error {
	c.changing.Lock()
	defer c.changing.Unlock()
	l := c.find(name)
	if l == nil {
		return fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
	}
	next := slices.DeleteFunc(slices.Clone(*c.links.Load()), func(x *link) bool { return x == l })
	c.links.Store(&next)
	l.close()
	return nil
}

func (c *Chain) find(name string) *link {
	for _, l := range *c.links.Load() {
		if l.name == name {
			return l
		}
	}
	return nil
}

// Send says something to a plugin and returns its answer.
func (c *Chain) Send(name string, words []string) (string, error) {
	l := c.find(name)
	switch {
	case l == nil:
		return "", fmt.Errorf("plugin %s: %w", name, ErrNotLoaded)
	case !l.events().has(Control):
		return "", fmt.Errorf("plugin %s: %w", name, ErrNoControl)
	}
	x := &call{event: Control, at: time.Now(), words: words}
	v, err := l.ask(x)
	switch {
	case err != nil:
		return "", fmt.Errorf("plugin %s: %w: %w", name, ErrNoAnswer, err)
	case v == Error:
		l.errors.Add(1)
		return "", fmt.Errorf("plugin %s: %s", name, x.reply)
	}
	return x.reply, nil
}

// View is what is shown of a plugin.
type View struct {
	Name                                                 string
	BuiltIn                                              bool
	State, Version                                       string
	PID                                                  int
	Events                                               []string
	Closed                                               bool
	Timeout                                              time.Duration
	Calls, Stopped, Errors, Failures, Timeouts, Restarts uint64
}

// List returns the plugins in the order in which they are asked.
func (c *Chain) List() []View {
	var out []View
	for _, l := range *c.links.Load() {
		v := View{
			Name: l.name, Closed: l.closed, Timeout: l.timeout, Events: l.events().names(),
			Calls: l.calls.Load(), Stopped: l.stopped.Load(), Errors: l.errors.Load(),
			Failures: l.failures.Load(), Timeouts: l.timeouts.Load(),
		}
		l.view(&v)
		out = append(out, v)
	}
	return out
}

// Counts are counters of all plugins together.
func (c *Chain) Counts() []session.Count {
	sum := struct{ calls, failures, timeouts, restarts uint64 }{}
	for _, v := range c.List() {
		sum.calls += v.Calls
		sum.failures += v.Failures
		sum.timeouts += v.Timeouts
		sum.restarts += v.Restarts
	}
	return []session.Count{
		{Name: "plugin_calls", Value: sum.calls},
		{Name: "plugin_failures", Value: sum.failures},
		{Name: "plugin_timeouts", Value: sum.timeouts},
		{Name: "plugin_restarts", Value: sum.restarts},
		{Name: "plugin_logins_refused", Value: c.refused.Load()},
		{Name: "plugin_logins_changed", Value: c.changed.Load()},
		{Name: "plugin_queue_full", Value: c.full.Load()},
		{Name: "plugin_events_missed", Value: c.missed.Load()},
	}
}
